"""The load of `scripts/bench peers`: that it counts what real providers count, and notices what is missing."""

import asyncio
import math
import socket
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, merge_updates

from benchmarks.peers import load as load_module
from benchmarks.peers import page, table
from benchmarks.peers.bench import Span
from benchmarks.peers.client import Client
from benchmarks.peers.crosscheck import EDITS, WRITERS, compare, write
from benchmarks.peers.dialects import COMITY_V1, HOCUSPOCUS, PLAIN, PRESENCE, Message
from benchmarks.peers.dialects import EDITS as EDITS_KIND
from benchmarks.peers.edits import LIST, TEXT, Range, announced, listed, read_ranges, typed
from benchmarks.peers.failures import LoadError
from benchmarks.peers.frames import Stream
from benchmarks.peers.load import Load
from benchmarks.peers.servers import SERVERS
from benchmarks.peers.tally import Arrivals, Tally
from benchmarks.peers.workloads import Outcome
from comity.crdt_types.update import read_state_vector
from comity.crdt_types.varint import write_uint
from tests.support.node import stock_provider
from tests.support.provider import provided
from tests.support.server import in_process_server
from tests.support.waiting import eventually

# Updates ---------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**52), 2**52) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def _insert(doc: Doc[Any], at: int, value: Any) -> None:
    text: Text = doc.get("text", type=Text)
    text.insert(at % (len(text) + 1), str(value))


def _style(doc: Doc[Any], at: int, value: Any) -> None:
    text: Text = doc.get("text", type=Text)
    if len(text):
        text.format(at % len(text), len(text), {"bold": bool(value)})


def _push(doc: Doc[Any], _at: int, value: Any) -> None:
    items: Array[Any] = doc.get("list", type=Array)
    items.append(value)


def _nest(doc: Doc[Any], at: int, value: Any) -> None:
    cells: Map[Any] = doc.get("map", type=Map)
    cells[str(at % 3)] = Map({"inside": value})


def _delete(doc: Doc[Any], at: int, _value: Any) -> None:
    items: Array[Any] = doc.get("list", type=Array)
    if len(items):
        del items[at % len(items)]


def _grow(doc: Doc[Any], at: int, _value: Any) -> None:
    fragment: XmlFragment = doc.get("xml", type=XmlFragment)
    fragment.children.append(XmlElement("p", {"class": str(at)}))


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from((_insert, _style, _push, _nest, _delete, _grow)), st.integers(0, 99), VALUES
    ),
    max_size=25,
)


@given(STEPS, st.integers(0, 25))
@settings(max_examples=100, deadline=None)
def test_ranges_of_an_update_are_what_pycrdt_says_of_it(
    steps: Sequence[tuple[int, Callable[[Doc[Any], int, Any], None], int, Any]], halfway: int
) -> None:
    docs: list[Doc[Any]] = [Doc() for _ in range(3)]
    whole: Doc[Any] = Doc()
    before = whole.get_state()
    for number, (which, edit, at, value) in enumerate(steps):
        if number == halfway:
            before = whole.get_state()
        edit(docs[which], at, value)
        whole.apply_update(docs[which].get_update())
    begun, ended = read_state_vector(before), read_state_vector(whole.get_state())
    assert _joined(read_ranges(whole.get_update())) == {client: (0, end) for client, end in ended.items()}
    missing = {client: (begun.get(client, 0), end) for client, end in ended.items() if begun.get(client, 0) < end}
    assert _joined(read_ranges(whole.get_update(before))) == missing


def _joined(ranges: Sequence[Range]) -> dict[int, tuple[int, int]]:
    joined: dict[int, tuple[int, int]] = {}
    for client, start, end in ranges:
        if start < end:
            joined[client] = (
                min(start, joined.get(client, (start, end))[0]),
                max(end, joined.get(client, (0, end))[1]),
            )
    return joined


def test_ranges_leave_out_what_a_merged_update_lacks() -> None:
    typing = [typed(write_uint(7), clock) for clock in range(9)]
    assert read_ranges(merge_updates(*typing[:3], *typing[5:])) == (Range(7, 0, 3), Range(7, 5, 9))


def test_typed_edits_are_a_text_that_grows() -> None:
    doc: Doc[Any] = Doc()
    for clock in range(300):
        doc.apply_update(typed(write_uint(2**31), clock))
    assert str(doc.get(TEXT, type=Text)) == "x" * 300
    assert read_state_vector(doc.get_state()) == {2**31: 300}


