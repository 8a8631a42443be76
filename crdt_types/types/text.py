"""A text: a Yjs text of the field's name, so that every Yjs editor can bind to it."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Final

from ..document.changes import Kind
from ..document.delta import Delta, Operation, check, length_of
from ..document.entry import MAX_COUNT
from ..document.statedocument import StateDocument
from ..document.textmirror import TextEdit, TextMirror, net_delta
from ..errors import InvalidValueError
from .field import Field

_dump: Final = partial(json.dumps, allow_nan=False)


class Text(Field):
    """A text that many write at once, character by character; positions and lengths are counted in characters.

    It is read like a ``str``: its slices, ``in``, its length, and it equals the text that it holds.

    Source: the Yjs text type, a YATA sequence (P. Nicolaescu et al., "Near Real-Time Peer-to-Peer Shared Editing on
    Extensible Data Types", 2016).
    """

    kind: ClassVar[Kind] = "text"

    _mirror: TextMirror

    def _attach(self, document: StateDocument) -> None:
        self._mirror = document.text(self.name)

    # Reading ----------------------------------------------------------------------------------------------------

    @property
    def value(self) -> str:
        """The text; an object that an editor embedded reads as U+FFFC."""
        return self._mirror.value

    def __str__(self) -> str:
        return self.value

    def __len__(self) -> int:
        return len(self._mirror)

    def __iter__(self) -> Iterator[str]:
        return iter(self.value)

    def __getitem__(self, index: int | slice) -> str:
        return self.value[index]

    def __contains__(self, text: str) -> bool:
        return text in self.value

    def __eq__(self, other: object) -> bool:
        if self._document is None or (isinstance(other, Text) and other._document is None):
            return self is other
        return self.value == other.value if isinstance(other, Text) else self.value == other

    __hash__: ClassVar[None]  # type: ignore[assignment]  # it changes

    def find(self, text: str, start: int = 0, end: int | None = None) -> int:
        """Return the first position of a text within this one, or -1; start and end are as in ``str.find``."""
        return self.value.find(text, start, end)

    def delta(self) -> Delta:
        """Return the content with its formatting and embedded objects: insertions only, as a new list."""
        return self._mirror.content()

    # Editing ----------------------------------------------------------------------------------------------------

    def assign(self, value: str) -> None:
        """Make the text become another one, by replacing what differs between their common beginning and end.

        Raises: InvalidValueError, if it is not a text, or holds a lone surrogate; nothing is written then.
        """
        if not isinstance(value, str):
            raise InvalidValueError(f"{value!r:.200} is not a text", subject=self.name, remedy="nothing was written")
        index = gone = 0
        come = ""
        for op in net_delta(self.value, value):
            index, gone, come = op.get("retain", index), op.get("delete", gone), op.get("insert", come)
        self.replace(index, gone, come)

    def erase(self) -> None:
        """Delete all characters, without keeping the row that the text lies in."""
        if len(self):
            self.document.edit_text(TextEdit(self._mirror, 0, len(self), ""))

    def insert(self, index: int, text: str, attributes: dict[str, Any] | None = None) -> None:
        """Insert characters before a position.

        Args:
            index: from 0 to the length.
            text: the characters.
            attributes: formatting, such as ``{"bold": True}``; that of the character before if None.

        Raises: InvalidValueError, if the position lies outside, or the text holds a lone surrogate.
        """
        if text:
            self._edit(index, 0, text, attributes)

    def insert_embed(self, index: int, obj: dict[str, Any], attributes: dict[str, Any] | None = None) -> None:
        """Insert an object before a position, such as ``{"image": "reef.png"}``; it counts as one character.

        Args:
            index: from 0 to the length.
            obj: a JSON object.
            attributes: formatting; that of the character before if None.

        Raises: InvalidValueError, if the position lies outside, or the object is not JSON.
        """
        self._edit(index, 0, self._embedded(obj), attributes)

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

    def _edit(self, index: int, gone: int, come: str | dict[str, Any], attributes: dict[str, Any] | None) -> None:
        if isinstance(come, str):
            self._check_encodes(come)
        plain = None if attributes is None else self._plain(attributes)
        edit = TextEdit(self._mirror, index, gone, come, plain)
        if self._keeper is None:
            self.document.edit_text(edit)
            return
        with self.document.transaction():
            self._mirror.check(index, gone)
            self._touch()
            self.document.edit_text(edit)

    # Edits against an earlier version ---------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """A token of the text as it is now at this replica, for `apply_delta`; what it consists of means nothing.

        From the first time that it is read, the text's latest changes are kept in memory, within the bounds that
        `texthistory.MAX_OPERATIONS` and `texthistory.MAX_CHARACTERS` set.

        Raises: TransactionError, inside a transaction that has edited this text.
        """
        return self._mirror.version()

    def apply_delta(self, delta: Delta, version: str | None = None) -> None:
        """Apply a delta that was made for the text as it was at a version, whatever changed since, in one transaction.

        What it keeps, deletes and formats are the characters that it meant, wherever they are now, and it inserts
        between those that it meant, what stands beside a deletion at its beginning. What was inserted at the very same
        place since comes first, and what was formatted since stays so. Characters that it inserts have the attributes
        it names, and no others.

        Args:
            delta: operations as in `delta` and in changes, counted in characters.
            version: what `version` was when the text was read that the delta is for; None if that is as it is now.

        Raises:
            InvalidValueError: if the delta is malformed, or reaches past the end of the text as it was.
            StaleVersionError: if the version is too old, or of another text or replica, or of before a reset.

        Nothing is written then.
        """
        made = self._prepared(delta)
        with self.document.transaction():
            due = self._mirror.rebased(made, version)
            if due:
                self._touch()
            index = 0
            for op in due:
                index = self._apply(op, index)

    def _apply(self, op: Operation, index: int) -> int:
        """Make the edit that an operation at a position means, and return the position after it."""
        length = length_of([op])
        attributes = op.get("attributes", {})
        if "insert" in op:
            self.document.edit_text(TextEdit(self._mirror, index, 0, op["insert"], attributes))
        elif "delete" in op:
            self.document.edit_text(TextEdit(self._mirror, index, length, ""))
            return index
        elif attributes:
            self.document.edit_text(TextEdit(self._mirror, index, length, "", attributes))
        return index + length

    def _prepared(self, delta: Delta) -> Delta:
        """Return a copy of a delta, fit to be written; raises InvalidValueError if it cannot be."""
        check(delta, subject=self.name)
        return [self._prepared_operation(op) for op in delta if length_of([op])]

    def _prepared_operation(self, op: Operation) -> Operation:
        made = op.copy()
        if "attributes" in op:
            made["attributes"] = self._plain(op["attributes"])
        if isinstance(op.get("insert"), str):
            self._check_encodes(op["insert"])
        elif "insert" in op:
            made["insert"] = self._embedded(op["insert"])
        return made

    # What can be stored -----------------------------------------------------------------------------------------

    def _check_encodes(self, text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidValueError("a lone surrogate in a text", subject=self.name) from None

    def _embedded(self, obj: Any) -> dict[str, Any]:
        if not isinstance(obj, dict):
            raise InvalidValueError(
                f"{obj!r:.200} is not an object to embed", subject=self.name, remedy="embed a dict; nothing was written"
            )
        return self._plain(obj, "an embedded object")

    def _plain(self, data: dict[str, Any], what: str = "formatting") -> dict[str, Any]:
        """Return a copy as Yjs stores attributes and objects: JSON, with JavaScript's whole numbers."""
        try:
            plain: dict[str, Any] = json.loads(_dump(data), parse_int=_whole)
            _dump(plain, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidValueError(
                f"{what} that is not JSON: {error}", subject=self.name, remedy="nothing was written"
            ) from None
        return plain


def _whole(digits: str) -> int:
    number = int(digits)
    if abs(number) > MAX_COUNT:
        raise ValueError(f"{number} is beyond 2^53 - 1")
    return number
