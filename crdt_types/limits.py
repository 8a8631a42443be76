"""Limits of what a document takes from those who edit it here; the server's edge holds others to the same."""

from typing import Final, NamedTuple

MAX_VALUE_BYTES: Final = 1024 * 1024  # a cell is sent whole at each write: what is larger belongs beside the document
MAX_NAME: Final = 1024  # bytes of UTF-8; every entry of a cell repeats its field's name and its key
MAX_DEPTH: Final = 100  # of nested values; readers in JavaScript give up at some five hundred
MAX_READ_DEPTH: Final = 256  # deeper ones, which no sound program writes, are not read: readers recurse
MAX_CELLS: Final = 1_000_000  # live ones; some 500 bytes of memory each, in every replica


class Limits(NamedTuple):
    """What one document takes.

    Attributes:
        value_bytes: the greatest size of one value as it is stored, in bytes.
        name_bytes: the greatest length of a field's path or of a key, in bytes of UTF-8.
        cells: how many values may be live at once.
    """

    value_bytes: int = MAX_VALUE_BYTES
    name_bytes: int = MAX_NAME
    cells: int = MAX_CELLS
