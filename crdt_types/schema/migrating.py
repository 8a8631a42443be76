"""Migrating: makes a migration once in effect, whoever makes it, and however often.

A migration is a Yjs update under a client id that is a hash of what the migration writes. Replicas that migrate the
same content make the same bytes, which Yjs takes for one update. Replicas that migrated different contents, while they
knew nothing of each other, make several: what they wrote alike is then reduced to one of each (see `reconciled`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final, NamedTuple

from ..document.cells import IN_ORDER, Cells
from ..document.clock import MAX_STAMP
from ..document.edits import Edit
from ..document.entry import (
    CELL,
    COUNTER,
    ELEMENT,
    HEADER,
    ITEM,
    OPAQUE,
    PLACE,
    REGISTER,
    Entry,
    cell_entry,
    element_entry,
    item_entry,
    place_entry,
    register_entry,
)
from ..document.path import child
from ..document.statedocument import StateDocument
from ..document.values import canonical
from ..errors import SchemaError
from .migration import After, Before, Migration, Step

SCHEMA: Final = "$schema"  # the map in a document that says which versions wrote here, and what was migrated
_CLIENT_DIGITS: Final = 13  # of base 16, that is 52 bits: one less than Yjs takes


class Scratch(StateDocument):
    """A copy of a document in which a migration is made: all that it writes has given stamps and names no ancestor.

    Args:
        document: the document.
        agent: the name of the lane.
        client_id: the id of the lane.
        newer: the client ids of the sessions whose entries are left alone.
    """

    def __init__(self, document: StateDocument, agent: str, client_id: int, newer: Collection[int]) -> None:
        super().__init__(agent=agent, update=document.update_since(), client_id=client_id)
        self._newer = newer

    def made(self, work: Callable[[], object]) -> bytes:
        """Do some work in one transaction and return the update that it comes to."""
        updates: list[bytes] = []
        stop = self.on_commit(lambda commit: updates.append(commit.update))
        with self.transaction():
            work()
        stop()
        return updates[0] if updates else b""

    def take(self, step: Step) -> None:
        """Make one step."""
        action, kind, field, key, value, stamp = step
        if action == "erase":
            self._erase_old(kind, field, key)
        elif kind == COUNTER:
            self.count(field, value)
        else:
            self._put_entry(self._entry(kind, field, key, value, stamp))

    def _entry(self, kind: int, field: str, key: Any, value: Any, stamp: int) -> Entry:
        if kind == REGISTER:
            return register_entry(field, stamp, value, self.client_id)
        if kind == ELEMENT:
            return element_entry(field, value, self.client_id)
        if kind == ITEM:
            return item_entry(field, stamp, value, self.client_id)
        if kind == PLACE:
            return place_entry(field, key, stamp, value, self.client_id)
        return cell_entry(kind, field, key, stamp, value, self.client_id)

    def _put_entry(self, entry: Entry) -> None:
        with self._joined() as staged:
            if entry.kind == ITEM:
                self.index.add(entry)
            else:
                self._supersede(self.index.cells(entry.kind, entry.field), entry.key, entry)
            staged.fresh[entry] = None
            staged.edits.append(Edit("put", entry.field, entry.key, None))

    def _erase_old(self, kind: int, field: str, key: Any) -> None:
        if kind == ITEM:
            items = self.index.items(field)
            self.prune_items(items, [entry for entry in items.entries if self._is_old(entry)])
        else:
            self._supersede(self.index.cells(kind, field), key, None)

    def _supersede(self, cells: Cells, key: Any, entry: Entry | None) -> None:
        before = cells.get(key, ())
        self.remove(cells, key, filter(self._is_old, before))
        if entry is not None:
            rivals = (*cells.get(key, ()), entry)
            self.index.put(cells, key, tuple(sorted(rivals, key=IN_ORDER, reverse=True)))

    def _is_old(self, entry: Entry) -> bool:
        return entry.client not in self._newer and entry.client != self.client_id

    def remove(self, cells: Cells, key: Any, gone: Iterable[Entry]) -> None:
        """Delete some entries of a cell."""
        doomed = list(gone)
        if not doomed:
            return
        with self._joined() as staged:
            self.index.put(cells, key, tuple(entry for entry in cells[key] if entry not in doomed))
            for entry in doomed:
                staged.doom(entry)


# Making one -----------------------------------------------------------------------------------------------------


class Lineage(NamedTuple):
    """The name of a schema, and how its versions are told in a document.

    Attributes:
        name: the schema's name.
    """

    name: str

    def marker(self, version: int) -> str:
        """Return the key under which it stands that a version wrote here, and the oldest that still reads it."""
        return f"{self.name}@{version}"

    def record(self, step: Migration) -> str:
        """Return the key under which it stands that a migration was made."""
        return f"{self.name}@{step.since}>{step.to}"

    def agent(self, step: Migration) -> str:
        """Return the agent's name of what a migration writes."""
        return f"migration {self.name} {step.since}>{step.to}"

    def sessions(self, version: int) -> str:
        """Return the path of the counter in which every session of a version leaves its mark."""
        return child(SCHEMA, self.marker(version))

    def lanes(self, document: StateDocument, step: Migration) -> set[int]:
        """Return the client ids of the lanes that a migration wrote."""
        agent = self.agent(step)
        return {client for client, headers in document.index.headers.items() if headers[0].data == agent}

    def newer(self, document: StateDocument, version: int) -> set[int]:
        """Return the client ids of the sessions that wrote as a later version."""
        found: set[int] = set()
        for key in document.index.below(SCHEMA):
            name, _, written = key.rpartition("@")
            if name == self.name and written.isdecimal() and int(written) > version:
                found |= document.index.cells(COUNTER, child(SCHEMA, key)).keys()
        return found


