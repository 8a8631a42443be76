"""A log: items are only appended, and read in one order everywhere, until they are pruned."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar, overload

from ..document.cells import Items
from ..document.changes import Kind, Violation
from ..document.clock import EPOCH_MS, TICKS_PER_MS, stamp_ms
from ..document.entry import ITEM, Entry
from ..document.statedocument import StateDocument
from ..document.values import canonical
from ..errors import InvalidValueError
from .field import ByValue, Field, strangers
from .shape import check_items

T = TypeVar("T")

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Log(ByValue, Field, Sequence[T]):
    """A sequence of items in the order of their hybrid clock stamps; what one agent appends stays in its order.

    It is a ``Sequence``. An item that was appended elsewhere at an earlier moment takes its place there when it
    arrives. An item of another type than the declared one is read as it is stored, and listed in `violations`.
    """

    kind: ClassVar[Kind] = "log"

    _items: Items

    def _attach(self, document: StateDocument) -> None:
        self._items = document.index.items(self.name)
        if self._codec.annotation is not Any:
            self._items.reader = self

    @property
    def value(self) -> list[T]:
        """All items, as a list."""
        return list(self)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._read(entry) for entry in self._items.entries[index]]
        item: T = self._read(self._items.entries[index])
        return item

    def __iter__(self) -> Iterator[T]:
        return map(self._read, tuple(self._items.entries))

    def __len__(self) -> int:
        return len(self._items.entries)

    def _read(self, entry: Entry) -> Any:
        return self.typed(entry.value)

    def append(self, value: T) -> None:
        """Append an item.

        Raises: InvalidValueError, if it does not fit; nothing is written then.
        """
        self.document.append_item(self.name, self._codec.checked(value))

    def extend(self, values: Iterable[T]) -> None:
        """Append several items in one transaction: all of them, or on an error none."""
        with self.document.transaction():
            for value in values:
                self.append(value)

    def prune(self, keep: int | None = None, *, before: datetime | None = None) -> int:
        """Delete the oldest items, and return how many went.

        Args:
            keep: how many of the newest stay at least, 0 or more; 0 if only ``before`` is given.
            before: only items that were appended before this moment go, by their writers' clocks; it must have a time
                zone.

        Raises: InvalidValueError, if ``keep`` is negative, ``before`` has no time zone, or neither is given.
        """
        if keep is None and before is None:
            raise InvalidValueError("neither a number nor a time", subject=f"prune of {self.name}")
        if keep is not None and keep < 0:
            raise InvalidValueError(f"{keep} is negative", subject=f"prune of {self.name}", remedy="keep 0 or more")
        entries = self._items.entries
        end = max(len(entries) - (keep or 0), 0)
        if before is not None:
            end = min(end, bisect_left(entries, self._stamp_at(before), key=lambda entry: entry.stamp))
        self.document.prune_items(self._items, entries[:end])
        return end

    def _stamp_at(self, moment: datetime) -> int:
        if moment.tzinfo is None:
            raise InvalidValueError(
                f"{moment} has no time zone",
                subject=f"prune of {self.name}",
                remedy="use datetime.now(UTC) and the like",
            )
        return ((moment - _UNIX_EPOCH) // _MILLISECOND - EPOCH_MS) * TICKS_PER_MS

    def times(self) -> list[datetime]:
        """Return when each item was appended, by its writer's clock, in UTC."""
        return [_UNIX_EPOCH + stamp_ms(entry.stamp) * _MILLISECOND for entry in self._items.entries]

    def assign(self, value: Iterable[T]) -> None:
        """Make these the items: those at the front that are gone are pruned, those at the end appended.

        Raises: InvalidValueError, if that does not do, for a log is not rewritten; nothing is written then.
        """
        check_items(value, self.name)
        wanted = list(value)
        held = list(map(self._stored, self))
        keys = list(map(self._stored, wanted))
        kept = next((held[at:] for at in range(len(held) + 1) if keys[: len(held) - at] == held[at:]), [])
        if held and wanted and not kept:
            raise InvalidValueError(
                "items in the middle would change", subject=self.name, remedy="a Log is only appended to and pruned"
            )
        with self.document.transaction():
            self.prune(len(kept))
            self.extend(wanted[len(kept) :])

    def _stored(self, item: Any) -> bytes:
        try:
            return canonical(self._codec.checked(item))
        except InvalidValueError:
            return canonical(item)  # what does not fit is read as it is stored

    def violations(self) -> Iterator[Violation]:
        """Yield the stored items that do not fit this field's type."""
        yield from filter(None, map(self.violation, tuple(self._items.entries)))
        yield from strangers(self.document, self.name, ITEM)

    def disputed(self, key: Any) -> None:
        """Do nothing: a log has no conflicts."""

    def pick(self, entries: tuple[Entry, ...]) -> Any:
        """Return the value of the first entry: items have no rivals."""
        return entries[0].value
