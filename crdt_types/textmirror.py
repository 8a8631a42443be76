"""A text as it stands: its characters beside the Yjs type, which counts in UTF-8 bytes."""

from typing import Any, Final

from pycrdt import Text

Delta = list[dict[str, Any]]

# Yjs counts an embedded object as one unit. Here it is one byte that UTF-8 never uses, and reads as U+FFFC.
_EMBED: Final = b"\xff"
_EMBED_DECODED: Final = "\udcff"
_OBJECT_REPLACEMENT: Final = "\ufffc"


class TextMirror:
    """Keeps the content of one root text, fed by its events, so that reading it costs nothing.

    Args:
        name: the root's name.
        ytext: the Yjs text.
    """

    __slots__ = ("_chars", "_committed", "name", "raw", "ytext")

    def __init__(self, name: str, ytext: Text) -> None:
        self.name = name
        self.ytext = ytext
        self.raw = b""
        self._chars: str | None = None
        self._committed: bytes | None = None
        self.reload()

    def reload(self) -> Delta:
        """Read the Yjs text whole, and return how that differs from what was known of it."""
        before = self.value
        self.raw = b"".join(_bytes(chunk) for chunk, _attributes in self.ytext.diff())
        self._chars = None
        return net_delta(before, self.value)

    @property
    def value(self) -> str:
        """The text; an embedded object reads as U+FFFC."""
        return self.chars.replace(_EMBED_DECODED, _OBJECT_REPLACEMENT)

    @property
    def chars(self) -> str:
        """The text, its embedded objects kept apart from the character U+FFFC."""
        if self._chars is None:
            self._chars = _decode(self.raw)
        return self._chars

    def offset(self, index: int) -> int:
        """Return the position in bytes of a position in characters."""
        chars = self.chars
        return index if chars.isascii() else len(_encode(chars[:index]))

    def stage(self, at: int, gone: int, come: bytes) -> None:
        """Replace bytes of the content ahead of the Yjs text, until `rewind`."""
        if self._committed is None:
            self._committed = self.raw
        self.splice(at, gone, come)

    def rewind(self) -> None:
        """Return to what the Yjs text holds, if edits were staged."""
        if self._committed is not None:
            self.raw, self._chars, self._committed = self._committed, None, None

    def splice(self, at: int, gone: int, come: bytes) -> None:
        """Replace bytes of the content."""
        self.raw = self.raw[:at] + come + self.raw[at + gone :]
        self._chars = None

    def follow(self, delta: Delta) -> Delta:
        """Take in a delta of Yjs, counted in bytes, and return it counted in characters."""
        at = 0
        counted: Delta = []
        for op in delta:
            step = dict(op)
            if "insert" in op:
                come = _bytes(op["insert"])
                self.splice(at, 0, come)
                at += len(come)
            elif "delete" in op:
                gone = int(op["delete"])
                step["delete"] = len(_decode(self.raw[at : at + gone]))
                self.splice(at, gone, b"")
            else:
                kept = int(op["retain"])
                step["retain"] = len(_decode(self.raw[at : at + kept]))
                at += kept
            counted.append(step)
        return counted


class TextEdit:
    """One edit of a text: some characters go, some come, or some get attributes.

    Args:
        mirror: the text.
        index: where, in characters.
        gone: how many characters go (or, with `attributes` and nothing to insert, get the attributes).
        come: the characters that come.
        attributes: formatting of what comes, or of the range.
    """

    __slots__ = ("_at", "_length", "attributes", "come", "delta", "formats", "mirror")

    def __init__(
        self, mirror: TextMirror, index: int, gone: int, come: str, attributes: dict[str, Any] | None = None
    ) -> None:
        self.mirror = mirror
        self.come = come
        self.attributes = attributes
        self.formats = attributes is not None and not come
        self._at = mirror.offset(index)
        self._length = mirror.offset(index + gone) - self._at
        self.delta = self._as_delta(index, gone)

    def _as_delta(self, index: int, gone: int) -> Delta:
        extra = {} if self.attributes is None else {"attributes": self.attributes}
        ops: Delta = [{"retain": index}] if index else []
        if self.formats:
            return [*ops, {"retain": gone, **extra}]
        if self.come:
            ops.append({"insert": self.come, **extra})
        if gone:
            ops.append({"delete": gone})
        return ops

    def stage(self) -> None:
        """Make the edit in the mirror, where it is seen before it is written."""
        if not self.formats:
            self.mirror.stage(self._at, self._length, _encode(self.come))

    def write(self, txn: Any) -> None:
        """Make the edit in the Yjs text, inside a raw Yjs transaction."""
        ytext = self.mirror.ytext.integrated
        attributes = None if self.attributes is None else iter(self.attributes.items())
        if self.formats:
            ytext.format(txn, self._at, self._length, attributes)
            return
        if self._length:
            ytext.remove_range(txn, self._at, self._length)
        if self.come:
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
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _bytes(chunk: Any) -> bytes:
    return _encode(chunk) if isinstance(chunk, str) else _EMBED


def _encode(chars: str) -> bytes:
    return chars.encode("utf-8", "surrogateescape")


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
