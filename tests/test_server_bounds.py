"""Bounds: an entry from a far future, too large or too deep is refused at the server's edge, and nothing else is."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgpack
import pycrdt
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import comity
from comity import Map, Register, State
from comity.crdt_types import StateDocument
from comity.crdt_types.document.clock import EPOCH_MS, MAX_AHEAD_MS, TICKS_PER_MS, HybridClock, wall_ms
from comity.crdt_types.document.entry import (
    CELL,
    COUNTER,
    ELEMENT,
    HEADER,
    ITEM,
    LISTED,
    OPAQUE,
    PLACE,
    REGISTER,
    read_entry,
)
from comity.crdt_types.document.values import unpack
from comity.crdt_types.errors import InvalidValueError, ProtocolError, TooLargeError
from comity.crdt_types.varint import write_bytes
from comity.crdt_types.wire import Reject, Welcome
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append
from comity.server.rooms.bounds import REFUSALS, Bounds
from comity.server.rooms.vetting import vet
from tests.support.profiles import examples
from tests.support.raw import RawClient, raw_client
from tests.support.server import in_process_server, running_server
from tests.support.waiting import until

ROOM: Final = "shared/mission"
HOUR_MS: Final = 3_600_000
NOW_MS: Final = EPOCH_MS + 2**38
HORIZON: Final = (2**38 + MAX_AHEAD_MS + 1) * TICKS_PER_MS - 1  # the greatest stamp that is taken
SMALL: Final = Bounds(value_bytes=64, name_bytes=12, depth=3, now=lambda: NOW_MS)

# Entries, sound and not -------------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4)),
    st.sampled_from([40, 60, 61, 62, 63, 64, 65]).map(lambda size: "x" * size),
    st.just("\N{CJK UNIFIED IDEOGRAPH-4E00}" * 25),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
) | st.integers(1, 6).flatmap(lambda depth: values_of_depth(depth))
names = st.one_of(
    st.text(max_size=6), st.sampled_from(["", "x" * 11, "x" * 12, "x" * 13, "ü" * 6, "ü" * 7, "x" * 40, "x" * 300])
)
stamps = st.one_of(
    st.integers(HORIZON - 2, HORIZON + 2),
    st.sampled_from([0, 1, 127, 128, 2**32, 2**53 - 1, 2**53, 2**64 - 1, -1, -(2**40), True, float(HORIZON + 1), None]),
    st.integers(0, HORIZON),
)
steps = st.lists(st.sampled_from([1, 2**20, HORIZON, 0, -1, 1.0, None, 2**54]), max_size=1)


def values_of_depth(depth: int) -> st.SearchStrategy[Any]:
    """Return values with so many containers in each other."""
    inner = scalars if depth == 1 else values_of_depth(depth - 1)
    return st.tuples(inner).map(list) | st.dictionaries(st.just("k"), inner, min_size=1)


def _members(*parts: st.SearchStrategy[Any], step: bool = False) -> st.SearchStrategy[list[Any]]:
    array = st.tuples(*parts).map(list)
    return st.builds(lambda first, last: first + last, array, steps) if step else array


entries = st.one_of(
    _members(st.just(REGISTER), names, stamps, values, step=True),
    _members(st.sampled_from([CELL, LISTED]), names, names, stamps, values, step=True),
    _members(st.just(ELEMENT), names, values),
    _members(st.just(COUNTER), names, st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1)),
    _members(st.just(ITEM), names, stamps, values),
    _members(st.just(HEADER), names),
    _members(st.just(PLACE), names, names, stamps, names),
    _members(st.sampled_from([8, -1, True, 1.0, None]), names, stamps, values),
    st.lists(st.one_of(st.integers(0, 8), names, stamps, values), max_size=7),
)
# Other ways to write what the shortest form of msgpack writes, which decoders take as well.
LONGER: Final[list[tuple[Callable[[Any], bool], Callable[[Any], bytes]]]] = [
    (lambda part: type(part) is int and 0 <= part < 2**64, lambda part: b"\xcf" + part.to_bytes(8)),
    (lambda part: type(part) is int and 0 <= part < 2**63, lambda part: b"\xd3" + part.to_bytes(8)),
    (lambda part: type(part) is int and 0 <= part < 2**8, lambda part: b"\xcc" + part.to_bytes()),
    (lambda part: type(part) is str and len(part.encode()) < 256, lambda part: _string(b"\xd9", 1, part)),
    (lambda part: type(part) is str, lambda part: _string(b"\xda", 2, part)),
    (lambda part: type(part) is str, lambda part: _string(b"\xdb", 4, part)),
]


def _string(head: bytes, width: int, text: str) -> bytes:
    return head + len(text.encode()).to_bytes(width) + text.encode()


def _packed(part: Any, form: int) -> bytes:
    if form < len(LONGER) and LONGER[form][0](part):
        return LONGER[form][1](part)
    packed: bytes = msgpack.packb(part)
    return packed


def _encoded(members: list[Any], forms: list[int], head: int, damage: tuple[str, int, int]) -> bytes:
    """Return an entry in one of its forms, with one byte of damage or none."""
    forms = forms + [len(LONGER)] * len(members)
    heads = [bytes((0x90 | len(members),)), b"\xdc\x00", b"\xdd\x00\x00\x00"]
    start = heads[head] + (bytes((len(members),)) if head else b"")
    raw = bytearray(start + b"".join(map(_packed, members, forms)))
    how, place, byte = damage
    at = place % (len(raw) + 1)
    if how == "cut":
        del raw[at:]
    elif how == "flip":
        raw[at : at + 1] = bytes((byte,))
    elif how == "grow":
        raw.append(byte)
    return bytes(raw)


raw_entries = st.builds(
    _encoded,
    entries,
    st.lists(st.sampled_from([9, 9, 9, *range(len(LONGER))]), max_size=5),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.tuples(
        st.sampled_from(["sound", "sound", "sound", "cut", "flip", "grow"]), st.integers(0, 400), st.integers(0, 255)
    ),
)


def _depth(value: Any) -> int:
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _is_out_of_bounds(raw: bytes, bounds: Bounds = SMALL) -> bool:
    """Decide by a full decode."""
    entry = read_entry(raw, 7)
    if entry.kind == OPAQUE:
        return False
    longest = max(len(name.encode()) for name in _names(entry))
    if longest > bounds.name_bytes or entry.stamp > HORIZON:
        return True
    if entry.kind == PLACE:
        return max(len(entry.key.encode()), len(entry.data.encode())) > bounds.value_bytes
    if entry.kind in (COUNTER, HEADER):
        return False
    is_long_id = entry.kind == LISTED and len(entry.key.encode()) > bounds.value_bytes
    value = entry.value
    return is_long_id or _depth(value) > bounds.depth or len(msgpack.packb(value)) > bounds.value_bytes


def _is_whole_and_undecodable(raw: bytes) -> bool:
    """Tell whether the structure is sound, and something in it is not, such as a text that is not UTF-8."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(raw)
    try:
        unpacker.skip()
    except (msgpack.UnpackException, ValueError):
        return False
    try:
        unpack(raw)
    except Exception:
        return unpacker.tell() == len(raw)
    return False


