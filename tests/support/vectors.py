"""Makes the test vectors: documents and frames in bytes, and what every implementation reads in them."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack
from pycrdt import Array, Doc, Map

from comity.crdt_types import Conflict, StateDocument
from comity.crdt_types import wire as w
from comity.crdt_types.document.cells import Cells
from comity.crdt_types.document.clock import EPOCH_MS, HybridClock
from comity.crdt_types.document.entry import CELL, COUNTER, ELEMENT, LISTED, REGISTER
from comity.crdt_types.document.path import join

from .entry_vectors import entry_vectors
from .mixed import node_peer, written_by
from .position_vectors import position_vectors

VECTORS: Final = Path(__file__).resolve().parents[1] / "vectors"
STATE: Final = VECTORS / "state-format.json"
WIRE: Final = VECTORS / "wire.json"
ENTRIES: Final = VECTORS / "entries.json"
POSITIONS: Final = VECTORS / "positions.json"
JAVASCRIPT: Final = VECTORS / "javascript.json"

_FIELD_KINDS: Final = {REGISTER: "register", CELL: "map", ELEMENT: "set", COUNTER: "counter", LISTED: "list"}

Expected = dict[str, dict[str, Any]]


class StateVector(NamedTuple):
    """One document and what it holds; texts are named, since nothing in the bytes tells a text from a list."""

    name: str
    document: StateDocument
    texts: tuple[str, ...] = ()


def main() -> None:
    """Write the files."""
    VECTORS.mkdir(exist_ok=True)
    for path, text in ((STATE, state_format()), (WIRE, frames()), (ENTRIES, entries()), (POSITIONS, positions())):
        path.write_text(text)
    if shutil.which("node"):
        JAVASCRIPT.write_text(javascript())


def entries() -> str:
    """Return the text of entries.json."""
    return _as_lines(entry_vectors())


def javascript() -> str:
    """Return the text of javascript.json: what JavaScript sessions leave that make the edits of entries.json."""
    with node_peer() as peer:
        made = [(session["name"], written_by(peer, session)) for session in entry_vectors()["documents"]]
    return _as_lines({"documents": [{"name": name, "update": _base64(update)} for name, update in made]})


def positions() -> str:
    """Return the text of positions.json."""
    return _as_lines({"sessions": position_vectors()})


# The state format ---------------------------------------------------------------------------------------------------


def state_format() -> str:
    """Return the text of state-format.json."""
    return _as_json([_as_state_vector(vector) for vector in _state_vectors()])


def _as_state_vector(vector: StateVector) -> dict[str, Any]:
    update = vector.document.update_since()
    document = StateDocument(update=update)  # what was seen on the way is not in the bytes
    index = document.index
    fields: Expected = {}
    for (kind, name), cells in sorted(index.fields.items()):
        if cells and kind in _FIELD_KINDS:
            fields[name] = {"kind": _FIELD_KINDS[kind], "value": _field_value(kind, cells)}
    for name, items in sorted(index.logs.items()):
        if items.entries:
            fields[name] = {"kind": "log", "value": [plain(entry.value) for entry in items.entries]}
    for name in vector.texts:
        fields[name] = {"kind": "text", "value": document.text(name).value}
    return {
        "name": vector.name,
        "update": _base64(update),
        "expect": {
            "fields": fields,
            "conflicts": len(document.conflicts()),
            "disputes": [_as_dispute(conflict) for conflict in document.conflicts()],
            "authors": {str(client): headers[0].value for client, headers in sorted(index.headers.items())},
        },
    }


def _as_dispute(conflict: Conflict) -> dict[str, Any]:
    """Return the field, the key and the kind of a conflict, and its values, the one that is read first."""
    values = [plain(value) for value in conflict.values]
    return {"field": conflict.field, "key": conflict.key, "kind": conflict.kind, "values": values}


def _field_value(kind: int, cells: Cells) -> Any:
    if kind == REGISTER:
        return plain(cells[None][0].value)
    if kind == CELL:
        return {key: plain(entries[0].value) for key, entries in sorted(cells.items())}
    if kind == LISTED:
        assert cells.order is not None
        return [plain(cells[key][0].value) for _position, key in cells.order.entries]
    if kind == ELEMENT:
        return [plain(entries[0].value) for _key, entries in sorted(cells.items())]
    totals = [entry.value for entries in cells.values() for entry in entries]
    assert len(totals) == len(cells)
    return sum(plus - minus for plus, minus in totals)


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: bytes become ``{"$bytes": base64}``."""
    if isinstance(value, bytes):
        return {"$bytes": _base64(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _writer(client: int, agent: str, minute: int = 0, update: bytes | None = None) -> StateDocument:
    clock = HybridClock(lambda: EPOCH_MS + 60_000 * (minute + 1))
    return StateDocument(agent=agent, client_id=client, clock=clock, update=update)


def _state_vectors() -> Iterator[StateVector]:
    for make in (
        _empty,
        _each_kind,
        _values,
        _elements,
        _overwritten,
        _deleted,
        _concurrent,
        _counted_apart,
        _interleaved_log,
        _retired_segment,
        _deletes_only,
        _characters,
        _strangers,
        _one_stamp_twice,
        _doubled,
        _steps,
        _lists,
        _moves,
        _foreign_places,
        _malformed_lists,
        _rows,
        _reserved,
    ):
        yield make()


def _empty() -> StateVector:
    return StateVector("a document that nobody wrote to", _writer(1, "a"))


def _each_kind() -> StateVector:
    document = _writer(7, "planner")
    document.set_register("goal", "map the reef")
    document.set_cell("steps", "survey", "doing")
    document.set_cell("steps", "report", "todo")
    document.add_element("tags", "urgent")
    document.count("spent", 12)
    document.count("spent", -2)
    document.append_item("log", "started")
    document.append_item("log", "halfway")
    return StateVector("every kind, one writer", document)


def _values() -> StateVector:
    document = _writer(7, "")
    values: dict[str, Any] = {
        "none": None,
        "true": True,
        "int": 5,
        "negative": -70000,
        "safe": 2**53 - 1,
        "float": 5.5,
        "text": "é中😀\u0301",
        "bytes": b"\x00\xff",
        "list": [1, [2, None], {"a": b"x"}],
        "dict": {"b": 1, "a": {"é": []}},
        "long": "x" * 300,
    }
    for key, value in values.items():
        document.set_cell("values", key, value)
    return StateVector("every sort of value", document)


def _elements() -> StateVector:
    document = _writer(7, "a")
    for element in (1, 1.5, True, "1", None, b"1", [1, 2], {"b": 1, "a": 2}, {"a": 2, "b": 1}):
        document.add_element("set", element)
    return StateVector("set elements are told apart by canonical bytes", document)


def _overwritten() -> StateVector:
    document = _writer(7, "a")
    for number in range(100):
        document.set_cell("steps", f"key {number % 3}", number)
        document.set_register("goal", number)
    return StateVector("overwritten cells hold one entry each", document)


def _deleted() -> StateVector:
    document = _writer(7, "a")
    document.set_cell("steps", "gone", 1)
    document.set_cell("steps", "kept", 2)
    document.delete_cell("steps", "gone")
    document.set_register("goal", 1)
    document.clear_register("goal")
    document.add_element("set", 1)
    document.add_element("set", 2)
    document.discard_element("set", 1)
    return StateVector("deleted cells leave nothing", document)


def _concurrent() -> StateVector:
    start = _writer(7, "a")
    start.set_register("goal", "first")
    start.set_cell("steps", "x", "first")
    start.add_element("set", "kept")
    others = [_writer(client, f"agent {client}", client % 5, start.update_since()) for client in (11, 12, 13)]
    for document in others:
        document.set_register("goal", document.agent)
        document.set_cell("steps", "x", document.agent)
    others[0].delete_cell("steps", "x")
    others[1].discard_element("set", "kept")
    others[2].add_element("set", "kept")
    return StateVector("concurrent writes, deletions and additions", _merged(*others))


def _counted_apart() -> StateVector:
    writers = [_writer(client, "a") for client in (1, 2, 2**53 - 1)]
    for number, document in enumerate(writers):
        document.count("spent", 10**number)
        document.count("spent", -3)
    return StateVector("a counter is the sum over its lanes", _merged(*writers))


def _interleaved_log() -> StateVector:
    one, other = _writer(9, "b", 0), _writer(8, "a", 0)
    for number in range(3):
        one.append_item("log", f"one {number}")
        other.append_item("log", f"other {number}")
    late = _writer(7, "late", 5)
    late.append_item("log", "last")
    return StateVector("log items in the order of stamp and client id", _merged(late, one, other))


def _retired_segment() -> StateVector:
    document = _writer(7, "a")
    for number in range(600):
        document.set_cell("steps", f"key {number}", number)
    for number in range(590):
        document.delete_cell("steps", f"key {number}")
    assert len(document.lanes.mirrors["7"].segments) == 1
    return StateVector("empty segments are deleted by their writer", document)


def _deletes_only() -> StateVector:
    first = _writer(7, "a")
    first.set_cell("steps", "x", 1)
    second = _writer(8, "b", update=first.update_since())
    second.delete_cell("steps", "x")
    second.delete_cell("steps", "x")
    return StateVector("a session that only deletes has a lane with a header", second)


def _characters() -> StateVector:
    document = _writer(7, "a")
    text = document.text("notes").ytext
    text.insert(0, "é中😀 end")
    document.set_register("goal", "beside a text")
    return StateVector("a text is a root of its own", document, ("notes",))


def _strangers() -> StateVector:
    """Everything that a reader passes over, beside entries that it reads."""
    ydoc = Doc[Any](client_id=5)
    root: Map[Any] = ydoc.get("lanes", type=Map)
    pack: Callable[[Any], bytes] = msgpack.packb
    strange = [
        b"",
        b"\xc1",
        b"not msgpack at all",
        pack(5),
        pack({0: 0, 1: "goal", 2: 9, 3: "x"}),
        pack([]),
        pack([99, "of a later version", 1]),
        pack([True, "goal", "k", 9, "x"]),
        pack([0.0, "goal", 9, "x"]),
        pack([0, 7, 9, "x"]),
        pack([0, "goal", -1, "x"]),
        pack([0, "goal", 2**53, "x"]),
        pack([0, "goal", 9.0, "x"]),
        pack([0, "goal", 9]),
        pack([0, "goal", 9, "x", "more"]),
        pack([0, "goal", 9, "x"]) + b"\x00",
        pack([1, "steps", 5, 9, "x"]),
        pack([3, "spent", -1, 0]),
        pack([3, "spent", 2**53, 0]),
        pack([3, "spent", 1.0, 0]),
        pack([5]),
        pack([5, 6]),
    ]
    sound = [[5, "agent"], [0, "goal", 8, "read"], [1, "steps", "k", 8, "read"], [3, "spent", 4, 1]]
    root["5"] = Array([Array([*strange, *map(pack, sound), "text", 1, None]), Map({"a": 1}), 5, Array([])])
    hidden = pack([0, "goal", 10, "hidden"])
    for key in ("05", "-5", "+5", "5.0", " 5", "x", "", "5e1", "\u0665", str(2**53), "9" * 400):
        root[key] = Array([Array([hidden])])
    root["6"] = Map({"0": hidden})
    root["8"] = hidden
    return StateVector("what is not understood is passed over", StateDocument(client_id=1, update=ydoc.get_update()))


def _one_stamp_twice() -> StateVector:
    """What no sound writer writes: one stamp for several entries of a lane, and several headers."""
    ydoc = Doc[Any](client_id=5)
    root: Map[Any] = ydoc.get("lanes", type=Map)
    pack: Callable[[Any], bytes] = msgpack.packb
    entries = [
        *([5, agent] for agent in ("b", "c", "a")),
        *([0, "goal", 8, value] for value in ("b", "c", "a")),
        *([4, "log", 8, value] for value in ("b", "c", "a")),
    ]
    root["5"] = Array([Array([pack(entry) for entry in entries])])
    return StateVector(
        "bytes decide where stamp and client do not", StateDocument(client_id=1, update=ydoc.get_update())
    )


def _doubled() -> StateVector:
    """A merge of two documents that were made apart, one of them twice."""
    one, other = _writer(3, "x"), _writer(4, "y", 1)
    one.set_register("goal", "older")
    other.set_register("goal", "newer")
    one.set_cell("steps", "k", [1])
    other.set_cell("steps", "k", {"a": 1})
    return StateVector("a branch that was merged back", _merged(one, other, one))


def _steps() -> StateVector:
    """Writes that say what they superseded, and others that supersede nothing, or what a clock far ahead stamped."""
    start = _writer(7, "a")
    start.set_register("goal", "base")
    start.set_cell("steps", "x", "base")
    others = [_writer(client, f"agent {client}", client, start.update_since()) for client in (8, 9)]
    for document in others:
        for number in range(3):
            document.set_register("goal", f"{document.agent} {number}")
            document.set_cell("steps", "x", [document.agent] * number)
    others[0].delete_cell("steps", "x")
    others[0].set_cell("steps", "x", "again")
    return StateVector("writes name their ancestor", _merged(*others))


def _lists() -> StateVector:
    start = _writer(7, "a")
    _insert(start, "plan", ["one", "two"])
    others = [_writer(client, "b", client % 5, start.update_since()) for client in (11, 12, 2**53 - 1)]
    order = start.index.cells(LISTED, "plan").order
    assert order is not None
    first, second = (position for position, _key in order.entries)
    for document in others:
        _insert(document, "plan", [f"{document.client_id} {number}" for number in range(3)], first, second)
    others[0].remove_item("plan", first)
    others[1].put_item("plan", first, "ONE")
    others[2].put_item("plan", second, {"two": 2})
    others[0].put_item("plan", second, [2])
    return StateVector("runs of a list do not interleave, and a write outlives a removal", _merged(*others))


def _insert(document: StateDocument, field: str, values: list[Any], left: Any = None, right: Any = None) -> None:
    for value in values:
        left = document.positions.between(left, right)
        document.put_item(field, left, value)


def _moves() -> StateVector:
    start = _writer(7, "a")
    _insert(start, "plan", ["one", "two", "three", "four"])
    order = start.index.cells(LISTED, "plan").order
    assert order is not None
    one, two, three, four = (key for _position, key in order.entries)
    others = [_writer(client, "b", client % 5, start.update_since()) for client in (8, 14)]
    others[0].place_item("plan", one, others[0].positions.between(four, None))
    others[1].place_item("plan", one, others[1].positions.between(two, three))
    others[0].place_item("plan", four, others[0].positions.between(None, one))
    others[1].remove_item("plan", four)
    others[0].place_item("plan", three, others[0].positions.between(None, one))
    others[1].put_item("plan", three, "THREE")
    return StateVector("an item that was moved twice stands in one place", _merged(*others))


def _foreign_places() -> StateVector:
    """Places and ids that no sound session makes, some of items that are not there."""
    document = _writer(7, "a")
    for key in ("b", "", "rzz", "r1710m", "M", "~", " "):
        document.put_item("plan", key, f"at {key!r}")
    document.place_item("plan", "b", "zzz")
    document.place_item("plan", "rzz", "")
    document.place_item("plan", "M", " ")
    document.place_item("plan", "not there", "a")
    document.place_item("ghosts", "not there", "m")
    return StateVector("places of another program, and of items that are not there", document)


def _malformed_lists() -> StateVector:
    ydoc = Doc[Any](client_id=5)
    root: Map[Any] = ydoc.get("lanes", type=Map)
    pack: Callable[[Any], bytes] = msgpack.packb
    strange = [
        *([6, "plan", "i", 9], [6, "plan", "i", 9, "x", 1, 1], [6, "plan", 5, 9, "x"], [6, None, "i", 9, "x"]),
        *(
            [6, "plan", "i", 9.0, "x"],
            [6, "plan", "i", -1, "x"],
            [6, "plan", "i", 2**53, "x"],
            [6.0, "plan", "i", 9, "x"],
        ),
        *([6, "plan", "\u00e9", 9, "x"], [6, "plan", "\U0001f600", 9, "x"], [6, b"plan", "i", 9, "x"]),
        *([7, "plan", "i", 9], [7, "plan", "i", 9, "a", 1], [7, "plan", "i", 9, b"a"], [7, "plan", "i", 9, None]),
        *([7, "plan", 5, 9, "a"], [7, 5, "i", 9, "a"], [7, "plan", "i", 9.0, "a"], [7, "plan", "i", -1, "a"]),
        *([7, "plan", "i", 9, "\u00e9"], [7, "plan", "\uffff", 9, "a"]),
        *(
            [kind, "goal", *key, 9, "x", step]
            for kind, key in ((0, ()), (1, ("k",)), (6, ("i",)))
            for step in _NO_STEPS
        ),
        *([4, "log", 9, "x", 1], [2, "set", "x", 1], [8, "plan", "i", 9, "x"]),
        [6.0, "plan", "i", 9, "x"],
    ]
    sound = [[5, "agent"], [6, "plan", "i", 8, "read", 8], [7, "plan", "i", 8, "m"], [6, "plan", "k", 8, "first", 1]]
    root["5"] = Array([Array([*map(pack, strange), *map(pack, sound)])])
    return StateVector("lists and steps that are malformed", StateDocument(client_id=1, update=ydoc.get_update()))


_NO_STEPS: Final = (0, -1, 10, 2**53, 1.0, True, None, "1", [1])


def _rows() -> StateVector:
    document = _writer(7, "a")
    for key in ("t1", "x/y", "", "~1"):
        document.add_element("tasks", key)
        document.set_register(join("tasks", key, "title"), f"of {key!r}")
        document.count(join("tasks", key, "spent"), 3)
    _insert(document, join("tasks", "x/y", "steps"), ["one"])
    document.set_cell(join("profile", "links"), "a/b", "not a path")
    other = _writer(8, "b", 1, document.update_since())
    document.discard_element("tasks", "t1")
    document.clear_register("tasks/t1/title")
    document.reset_counter("tasks/t1/spent")
    other.count("tasks/t1/spent", 4)
    return StateVector("rows and nested states are paths", _merged(document, other))


def _reserved() -> StateVector:
    one, other = _writer(7, "a"), _writer(8, "b", 1)
    for document in (one, other):
        document.set_cell("$schema", "mission@2", 2)
        document.set_cell("$schema", "mission@1>2", document.client_id)
        document.set_cell("$tickets", "steps/x", {"note": document.agent})
    one.set_register("mission", "read")
    return StateVector("reserved fields are maps as any other", _merged(one, other))


def _merged(*documents: StateDocument) -> StateDocument:
    merged = StateDocument(client_id=1)
    for document in documents:
        merged.apply(document.update_since())
    return merged


# The wire -----------------------------------------------------------------------------------------------------------


def frames() -> str:
    """Return the text of wire.json."""
    sound = [_as_wire_vector(frame) for frame in _frames()]
    return _as_json({"frames": sound, "malformed": [{"name": n, "bytes": _base64(b)} for n, b in _malformed()]})


def _as_wire_vector(frame: w.Frame) -> dict[str, Any]:
    fields = {name: plain(_listed(value)) for name, value in frame._asdict().items()}
    return {"type": type(frame).__name__, "fields": fields, "bytes": _base64(w.encode(frame))}


def _listed(value: Any) -> Any:
    if isinstance(value, w.Failure):
        return value._asdict()
    if isinstance(value, tuple):
        return [entry._asdict() if isinstance(entry, w.Presence) else entry for entry in value]
    return value


def _frames() -> Iterator[w.Frame]:
    yield w.SyncStep1(b"\x00")
    yield w.SyncStep2(b"\x00\x00")
    yield w.Update(bytes(range(200)))
    yield w.Awareness((w.Presence(7, 1, '{"agent":"é"}'), w.Presence(2**53 - 1, 300, None)))
    yield w.Denied("not yours")
    yield w.QueryAwareness()
    yield w.Welcome("f00d", "planner", ("read", "write"), {"max_message": 1_000_000}, "comity 0.1.0")
    yield w.Welcome("f00d", "reader", ("read",), {}, "comity 0.1.0", erased=("cafe", "beef"), redactions=2)
    yield w.Ack(300)
    yield w.Reject(3, 4403, "read only", None)
    yield w.Reject(4, 4529, "too fast", 1.5)
    yield w.Notice(4503, "server draining")
    yield w.Notice(4529, "too fast", 1.5)
    yield w.Notice(4210, "it ends", at=1_767_225_600_000)
    yield w.Token("secret")
    yield w.Call(7, "base", {"seq": 300})
    yield w.Answer(7, [256, b"\x00\x00"])
    yield w.Answer(8, error=w.Failure(4403, "read only"))


def _malformed() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "an unknown type", b"\x09"
    yield "an unknown sync step", b"\x00\x03\x00"
    yield "a length beyond the end", b"\x00\x02\x05abc"
    yield "bytes left over", b"\x00\x02\x01ab"
    yield "an integer above 2^53 - 1", b"\x00\x02" + b"\xff" * 7 + b"\x7f"
    yield "an integer without an end", b"\x00\x02" + b"\xff" * 12
    yield "awareness that is not JSON", b"\x01\x04\x01\x07\x01\x01{"[:-1]
    yield "a control frame that is not msgpack", b"\x64\x01\xc1"
    yield "a control frame that is not a map", b"\x64\x01\x05"
    yield "a control frame without its field", b"\x64\x01\x80"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _as_lines(value: dict[str, list[Any]]) -> str:
    """Return JSON with a line for each vector."""
    parts = [f'"{name}": [\n{_lines(vectors)}\n]' for name, vectors in value.items()]
    return f"{{{', '.join(parts)}}}\n"


def _lines(vectors: list[Any]) -> str:
    return ",\n".join(json.dumps(vector, ensure_ascii=False, separators=(",", ":")) for vector in vectors)


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
