"""Redaction: nothing is left of what some clients wrote, and nothing is missing of what others did."""

import base64
from collections.abc import Generator, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.crdt_types import StateDocument
from comity.crdt_types.document.textmirror import TextEdit
from comity.crdt_types.errors import ProtocolError, TransactionError
from comity.crdt_types.redaction import erasure, redacted
from comity.crdt_types.update import EMPTY_UPDATE, holds_no_inserts, read_state_vector
from comity.crdt_types.varint import write_uint
from comity.server.rooms.vetting import vet
from tests.support import grammar
from tests.support.edits import EDITS, Edit
from tests.support.erasing import agents_clients, erase_author
from tests.support.invariants import Picture, Tag, check, check_text, picture
from tests.support.machines import SITES
from tests.support.mixed import MixedNetwork, Peer, base64_of, node_peer
from tests.support.network import Network
from tests.support.profiles import examples
from tests.support.signed import CLIENTS, DEEDS, WRITERS, Deed, Doc, Writers, document, reading, told

HISTORIES = st.lists(DEEDS, min_size=12, max_size=40)
LATER = st.lists(DEEDS, max_size=6)
GONE = st.sets(WRITERS, min_size=1, max_size=2)


def _history(deeds: list[Deed]) -> Writers:
    writers = Writers()
    for deed in deeds:
        writers.do(deed)
    return writers


def _clients(writers: set[int]) -> set[int]:
    return {CLIENTS[writer] for writer in writers}


def _exchange(one: Doc, other: Doc) -> None:
    """Have two documents sync, both ways, until neither has anything to tell."""
    one.apply_update(other.get_update(one.get_state()))
    other.apply_update(one.get_update(other.get_state()))
    one.apply_update(other.get_update(one.get_state()))


@given(HISTORIES, LATER, GONE)
@settings(max_examples=examples(80, 20_000))
def test_redaction_leaves_what_others_wrote(deeds: list[Deed], later: list[Deed], gone: set[int]) -> None:
    writers = _history(deeds)
    clients, before = _clients(gone), len(writers.log)
    for deed in later:  # whoever goes on has the document as it was
        if deed.writer not in gone:
            writers.do(deed)
    log, rest = [redacted(update, clients) for update in writers.log[:before]], writers.log[before:]
    whole = document(*writers.log)
    snapshot = redacted(document(*writers.log[:before]).get_update(), clients)
    for found in (document(*log, *rest), document(snapshot, *rest), document(redacted(whole.get_update(), clients))):
        assert reading(found) == reading(whole, gone)
        assert found.get_state() == whole.get_state()
        assert not told(found.get_update(), gone, writers.guids)


@given(HISTORIES, GONE)
@settings(max_examples=examples(60, 10_000))
def test_redaction_of_what_is_redacted_changes_nothing(deeds: list[Deed], gone: set[int]) -> None:
    log = _history(deeds).log
    for update in (*log, document(*log).get_update()):
        once = redacted(update, _clients(gone))
        assert redacted(once, _clients(gone)) == once
        assert vet(once) == vet(update)
        assert redacted(update, {12, 2**52}) == update
        assert redacted(update, ()) == update


@given(HISTORIES, LATER, GONE)
@settings(max_examples=examples(60, 10_000))
def test_redacted_and_whole_replicas_converge(deeds: list[Deed], later: list[Deed], gone: set[int]) -> None:
    writers = _history(deeds)
    clients = _clients(gone)
    room = document(*(redacted(update, clients) for update in writers.log))
    for deed in later:
        if deed.writer not in gone:
            writers.do(deed)
    expected = reading(document(*writers.log), gone)
    for replica in (*writers.docs, document(*writers.log)):
        _exchange(replica, room)
        assert reading(replica, formats=True) == reading(room, formats=True)
        for state in (replica.get_update(), room.get_update()):
            assert not told(state, gone, writers.guids)
            assert redacted(state, clients) == state
    assert reading(room) == expected


@given(HISTORIES, GONE)
@settings(max_examples=examples(60, 10_000))
def test_erasure_leaves_of_a_document_what_redaction_does(deeds: list[Deed], gone: set[int]) -> None:
    writers = _history(deeds)
    clients = _clients(gone)
    whole, room = document(*writers.log), document(*(redacted(update, clients) for update in writers.log))
    deletions = erasure(whole.get_update(), clients)
    assert holds_no_inserts(deletions)
    assert redacted(deletions, clients) == deletions
    whole.apply_update(deletions)
    assert reading(whole, formats=True) == reading(room, formats=True)
    assert not told(whole.get_update(), gone, writers.guids)
    assert erasure(whole.get_update(), clients) == EMPTY_UPDATE


def test_redaction_of_a_format_takes_its_value_and_lets_nothing_run_on() -> None:
    ben, ana = document(), document()
    ben["text"].insert(0, "abcdef")
    ben["text"].format(0, 3, {"bold": True})
    ana.apply_update(ben.get_update())
    ana["text"].format(1, 5, {"bold": True})  # which deletes the end of the other
    ana["text"].format(4, 6, {"link": "secret"})
    clients = {ana.client_id}
    room = document(redacted(ana.get_update(), clients))
    assert room["text"].diff() == [("abcde", {"bold": True}), ("f", None)]
    assert b"secret" not in room.get_update()


