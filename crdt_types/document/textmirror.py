"""A text as it stands: its characters beside the Yjs type, which counts in UTF-8 bytes."""

from typing import Any, Final

from pycrdt import Text

from ..errors import InvalidValueError, StaleVersionError, TransactionError
from .delta import Delta, check, compose, growth_of, length_of, normalized, transform
from .rope import Rope, size_of
from .texthistory import TextHistory

__all__ = ["Delta", "TextEdit", "TextMirror", "net_delta"]

# Yjs counts an embedded object as one unit. Here it is a lone surrogate, one byte that UTF-8 never uses.
_EMBED: Final = "\udcff"
_OBJECT_REPLACEMENT: Final = "\ufffc"


class TextMirror:
    """Keeps the content of one root text, fed by its events, so that reading it costs nothing.

    Args:
        name: the root's name.
        ytext: the Yjs text.

    Attributes:
        staged: the edits that are seen here ahead of the Yjs text, until `rewind`.
    """

    __slots__ = ("_committed", "_history", "_made", "_rope", "_value", "_ytext", "name", "staged")

    def __init__(self, name: str, ytext: Text) -> None:
        self.name = name
        self.ytext = ytext
        self.staged: list[TextEdit] = []
        self._made = 0  # how many of the staged edits the rope holds: those that somebody wanted to see
        self._committed: Rope | None = None
        self._rope = Rope()
        self._value: str | None = None
        self.reload()

    @property
    def ytext(self) -> Text:
        """The Yjs text; where it is replaced by another one, no version of it is known any more."""
        return self._ytext

    @ytext.setter
    def ytext(self, ytext: Text) -> None:
        self._ytext = ytext
        self._history: TextHistory | None = None

    def reload(self) -> Delta:
        """Read the Yjs text whole, and return how that differs from what was known of it."""
        before = self.value
        self._rope = Rope("".join(_chars(chunk) for chunk, _attributes in self.ytext.diff()))
        self._value = None
        delta = net_delta(before, self.value)
        if delta:
            self._history = None  # one splice does not say where everything went
        return delta

    # Reading ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._now())

    @property
    def value(self) -> str:
        """The text; an embedded object reads as U+FFFC."""
        if self._value is None:
            self._value = str(self._now()).replace(_EMBED, _OBJECT_REPLACEMENT)
        return self._value

    def _now(self) -> Rope:
        """Return the characters, those of all staged edits among them."""
        if self._made < len(self.staged):
            if self._committed is None:
                self._committed = self._rope.copy()
            for edit in self.staged[self._made :]:
                if not edit.formats:
                    self._rope.splice(edit.index, edit.gone, edit.come)
            self._made = len(self.staged)
        return self._rope

    def content(self) -> Delta:
        """Return the text with its formatting and its objects, as insertions, staged edits included."""
        content = _document(self.ytext)
        for edit in self.staged:
            content = compose(content, edit.explicit(content))
        return content

    # Versions ---------------------------------------------------------------------------------------------------

    def version(self) -> str:
        """Return a token of the text as it is; from the first one on, what is done to the text is kept for a while.

        Raises: TransactionError, while edits of it are staged: they are no version before they are written.
        """
        if self.staged:
            raise TransactionError(
                "a version in the middle of a transaction",
                subject=self.name,
                remedy="read it before the transaction's first edit of this text, or after its end",
            )
        if self._history is None:
            self._history = TextHistory()
        return self._history.version

    def rebased(self, delta: Delta, version: str | None) -> Delta:
        """Return a delta that was made against a version, as it applies to the text as it is; the present if None.

        What came since has priority: its insertions come first at the same place, and its formatting stays. What
        replaces a range is inserted at its beginning.

        Raises:
            StaleVersionError: if the version is not known, or not known any more.
            InvalidValueError: if the delta reaches past the end of the text as it was then.
        """
        since = [] if version is None else self._since(version)
        check(delta, len(self) - sum(map(growth_of, since)), self.name)
        delta = normalized(delta)
        for step in since:
            delta = transform(step, delta, True)
        return delta

    def _since(self, version: str) -> list[Delta]:
        try:
            if self._history is None:
                raise StaleVersionError("no version of this text is known")
            return self._history.since(version) + [edit.delta for edit in self.staged]
        except StaleVersionError as error:
            remedy = "read the text and its version again, and make the edit against those"
            raise StaleVersionError(error.what, subject=self.name, remedy=remedy) from None

    # Edits, staged and committed --------------------------------------------------------------------------------

    def check(self, index: int, length: int) -> None:
        """Raise InvalidValueError if a range of characters does not lie within the text."""
        size = len(self)
        if index < 0 or length < 0 or index + length > size:
            raise InvalidValueError(
                f"characters {index} to {index + length} of {size}", subject=self.name, remedy="nothing was written"
            )

    def stage(self, edit: "TextEdit") -> tuple[int, int]:
        """Make an edit ahead of the Yjs text, until `rewind`, and return in bytes where and how long a range it is of.

        Raises: InvalidValueError, if it lies outside of the text.
        """
        index, gone = edit.index, edit.gone
        self.check(index, gone)
        rope = self._now()
        at = rope.bytes_before(index)
        length = rope.bytes_before(index + gone) - at if gone else 0
        self.staged.append(edit)
        self._value = None
        return at, length

    def rewind(self) -> None:
        """Return to what the Yjs text holds, if edits were staged."""
        if self._committed is not None:
            self._rope, self._committed = self._committed, None
        self.staged, self._made, self._value = [], 0, None

    def follow(self, delta: Delta) -> Delta:
        """Take in a delta of Yjs, counted in bytes, and return it counted in characters."""
        counted = self._counted(delta)
        if self._history is not None:
            self._history.add(counted)
        return counted

    def _counted(self, delta: Delta) -> Delta:
        rope = self._rope
        self._value = None
        index = offset = 0
        counted: Delta = []
        for op in delta:
            if "insert" in op:
                come = _chars(op["insert"])
                rope.splice(index, 0, come)
                index += len(come)
                offset += size_of(come)
                counted.append(op)
            elif "delete" in op:
                gone = rope.chars_before(offset + int(op["delete"])) - index
                rope.splice(index, gone, "")
                counted.append({**op, "delete": gone})
            else:
                offset += int(op["retain"])
                start, index = index, rope.chars_before(offset)
                counted.append({**op, "retain": index - start})
        return counted


