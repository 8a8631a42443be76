"""The parts of the client that need no server."""

import asyncio
import math
import random
import time
import weakref
from itertools import islice

import pytest

from comity.clients.backoff import FIRST_DELAY, LONGEST_DELAY, delays, requested
from comity.clients.changestream import MAX_BACKLOG, ChangeStream
from comity.clients.connection import room_url
from comity.clients.milestone import Milestone
from comity.clients.outstanding import Outstanding
from comity.crdt_types import Change, Commit, StateDocument
from comity.crdt_types.awareness import TIMEOUT, Awareness
from comity.crdt_types.document.edits import Edit
from comity.crdt_types.errors import ConnectionFailedError, ErasedError, ForbiddenError, InvalidValueError, TooSlowError
from comity.crdt_types.wire import Presence


def same(change: Change) -> Change:
    return change


async def test_milestone_wakes_those_whose_value_is_reached() -> None:
    milestone = Milestone()
    first, second = (asyncio.create_task(milestone.reached(value)) for value in (1, 2))
    await asyncio.sleep(0)
    milestone.advance(1)
    await first
    assert not second.done()
    milestone.advance(5)
    await second
    await milestone.reached(5)


async def test_milestone_fails_those_after_a_value() -> None:
    milestone = Milestone()
    first, second = (asyncio.create_task(milestone.reached(value)) for value in (1, 2))
    await asyncio.sleep(0)
    assert milestone.fail(ForbiddenError("no"), 1) == 1
    with pytest.raises(ForbiddenError):
        await second
    milestone.advance(1)
    await first


async def test_milestone_forgets_a_waiter_that_was_cancelled() -> None:
    milestone = Milestone()
    waiter = asyncio.create_task(milestone.reached(1))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    milestone.advance(1)
    assert milestone.value == 1


def test_delays_grow_to_a_bound_and_are_spread() -> None:
    one, two = ([*islice(delays(random.Random(seed)), 20)] for seed in (1, 2))
    assert one != two
    assert one[0] <= FIRST_DELAY
    assert LONGEST_DELAY / 2 <= one[-1] <= LONGEST_DELAY


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 0), (1.5, 1.5), (-1, 0), (math.nan, 0), (math.inf, 3600), (7200, 3600)]
)
def test_delays_hold_to_what_a_server_asks_for_within_reason(asked: float | None, waited: float) -> None:
    assert requested(asked) == waited


def test_room_url_quotes_the_room_and_the_agent() -> None:
    assert room_url("ws://h:1", "shared/a b?", "é&") == "ws://h:1/ws/shared/a%20b%3F?agent=%C3%A9%26"
    assert room_url("https://h/base/", "r", "a") == "wss://h/base/ws/r?agent=a"
    assert room_url("ws://h:1/ws", "r", "a") == room_url("ws://h:1/", "r", "a") == "ws://h:1/ws/r?agent=a"
    for bad in ("localhost:8765", "ws://h:99999", "ws://h:abc"):
        with pytest.raises(ConnectionFailedError):
            room_url(bad, "r", "a")


async def test_changestream_starts_at_its_creation_and_ends() -> None:
    document = StateDocument(agent="a")
    document.set_register("goal", "before")
    stream = ChangeStream(document, same)
    document.set_register("goal", "after")
    stream.end()
    assert [change.new async for change in stream] == ["after"]


async def test_changestream_tells_a_reader_that_fell_behind() -> None:
    document = StateDocument(agent="a")
    stream = ChangeStream(document, same)
    with document.transaction():
        for number in range(MAX_BACKLOG + 1):
            document.append_item("log", number)
    with pytest.raises(TooSlowError):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_changestream_ends_with_the_error_that_it_is_given() -> None:
    document = StateDocument(agent="a")
    stream = ChangeStream(document, same)
    document.set_register("goal", "after")
    stream.end(ErasedError("gone"))
    stream.end()
    assert (await anext(stream)).new == "after"
    with pytest.raises(ErasedError):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_changestream_that_was_dropped_is_held_by_nobody() -> None:
    document = StateDocument(agent="a")
    stream = ChangeStream(document, same)
    held = weakref.ref(stream)
    del stream
    assert held() is None
    document.set_register("goal", "heard by nobody")


def test_awareness_shows_others_until_they_go() -> None:
    one, two = Awareness(1, {"agent": "one"}), Awareness(2, {"agent": "two"})
    one.attach(lambda presence: two.receive([presence]))
    two.attach(lambda presence: one.receive([presence]))
    one.set(task="review")
    assert two.others == {1: {"agent": "one", "task": "review"}}
    assert one.others == {2: {"agent": "two"}}
    one.hide()
    assert two.others == {}


def test_awareness_ignores_what_is_older_and_what_is_its_own() -> None:
    one = Awareness(1, {"agent": "one"})
    one.receive([Presence(2, 5, '{"n": 5}'), Presence(2, 4, '{"n": 4}'), Presence(1, 99, None)])
    assert one.others == {2: {"n": 5}}
    one.receive([Presence(2, 5, None)])
    assert one.others == {}
    assert one.local == {"agent": "one"}


def test_awareness_refuses_what_json_cannot_carry_or_is_too_large() -> None:
    one = Awareness(1, {"agent": "one"})
    for bad in (float("nan"), object(), "x" * 20_000):
        with pytest.raises(InvalidValueError):
            one.set(state=bad)
    assert one.local == {"agent": "one"}


def test_awareness_forgets_the_clocks_of_those_who_left(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Awareness(1, None)
    one.receive([Presence(client, 1, "{}") for client in range(2, 50)])
    one.receive([Presence(client, 2, None) for client in range(2, 50)])
    one.receive([Presence(2, 1, "{}")])  # an echo
    assert one.others == {}
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + TIMEOUT + 1)
    one.expire()
    one.receive([Presence(2, 1, "{}")])
    assert one.others == {2: {}}


def commit(*edits: Edit) -> Commit:
    return Commit(b"update", edits, True)


async def test_outstanding_tells_of_a_refusal_once_whoever_asks_next() -> None:
    outstanding = Outstanding()
    for number in range(3):
        outstanding.take_in(commit(Edit("append", "log", None, number)), unsent=False, replayable=True)
    outstanding.refuse(1, 2, ForbiddenError("no"))
    assert [edit.value for edit in outstanding.unmerged] == [1]
    outstanding.acknowledge(3)
    with pytest.raises(ForbiddenError):
        await outstanding.durable()
    await outstanding.durable()


async def test_outstanding_tells_those_who_wait_and_not_those_who_were_served() -> None:
    outstanding = Outstanding()
    outstanding.take_in(commit(Edit("append", "log", None, 1)), unsent=False, replayable=True)
    first = asyncio.create_task(outstanding.durable())
    await asyncio.sleep(0)
    outstanding.take_in(commit(Edit("append", "log", None, 2)), unsent=False, replayable=True)
    second = asyncio.create_task(outstanding.durable())
    await asyncio.sleep(0)
    outstanding.refuse(1, 2, ForbiddenError("no"))
    with pytest.raises(ForbiddenError):
        await second
    outstanding.acknowledge(1)
    await first
    assert outstanding.pending == 1


def test_outstanding_names_edits_of_the_yjs_document_that_cannot_be_made_again() -> None:
    outstanding = Outstanding()
    for _ in range(3):
        outstanding.take_in(commit(), unsent=True, replayable=True)
    assert [edit.operation for edit in outstanding.start_over()] == ["yjs"]
