"""What the synchronous twin is made of: a thread with a loop, turns, proxies, callbacks."""

import asyncio
import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity import Counter, List, Log, Map, ORSet, Register, State, StateDocument, Text, merge
from comity.clients.blocking import callbacks, turn
from comity.clients.blocking.callbacks import Callbacks
from comity.clients.blocking.loopthread import LoopThread
from comity.clients.blocking.proxy import Proxies, Proxy
from comity.crdt_types.errors import InvalidValueError, NotConnectedError, StateError, TransactionError


class Job(State):
    title: Register[str]
    votes: Counter


class Board(State):
    goal: Register[str]
    tags: ORSet[str]
    steps: Map[str]
    jobs: Map[Job]
    lead: Job
    log: Log[str]
    plan: List[str]
    notes: Text
    spent: Counter


@contextmanager
def proxies() -> Generator[Proxies]:
    thread = LoopThread("loop")
    told = Callbacks("callbacks")
    try:
        yield Proxies(thread, told)
    finally:
        told.close()
        thread.close()


@contextmanager
def board(agent: str = "ana") -> Generator[Board]:
    """A board that lives in the thread of a loop, as other threads see it."""
    with proxies() as found:
        yield found.proxy(found.thread.call(lambda: Board(StateDocument(agent=agent))))


def in_thread(function: Any) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


# Proxies ------------------------------------------------------------------------------------------------------------


def test_blocking_fields_read_and_write_as_fields_do() -> None:
    with board() as live:
        live.goal.set("dive")
        live.tags.add("reef")
        live.steps["pack"] = "done"
        live.log.extend(str(number) for number in range(3))
        live.plan.append("go")
        live.notes.append("The réef")
        live.spent.add(3)
        live.lead.title.set("captain")
        assert live.to_dict() == {
            "goal": "dive",
            "tags": ["reef"],
            "steps": {"pack": "done"},
            "jobs": {},
            "lead": {"title": "captain", "votes": 0},
            "log": ["0", "1", "2"],
            "plan": ["go"],
            "notes": "The réef",
            "spent": 3,
        }


def test_blocking_operators_are_those_of_the_field() -> None:
    with board() as live:
        live.tags |= {"a", "b"}
        live.tags -= {"b"}
        live.plan += ["x", "y"]
        live.plan[0] = "z"
        del live.plan[1]
        live.spent.add(5)
        assert set(live.tags) == {"a"}
        assert live.tags | {"c"} == {"a", "c"}
        assert {"c"} | live.tags == {"a", "c"}
        assert live.plan == ["z"]
        assert live.plan[0] == "z"
        assert len(live.plan) == 1
        assert list(live.plan) == ["z"]
        assert int(live.spent) == 5
        assert live.spent > 4
        assert live.spent <= 5
        assert not live.log
        assert "a" in live.tags
        live.notes.append("réef")
        assert str(live.notes) == "réef"
        assert live.notes[1:] == "éef"
        assert f"{live.notes}" == "réef"
        assert isinstance(live, Board)
        assert isinstance(live.steps, Map)
        assert "goal" in dir(live)
        with pytest.raises(TypeError):
            hash(live.tags)


def test_blocking_views_of_a_map_are_as_it_was_when_they_were_asked_for() -> None:
    with board() as live:
        live.steps.update(a="1", b="2")
        items = live.steps.items()
        live.steps["c"] = "3"
        assert list(items) == [("a", "1"), ("b", "2")]
        assert ("a", "1") in items
        assert len(items) == 2
        assert list(live.steps) == ["a", "b", "c"]
        assert live.steps.get("q") is None
        assert live.steps.pop("a") == "1"
        assert list(live.steps.values()) == ["2", "3"]


def test_blocking_views_of_rows_have_rows_that_other_threads_may_use() -> None:
    with board() as live:
        live.jobs["dive"] = Job(title="Dive", votes=1)
        ((key, of_items),), (of_values,) = live.jobs.items(), live.jobs.values()
        for job in (of_items, of_values):
            assert issubclass(type(job), Proxy)
            job.votes.add(1)
        assert key == "dive"
        assert live.jobs[key].votes == 3
        assert list(live.jobs.keys()) == ["dive"]


def test_blocking_views_of_plain_mappings_pass() -> None:
    with proxies() as found:
        plain = {"a": 1}
        for view in (plain.keys(), plain.values(), plain.items()):
            assert list(found.thread.call(found.wrapped, view)) == list(view)


def test_blocking_rows_and_nested_states_are_live() -> None:
    with board() as live:
        live.jobs["j"] = Job(title="Dive")
        row = live.jobs["j"]
        row.votes.add(2)
        assert live.jobs["j"] == Job(title="Dive", votes=2)
        assert row.votes == 2
        assert [each.title.value for each in live.jobs.values()] == ["Dive"]
        live.assign({"lead": row, "goal": live.jobs["j"].title})
        assert live.lead.votes == 2
        assert live.goal == "Dive"
        popped = live.jobs.pop("j")
        popped.title.set("on its own")
        assert "j" not in live.jobs
        assert popped.title == "on its own"