class TextEdit:
    """One edit of a text: some characters go, some come, or some get attributes.

    Args:
        mirror: the text.
        index: where, in characters.
        gone: how many characters go (or, with `attributes` and nothing to insert, get the attributes).
        come: the characters that come, or an object to embed.
        attributes: formatting of what comes, or of the range. None for that of the character before.
    """

    __slots__ = ("_at", "_embed", "_length", "attributes", "come", "delta", "formats", "gone", "index", "mirror")

    def __init__(
        self,
        mirror: TextMirror,
        index: int,
        gone: int,
        come: str | dict[str, Any],
        attributes: dict[str, Any] | None = None,
    ) -> None:
        self.mirror = mirror
        self.index = index
        self.gone = gone
        self.come = _chars(come)
        self._embed = None if isinstance(come, str) else come
        self.attributes = attributes
        self.formats = attributes is not None and not self.come
        self._at = self._length = 0
        self.delta = self._as_delta(attributes)

    def _as_delta(self, attributes: dict[str, Any] | None) -> Delta:
        extra = {"attributes": attributes} if attributes else {}
        ops: Delta = [{"retain": self.index}] if self.index else []
        if self.formats:
            return [*ops, {"retain": self.gone, **extra}]
        if self.come:
            ops.append({"insert": self.come if self._embed is None else self._embed, **extra})
        if self.gone:
            ops.append({"delete": self.gone})
        return ops

    def explicit(self, content: Delta) -> Delta:
        """Return the delta of this edit with the formatting that it takes on in a document."""
        if self.attributes is not None or not self.come:
            return self.delta
        return self._as_delta(_attributes_before(content, self.index))

    def stage(self) -> None:
        """Make the edit in the mirror, where it is seen before it is written.

        Raises: InvalidValueError, if it lies outside of the text.
        """
        self._at, self._length = self.mirror.stage(self)

    def write(self, txn: Any) -> None:
        """Make the edit in the Yjs text, inside a raw Yjs transaction."""
        ytext = self.mirror.ytext.integrated
        attributes = None if self.attributes is None else iter(self.attributes.items())
        if self.formats:
            ytext.format(txn, self._at, self._length, attributes)
            return
        if self._length:
            ytext.remove_range(txn, self._at, self._length)
        if self._embed is not None:
            ytext.insert_embed(txn, self._at, self._embed, attributes)
        elif self.come:
            ytext.insert(txn, self._at, self.come, attributes)


def net_delta(before: str, after: str) -> Delta:
    """Return one splice that turns a text into another, as a delta counted in characters; empty if they are equal."""
    if before == after:
        return []
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    delta: Delta = [{"retain": start}] if start else []
    if come := after[start : len(after) - end]:
        delta.append({"insert": come})
    if gone := len(before) - end - start:
        delta.append({"delete": gone})
    return delta


def _common(one: str, other: str) -> int:
    """Return how many characters two strings begin with alike."""
    alike, end = 0, min(len(one), len(other))
    while alike < end:
        middle = (alike + end + 1) // 2
        if one[alike:middle] == other[alike:middle]:
            alike = middle
        else:
            end = middle - 1
    return alike


def _chars(chunk: Any) -> str:
    return chunk if isinstance(chunk, str) else _EMBED


def _document(ytext: Text) -> Delta:
    """Return what a Yjs text holds, as insertions."""
    return normalized([{"insert": chunk, "attributes": attributes or {}} for chunk, attributes in ytext.diff()])


def _attributes_before(content: Delta, index: int) -> dict[str, Any]:
    """Return the attributes of the character before a position in a document."""
    if index:
        for op in content:
            index -= length_of([op])
            if index <= 0:
                attributes: dict[str, Any] = op.get("attributes", {})
                return attributes
    return {}
