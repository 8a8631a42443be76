"""Makes the test vectors: documents and frames in bytes, and what every implementation reads in them."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack
from pycrdt import Array, Doc, Map

from comity.crdt_types import StateDocument
from comity.crdt_types import wire as w
from comity.crdt_types.clock import EPOCH_MS, HybridClock
from comity.crdt_types.entry import CELL, COUNTER, ELEMENT, REGISTER, Entry

VECTORS: Final = Path(__file__).resolve().parents[1] / "vectors"
STATE: Final = VECTORS / "state-format.json"
WIRE: Final = VECTORS / "wire.json"

_FIELD_KINDS: Final = {REGISTER: "register", CELL: "map", ELEMENT: "set", COUNTER: "counter"}

Expected = dict[str, dict[str, Any]]


class StateVector(NamedTuple):
    """One document and what it holds; texts are named, since nothing in the bytes tells a text from a list."""

    name: str
    document: StateDocument
    texts: tuple[str, ...] = ()


def main() -> None:
    """Write both files."""
    VECTORS.mkdir(exist_ok=True)
    STATE.write_text(state_format())
    WIRE.write_text(frames())


# The state format ---------------------------------------------------------------------------------------------------


def state_format() -> str:
    """Return the text of state-format.json."""
    return _as_json([_as_state_vector(vector) for vector in _state_vectors()])


def _as_state_vector(vector: StateVector) -> dict[str, Any]:
    document = vector.document
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
        "update": _base64(document.update_since()),
        "expect": {
            "fields": fields,
            "conflicts": len(document.conflicts()),
            "authors": {str(client): headers[0].value for client, headers in sorted(index.headers.items())},
        },
    }


def _field_value(kind: int, cells: dict[Any, tuple[Entry, ...]]) -> Any:
    if kind == REGISTER:
        return plain(cells[None][0].value)
    if kind == CELL:
        return {key: plain(entries[0].value) for key, entries in sorted(cells.items())}
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
    yield w.Ack(300)
    yield w.Reject(3, 4403, "read only", None)
    yield w.Reject(4, 4529, "too fast", 1.5)
    yield w.Notice(4503, "server draining")
    yield w.Token("secret")


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


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
