"""The synchronous twin against a real server."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from inspect import signature
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

import comity
from comity import ABSENT, Change, Counter, Log, Map, Register, State, Tier, UndoManager
from comity.clients.agents.system import Setting, SystemManager, SystemState
from comity.clients.blocking.client import BlockingClient, connect_sync
from comity.clients.blocking.history import BlockingHistory, BlockingPast
from comity.clients.blocking.kinds import BlockingLocal, BlockingPersistent, BlockingSession, BlockingShared
from comity.clients.blocking.tier import BlockingTier
from comity.clients.client import Client
from comity.clients.history.history import History
from comity.clients.history.past import Past
from comity.clients.local.replica import LocalReplica
from comity.clients.tiers.local import LocalState
from comity.clients.tiers.session import SessionState
from comity.clients.tiers.tier import PersistentState, SharedState
from comity.crdt_types.errors import (
    ErasedError,
    InvalidValueError,
    NotConnectedError,
    PreconditionError,
    StateError,
    TransactionError,
)
from tests.support.optional import ROOT
from tests.support.server import in_process_server


class Board(State):
    goal: Register[str]
    spent: Counter
    steps: Map[str]
    notes: Log[str]


class Served:
    """A server in a thread of its own, for tests that have no event loop."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    url: str
    _stop: asyncio.Event
    _loop: asyncio.AbstractEventLoop

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with in_process_server(self._data) as server:
            self.url = server.url
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    with Served(tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture
def ana(served: Served) -> Generator[BlockingClient]:
    with connect_sync(served.url, agent="ana") as client:
        yield client


@pytest.fixture
def bob(served: Served) -> Generator[BlockingClient]:
    with connect_sync(served.url, agent="bob") as client:
        yield client


def run_python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def until(tier: BlockingTier[Any], condition: Callable[[], object]) -> None:
    """Return once a condition on a tier holds; StopIteration fails the test if it does not come to hold in time."""
    changes = tier.changes(timeout=20)
    while not condition():
        next(changes)


# Tiers --------------------------------------------------------------------------------------------------------------


def test_blocking_tier_holds_what_another_agent_wrote(ana: BlockingClient, bob: BlockingClient) -> None:
    with ana.shared("seen", Board) as mine, bob.shared("shared/seen", Board) as theirs:
        mine.state.goal.set("map the reef")
        mine["steps.dive"] = "doing"
        mine.durable(timeout=10)
        until(theirs, lambda: "steps.dive" in theirs)
        theirs.synced(timeout=10)
        assert theirs["goal"] == "map the reef"
        assert dict(theirs.items()) == {"goal": "map the reef", "spent": 0, "steps.dive": "doing", "notes": []}
        assert theirs.match("steps.*") == {"steps.dive": "doing"}
        assert theirs.get_many(["goal", "steps.none"]) == {"goal": "map the reef"}
        assert theirs.where(lambda _key, value: value == "doing") == {"steps.dive": "doing"}
        assert theirs.get("steps.none", "not there") == "not there"
        assert (theirs.room, theirs.tier, theirs.status, mine.pending) == ("shared/seen", "shared", "live", 0)
        with pytest.raises(KeyError):
            _ = theirs["steps.none"]


def test_blocking_tier_without_a_class_is_a_mapping(ana: BlockingClient) -> None:
    with ana.shared("untyped") as mine:
        mine.update({"a.b": 1, "c": [1, 2]})
        del mine["c"]
        mine.setdefault("d", None)
        assert list(mine) == ["a.b", "d"]
        assert len(mine) == 2
        assert mine.pop("a.b") == 1
        mine.clear()
        assert not dict(mine)


def test_blocking_persistent_tier_needs_an_agent_and_is_there_in_its_next_life(served: Served) -> None:
    with connect_sync(served.url) as nobody, pytest.raises(StateError, match="agent"):
        nobody.persistent(Board)
    for life in (1, 2):
        with connect_sync(served.url, agent="cat") as client, client.persistent(Board) as own:
            own.synced(timeout=10)
            own.state.spent.add(1)
            own.durable(timeout=10)
            assert own.state.spent == life


def test_blocking_threads_of_two_clients_count_and_append_exactly(ana: BlockingClient, bob: BlockingClient) -> None:
    with ana.shared("threads", Board) as mine, bob.shared("threads", Board) as theirs:

        def work(team: comity.State, number: int) -> None:
            board = team
            assert isinstance(board, Board)
            for step in range(25):
                with board.transaction():
                    board.spent.add(1)
                    board.notes.append(f"{number}.{step}")

        threads = [
            threading.Thread(target=work, args=((mine, theirs)[number % 2].state, number)) for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        mine.durable(timeout=10)
        theirs.durable(timeout=10)
        until(mine, lambda: mine.state.spent == 200)
        assert sorted(mine.state.notes) == sorted(f"{number}.{step}" for number in range(8) for step in range(25))


def test_blocking_run_makes_many_edits_in_one_call(ana: BlockingClient) -> None:
    def fill(board: Board) -> int:
        for number in range(100):
            board.steps[str(number)] = "todo"
        return len(board.steps)

    with ana.shared("run", Board) as mine:
        assert mine.run(fill) == 100
        assert len(mine.state.steps) == 100


# Waiting ------------------------------------------------------------------------------------------------------------


def test_blocking_wait_ends_with_a_timeout_where_no_server_is() -> None:
    with connect_sync("ws://127.0.0.1:9", agent="ana") as client, client.shared("lonely", Board) as mine:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            mine.synced(timeout=0.1)
        assert time.monotonic() - started < 5
        assert mine.status == "offline"


def test_blocking_wait_is_ended_by_ctrl_c() -> None:
    program = """
import os, signal, threading, comity
from comity.clients.blocking.client import connect_sync
client = connect_sync("ws://127.0.0.1:9", agent="ana")
team = client.shared("lonely")
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    team.synced()
except KeyboardInterrupt:
    team["after"] = "still usable"
    print(team["after"])
"""
    ended = run_python(program)
    assert ended.stdout == "still usable\n", ended.stderr
    assert ended.returncode == 0


def test_blocking_wait_inside_a_transaction_is_refused(ana: BlockingClient) -> None:
    with ana.shared("inside", Board) as mine, mine.transaction():
        mine.state.spent.add(1)
        with pytest.raises(TransactionError, match="outside"):
            mine.durable()


def test_blocking_use_after_the_end_says_so(served: Served) -> None:
    client = connect_sync(served.url, agent="ana")
    team = client.shared("ended", Board)
    team.state.goal.set("gone soon")
    client.close()
    client.close()
    team.close()
    uses: list[Callable[[], Any]] = [
        lambda: team["goal"],
        lambda: team.state.goal.value,
        lambda: team.durable(timeout=1),
        lambda: client.shared("ended", Board),
        lambda: team.transaction().__enter__(),
    ]
    for use in uses:
        with pytest.raises(NotConnectedError, match="closed"):
            use()
    with connect_sync(served.url) as other, other.shared("ended", Board) as again:
        again.synced(timeout=10)
        assert again["goal"] == "gone soon"  # closing waited for what was under way


@pytest.mark.parametrize(
    ("kind", "twin"),
    [
        (Client, BlockingClient),
        (SharedState, BlockingShared),
        (PersistentState, BlockingPersistent),
        (SessionState, BlockingSession),
        (LocalState, BlockingLocal),
        (Past, BlockingPast),
        (History, BlockingHistory),
    ],
)
def test_blocking_twins_have_every_method_with_every_parameter(kind: type, twin: type) -> None:
    names = [name for name in dir(kind) if not name.startswith("_") and name not in ("open", "opened", "key_of")]
    assert not set(names) - set(dir(twin))
    for name in names:
        if callable(method := getattr(kind, name)):
            assert not set(signature(method).parameters) - set(signature(getattr(twin, name)).parameters), name


def test_blocking_tier_that_one_thread_closes_is_closed_before_the_client_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave, errors = threading.Event(), threading.Event(), list[BaseException]()
    saved = LocalReplica.saved

    async def saving(replica: LocalReplica) -> None:
        entered.set()
        await asyncio.to_thread(leave.wait)
        await saved(replica)

    monkeypatch.setattr(LocalReplica, "saved", saving)
    client = connect_sync("ws://127.0.0.1:1", agent="ana", directory=tmp_path)
    memory = client.local("memory")

    def close() -> None:
        try:
            memory.close()
        except StateError as error:
            errors.append(error)

    closing = threading.Thread(target=close)
    memory["goal"] = "map the reef"
    closing.start()
    assert entered.wait(5)
    others = threading.Thread(target=client.close)
    others.start()
    others.join(0.05)  # it must not get past what the other thread waits for
    assert others.is_alive()
    leave.set()
    closing.join(5)
    others.join(5)
    assert not errors
    with connect_sync("ws://127.0.0.1:1", agent="ana", directory=tmp_path) as client, client.local("memory") as memory:
        assert memory["goal"] == "map the reef"


def test_blocking_changes_of_a_closed_tier_end_at_once(ana: BlockingClient) -> None:
    with ana.shared("ended") as team:
        pass
    assert list(team.changes()) == []


def test_blocking_client_belongs_to_the_process_that_made_it(tmp_path: Path) -> None:
    program = """
import os, sys
import comity
from comity.crdt_types.errors import NotConnectedError
client = comity.connect_sync("ws://127.0.0.1:1", agent="ana", directory=sys.argv[1])
memory = client.local("memory")
told, tell = os.pipe()
stay, leave = os.pipe()
if not (child := os.fork()):
    os.close(leave)
    for use in (lambda: memory["goal"], memory.saved, memory.transaction().__enter__, lambda: client.local("other")):
        try:
            use()
        except NotConnectedError:
            os.write(1, b"refused ")
    client.close()
    os.close(tell)
    os.read(stay, 1)
    os._exit(0)
os.close(tell)
os.read(told, 1)
client.close()
with comity.connect_sync("ws://127.0.0.1:1", agent="ana", directory=sys.argv[1]) as client:
    client.local("memory")
os.write(1, b"opened anew")
os.close(leave)
os.waitpid(child, 0)
"""
    done = run_python(program, str(tmp_path))
    assert done.stdout == "refused refused refused refused opened anew", done.stderr


def test_blocking_program_that_closes_nothing_ends_and_its_edits_arrive(served: Served, tmp_path: Path) -> None:
    program = """
import sys
from comity.clients.blocking.client import connect_sync
client = connect_sync(sys.argv[1], agent="ana", directory=sys.argv[2])
team = client.shared("at-exit")
team.synced(timeout=10)
team.subscribe(print)
team["said"] = "at the very end"
left = team.transaction()
left.__enter__()
team["said"] = "in a transaction that nobody ends"
"""
    ended = run_python(program, served.url, str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    with connect_sync(served.url) as client, client.shared("at-exit") as team:
        team.synced(timeout=10)
        assert team["said"] == "at the very end"


async def test_blocking_client_works_inside_a_running_loop(tmp_path: Path) -> None:
    with Served(tmp_path) as other, connect_sync(other.url) as client, client.shared("notebook") as team:
        team["cell"] = 1
        team.durable(timeout=10)
        assert team["cell"] == 1


# Decisions and history ----------------------------------------------------------------------------------------------


def test_blocking_compare_and_set_lets_one_of_two_win(ana: BlockingClient, bob: BlockingClient) -> None:
    with ana.shared("cas", Board) as mine, bob.shared("cas", Board) as theirs:
        mine["goal"] = "start"
        mine.synced(timeout=10)
        until(theirs, lambda: "goal" in theirs)
        version = mine.version("goal")
        seen = theirs.version("goal")
        written = mine.compare_and_set("goal", "mine", expected_version=version, timeout=10)
        assert written == mine.version("goal") != version
        with pytest.raises(PreconditionError):
            theirs.compare_and_set("goal", "theirs", expected_version=seen, timeout=10)
        mine.compare_and_set("goal", ABSENT, expected_version=written, timeout=10)
        assert not mine.state.goal.is_set


def test_blocking_decisions_of_threads_each_see_the_last_one(ana: BlockingClient, bob: BlockingClient) -> None:
    def increment(board: Board) -> int:
        board.steps["n"] = str(int(board.steps.get("n", "0")) + 1)
        return int(board.steps["n"])

    with ana.shared("decide", Board) as mine, bob.shared("decide", Board) as theirs:
        mine.synced(timeout=10)
        theirs.synced(timeout=10)
        results: list[int] = []

        def work(decide: Callable[..., int]) -> None:
            results.extend(decide(increment, timeout=20) for _ in range(4))

        threads = [threading.Thread(target=work, args=(each.decide,)) for each in (mine, theirs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == list(range(1, 9))


def test_blocking_history_reads_and_goes_back(ana: BlockingClient) -> None:
    with ana.shared("past", Board) as mine:
        mine.state.goal.set("first")
        mine.durable(timeout=10)
        with mine.history(timeout=10) as history:
            history.checkpoint("before", note="good")
            mine.state.goal.set("second")
            mine.durable(timeout=10)
            assert [version.number for version in history.versions(newest_first=True)] == [2, 1]
            assert history.at("before", Board).goal == "first"
            assert [each.new for each in history.diff("before").changes] == ["second"]
            assert [entry.version for entry in history.log(field="goal")] == [1, 2]
            changed = mine.changes(timeout=10)
            assert history.restore("before").version == 3
            assert next(changed).new == "first"
            branch = history.branch("draft")
            with ana.shared(branch.room, Board) as draft:
                draft.synced(timeout=10)
                assert draft["goal"] == "first"
        found = mine.get_with_history("goal", limit=2, timeout=10)
        assert found.value == "first"
        assert [entry.version for entry in found.entries] == [2, 3]


def test_blocking_client_runs_any_asynchronous_function(ana: BlockingClient) -> None:
    async def lineage(client: comity.Client) -> list[str]:
        async with client.history("shared/any") as history:
            return [branch.name for branch in await history.branches()]

    assert ana.wait(lineage, timeout=10) == []


def test_blocking_tier_makes_managers_and_undo_usable_from_any_thread(ana: BlockingClient) -> None:
    rate = Setting("rate", int, default=10)

    async def managed(tier: Tier[SystemState]) -> SystemManager:
        return SystemManager(tier)

    with ana.shared("managed", SystemState) as tier:
        system = tier.wait(managed, timeout=10)
        system.configuration.set(rate, 20, why="more")
        assert system.configuration.get(rate) == 20
        assert [entry.why for entry in system.audit()] == ["more"]
        with system.errors.recording("here"):
            system.metrics.count("calls")
        assert system.metrics.all().counters == {"calls": 1}
    with ana.shared("undone", Board) as mine:
        undo = mine.run(UndoManager)
        mine.state.goal.set("a mistake")
        assert undo.undo()
        assert not mine.state.goal.is_set


# Events -------------------------------------------------------------------------------------------------------------


def test_blocking_callback_may_wait_and_edit(ana: BlockingClient, bob: BlockingClient) -> None:
    with ana.shared("calls", Board) as mine, bob.shared("calls", Board) as theirs:
        mine.synced(timeout=10)
        answered = theirs.changes(timeout=10)

        def answer(change: Change) -> None:
            mine.state.notes.append(f"heard {change.new}")
            mine.durable(timeout=10)

        stop = mine.subscribe(answer, name="goal", author="bob")
        mine.state.goal.set("mine")  # not bob's
        assert next(answered).new == "mine"
        theirs.state.goal.set("theirs")
        assert next(change.new for change in answered if change.field == "notes") == "heard theirs"
        stop()
        theirs.state.goal.set("unheard")
        theirs.durable(timeout=10)
        assert list(mine.state.notes) == ["heard theirs"]


def test_blocking_update_tells_what_a_transaction_changed(ana: BlockingClient) -> None:
    with ana.shared("updates", Board) as mine:
        told: SimpleQueue[tuple[dict[str, Any], dict[str, Any]]] = SimpleQueue()
        mine.state.goal.set("old")
        mine.on_update(lambda old, new: told.put((old, new)))
        with mine.transaction():
            mine.state.goal.set("new")
            mine["steps.dive"] = "todo"
        assert told.get(timeout=10) == ({"goal": "old"}, {"goal": "new", "steps.dive": "todo"})


def test_blocking_client_hears_of_all_its_tiers(ana: BlockingClient) -> None:
    told: SimpleQueue[tuple[str, str, Any]] = SimpleQueue()
    with ana.shared("one", Board) as one:
        ana.subscribe(lambda change, tier: told.put((tier.room, change.field, tier["goal"])), tier="shared")
        with ana.shared("two", Board) as two:
            one.state.goal.set("1")
            two.state.goal.set("2")
            heard = [told.get(timeout=10) for _ in range(2)]
            assert heard == [("shared/one", "goal", "1"), ("shared/two", "goal", "2")]


def test_blocking_changes_end_with_the_tier_and_after_a_time_without_any(ana: BlockingClient) -> None:
    with ana.shared("stream", Board) as mine:
        quiet, to_the_end = mine.changes(timeout=0.05), mine.changes()
        mine.state.spent.add(2)
        assert [change.new for change in quiet] == [2]
    assert [change.new for change in to_the_end] == [2]
    assert list(to_the_end) == []


def test_blocking_presence_is_that_of_the_replica(ana: BlockingClient, bob: BlockingClient) -> None:
    with ana.shared("presence", Board) as mine, bob.shared("presence", Board) as theirs:
        theirs.synced(timeout=10)
        mine.synced(timeout=10)
        arrived = threading.Event()
        theirs.replica.awareness.on_change(arrived.set)
        mine.replica.awareness.set(task="review")
        assert arrived.wait(10)
        with mine.replica.offline():
            assert mine.status == "offline"
        mine.synced(timeout=10)


# Sessions and local state -------------------------------------------------------------------------------------------


def test_blocking_session_is_renewed_and_warns_before_its_end(ana: BlockingClient) -> None:
    with ana.session("call", Board, ttl=timedelta(seconds=20)) as call:
        call.state.goal.set("talk")
        call.durable(timeout=10)
        first = call.renew(timeout=10)
        assert first is not None
        assert call.expires_at is not None
        renewed: SimpleQueue[tuple[datetime, datetime | None]] = SimpleQueue()
        call.on_ending(lambda at: renewed.put((at, call.renew(timeout=10))))
        assert call.expire_after(timedelta(seconds=1), timeout=10) is not None
        before, after = renewed.get(timeout=10)
        assert after is not None
        assert after > before
        assert call.tier == "session"


def test_blocking_local_state_is_promoted_with_its_history(served: Served, tmp_path: Path) -> None:
    with connect_sync(served.url, agent="ana", directory=tmp_path) as client:
        with client.local("memory", Board) as memory:
            memory.state.goal.set("remember")
            memory.durable(timeout=10)
            memory.state.goal.set("forget")
            memory.durable(timeout=10)
            with memory.history(timeout=10) as history:
                assert [version.number for version in history.versions()] == [1, 2]
                assert history.at(1, Board).goal == "remember"
            moved = memory.promote("promoted", timeout=10)
            assert (moved.room, moved.versions) == ("shared/promoted", 2)
        assert client.demote("shared/promoted", "again", timeout=10).versions == 2
        with client.local("again", Board) as again, client.shared("promoted", Board) as promoted:
            promoted.synced(timeout=10)
            assert again["goal"] == promoted["goal"] == "forget"


def test_blocking_loop_over_changes_ends_with_the_session(ana: BlockingClient) -> None:
    with ana.session("short", Board, ttl=timedelta(seconds=1)) as call:
        changes = call.changes(timeout=30)
        call.state.goal.set("a secret")
        with pytest.raises(ErasedError):
            list(changes)
        with pytest.raises(ErasedError):
            next(call.changes(timeout=30))


def test_blocking_client_takes_what_to_call_for_a_callback_that_is_too_slow(ana: BlockingClient) -> None:
    heard: SimpleQueue[Any] = SimpleQueue()
    stop = ana.subscribe(
        lambda change, _tier: heard.put(change), tier="shared", on_error=lambda error: heard.put(error)
    )
    with ana.shared("heard", Board) as board:
        board["goal"] = "x"
        assert heard.get(timeout=30).new == "x"
    stop()
    with pytest.raises(InvalidValueError):
        ana.subscribe(print, tier="sharde")
