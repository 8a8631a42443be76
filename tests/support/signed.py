"""Plain Yjs documents in which everything written says by whom: in characters that nobody else uses."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import pycrdt
from hypothesis import strategies as st

# By writer; of two, three and four bytes in UTF-8, the last one two units in UTF-16.
ALPHABETS: Final = ("é中😀", "ü文🎈", "ø字🚀")
CLIENTS: Final = (11, 2**31 + 5, 2**53 - 2)

# Nobody's characters: who inserts in the middle of what is formatted writes the format anew after that.
_ATTRIBUTES: Final = ({"bold": True}, {"bold": None}, {"link": "x"})
_ROOTS: Final = {"text": pycrdt.Text, "map": pycrdt.Map, "array": pycrdt.Array, "xml": pycrdt.XmlFragment}

Doc = pycrdt.Doc[Any]


class Deed(NamedTuple):
    """One edit: who, what, where and how much (both taken modulo what there is), and what is written."""

    writer: int
    what: str
    at: int
    length: int
    word: list[int]

    @property
    def signed(self) -> str:
        """What is written, in the characters of its writer."""
        return "".join(ALPHABETS[self.writer][letter] for letter in self.word)


_OFTEN: Final = ("write", "format", "put", "insert", "learn")
_SELDOM: Final = ("cut", "embed", "delete", "nest", "subdocument", "remove", "element", "attribute")
WRITERS: Final = st.integers(0, len(ALPHABETS) - 1)
DEEDS: Final = st.builds(
    Deed,
    WRITERS,
    st.sampled_from(_OFTEN * 2 + _SELDOM),
    st.integers(0, 11),
    st.integers(1, 4),
    st.lists(st.integers(0, 2), min_size=1, max_size=3),
)


class Writers:
    """Some documents that are written to at once.

    Attributes:
        docs: that of each writer.
        log: the updates of all that they did, in order.
        guids: the ids of subdocuments, by writer.
    """

    def __init__(self) -> None:
        self.docs: list[Doc] = [pycrdt.Doc(client_id=client) for client in CLIENTS]
        self.log: list[bytes] = []
        self.guids: dict[int, list[str]] = {writer: [] for writer in range(len(CLIENTS))}
        for doc in self.docs:
            _roots(doc)

    def do(self, deed: Deed) -> None:
        """Do a deed; one of nothing, such as to cut from an empty text, is none."""
        doc = self.docs[deed.writer]
        if deed.what == "learn":
            for update in self.log:
                doc.apply_update(update)
            return
        subscription = doc.observe(lambda event: self.log.append(event.update))
        getattr(self, f"_{deed.what}")(doc, deed)
        doc.unobserve(subscription)

    def _write(self, doc: Doc, deed: Deed) -> None:
        text, at, _end = _range(doc, deed)
        text.insert(at, deed.signed)

    def _cut(self, doc: Doc, deed: Deed) -> None:
        text, at, end = _range(doc, deed)
        if at < end:
            del text[at:end]

    def _format(self, doc: Doc, deed: Deed) -> None:
        text, at, end = _range(doc, deed)
        if at < end:
            text.format(at, end, _pick(_ATTRIBUTES, deed.word[0]))

    def _embed(self, doc: Doc, deed: Deed) -> None:
        text, at, _end = _range(doc, deed)
        text.insert_embed(at, {"image": deed.signed})

    def _put(self, doc: Doc, deed: Deed) -> None:
        mapping = _pick([found for found in _types(doc) if isinstance(found, pycrdt.Map)], deed.length)
        mapping[f"k{deed.at % 3}"] = _value(deed)

    def _delete(self, doc: Doc, deed: Deed) -> None:
        doc["map"].pop(f"k{deed.at % 3}", None)

    def _nest(self, doc: Doc, deed: Deed) -> None:
        made: tuple[Any, ...] = (pycrdt.Map({"k0": deed.signed}), pycrdt.Array([deed.signed]), pycrdt.Text(deed.signed))
        doc["map"][f"k{deed.at % 3}"] = made[deed.length % 3]

    def _subdocument(self, doc: Doc, deed: Deed) -> None:
        made: Doc = pycrdt.Doc()
        self.guids[deed.writer].append(made.guid)
        doc["map"][f"of {deed.writer}"] = made

    def _insert(self, doc: Doc, deed: Deed) -> None:
        array = _pick([found for found in _types(doc) if isinstance(found, pycrdt.Array)], deed.length)
        at = deed.at % (len(array) + 1)
        array[at:at] = [_value(deed), deed.signed]

    def _remove(self, doc: Doc, deed: Deed) -> None:
        if array := doc["array"]:
            del array[deed.at % len(array)]

    def _element(self, doc: Doc, deed: Deed) -> None:
        text = pycrdt.XmlText(deed.signed)
        doc["xml"].children.append(pycrdt.XmlElement("p", {"class": deed.signed}, [text]))

    def _attribute(self, doc: Doc, deed: Deed) -> None:
        if elements := list(doc["xml"].children):
            _pick(elements, deed.at).attributes["class"] = deed.signed


def document(*updates: bytes) -> Doc:
    """Return a document of some updates, to be read."""
    doc: Doc = pycrdt.Doc()
    for update in updates:
        doc.apply_update(update)
    _roots(doc)
    return doc


def told(data: bytes, writers: Collection[int], guids: dict[int, list[str]]) -> bool:
    """Tell whether anything that some writers wrote is in these bytes."""
    words = [word for writer in writers for word in (*ALPHABETS[writer], *guids[writer])]
    return any(word.encode() in data for word in words)


def reading(doc: Doc, without: Collection[int] = (), *, formats: bool = False) -> Any:
    """Return what a document reads, without what some writers wrote.

    Args:
        doc: the document.
        without: the writers.
        formats: whether the formats of the texts are told, too.
    """
    roots = {name: _read(doc[name], without, formats) for name in _ROOTS}
    roots["map"] = {key: value for key, value in roots["map"].items() if key not in {f"of {w}" for w in without}}
    return roots


def _read(found: Any, without: Collection[int], formats: bool) -> Any:
    match found:
        case pycrdt.Text() | pycrdt.XmlText():
            units = [(unit, formats and attributes) for unit, attributes in _units(found)]
            return [unit for unit in units if _writer(unit[0]) not in without]
        case pycrdt.Map():
            return {
                key: _read(value, without, formats) for key, value in found.items() if _writer(value) not in without
            }
        case pycrdt.Array():
            return [_read(value, without, formats) for value in found if _writer(value) not in without]
        case pycrdt.XmlElement():
            attributes: Any = found.attributes
            kept = {name: value for name, value in attributes if _writer(value) not in without}
            return found.tag, kept, [_read(child, without, formats) for child in found.children]
        case pycrdt.XmlFragment():
            return [_read(child, without, formats) for child in found.children]
        case pycrdt.Doc():
            return found.guid
        case _:
            return found


def _roots(doc: Doc) -> None:
    for name, kind in _ROOTS.items():
        doc.get(name, type=kind)


def _types(doc: Doc) -> Iterator[Any]:
    """Yield the types in a document."""
    yield from (doc["text"], doc["map"], doc["array"])
    yield from (doc["map"][key] for key in sorted(doc["map"]) if not key.startswith("of"))
    yield from (child for element in doc["xml"].children for child in element.children)


def _range(doc: Doc, deed: Deed) -> tuple[Any, int, int]:
    """Return a text, and where in it a deed begins and ends, as it counts: characters in bytes, each object as one."""
    text = _pick([found for found in _types(doc) if isinstance(found, pycrdt.Text | pycrdt.XmlText)], deed.length)
    sizes = [len(unit.encode()) if isinstance(unit, str) else 1 for unit, _attributes in _units(text)]
    at = deed.at % (len(sizes) + 1)
    return text, sum(sizes[:at]), sum(sizes[: at + deed.length])


def _units(text: Any) -> Iterator[tuple[Any, Any]]:
    for chunk, attributes in text.diff():
        for unit in chunk if isinstance(chunk, str) else [chunk]:
            yield unit, attributes


def _pick(found: Sequence[Any], at: int) -> Any:
    return found[at % len(found)]


def _value(deed: Deed) -> Any:
    word = deed.signed
    return (word, [word, None, 1.5], {"k": word}, word.encode())[deed.length % 4]


def _writer(value: Any) -> int | None:
    """Return who wrote a value; None for a type, which others may have written in."""
    if isinstance(value, pycrdt.Doc | pycrdt.Text | pycrdt.Map | pycrdt.Array):
        return None
    shown = bytes(value).decode() if isinstance(value, bytearray) else str(value)
    return next((writer for writer, letters in enumerate(ALPHABETS) if set(letters) & set(shown)), None)