def test_blocking_errors_are_those_of_the_field_and_nothing_is_written() -> None:
    with board() as live:
        with pytest.raises(InvalidValueError, match="goal"):
            live.goal.set(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(KeyError):
            _ = live.steps["none"]
        with pytest.raises(AttributeError):
            _ = live.nothing  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(StateError):
            live.goal = live.lead.title
        assert not live.goal.is_set


def test_blocking_state_sends_waiting_to_the_tier() -> None:
    with board() as live, pytest.raises(StateError, match="tier"):
        live.durable()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


def test_blocking_functions_that_an_edit_calls_may_use_what_they_were_called_for() -> None:
    with board() as live:
        live.goal.set("south")
        live.document.apply(_rival("east"))
        live.spent.add(7)
        live.goal.resolve(merge(lambda conflict: f"{live.spent.value} for {len(conflict.rivals)}"))
        assert live.goal == "7 for 2"
        assert live.conflicts() == []


def _rival(goal: str) -> bytes:
    rival = Board(StateDocument(agent="bob"))
    rival.goal.set(goal)
    return rival.document.update_since()


@given(st.lists(st.tuples(st.sampled_from(["set", "put", "drop", "count", "append"]), st.text("abc", max_size=2))))
def test_blocking_edits_come_to_what_they_come_to_without_a_twin(steps: list[tuple[str, str]]) -> None:
    alone = Board()
    for each in steps:
        _edit(alone, *each)
    with _SHARED.thread.transaction(_fresh):
        for each in steps:
            _edit(_LIVE[-1], *each)
        assert _LIVE[-1].to_dict() == alone.to_dict()


_SHARED = Proxies(LoopThread("loop"), Callbacks("callbacks"))
_LIVE: list[Board] = []


@contextmanager
def _fresh() -> Generator[None]:
    """Run the whole example in one turn of the loop's thread."""
    _LIVE[:] = [_SHARED.proxy(Board())]
    yield


def _edit(live: Board, kind: str, text: str) -> None:
    if kind == "set":
        live.goal.set(text)
    elif kind == "put":
        live.steps[text] = text
    elif kind == "drop":
        live.steps.pop(text, None)
    elif kind == "count":
        live.spent.add(len(text))
    else:
        live.log.append(text)


# Threads ------------------------------------------------------------------------------------------------------------


def test_blocking_edits_of_eight_threads_add_up_exactly() -> None:
    with board() as live:

        def work(number: int) -> None:
            for step in range(50):
                live.spent.add(1)
                live.log.append(f"{number}.{step}")
                live.tags.add(f"{number % 4}.{step}")

        for thread in [in_thread(lambda number=number: work(number)) for number in range(8)]:
            thread.join()
        assert live.spent == 400
        assert sorted(live.log) == sorted(f"{number}.{step}" for number in range(8) for step in range(50))
        assert len(live.tags) == 200
        for number in range(8):  # what one thread appends stays in its order
            own = [item for item in live.log if item.startswith(f"{number}.")]
            assert own == [f"{number}.{step}" for step in range(50)]


def test_blocking_transactions_of_threads_exclude_each_other() -> None:
    with board() as live:

        def double() -> None:
            for _ in range(20):
                with live.transaction():
                    live.steps["n"] = str(int(live.steps.get("n", "0")) + 1)

        for thread in [in_thread(double) for _ in range(4)]:
            thread.join()
        assert live.steps["n"] == "80"


def test_blocking_transaction_is_one_update_and_others_wait_for_it() -> None:
    with board() as live:
        seen: list[int] = []
        commits: list[Any] = []
        live.document.on_commit(commits.append)
        with live.transaction():
            live.spent.add(1)
            reader = in_thread(lambda: seen.append(live.spent.value))
            with live.transaction():
                live.spent.add(1)
            assert live.spent == 2
            assert seen == []
        reader.join()
        assert seen == [2]
        live.spent.add(1)
        live.document.agent  # noqa: B018  # one more call, behind which the callbacks are queued
        assert _eventually(lambda: len(commits) == 2)


def _eventually(condition: Any) -> bool:
    done = threading.Event()
    for _ in range(500):
        if condition():
            return True
        done.wait(0.01)
    return False


def test_blocking_transaction_with_an_error_leaves_nothing_behind() -> None:
    with board() as live:

        def fail() -> None:
            with live.transaction():
                live.spent.add(1)
                live.goal.set("gone")
                raise RuntimeError("out of air")

        with pytest.raises(RuntimeError, match="out of air"):
            fail()
        assert live.spent == 0
        assert not live.goal.is_set
        live.spent.add(1)
        assert live.spent == 1


def test_blocking_waits_are_refused_inside_a_transaction_and_in_the_thread_of_the_loop() -> None:
    with proxies() as found:
        live = found.proxy(found.thread.call(Board))
        with live.transaction(), pytest.raises(TransactionError, match="outside"):
            found.thread.wait(asyncio.sleep, 0)
        with pytest.raises(StateError, match="event loop"):
            found.thread.call(lambda: found.thread.wait(asyncio.sleep, 0))


def test_blocking_transaction_of_a_thread_that_died_is_taken_back() -> None:
    with board() as live:

        def die() -> None:
            left.append(live.transaction())
            left[-1].__enter__()
            live.goal.set("never")

        left: list[Any] = []
        for _ in range(2):  # the next thread often has the number of the one that died
            in_thread(die).join()
            seen: list[str | None] = ["not read"]
            in_thread(lambda seen=seen: seen.append(live.goal.value)).join()
            assert seen[-1] is None  # answered by a loop that goes on
        left.clear()  # what the dead threads left behind is collected here
        live.goal.set("alive")
        assert live.goal == "alive"


def test_blocking_transaction_that_lasts_too_long_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "MAX_TRANSACTION", 0.2)
    with board() as live:

        def wait_for_another_thread() -> None:
            with live.transaction():
                live.goal.set("never")
                in_thread(lambda: live.spent.add(1)).join()  # it waits for the loop, which waits for this thread
                live.goal.set("never either")

        with pytest.raises(TransactionError, match="nothing of it was written"):
            wait_for_another_thread()
        assert live.goal.value is None
        assert live.spent == 1
        live.goal.set("again")
        assert live.goal == "again"