def _names(entry: Any) -> list[str]:
    return [entry.data] if entry.kind == HEADER else [entry.field, *([entry.key] if entry.kind == CELL else ())]


def _is_refused(update: bytes, bounds: Bounds = SMALL, **known: Any) -> bool:
    try:
        vet(update, bounds, **known)
    except REFUSALS:
        return True
    return False


def _binary(raw: bytes) -> bytes:
    """Return an update that inserts a binary value, as Yjs writes it."""
    return b"\x01\x01\x07\x00\x03\x01\x01a" + write_bytes(raw) + b"\x00"


def _as_value(raw: bytes) -> bytes:
    """Return an update that inserts a binary value, as yrs writes it."""
    return b"\x01\x01\x07\x00\x08\x01\x01a\x01\x74" + write_bytes(raw) + b"\x00"


# The verdict ------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(400, 20_000))
@given(raw_entries)
@example(msgpack.packb([REGISTER, "goal", HORIZON, "kept"]))
@example(msgpack.packb([REGISTER, "goal", HORIZON + 1, "too early"]))
@example(msgpack.packb([ITEM, "", 0, b"x" * 62]))
@example(msgpack.packb([ITEM, "", 0, b"x" * 63]))
@example(msgpack.packb([ITEM, "", HORIZON, b"x" * 63]))
@example(msgpack.packb([PLACE, "", "", HORIZON + 1, ""]))
@example(b"\xdc\x00\x03\xd5\xa30\xc3\x80\xc0")
@example(msgpack.packb([HEADER, "x" * 13]))
@example(msgpack.packb([ELEMENT, "", [[[[0]]]]]))
@example(msgpack.packb([REGISTER, "", HORIZON + 1, {"k": b"\x80" * 20}, 1]))
def test_bounds_decide_as_a_full_decode_does(raw: bytes) -> None:
    assume(len(raw) <= SMALL.value_bytes or not _is_whole_and_undecodable(raw))  # what is too large is not decoded
    expected = _is_out_of_bounds(raw)
    assert (SMALL.fault(raw) is not None) == expected
    assert _is_refused(_binary(raw)) == expected
    assert _is_refused(_as_value(raw)) == expected


