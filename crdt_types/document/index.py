"""The index of a state document: which entries are live in every cell, and what a transaction did to them."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, NamedTuple

from .cells import IN_ORDER, Cells, Items, Order
from .changes import Change, Conflict
from .disputes import Disputes
from .entry import COUNTER, HEADER, ITEM, LISTED, OPAQUE, PLACE, Entry
from .path import split
from .steps import KIND_NAMES, CellStep, ItemStep, Step, Teller, net, totals_of

_ORDERED: Final = frozenset({LISTED, PLACE})


class Settled(NamedTuple):
    """What a transaction brought up beside its changes.

    Attributes:
        disputed: cells that came into conflict, or got another rival.
        unfit: entries that came and do not fit the schema of their field.
    """

    disputed: list[tuple[Cells, Any]]
    unfit: list[tuple[Cells | Items, Entry]]


class Index:
    """Finds the live entries of every cell, and notes the steps of the transaction under way.

    Attributes:
        fields: the cells of each field by kind and path.
        logs: the items of each log by path.
        live: how many entries are live in all of them.
        noting: whether steps are noted, which costs time: they serve to tell listeners and to take edits back.
    """

    def __init__(self) -> None:
        self.fields: dict[tuple[int, str], Cells] = {}
        self.logs: dict[str, Items] = {}
        self.live = 0
        self.headers = self.cells(HEADER, "")
        self.disputes = Disputes(self.author)
        self.noting = False
        self._below: dict[tuple[str, ...], dict[str, list[Cells | Items]]] = {}
        self._steps: list[Step] = []
        # Of the transaction under way: what went, cells that were emptied or filled or have new rivals, and so on.
        self._superseded: list[Entry] = []
        self._emptied: list[tuple[Cells, Any]] = []
        self._filled: list[tuple[Cells, Any]] = []
        self._disputed: list[tuple[Cells, Any]] = []
        self._unfit: list[tuple[Cells | Items, Entry]] = []
        self._reduced: list[tuple[Cells, Any]] = []
        self._reread: set[tuple[int, bytes]] | None = None  # what was live before everything was read anew

    # Finding ----------------------------------------------------------------------------------------------------

    def cells(self, kind: int, field: str) -> Cells:
        """Return the cells of a field; the same object for the life of the index."""
        found = self.fields.get((kind, field))
        if found is None:
            found = self.fields[kind, field] = Cells(kind, field)
            if kind in _ORDERED:
                other = self.cells(LISTED + PLACE - kind, field)
                _ = found.order or (Order(found, other) if kind == LISTED else Order(other, found))
            if "/" in field:
                self._note_below(field, found)
        return found

    def items(self, field: str) -> Items:
        """Return the items of a log; the same object for the life of the index."""
        found = self.logs.get(field)
        if found is None:
            found = self.logs[field] = Items(field)
            if "/" in field:
                self._note_below(field, found)
        return found

    def _note_below(self, field: str, found: Cells | Items) -> None:
        names = split(field)
        for at in range(1, len(names)):
            self._below.setdefault(names[:at], {}).setdefault(names[at], []).append(found)

    def below(self, path: str) -> dict[str, list[Cells | Items]]:
        """Return the fields that lie below a path, by the next name on their way; some may be empty."""
        return self._below.get(split(path), {})

    def at(self, path: str) -> list[Cells | Items]:
        """Return what lies under a path itself, of whatever kind."""
        found = [self.fields.get((kind, path)) for kind in KIND_NAMES]
        items = self.logs.get(path)
        return [cells for cells in (*found, items) if cells is not None]

    def author(self, client: int | None) -> str | None:
        """Return the name of the agent whose session a client id is, empty if it gave none; None for None."""
        if client is None:
            return None
        headers = self.headers.get(client)
        return headers[0].data if headers else ""

    def conflicts(self) -> list[Conflict]:
        """List every cell that holds more than one concurrent value, or one that was deleted in the meantime."""
        return [conflict for _place, cells in sorted(self.fields.items()) for conflict in self.conflicts_in(cells)]

    def conflicts_in(self, cells: Cells) -> Iterator[Conflict]:
        """Yield the conflicts of one field by key."""
        return self.disputes.conflicts_in(cells)

    # Following --------------------------------------------------------------------------------------------------

    def put(self, cells: Cells, key: Any, entries: tuple[Entry, ...]) -> None:
        """Replace what a cell holds."""
        before = cells.get(key, ())
        if self.noting:
            self._note(cells, key, before)
        if entries:
            cells[key] = entries
        elif before:
            del cells[key]
        if cells.disputable:
            if not entries or len(before) == len(entries) == 1:
                self._superseded += before
            elif len(entries) <= len(before):  # else nothing went: a rival came
                self._superseded += [entry for entry in before if entry not in entries]
        elif cells.kind == COUNTER:
            _add_up(cells, before, entries)
        if len(entries) != 1 or len(before) != 1:
            self._mind(cells, key, before, entries)
        if cells.order is not None:
            cells.order.touch(key)

    def _note(self, cells: Cells, key: Any, before: tuple[Entry, ...]) -> None:
        steps = self._steps
        # What goes is mostly followed by what supersedes it, and of a cell the first step says it all.
        if not steps or steps[-1][0] is not cells or steps[-1][1] != key:
            steps.append(CellStep(cells, key, before))

    def _mind(self, cells: Cells, key: Any, before: tuple[Entry, ...], entries: tuple[Entry, ...]) -> None:
        """Note what `settle` will have to look at, of a cell that is not just overwritten."""
        self.live += len(entries) - len(before)
        if not cells.disputable:
            return
        if not entries:
            self._emptied.append((cells, key))
        elif not before and self.disputes.know_deletions:
            self._filled.append((cells, key))
        if len(entries) > 1:
            cells.disputed.add(key)
            if len(entries) > len(before):
                self._disputed.append((cells, key))
        elif len(before) > 1:
            cells.disputed.discard(key)
        if cells.reader is not None and 0 < len(entries) < len(before):
            self._reduced.append((cells, key))

    def exchange(self, gone: list[Entry], fresh: list[Entry]) -> None:
        """Forget the entries that a transaction took away, and take in those that it brought."""
        going = set(gone) if len(gone) > 1 else gone
        for entry in fresh:
            self._bring(entry, going)
        for entry in gone:
            self.drop(entry)

    def add(self, entry: Entry) -> None:
        """Take in an entry that became live."""
        self._bring(entry, ())

    def _bring(self, entry: Entry, going: Collection[Entry]) -> None:
        """Take in an entry, at once in place of those of its cell that are going."""
        kind = entry.kind
        if kind == ITEM:
            self._turn(self.items(entry.field), entry, gained=True)
        elif kind != OPAQUE:
            cells = self.fields.get((kind, entry.field))
            if cells is None:
                cells = self.cells(kind, entry.field)
            rivals = cells.get(entry.key)
            if rivals is None or (len(rivals) == 1 and rivals[0] in going):
                self.put(cells, entry.key, (entry,))
            else:
                staying = [rival for rival in rivals if rival not in going]
                self.put(cells, entry.key, tuple(sorted((*staying, entry), key=IN_ORDER, reverse=True)))
            if cells.reader is not None and not cells.reader.fits(entry):
                self._unfit.append((cells, entry))

    def drop(self, entry: Entry) -> None:
        """Forget an entry that is live no more, if that is not done yet."""
        kind = entry.kind
        if kind == ITEM:
            self._turn(self.items(entry.field), entry, gained=False)
        elif kind != OPAQUE:
            cells = self.fields[kind, entry.field]
            rivals = cells.get(entry.key, ())
            if entry in rivals:
                self.put(cells, entry.key, tuple(rival for rival in rivals if rival is not entry))

    def _turn(self, items: Items, entry: Entry, *, gained: bool) -> None:
        if gained:
            items.insert(entry)
            if items.reader is not None and not items.reader.fits(entry):
                self._unfit.append((items, entry))
        else:
            items.remove(entry)
        self.live += 1 if gained else -1
        if self.noting:
            self._steps.append(ItemStep(items, entry, gained))

    def forget_all(self) -> None:
        """Drop every entry, to be read anew; the cells and items handed out stay valid."""
        cells_held = (entry for cells in self.fields.values() for entries in cells.values() for entry in entries)
        items_held = (entry for items in self.logs.values() for entry in items.entries)
        self._reread = {(entry.client, entry.raw) for held in (cells_held, items_held) for entry in held}
        for cells in list(self.fields.values()):
            for key in list(cells):
                self.put(cells, key, ())
        for items in list(self.logs.values()):
            for entry in reversed(items.entries.copy()):
                self._turn(items, entry, gained=False)

    # Ending a transaction ---------------------------------------------------------------------------------------

    def settle(self, deleter: Callable[[], int | None], now: Callable[[], int]) -> Settled | None:
        """End a transaction: note deletions, and return what came up, or None.

        Args:
            deleter: returns the client id that made the deletions, if it is known.
            now: returns a stamp.
        """
        gone = self._superseded
        if gone:
            self._superseded = []
            self.disputes.remember(gone if self._reread is None else list(filter(self._is_gone, gone)))
        if not (self._unfit or self._emptied or self._disputed or self._filled or self._reduced):
            return None
        return self._settle(gone, deleter, now)

    def _is_gone(self, entry: Entry) -> bool:
        now = self.fields[entry.kind, entry.field].get(entry.key, ())
        return all((entry.client, entry.raw) != (live.client, live.raw) for live in now)

    def _settle(self, gone: list[Entry], deleter: Callable[[], int | None], now: Callable[[], int]) -> Settled | None:
        unfit, self._unfit = self._unfit, []
        lone = [(cells, entry.key) for cells, entry in unfit if isinstance(cells, Cells)] + self._reduced
        self._reduced = []
        if lone:
            before = _by_place(gone)
            for cells, key in lone:
                _stand_in(cells, key, before.get((cells.kind, cells.field, key), []))
        if self._emptied:
            self._note_deletions(gone, deleter, now)
        disputed, self._disputed = self._disputed, []
        disputed += [place for place in self._filled if self.disputes.written(*place)]
        self._filled.clear()
        if self._reread is not None:
            known, self._reread = self._reread, None
            unfit = [(cells, entry) for cells, entry in unfit if (entry.client, entry.raw) not in known]
            disputed = [place for place in disputed if not _all_known(known, *place)]
        return Settled(disputed, unfit) if disputed or unfit else None

    def _note_deletions(self, gone: list[Entry], deleter: Callable[[], int | None], now: Callable[[], int]) -> None:
        emptied, self._emptied = self._emptied, []
        deleted = [(cells, key) for cells, key in emptied if key not in cells]
        if not deleted:
            return
        # The greatest entry of a cell was read; its rivals may have gone one by one.
        read = {(entry.kind, entry.field, entry.key): entry for entry in sorted(gone, key=IN_ORDER)}
        for cells, key in deleted:
            cells.stand_ins.pop(key, None)
            if (entry := read.get((cells.kind, cells.field, key))) is not None:
                self.disputes.deleted(cells, key, entry, deleter(), now())

    def steps(self) -> list[Step]:
        """Return what the steps noted come to."""
        return net(self._steps)

    def forget_steps(self) -> None:
        """Forget the steps noted; what they did stays."""
        if self._steps:
            self._steps = []

    def changes(
        self, steps: list[Step], local: bool, deleter: Callable[[], int | None], author: str | None = None
    ) -> list[Change]:
        """Turn net steps into typed changes.

        Args:
            steps: the steps, while the index is as they left it.
            local: whether this replica made them.
            deleter: returns the client id that made the deletions among them, if it is known.
            author: the agent that made all of them; looked up if None.
        """
        return Teller(steps, self.author if author is None else lambda _client: author, local, deleter).changes()

    def undo(self) -> None:
        """Take back every step noted, the last one first."""
        steps, self._steps = self._steps, []
        self.noting = False
        for step in reversed(steps):
            if isinstance(step, CellStep):
                self.put(step.cells, step.key, step.before)
            else:
                self._turn(step.items, step.entry, gained=not step.gained)
        self.abandon()

    def abandon(self) -> None:
        """Forget what was noted of a transaction that came to nothing."""
        self._steps = []
        for noted in (self._superseded, self._emptied, self._filled, self._disputed, self._unfit, self._reduced):
            noted.clear()


def _by_place(gone: list[Entry]) -> dict[tuple[int, str, Any], list[Entry]]:
    places: dict[tuple[int, str, Any], list[Entry]] = {}
    for entry in gone:
        places.setdefault((entry.kind, entry.field, entry.key), []).append(entry)
    return places


def _stand_in(cells: Cells, key: Any, gone: list[Entry]) -> None:
    """Keep what a cell held, if nothing that it holds now fits its schema."""
    reader = cells.reader
    if not cells.disputable or reader is None or any(map(reader.fits, cells.get(key, ()))):
        return
    fitting = next((entry for entry in reversed(gone) if reader.fits(entry)), None)
    if fitting is not None:
        cells.stand_ins[key] = fitting


def _all_known(known: set[tuple[int, bytes]], cells: Cells, key: Any) -> bool:
    return all((entry.client, entry.raw) in known for entry in cells.get(key, ()))


def _add_up(cells: Cells, before: tuple[Entry, ...], entries: tuple[Entry, ...]) -> None:
    plus, minus = totals_of(entries)
    plus_before, minus_before = totals_of(before)
    cells.plus += plus - plus_before
    cells.total += plus - plus_before - minus + minus_before