def hashed(*parts: Any) -> int:
    """Return the client id of what is written: 52 bits of its hash."""
    return int(sha256(canonical(parts)).hexdigest()[:_CLIENT_DIGITS], 16)


class Record(NamedTuple):
    """What a document remembers of a migration.

    Attributes:
        carried: the counters that were renamed, each with its old path and what was counted under that.
        consumed: the paths of what was taken away whole: what the older version writes there later came too late.
        oldest: the oldest version that can read what came of it.
        lanes: the client ids of the lanes that it made one of.
    """

    carried: dict[str, tuple[str, int]]
    consumed: list[str]
    oldest: int
    lanes: list[int]

    def stored(self, lane: int) -> dict[str, Any]:
        """Return the record as it is stored, with the client id of its lane."""
        return {"lane": lane, **self._asdict()}


def made(document: StateDocument, lineage: Lineage, step: Migration, oldest: int) -> bytes | None:
    """Return the update of a migration; None if it changes nothing, or was made already.

    Args:
        document: the document as it is; it is left alone.
        lineage: the schema.
        step: the migration.
        oldest: the oldest version that can read what comes of it.

    Raises: SchemaError, if the migration fails.
    """
    newer = lineage.newer(document, step.since)
    before = Before(document, newer)
    after = After(before, step.backward, lineage.agent(step))
    try:
        step.function(before, after)
    except Exception as error:  # it is the user's, and meets what anybody stored
        raise SchemaError(f"it failed: {error!r}", subject=lineage.agent(step), remedy="mend the migration") from error
    if not after.steps:
        return None
    carried = {to: (old, before.counter(old)) for to, old in sorted(after.carried.items())}
    record = Record(carried, sorted(after.consumed), oldest, [])
    return _written(document, lineage, step, record, newer, after.last_stamp + 1, after.steps, [])


def _written(
    document: StateDocument,
    lineage: Lineage,
    step: Migration,
    record: Record,
    newer: Collection[int],
    stamp: int,
    steps: list[Step],
    doomed: list[Entry],
) -> bytes | None:
    """Return the update of a lane that is known by all that it writes; None if it is there already."""
    agent, stamp = lineage.agent(step), min(stamp, MAX_STAMP)
    client = hashed(agent, stamp, record, steps, sorted((entry.client, entry.raw) for entry in doomed))
    if str(client) in document.lanes.mirrors:
        return None
    scratch = Scratch(document, agent, client, newer)
    notes: list[Step] = [
        ("write", CELL, SCHEMA, lineage.record(step), record.stored(client), stamp),
        ("write", CELL, SCHEMA, lineage.marker(step.to), record.oldest, stamp),
        ("write", COUNTER, lineage.sessions(step.to), None, 1, 0),
    ]

    def work() -> None:
        for entry in doomed:
            _remove(scratch, entry)
        for each in (*steps, *notes):
            scratch.take(each)

    return scratch.made(work)


def comes_late(document: StateDocument, lineage: Lineage, step: Migration) -> bool:
    """Tell whether the older version wrote where a migration that was made had taken everything away."""
    before = Before(document, lineage.newer(document, step.since))
    consumed = _merged(_records(document, lineage, step)).consumed
    return any(before.holds(path) for field in consumed for path in before.paths(field))