def test_listed_rows_are_items_in_their_order() -> None:
    doc: Doc[Any] = Doc()
    for first in (0, 8, 16):
        doc.apply_update(listed((9, 5, 7, 6), first, 8, f"from {first}"))
    rows: Array[Any] = doc.get(LIST, type=Array)
    assert rows.to_py() == [f"from {first}" for first in (0, 8, 16) for _ in range(8)]
    assert read_state_vector(doc.get_state()) == {9: 6, 5: 6, 7: 6, 6: 6}


# Frames ----------------------------------------------------------------------------------------------------------


class Wire:
    """The server's end of a stream."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]

    def accept(self) -> socket.socket:
        peer, _ = self.listening.accept()
        self.listening.close()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer


SHAKEN = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def framed(message: bytes, opcode: int = 0x82) -> bytes:
    """Return a message as a server frames it."""
    size = len(message)
    if size < 126:
        return bytes((opcode, size)) + message
    if size < 1 << 16:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + message
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + message


@given(st.lists(st.sampled_from((0, 1, 125, 126, 700, 65_535, 65_536, 600_000)), max_size=4), st.data())
@settings(max_examples=25, deadline=None)
def test_messages_are_whole_however_they_arrive(sizes: list[int], data: st.DataObject) -> None:
    messages = [bytes((number,)) * size for number, size in enumerate(sizes)]
    sent = SHAKEN + b"".join(map(framed, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    wire = Wire()
    stream = Stream(wire.port, "/")
    received: list[bytes] = []
    with wire.accept() as peer:
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            _send(peer, sent[start:end], stream, received)
        while len(received) < len(messages):
            received += stream.read()
        assert received == messages
        assert stream.received == len(messages)
        stream.close()


def _send(peer: socket.socket, piece: bytes, stream: Stream, received: list[bytes]) -> None:
    while piece:
        piece = piece[peer.send(piece[:50_000]) :]
        received += stream.read()


def test_long_messages_that_differ_late_are_told_apart() -> None:
    seven = bytes((7,)) * 700_000
    late = seven[:-1] + bytes((9,))
    other = bytes((8,)) * 700_000
    _finish(_begun(seven), seven)
    streams = [(_begun(message), message) for message in (seven, late, other)]
    for begun, message in reversed(streams):
        _finish(begun, message)


def _begun(message: bytes) -> tuple[socket.socket, Stream]:
    """Return a stream that has received most of a message, and the server's end."""
    wire = Wire()
    stream = Stream(wire.port, "/")
    peer = wire.accept()
    received: list[bytes] = []
    _send(peer, SHAKEN + framed(message)[:650_000], stream, received)
    assert not received
    return peer, stream


def _finish(begun: tuple[socket.socket, Stream], message: bytes) -> None:
    peer, stream = begun
    received: list[bytes] = []
    with peer:
        _send(peer, framed(message)[650_000:], stream, received)
        while not received:
            received += stream.read()
        stream.close()
    assert received == [message]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
        (SHAKEN + framed((4500).to_bytes(2, "big") + b"a mistake", 0x88), "4500 a mistake"),
        (SHAKEN + framed(b"text", 0x81), "0x81"),
        (b"", "without a word"),
    ],
)
def test_a_stream_that_ends_says_why(sent: bytes, told: str) -> None:
    wire = Wire()
    stream = Stream(wire.port, "/")
    with wire.accept() as peer:
        peer.sendall(sent)
    with pytest.raises(LoadError, match=told):
        _read_on(stream)
    stream.close()


def _read_on(stream: Stream) -> NoReturn:
    while True:
        stream.read()


# Clients ---------------------------------------------------------------------------------------------------------


def received(*messages: bytes) -> Client:
    """Return a client that has received these messages."""
    wire = Wire()
    client = Client(wire.port, PLAIN, "room", 99, Tally(), lambda _: None)
    with wire.accept() as peer:
        peer.sendall(SHAKEN + b"".join(map(framed, messages)))
        while client.stream.received < len(messages):
            client.receive()
        client.stream.close()
    return client


def test_edits_that_come_early_count_once_their_turn_has_come() -> None:
    typing = [PLAIN.update("room", typed(write_uint(7), clock)) for clock in range(3)]
    assert received(typing[0], typing[2]).has == {7: 1}
    assert received(typing[2], typing[1], typing[0]).has == {7: 3}
    assert received(typing[2], typing[1], typing[0]).received == 3


def test_edits_count_once_and_ones_own_not_at_all() -> None:
    typing = [typed(write_uint(7), clock) for clock in range(4)]
    own = PLAIN.update("room", typed(write_uint(99), 0))
    first, all_of_them = PLAIN.update("room", merge_updates(*typing[:2])), PLAIN.update("room", merge_updates(*typing))
    client = received(own, first, first, all_of_them, all_of_them)
    assert (client.has, client.received) == ({7: 4}, 4)


