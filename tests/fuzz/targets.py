"""What is fuzzed: functions of bytes that may raise nothing, each with bytes to begin with."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from types import ModuleType
from typing import Any, Final, NamedTuple

import pycrdt
from websockets.protocol import Protocol, Side, State

from comity.crdt_types import awareness, hocuspocus, structs, varint, wire
from comity.crdt_types.errors import EngineError, ProtocolError
from comity.server.rooms import bounds, document, gaps, vetting
from comity.server.rooms.document import Document
from comity.server.transport import frames
from tests.support.bare import BINARY, CLOSE, CONTINUATION, PING, TEXT, cut, frame
from tests.support.optional import ROOT
from tests.support.oracle import heard

from .conversation import converse

LIMIT: Final = 1000  # largest message of the frames


class Target(NamedTuple):
    """One thing to fuzz.

    Attributes:
        run: what is called with bytes.
        modules: whose code is watched.
        seeds: what to begin with.
        is_server: whether all of ``server`` is watched as well.
    """

    run: Callable[[bytes], None]
    modules: Iterable[ModuleType]
    seeds: Callable[[], Iterable[bytes]]
    is_server: bool = False


def _decode(data: bytes) -> None:
    with suppress(ProtocolError):
        found = wire.decode(data)
        assert wire.decode(wire.encode(found)) == found


def _decode_hocuspocus(data: bytes) -> None:
    with suppress(ProtocolError):
        hocuspocus.first_clock(data)
    with suppress(ProtocolError):
        address, rest = hocuspocus.split(data)
        hocuspocus.room_of(address)
        hocuspocus.decode(rest)


def _vet(data: bytes) -> None:
    """Vet an update, and hand what passes to the engine, which must survive it."""
    try:
        sections = vetting.vet(data, bounds.Bounds())
    except (ProtocolError, *bounds.REFUSALS):
        return
    room = Document()
    if not room.admits(sections):
        return
    with suppress(ProtocolError, EngineError):
        room.apply(data)
        room.lacks(data)
        assert Document([room.state()]).state_vector() == room.state_vector()


def _vet_state_vector(data: bytes) -> None:
    try:
        vetting.vet_state_vector(data)
    except ProtocolError:
        return
    with suppress(ProtocolError, EngineError):
        Document([_edits()[0]]).diff(data)


def _split(data: bytes) -> None:
    """Take the first byte as the size of the pieces in which the others come."""
    size = data[0] + 1 if data else 1
    chunks = cut(data[1:], range(size, len(data), size))
    expected = heard(chunks, limit=LIMIT)
    splitter, library = frames.Splitter(LIMIT), Protocol(Side.SERVER, state=State.OPEN, max_size=LIMIT)
    found: list[bytes] = []
    for chunk in chunks:
        for piece in splitter.feed(chunk):
            if library.state is not State.OPEN:
                break
            if piece.is_message:
                found.append(piece.data)
            else:
                library.receive_data(piece.data)
    whole = [message for _, message in expected.messages]
    # Those that came in several frames, or as text, went to the library and are not among the others.
    assert _is_among(found, whole), (found, whole)
    assert (expected.fault, expected.closed) != (None, None) or library.parser_exc is None


def _is_among(some: list[bytes], every: list[bytes]) -> bool:
    left = iter(every)
    return all(each in left for each in some)


# Seeds ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)  # an observed document is never let go
def _edits() -> list[bytes]:
    """Return updates with content of every kind that the engine writes."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=77)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    text = doc.get("t", type=pycrdt.Text)
    text.insert(0, "hällo 😀")
    text.format(0, 2, {"bold": True})
    text.insert_embed(1, {"image": 5})
    doc.get("a", type=pycrdt.Array).extend([{"deep": [1, 2.5, None, {"x": b"bytes"}]}, pycrdt.Map({"k": 1})])
    doc.get("m", type=pycrdt.Map)["k"] = pycrdt.Array([1, "two", b"\x94\x00\xa1a\x05\xc0"])
    doc.get("x", type=pycrdt.XmlFragment).children.append(pycrdt.XmlElement("p"))
    del text[0:2]
    return [*updates, doc.get_update(), doc.get_update(doc.get_state())]


def _messages() -> list[bytes]:
    vectors = json.loads((ROOT / "tests" / "vectors" / "wire.json").read_text())
    told = [b64decode(vector["bytes"]) for part in ("frames", "malformed") for vector in vectors[part]]
    return [*told, *(wire.encode_sync(wire.UPDATE, update) for update in _edits())]


def _state_vectors() -> list[bytes]:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    for update in _edits():
        doc.apply_update(update)
    return [b"\x00", doc.get_state(), b"\x02\x05\x01\x07\x80\x01"]


def _streams() -> list[bytes]:
    parts = [
        frame(BINARY, b"whole"),
        frame(BINARY, b"first", final=False) + frame(PING, b"!") + frame(CONTINUATION, b"last"),
        frame(TEXT, b"text"),
        frame(BINARY, bytes(200)),
        frame(BINARY, b"long", length=LIMIT + 1),
        frame(CLOSE, b"\x03\xe8why"),
    ]
    return [bytes((size,)) + b"".join(parts[:count]) for count in range(1, len(parts) + 1) for size in (0, 3, 255)]


def _addressed() -> list[bytes]:
    return [varint.write_string("room") + message for message in _messages()]


def _conversations() -> list[bytes]:
    said = [len(message).to_bytes(2, "big") + message for message in _messages()]
    return [*(b"\x00" + each for each in said), b"\x01" + b"".join(said)]


TARGETS: Final[dict[str, Target]] = {
    "wire": Target(_decode, (wire, varint), _messages),
    "hocuspocus": Target(_decode_hocuspocus, (hocuspocus, wire, varint), _addressed),
    "vet": Target(_vet, (vetting, structs, bounds, varint, document, gaps), _edits),
    "state-vector": Target(_vet_state_vector, (vetting, varint, document), _state_vectors),
    "frames": Target(_split, (frames,), _streams),
    "room": Target(converse, (wire, varint, awareness), _conversations, is_server=True),
}
