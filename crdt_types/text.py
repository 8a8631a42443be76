"""A text: a Yjs text of the field's name, so that every Yjs editor can bind to it."""

import json
from functools import partial
from typing import Any, ClassVar, Final

from .changes import Kind
from .document import StateDocument
from .entry import MAX_COUNT
from .errors import InvalidValueError
from .field import Field
from .textmirror import TextEdit, TextMirror

_dump: Final = partial(json.dumps, allow_nan=False)


class Text(Field):
    """A text that many write at once, character by character; positions and lengths are counted in characters.

    Source: the Yjs text type, a YATA sequence (P. Nicolaescu et al., "Near Real-Time Peer-to-Peer Shared Editing on
    Extensible Data Types", 2016).
    """

    kind: ClassVar[Kind] = "text"

    _mirror: TextMirror

    def _attach(self, document: StateDocument) -> None:
        self._mirror = document.text(self.name)

    @property
    def value(self) -> str:
        """The text; an object that an editor embedded reads as U+FFFC."""
        return self._mirror.value

    def __str__(self) -> str:
        return self.value

    def __len__(self) -> int:
        return len(self._mirror.chars)

    def insert(self, index: int, text: str, attributes: dict[str, Any] | None = None) -> None:
        """Insert characters before a position.

        Args:
            index: from 0 to the length.
            attributes: formatting, such as ``{"bold": True}``.

        Raises: InvalidValueError, if the position lies outside, or the text holds a lone surrogate.
        """
        if text:
            self._edit(index, 0, text, attributes)

    def append(self, text: str) -> None:
        """Insert characters at the end."""
        self.insert(len(self), text)

    def delete(self, index: int, length: int) -> None:
        """Delete characters from a position on; raises InvalidValueError if they lie outside."""
        if length:
            self._edit(index, length, "", None)

    def replace(self, index: int, length: int, text: str) -> None:
        """Delete characters and insert others in their place, as one edit."""
        if length or text:
            self._edit(index, length, text, None)

    def format(self, index: int, length: int, attributes: dict[str, Any]) -> None:
        """Set formatting of a range; an attribute of None is taken away."""
        if length:
            self._edit(index, length, "", attributes)

    def _edit(self, index: int, gone: int, come: str, attributes: dict[str, Any] | None) -> None:
        size = len(self)
        if index < 0 or gone < 0 or index + gone > size:
            raise InvalidValueError(
                f"characters {index} to {index + gone} of {size}", subject=self.name, remedy="nothing was written"
            )
        try:
            come.encode()
        except UnicodeEncodeError:
            raise InvalidValueError("a lone surrogate in a text", subject=self.name) from None
        plain = None if attributes is None else self._plain(attributes)
        self.document.edit_text(TextEdit(self._mirror, index, gone, come, plain))

    def _plain(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return a copy as Yjs stores attributes: JSON, with JavaScript's whole numbers."""
        try:
            plain: dict[str, Any] = json.loads(_dump(attributes), parse_int=_whole)
            _dump(plain, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidValueError(
                f"formatting that is not JSON: {error}", subject=self.name, remedy="nothing was written"
            ) from None
        return plain


def _whole(digits: str) -> int:
    number = int(digits)
    if abs(number) > MAX_COUNT:
        raise ValueError(f"{number} is beyond 2^53 - 1")
    return number