def test_a_dialect_reads_what_it_writes() -> None:
    edit, state = typed(write_uint(7), 0), announced(write_uint(7), 4)
    for dialect in (PLAIN, COMITY_V1, HOCUSPOCUS):
        assert dialect.read(dialect.update("rööm", edit)) == Message(EDITS_KIND, (Range(7, 0, 1),))
        assert dialect.read(dialect.presence("rööm", state)) == Message(PRESENCE, (Range(7, 4, 5),))
    assert HOCUSPOCUS.update("rööm", edit) == b"\x06r\xc3\xb6\xc3\xb6m" + PLAIN.update("rööm", edit)


def test_a_denial_ends_the_run() -> None:
    with pytest.raises(LoadError, match="nobody"):
        PLAIN.read(b"\x02\x00\x06nobody")
    with pytest.raises(LoadError, match="nobody"):
        HOCUSPOCUS.read(b"\x01r\x02\x01\x06nobody")


# Beside providers ------------------------------------------------------------------------------------------------


def _write_as_the_load(port: int) -> tuple[list[tuple[int, int]], int]:
    """Have the load write into a room; return who has made how much, and how many edits were delivered."""
    with Load() as load:
        writers = load.join(port, COMITY_V1, ["room"] * WRITERS)
        write(load, writers)
        return [(writer.id, writer.made) for writer in writers], load.tally.delivered