@settings(max_examples=examples(100, 3_000))
@given(
    st.lists(st.tuples(raw_entries, st.sampled_from(["end", "start", "segment", "many", "cell", "nested"])), max_size=8)
)
def test_bounds_see_every_entry_wherever_it_lies_in_an_update(placed: list[tuple[bytes, str]]) -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    lanes: Any = doc.get("lanes", type=pycrdt.Map)
    lanes["7"] = pycrdt.Array([pycrdt.Array([])])
    lane = lanes["7"]
    verdicts = [False]  # of the lane and its segment
    for raw, where in placed:
        segment: Any = lane[-1]
        match where:
            case "end":
                segment.append(raw)
            case "start":
                segment.insert(0, raw)
            case "segment":
                lane.append(pycrdt.Array([raw]))
            case "many":
                segment.extend([1, raw, "text", raw])
            case "cell":
                doc.get("other", type=pycrdt.Map)["key"] = raw
            case _:  # no value of its own: nobody reads an entry there
                segment.append({"in": [raw]})
        assume(len(raw) <= SMALL.value_bytes or not _is_whole_and_undecodable(raw))
        verdicts.append(where != "nested" and _is_out_of_bounds(raw))
    assert [_is_refused(update) for update in updates] == verdicts
    merged = pycrdt.merge_updates(*updates)
    assert _is_refused(merged) == any(verdicts)
    vet(merged)


@pytest.mark.parametrize(
    "raw",
    [
        msgpack.packb([REGISTER, "goal", HORIZON + 1, {"role": "user"}, 1]),
        msgpack.packb([CELL, "steps", "one", 0, [[[["deep"]]]]]),
        msgpack.packb([ITEM, "a name that is long", 0, b"x" * 300]),
    ],
)
def test_bounds_leave_what_is_not_whole_alone(raw: bytes) -> None:
    assert _is_refused(_binary(raw))
    for end in range(len(raw)):
        assert not _is_refused(_binary(raw[:end]))
    assert not _is_refused(_binary(raw + b"\xc0"))


@pytest.mark.parametrize(
    "raw",
    [
        b"\xdd\xff\xff\xff\xff\x00" * 20,
        b"\x94\x00\xdb\xff\xff\xff\xffgoal" + b"x" * 200,
        b"\x94\x00\xa0\xcf\x00\xff\xff\xff\xff\xff\xff\xff\xdd\xff\xff\xff\xff" + b"x" * 200,
        b"\x94\x00\xa0\xcf\x00\xff\xff\xff\xff\xff\xff\xff\xc9\xff\xff\xff\xff\x01" + b"x" * 200,
        b"\x94\x00\xc1" + b"\x00" * 100,
        b"\x94" * 5000,
        b"\xdc\x00\x04\x91" + b"\x00" * 100,
        b"\xdc\x00\x03\xd5\xa3xx\xa0\x00",  # an extension type that decoders refuse
        b"\xdc\x00\x03\xa1\xff\xa0\x00",
        b"\x94\xcc\x00\xa1\xff\xcf\x00\xff\xff\xff\xff\xff\xff\xff\x00",
        b"\x94\x00\xa0\xd6\xfftime\x00",
        b"\x94\x00\xa0\xcf" + (HORIZON + 1).to_bytes(8) + b"\xa1\xff",
        b"\x89PNG\r\n\x1a\n" + bytes(200),
    ],
)
def test_bounds_take_what_only_pretends_to_be_an_entry(raw: bytes) -> None:
    assert SMALL.fault(raw) is None
    assert not _is_refused(_binary(raw))