def test_blocking_wait_ends_after_its_time_and_cancels_what_it_waited_for() -> None:
    with proxies() as found:
        cancelled = threading.Event()

        async def forever() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        with pytest.raises(TimeoutError):
            found.thread.wait(forever, timeout=0.05)
        assert cancelled.wait(5)


def test_blocking_calls_after_the_end_say_so_and_those_under_way_do_not_hang() -> None:
    thread = LoopThread("loop")
    started = threading.Event()
    errors: list[BaseException] = []

    async def forever() -> None:
        started.set()
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            thread.wait(forever)
        except NotConnectedError as error:
            errors.append(error)

    waiting = in_thread(wait)
    started.wait(5)
    thread.close()
    waiting.join(5)
    assert len(errors) == 1
    thread.close()
    for use in (lambda: thread.call(int), lambda: thread.wait(asyncio.sleep, 0)):
        with pytest.raises(NotConnectedError, match="closed"):
            use()


async def test_blocking_calls_work_inside_a_running_loop() -> None:
    with board() as live:
        live.spent.add(2)
        assert live.spent == 2


# Callbacks ----------------------------------------------------------------------------------------------------------


def test_blocking_callbacks_run_in_order_in_a_thread_of_their_own_and_may_edit() -> None:
    with board() as live:
        heard: list[tuple[str, int]] = []
        done = threading.Event()

        def hear(change: Any) -> None:
            heard.append((threading.current_thread().name, change.new))
            if change.new == 5:
                with live.transaction():
                    live.goal.set("heard")
                done.set()

        stop = live.spent.on_change(hear)
        for _ in range(5):
            live.spent.add(1)
        assert done.wait(5)
        stop()
        live.spent.add(1)
        assert live.goal == "heard"
        assert heard == [("callbacks", number) for number in range(1, 6)]


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_blocking_callback_that_fails_hurts_nobody(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_change: object) -> None:
        raise error

    with board() as live:
        heard = threading.Event()
        live.spent.on_change(fail)
        live.spent.on_change(lambda _change: heard.set())
        live.spent.add(1)
        assert heard.wait(5)
        assert "a callback failed" in caplog.text


def test_blocking_callback_too_far_behind_is_told_so_and_called_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callbacks, "MAX_BACKLOG", 3)
    caplog.set_level(logging.ERROR)
    told = Callbacks("callbacks")
    release, failed = threading.Event(), threading.Event()
    heard: list[int] = []

    def slow(number: int) -> None:
        heard.append(number)
        release.wait(5)

    call, _mailbox = told.carried(slow, lambda _error: failed.set())
    call(0)
    assert _eventually(lambda: heard == [0])
    for number in range(1, 6):
        call(number)
    release.set()
    assert failed.wait(5)
    told.close()
    assert heard == [0]
    assert "called no more" in caplog.text


def test_blocking_callbacks_must_not_be_asynchronous() -> None:
    async def callback(_change: object) -> None:
        raise AssertionError

    with board() as live, pytest.raises(InvalidValueError, match="asynchronous"):
        live.on_change(callback)