async def test_pycrdt_provider_has_exactly_the_edits_of_the_load(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, provided(server.url, "room") as doc:
        made, delivered = await asyncio.to_thread(_write_as_the_load, server.port)
        assert [edits for _, edits in made] == [EDITS] * WRITERS
        assert delivered == EDITS * WRITERS * (WRITERS - 1)
        await eventually(lambda: read_state_vector(doc.get_state()) == dict(made))
        assert str(doc.get(TEXT, type=Text)) == "x" * (EDITS * WRITERS)


async def test_y_websocket_provider_has_exactly_the_edits_of_the_load(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, stock_provider(server.url, "room") as node:
        await node.until(lambda now: now["synced"])
        await asyncio.to_thread(_write_as_the_load, server.port)
        await node.until(lambda now: len(now["text"]) >= EDITS * WRITERS)
        assert node.now["text"] == "x" * (EDITS * WRITERS)


async def test_load_measures_edits_presence_and_acks(tmp_path: Path) -> None:
    def run(port: int) -> tuple[int, int, Any, int]:
        with Load() as load:
            writer, reader = load.join(port, COMITY_V1, ["room"] * 2)
            load.tally.arrivals = arrivals = Arrivals()
            load.repeat(writer, 200, Client.edit)
            load.until(lambda: reader.received >= 20, "writing")
            load.settle()
            load.until(lambda: len(writer.durable_at) == writer.made, "acknowledging")
            took = arrivals.latencies({writer.id: writer.made_at}, 0, math.inf)
            return writer.made, load.tally.delivered, took, len(load.lags)

    async with in_process_server(tmp_path) as server:
        made, delivered, took, sent = await asyncio.to_thread(run, server.port)
    assert made == delivered == len(took) == sent >= 20
    assert all(took > 0)


async def test_load_sees_everyones_presence(tmp_path: Path) -> None:
    def run(port: int) -> list[dict[int, int]]:
        with Load() as load:
            clients = load.join(port, COMITY_V1, ["room"] * 3)
            for client in clients:
                client.announce()
                client.announce()
            load.settle()
            return [client.has for client in clients]

    async with in_process_server(tmp_path) as server:
        has = await asyncio.to_thread(run, server.port)
    assert [sorted(each.values()) for each in has] == [[2, 2]] * 3


async def test_a_window_is_filled_and_no_further(tmp_path: Path) -> None:
    def run(port: int) -> list[int]:
        with Load() as load:
            writer, reader = load.join(port, COMITY_V1, ["room"] * 2)
            writer.window, reader.reports_to = 8, writer
            writer.refill(0)
            writer.refill(0)
            made = [writer.made]
            load.until(lambda: reader.received >= 50, "writing")
            made.append(writer.made - reader.received)
            load.settle()
            return [*made, writer.made - reader.received]

    async with in_process_server(tmp_path) as server:
        first, under_way, left = await asyncio.to_thread(run, server.port)
    assert first == 8
    assert under_way <= 8
    assert left == 0


async def test_an_edit_that_never_arrives_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "PATIENCE", 0.3)

    def run(port: int) -> None:
        with Load() as load:
            writer, _ = load.join(port, COMITY_V1, ["room"] * 2)
            writer.edit()
            writer.made += 1
            load.settle()

    async with in_process_server(tmp_path) as server:
        with pytest.raises(LoadError, match="settling"):
            await asyncio.to_thread(run, server.port)


def test_a_provider_that_has_something_else_is_told() -> None:
    client = received()
    client.made = 3
    compare([client], b"\x01\x63\x03")
    with pytest.raises(LoadError, match="provider has"):
        compare([client], b"\x01\x63\x02")


# Figures ---------------------------------------------------------------------------------------------------------


def test_latency_is_from_the_making_of_an_edit_to_each_delivery_to_another() -> None:
    arrivals = Arrivals()
    both = (Range(1, 0, 2), Range(2, 0, 1))
    for now, receiver in ((10.0, 1), (11.0, 2), (12.0, 3)):
        arrivals.note(now, receiver, both)
    arrivals.note(20.0, 3, (Range(1, 2, 3),))
    made_at = {1: array("d", [1.0, 2.0, 4.0]), 2: array("d", [3.0])}
    assert sorted(arrivals.latencies(made_at, 0, 20)) == [7.0, 9.0, 9.0, 10.0, 10.0, 11.0, 16.0]
    assert sorted(arrivals.latencies(made_at, 3, 3.5)) == [7.0, 9.0]
    assert not len(Arrivals().latencies({}, 0, 20))


def test_a_span_says_who_was_the_slower_part() -> None:
    assert _span(cpu=7.9).limit == "server"
    assert _span(idle=0.01).limit == "load"
    assert _span(lag=0.1).limit == "load"
    assert _span().limit == ""
    assert _span(cpu=4).cpu_per_delivery == 0.004


def _span(*, cpu: float = 1, idle: float = 0.5, lag: float = 0.0001, taken: float = 0) -> Span:
    return Span(8, cpu, 100, 1000, 500, 0.001, 0.004, idle, lag, taken)


def test_table_shows_ratios_and_marks_what_is_missed() -> None:
    outcomes: dict[str, dict[str, Outcome | str]] = {
        "paced": {
            "Comity": Outcome({"cpu": 4e-6, "p50": 0.001, "p99": 0.006}),
            "Hocuspocus": Outcome({"cpu": 6e-6, "p50": 0.002, "p99": 0.004}),
            "y-websocket": "did not finish",
        },
        "durable": {
            "Comity": Outcome({"p50": 0.001, "p99": 0.002, "rate": 30e3}),
            "Hocuspocus": Outcome({}),
            "y-websocket": Outcome({}),
        },
    }
    headings, lines = table.figures(outcomes, ["Comity", "Hocuspocus", "y-websocket"])
    assert headings[2:] == ["Comity", "Hocuspocus", "y-websocket"]
    assert [line[2:] for line in lines[:4]] == [
        ["4.00 µs", "6.00 µs (1.5)", "did not finish"],
        ["1.00 ms", "2.00 ms (2)", "did not finish"],
        ["6.00 ms (!)", "4.00 ms (0.67)", "did not finish"],
        ["1.00 ms", "no ack", "no ack"],
    ]


def test_a_table_marks_a_core_that_others_were_busy_on() -> None:
    spans = {"Comity": Outcome({}, _span(taken=0.8)), "Hocuspocus": Outcome({}, _span(taken=-0.01))}
    shown = [line[5] for line in table.wire({"paced": dict(spans)})]
    assert shown == ["10% (!)", "0%"]


def test_page_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, picture = tmp_path / "performance.md", tmp_path / "images" / "peers.svg"
    monkeypatch.setattr(page, "PAGE", path)
    monkeypatch.setattr(page, "PICTURE", picture)
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    names = {row.workload: row for row in table.ROWS}
    outcome = Outcome(
        {"cpu": 1e-6, "p50": 0.1, "p95": 1, "p99": 0.2, "memory": 3, "core": 0.5, "rate": 9}, _span(cpu=8)
    )
    page.write({workload: {"Comity": outcome} for workload in names}, [SERVERS["Comity"]])
    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "<svg" in picture.read_text()
    assert "| saturated | Comity | 12/s | 62/s | 100% (!) | 0% | 50% |" in text


def test_page_without_marks_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "performance.md"
    path.write_text("no marks")
    monkeypatch.setattr(page, "PAGE", path)
    with pytest.raises(ValueError, match="marks"):
        page.write({}, [])
    assert path.read_text() == "no marks"


def test_committed_page_has_the_marks() -> None:
    assert page.PAGE.read_text().count(page.BEGIN) == page.PAGE.read_text().count(page.END) == 1
