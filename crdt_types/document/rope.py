"""A long string that is edited in place: chunks of characters, of which each knows its length in UTF-8."""

from typing import Final

# Characters. An edit copies one chunk and all pointers to them: at a million characters, a few microseconds for either.
CHUNK: Final = 4096


class Rope:
    """Characters whose positions are known in characters and in bytes of UTF-8, where a lone surrogate is one byte.

    It remembers the chunk that it was last asked about: what lies near it is found without looking at the others.

    Args:
        chars: what it holds.
    """

    __slots__ = ("_chunks", "_index", "_length", "_number", "_offset", "_sizes", "_whole")

    def __init__(self, chars: str = "") -> None:
        self._chunks = _split(chars)
        self._sizes = list(map(size_of, self._chunks))
        self._length = len(chars)
        self._whole: str | None = chars
        # The chunk at hand, and the characters and bytes before it.
        self._number = self._index = self._offset = 0

    def __len__(self) -> int:
        return self._length

    def __str__(self) -> str:
        if self._whole is None:
            self._whole = "".join(self._chunks)
        return self._whole

    def copy(self) -> "Rope":
        """Return another rope of the same characters."""
        other = Rope.__new__(Rope)
        other._chunks, other._sizes = self._chunks.copy(), self._sizes.copy()
        other._length, other._whole = self._length, self._whole
        other._number, other._index, other._offset = self._number, self._index, self._offset
        return other

    def bytes_before(self, index: int) -> int:
        """Return the position in bytes of a position in characters, which is not beyond the end."""
        self._seek(index)
        chunk, within = self._chunks[self._number], index - self._index
        return self._offset + (within if self._sizes[self._number] == len(chunk) else size_of(chunk[:within]))

    def chars_before(self, offset: int) -> int:
        """Return the position in characters of a position in bytes, which is not beyond the end."""
        while offset < self._offset:
            self._back()
        while offset > self._offset + self._sizes[self._number]:
            self._on()
        chunk, within = self._chunks[self._number], offset - self._offset
        if self._sizes[self._number] != len(chunk):
            within = len(_decode(_encode(chunk)[:within]))
        return self._index + within

    def splice(self, index: int, gone: int, come: str) -> None:
        """Replace characters from a position on, all of which are there."""
        self._seek(index)
        first, start = self._number, index - self._index
        end = self._end(start, gone)
        old = self._chunks[first] if end == first + 1 else "".join(self._chunks[first:end])
        size = sum(self._sizes[first:end]) - size_of(old[start : start + gone]) + size_of(come)
        chunks = _split(old[:start] + come + old[start + gone :])
        self._chunks[first:end] = chunks
        self._sizes[first:end] = [size] if len(chunks) == 1 else map(size_of, chunks)
        self._length += len(come) - gone
        self._whole = None

    def _end(self, start: int, gone: int) -> int:
        """Return the end of the chunks that a splice rewrites: one that would become small takes in the next."""
        end, length = self._number + 1, len(self._chunks[self._number])
        while length < start + gone or (length - gone < CHUNK // 4 and end < len(self._chunks)):
            length += len(self._chunks[end])
            end += 1
        return end

    def _seek(self, index: int) -> None:
        """Take the chunk at hand that a position lies in, or at an end of."""
        while index < self._index:
            self._back()
        while index > self._index + len(self._chunks[self._number]):
            self._on()

    def _on(self) -> None:
        self._index += len(self._chunks[self._number])
        self._offset += self._sizes[self._number]
        self._number += 1

    def _back(self) -> None:
        self._number -= 1
        self._index -= len(self._chunks[self._number])
        self._offset -= self._sizes[self._number]


def size_of(chars: str) -> int:
    """Return the length of characters in bytes of UTF-8, where a lone surrogate is one byte."""
    return len(chars) if chars.isascii() else len(_encode(chars))


def _split(chars: str) -> list[str]:
    """Return characters in chunks, at least one; long ones half full, so that they have room to grow."""
    if len(chars) <= CHUNK:
        return [chars]
    return [chars[at : at + CHUNK // 2] for at in range(0, len(chars), CHUNK // 2)]


def _encode(chars: str) -> bytes:
    return chars.encode("utf-8", "surrogateescape")


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