@pytest.mark.parametrize("depth", [4, 1000, 1025, 100_000, 1_000_000])
def test_bounds_refuse_any_depth_without_nesting_themselves(depth: int) -> None:
    head = msgpack.packb([REGISTER, "goal", 0])[1:]
    raw = b"\x94" + head + b"\x91" * depth + b"\xc0"
    assert isinstance(Bounds(depth=3).fault(raw), TooLargeError)
    with pytest.raises(TooLargeError, match="goal: a value nested deeper than 3"):
        vet(_binary(raw), Bounds(depth=3))
    vet(_binary(b"\x94" + head + b"\x91\x91\x91\xc0"), Bounds(depth=3))


def test_bounds_do_not_decode_what_is_too_large() -> None:
    lists = b"\x90" * 20_000_000  # in memory each would take 64 bytes
    raw = b"\x94" + msgpack.packb([ITEM, "log", 0])[1:] + b"\xdd" + len(lists).to_bytes(4) + lists
    with pytest.raises(TooLargeError, match=r"log: a value of 20,000,005 bytes, over the server's limit of 1,048,576"):
        vet(_binary(raw), Bounds())


def test_bounds_say_what_is_wrong_and_what_to_do() -> None:
    late = HORIZON + (HOUR_MS - MAX_AHEAD_MS) * TICKS_PER_MS
    cases: list[tuple[list[Any], type[Exception], str]] = [
        (
            [REGISTER, "goal", late, ""],
            InvalidValueError,
            "goal: a stamp 3,600 s ahead of the server's clock; set this",
        ),
        ([ITEM, "x" * 13, 0, ""], TooLargeError, f"{'x' * 13}: a name of 13 bytes, over the server's limit of 12; "),
        ([CELL, "steps", "ü" * 7, 0, ""], TooLargeError, "steps: a key of 14 bytes"),
        ([HEADER, "a" * 13], TooLargeError, "an agent's name of 13 bytes"),
        ([LISTED, "list", "i" * 65, 0, 0], TooLargeError, "list: an id of 65 bytes"),
        ([PLACE, "list", "i", 0, "p" * 65], TooLargeError, "list: a position of 65 bytes"),
        ([ELEMENT, "tags", "e" * 63], TooLargeError, "tags: a value of 65 bytes"),
        ([ELEMENT, "t" * 300, ""], TooLargeError, f"{'t' * 60}...: a name of 300 bytes"),
    ]
    for members, error, text in cases:
        fault = SMALL.fault(msgpack.packb(members))
        assert type(fault) is error
        assert str(fault).startswith(text)


def test_bounds_hold_nobody_to_what_the_room_has_already() -> None:
    early = msgpack.packb([REGISTER, "goal", HORIZON + 1, ""])
    update = b"\x01\x01\x07\x04\x08\x01\x01a\x03\x7e\x7e\x74" + write_bytes(early) + b"\x00"  # at clock 6
    assert _is_refused(update, known={})
    assert _is_refused(update, known={8: 100, 7: 6})
    assert not _is_refused(update, known={7: 7})


def test_bounds_of_an_update_that_is_cut_short_are_those_of_an_update() -> None:
    whole = _binary(msgpack.packb([REGISTER, "goal", 0, "fine"]))
    for end in range(len(whole)):
        with pytest.raises(ProtocolError):
            vet(whole[:end], SMALL)


# At the server ----------------------------------------------------------------------------------------------------


class Mission(State):
    goal: Register[str]
    steps: Map[Any]


def _fast_clock() -> HybridClock:
    return HybridClock(lambda: wall_ms() + HOUR_MS)


def _update_of(cells: dict[str, Any], clock: HybridClock | None = None) -> bytes:
    """Return the update of a session that wrote cells of the map "steps"."""
    document = StateDocument(agent="writer", clock=clock)
    for key, value in cells.items():
        document.set_cell("steps", key, value)
    return document.update_since()


async def _rejected(client: RawClient) -> Reject:
    await client.until(lambda: any(isinstance(frame, Reject) for frame in client.frames))
    return next(frame for frame in client.frames if isinstance(frame, Reject))


async def test_bounds_reject_an_update_and_keep_its_connection(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, ROOM) as other:
        await other.sync()
        async with raw_client(server.url, ROOM) as client:
            await client.sync()
            number = await client.update(_update_of({"early": "wins for ever"}, _fast_clock()))
            reject = await _rejected(client)
            assert (reject.n, reject.code) == (number, 4400)
            told = r"steps: a stamp 3,[56]\d\d s ahead of the server's clock; set this machine's clock"
            assert re.search(told, reject.reason)
            assert server.hub.rooms[0].seq == 0
            sound = _update_of({"fine": "kept"})
            client.doc.apply_update(sound)
            await client.update(sound)
            await client.durable()
        await other.until(lambda: other.doc.get_state() == client.doc.get_state())
        assert _steps(other) == {"fine": "kept"}