# Yjs ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def peer() -> Generator[Peer]:
    with node_peer() as found:
        yield found


def _through_yjs(peer: Peer, updates: Iterable[bytes]) -> bytes:
    """Return the state of a Yjs document of these updates."""
    replica = peer.fresh_id()
    commands: list[dict[str, Any]] = [{"do": "open", "client": 1}]
    commands += [{"do": "apply", "update": base64_of(update)} for update in updates]
    commands += [{"do": "since"}, {"do": "close"}]
    *_done, whole, _closed = peer.do(*({**command, "id": replica} for command in commands))
    return base64.b64decode(whole["update"])


@given(HISTORIES, GONE)
@settings(max_examples=examples(30, 2000), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_yjs_takes_redacted_updates_as_yrs_does(peer: Peer, deeds: list[Deed], gone: set[int]) -> None:
    writers = _history(deeds)
    clients = _clients(gone)
    log = [redacted(update, clients) for update in writers.log]
    room = document(*log)
    deletions = erasure(document(*writers.log).get_update(), clients)
    for updates in (log, [*writers.log, room.get_update()], [*writers.log, deletions], [*log, *writers.log]):
        state = _through_yjs(peer, updates)
        # Not the formats: of those that were set at once, Yjs may take away more than yrs, redacted or not.
        assert reading(document(state)) == reading(room)
        assert not told(state, gone, writers.guids)
        assert redacted(state, clients) == state


def _play(network: Network, script: list[tuple[int, Edit]]) -> None:
    """Have edits made at sites of a network, each of which has seen those before, and bring all to all."""
    for number, edit in script:
        network.sites[number].edit(edit)
        network.settle()


@given(st.lists(st.tuples(SITES, EDITS), max_size=20), SITES)
@settings(max_examples=examples(20, 1000), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_javascript_documents_are_redacted_as_python_ones_are(
    peer: Peer, script: list[tuple[int, Edit]], number: int
) -> None:
    network = MixedNetwork(4, peer)
    _play(network, script)
    before = network.sites[0].document.update_since()
    clients = agents_clients(network.sites[0].document, f"agent-{number}")
    room = StateDocument(update=redacted(before, clients))
    for site in network.sites:
        site.apply(room.update_since())
        assert picture(site.document) == picture(room)
    state = _through_yjs(peer, [before, room.update_since()])
    assert redacted(state, clients) == state
    assert picture(StateDocument(update=state)) == picture(room)
    network.close()


# State documents ----------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(SITES, EDITS), max_size=25), SITES, st.booleans())
@settings(max_examples=examples(60, 5000))
def test_erasing_an_author_leaves_the_entries_of_others(
    script: list[tuple[int, Edit]], number: int, restarts: bool
) -> None:
    network = Network(4)
    sessions = {network.sites[number].document.client_id}
    _play(network, script)
    if restarts:
        network.restart(number)
        sessions.add(network.sites[number].document.client_id)
        _play(network, script)
    document = network.sites[0].document
    clients = agents_clients(document, f"agent-{number}")
    assert clients == sessions & set(read_state_vector(document.state_vector()))
    others = _without(picture(document), clients)
    erase_author(document, clients)
    assert (picture(document).cells, picture(document).logs) == others
    assert agents_clients(document, f"agent-{number}") == set()
    network.sites[0].edit(Edit("append", "journal"))
    assert agents_clients(document, "agent-0") >= {document.client_id}
    check(document)
    check_text(document, "notes")


def _without(known: Picture, clients: set[int]) -> tuple[Any, Any]:
    """Return the cells and logs that an index would know, had some clients written nothing."""

    def left(tags: dict[Any, list[Tag]]) -> dict[Any, list[Tag]]:
        kept = {key: [tag for tag in found if tag[1] not in clients] for key, found in tags.items()}
        return {key: found for key, found in kept.items() if found}

    cells = {place: left(field) for place, field in known.cells.items()}
    return {place: field for place, field in cells.items() if field}, left(known.logs)


def test_erasing_an_author_is_told_as_one_change_of_nobody_here() -> None:
    ana, ben = StateDocument(agent="ana"), StateDocument(agent="ben")
    ana.set_cell("steps", "a", "secret")
    ben.apply(ana.update_since())
    ben.set_cell("steps", "b", "ours")
    _write(ben, "ours ")
    ana.apply(ben.update_since())
    _write(ana, "secret ")
    ben.apply(ana.update_since())
    commits: list[Any] = []
    changes: list[Any] = []
    ben.on_commit(commits.append)
    ben.on_change(changes.append)
    erase_author(ben, agents_clients(ben, "ana"))
    assert [(change.kind, change.key, change.old, change.new, change.local) for change in changes] == [
        ("map", "a", "secret", None, False),
        ("text", None, None, [{"delete": 7}], False),
    ]
    assert [(commit.local, commit.edits) for commit in commits] == [(False, ())]
    assert ben.text("notes").value == "ours "
    assert b"secret" not in ben.update_since() + commits[0].update


def _write(document: StateDocument, words: str) -> None:
    document.edit_text(TextEdit(document.text("notes"), 0, 0, words))


def test_erasing_an_author_is_refused_inside_a_transaction_of_yjs() -> None:
    document = StateDocument(agent="ana")
    document.set_register("goal", 1)
    before = document.update_since()
    with document.ydoc.transaction(), pytest.raises(TransactionError):
        erase_author(document, {document.client_id})
    assert document.update_since() == before


# Bytes --------------------------------------------------------------------------------------------------------------


def _update(info: int, place: bytes, content: bytes, length: int = 1) -> bytes:
    """Return an update with a struct of client 7, and a deletion behind it."""
    return b"\x01\x01\x07\x05" + bytes((info,)) + place + content + b"\x01\x07\x01\x05" + write_uint(length)


@pytest.mark.parametrize(
    ("kind", "content", "length"),
    [
        (2, b'\x02\x061.5555\x03"a"', 2),
        (3, b"\x03abc", 1),
        (4, b"\x07a\xc3\xa9\xf0\x9f\x98\x80", 4),
        (4, write_uint(300) + b"a" * 300, 300),
        (5, b'\x07{"a":1}', 1),
        (6, b'\x04link\x03"a"', 1),
        (6, b'\x04null\x06"null"', 1),
        (8, b"\x03\x77\x01a\x7d\x05\x74\x01a", 3),
        (9, b"\x04guid\x76\x00", 1),
    ],
)
@pytest.mark.parametrize(
    ("flags", "place"),
    [
        (0x00, b"\x01\x01t"),
        (0x00, b"\x00\x09\x03"),
        (0x20, b"\x01\x01m\x03key"),
        (0x80, b"\x09\x03"),
        (0x40, b"\x09\x03"),
        (0xE0, b"\x09\x03\x0b\x80\x01"),
    ],
)
def test_redaction_keeps_place_and_length(kind: int, content: bytes, length: int, flags: int, place: bytes) -> None:
    update = _update(flags | kind, place, content, length)
    assert redacted(update, {7}) == _update(flags | 1, place, write_uint(length), length)
    assert erasure(update, {7}) == b"\x00\x01\x07\x01\x05" + write_uint(length)
    assert redacted(update, {9, 5}) == update
    assert erasure(update, {9, 5}) == EMPTY_UPDATE


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (1, b"\x03"),
        (6, b"\x04link\x04null"),  # without it, what others wrote after a format would be formatted
        (7, b"\x00"),
        (7, b"\x03\x01p"),
    ],
)
def test_redaction_keeps_what_others_rest_on(kind: int, content: bytes) -> None:
    update = _update(kind, b"\x01\x01t", content)
    assert redacted(update, {7}) == update
    assert erasure(update, {7}) == EMPTY_UPDATE