def reconciled(document: StateDocument, lineage: Lineage, step: Migration) -> bytes | None:
    """Return the update that makes one of several lanes of the same migration; None if there is nothing to be done.

    Of a cell that several lanes wrote the greatest entry stays, and of equal log items one. A counter that was renamed
    is counted anew from all that the old one holds now; of any other, the count of one lane stays. It is deterministic,
    so that replicas that see the same lanes make the same update, and idempotent.
    """
    found = _records(document, lineage, step)
    known = _merged(found)
    before = Before(document, lineage.newer(document, step.since))
    carried = {to: (old, before.counter(old)) for to, (old, _total) in known.carried.items()}
    lanes = lineage.lanes(document, step)
    is_done = len(found) < 2 and lanes <= {*known.lanes, *(entry.client for entry in found)}
    if is_done and (step.backward or carried == known.carried):
        return None
    record = known._replace(carried=carried, lanes=sorted(lanes))
    doomed = [*_surplus(document, lanes), *_counts(document, lanes, record.carried)]
    counts: list[Step] = [("write", COUNTER, to, None, total, 0) for to, (_old, total) in carried.items() if total]
    others = set(document.index.headers) - lanes
    return _written(document, lineage, step, record, others, max(e.stamp for e in found) + 1, counts, doomed)


def _records(document: StateDocument, lineage: Lineage, step: Migration) -> tuple[Entry, ...]:
    return document.index.cells(CELL, SCHEMA).get(lineage.record(step), ())


def _merged(entries: tuple[Entry, ...]) -> Record:
    """Return what all records of one migration have together; anybody may have written anything there."""
    carried: dict[str, tuple[str, int]] = {}
    consumed: set[str] = set()
    oldest = 1
    lanes: set[int] = set()
    for value in (entry.value for entry in entries):
        try:
            carried |= {str(to): (str(old), int(total)) for to, (old, total) in value["carried"].items()}
            consumed |= {str(field) for field in value["consumed"]}
            oldest = max(oldest, int(value["oldest"]))
            lanes |= {int(lane) for lane in value["lanes"]}
        except (TypeError, ValueError, KeyError, AttributeError):
            continue
    return Record(dict(sorted(carried.items())), sorted(consumed), oldest, sorted(lanes))


def _surplus(document: StateDocument, lanes: Collection[int]) -> Iterator[Entry]:
    """Yield what several lanes wrote alike, but for one of each."""
    for (kind, field), cells in sorted(document.index.fields.items()):
        if kind not in (HEADER, COUNTER, OPAQUE) and field != SCHEMA:
            for entries in cells.values():
                yield from _surplus_rivals(entries, lanes)
    for _field, items in sorted(document.index.logs.items()):
        yield from _surplus_items([entry for entry in items.entries if entry.client in lanes])


def _surplus_rivals(entries: tuple[Entry, ...], lanes: Collection[int]) -> Iterator[Entry]:
    # What somebody wrote over, as one of the lanes had it, another lane may have brought again.
    overwritten = {entry.ancestor for entry in entries if entry.client not in lanes} - {0}
    ours = [entry for entry in entries if entry.client in lanes]
    kept = next((entry for entry in ours if entry.stamp not in overwritten), None)
    return (entry for entry in ours if entry is not kept)


def _surplus_items(entries: list[Entry]) -> Iterator[Entry]:
    # One lane may hold an item several times, if that was so before; then as many of it stay.
    by_item: dict[bytes, dict[int, list[Entry]]] = {}
    for entry in entries:
        by_item.setdefault(entry.raw, {}).setdefault(entry.client, []).append(entry)
    for by_lane in by_item.values():
        kept = max(by_lane, key=lambda client: (len(by_lane[client]), -client))
        yield from (entry for client, found in by_lane.items() if client != kept for entry in found)


def _counts(document: StateDocument, lanes: Collection[int], totals: Collection[str]) -> Iterator[Entry]:
    """Yield the counts of the lanes that are to go."""
    for (kind, field), cells in sorted(document.index.fields.items()):
        if kind == COUNTER and not field.startswith(SCHEMA):
            clients = [client for client in cells if client in lanes]
            latest = max(clients, key=lambda client: (_lane_stamp(document, client), -client), default=None)
            gone = clients if field in totals else [client for client in clients if client != latest]
            yield from (entry for client in sorted(gone) for entry in cells[client])


def _lane_stamp(document: StateDocument, client: int) -> int:
    segments = document.lanes.mirrors[str(client)].segments
    return max((entry.stamp for segment in segments for entry in segment.entries), default=0)


def _remove(scratch: Scratch, entry: Entry) -> None:
    """Delete an entry of the original in its copy."""
    identity = (entry.client, entry.raw)
    if entry.kind == ITEM:
        items = scratch.index.items(entry.field)
        scratch.prune_items(items, [each for each in items.entries if (each.client, each.raw) == identity])
    else:
        cells = scratch.index.cells(entry.kind, entry.field)
        scratch.remove(cells, entry.key, [each for each in cells[entry.key] if (each.client, each.raw) == identity])