def _steps(client: RawClient) -> dict[str, Any]:
    return dict(Mission(StateDocument(update=client.doc.get_update())).steps)


async def test_bounds_reject_large_updates_as_small_ones_in_their_order(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_value=2**16) as server, raw_client(server.url, ROOM) as client:
        await client.sync()
        await client.edit("kept")
        number = await client.update(_update_of({"large": "x" * 2**17}))  # vetted in a thread
        await client.edit(" and kept")
        await client.durable()
        reject = await _rejected(client)
        assert (reject.n, reject.code) == (number, 4413)
        async with raw_client(server.url, ROOM) as late:
            await late.sync()
            assert late.value() == "kept and kept"
            assert _steps(late) == {}


async def test_bounds_end_the_connection_of_a_client_that_knows_no_rejects(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_name=20) as server:
        for update, code in ((_update_of({"k": 1}, _fast_clock()), 4400), (_update_of({"k" * 21: 1}), 4413)):
            async with raw_client(server.url, ROOM, v1=False) as client:
                await client.sync()
                await client.update(update)
                assert await client.closed() == code
                assert client.close_reason.startswith("steps: ")
        assert server.hub.rooms[0].seq == 0


async def test_bounds_leave_the_content_of_other_programs_alone(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_value=100, max_name=10, max_depth=1) as server:
        async with raw_client(server.url, ROOM, v1=False) as client:
            await client.sync()
            before = client.doc.get_state()
            client.doc.get("a map with a long name", type=pycrdt.Map)["a key that is long"] = {"x": [["y" * 1000]]}
            client.doc.get("blobs", type=pycrdt.Array).append(bytes(1000))
            client.text.insert(0, "z" * 1000)
            await client.update(client.doc.get_update(before))
            await client.sync()
        async with raw_client(server.url, ROOM) as late:
            await late.sync()
            assert late.doc.get_state() == client.doc.get_state()


async def test_bounds_are_told_in_the_welcome(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, max_value=5000, max_name=50, max_depth=5) as server,
        raw_client(server.url, ROOM) as client,
    ):
        await client.sync()
        welcome = client.frames[0]
        assert isinstance(welcome, Welcome)
        assert (welcome.limits["value"], welcome.limits["name"], welcome.limits["depth"]) == (5000, 50, 5)


async def test_bounds_do_not_hold_for_what_is_stored(tmp_path: Path) -> None:
    old = _update_of({"large": "x" * 1000}, _fast_clock())
    store = MemoryStore()
    async with store:
        await store.create(ROOM, "lineage", 0)
        await store.append([Append(ROOM, 1, old, "writer", 0)])
    async with in_process_server(tmp_path, store, max_value=100) as server, raw_client(server.url, ROOM) as client:
        await client.sync()
        assert _steps(client) == {"large": "x" * 1000}
        await client.update(client.doc.get_update())  # all of it, as a client with a store of its own may send it
        await client.durable()
        number = await client.update(_update_of({"large": "y" * 1000}))
        assert (await _rejected(client)).n == number


async def test_bounds_reach_a_client_whose_clock_is_wrong_as_an_error(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        comity.connect(server.url, agent="fast").open(ROOM, Mission) as fast,
        comity.connect(server.url, agent="other").open(ROOM, Mission) as other,
    ):
        await asyncio.gather(fast.synced(), other.synced())
        fast.goal.set("before")
        await fast.durable()
        fast.document.clock = _fast_clock()
        fast.goal.set("wins for ever")
        with pytest.raises(ProtocolError, match=r"goal: a stamp 3,[56]\d\d s ahead of the server's clock"):
            await fast.durable()
        assert [edit.value for edit in fast.replica.unmerged] == ["wins for ever"]
        await until(fast, lambda: fast.goal.value == "before")
        fast.document.clock = HybridClock()  # set to the right time
        fast.steps["next"] = 1
        await fast.durable()
        await until(other, lambda: dict(other.steps) == {"next": 1})
        assert other.goal.value == "before"