@pytest.mark.parametrize("body", [b"\x00\x03", b"\x0a\x03"])  # garbage that was collected, a gap
def test_redaction_keeps_structs_without_a_place(body: bytes) -> None:
    update = b"\x01\x01\x07\x05" + body + b"\x00"
    assert redacted(update, {7}) == update


def test_erasure_joins_what_follows_each_other() -> None:
    place = b"\x01\x01t"
    body = (
        b"".join(b"\x04" + place + word for word in (b"\x02ab", b"\x03cde")) + b"\x0a\x01" + b"\x04" + place + b"\x01f"
    )
    assert erasure(b"\x01\x04\x07\x05" + body + b"\x00", {7}) == b"\x00\x01\x07\x02\x05\x05\x0b\x01"


@given(grammar.updates, st.sets(st.sampled_from([0, 1, 2, 3, 77, 127, 128])))
@settings(max_examples=examples(250, 50_000))
def test_redaction_refuses_what_is_no_update(update: bytes, clients: set[int]) -> None:
    try:
        sections = vet(update)
    except ProtocolError:
        for read in (redacted, erasure):
            with pytest.raises(ProtocolError):
                read(update, clients)
    else:
        assert vet(redacted(update, clients)) == sections
        assert vet(erasure(update, clients)) == ()


@given(HISTORIES, st.data())
@settings(max_examples=examples(50, 5000))
def test_redaction_refuses_what_ends_early_or_late(deeds: list[Deed], data: st.DataObject) -> None:
    update = document(*_history(deeds).log).get_update()
    end = data.draw(st.integers(0, len(update) - 1))
    for wrong in (update[:end], update + b"\x00"):
        with pytest.raises(ProtocolError):
            redacted(wrong, CLIENTS)


@pytest.mark.parametrize("content", [b"\x02" + write_uint(2**53 - 1), b"\x08" + write_uint(2**53 - 1) + b"\x7e"])
def test_redaction_believes_no_length(content: bytes) -> None:
    with pytest.raises(ProtocolError):
        redacted(_update(content[0], b"\x01\x01t", content[1:]), {7})
