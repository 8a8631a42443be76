"""The state of a system: configuration, health, errors, metrics and the audit trail."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import comity
from comity import StateDocument
from comity.clients import asking
from comity.clients.agents.system import PartHealth, Setting, SystemManager, SystemState
from comity.clients.agents.system.audit import KEPT_ENTRIES
from comity.clients.agents.system.document import SummaryState
from comity.clients.agents.system.errorlog import KEPT_ERRORS, KEPT_GROUPS, fingerprint
from comity.clients.agents.system.metrics import observe_in, summary_of
from comity.clients.agents.system.summary import ACCURACY, UNIT, bucket_of
from comity.crdt_types.errors import InvalidValueError
from tests.support.server import in_process_server

NOWHERE = "ws://127.0.0.1:9"  # no server is there: all of this works without one
RATE = Setting("calls.rate", int, default=10)
MODE = Setting("mode", Literal["fast", "careful"], default="careful")  # type: ignore[arg-type]


@asynccontextmanager
async def manager(
    agent: str = "ana", *, keep_errors: int = KEPT_ERRORS, keep_audit: int = KEPT_ENTRIES
) -> AsyncGenerator[SystemManager]:
    async with comity.connect(NOWHERE, agent=agent) as client, client.shared("system", SystemState) as tier:
        yield SystemManager(tier, keep_errors=keep_errors, keep_audit=keep_audit)


@asynccontextmanager
async def two() -> AsyncGenerator[tuple[SystemManager, SystemManager]]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(manager("ana")), await stack.enter_async_context(manager("bob"))


def status(system: SystemManager) -> str:
    return system.health.status


def meet(*managers: SystemManager) -> None:
    """Let everybody have what the others have."""
    for one in managers:
        for other in managers:
            one.state.document.apply(other.state.document.update_since(one.state.document.state_vector()))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = round(datetime.now(UTC).timestamp() * 1000)

    def __call__(self) -> int:
        return self.ms

    def move(self, by: timedelta) -> None:
        self.ms += by // timedelta(milliseconds=1)


@asynccontextmanager
async def timed() -> AsyncGenerator[tuple[SystemManager, Clock]]:
    clock = Clock()
    async with comity.connect(NOWHERE, agent="ana") as client, client.shared("system", SystemState) as tier:
        yield SystemManager(tier, clock=clock), clock


# Configuration ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [([1], [True]), ({"on": 1}, {"on": True}), ([1], [1.0]), (0, False)])
async def test_system_setting_of_another_type_inside_is_another_value(old: object, new: object) -> None:
    async with manager() as system:
        system.configuration.set("flags", old)
        system.configuration.set("flags", new)
        system.configuration.set("flags", new)
        assert repr(system.configuration.get("flags")) == repr(new)
        assert len(system.audit()) == 2


def test_system_setting_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="setting key"):
        Setting("key", bytes, default=b"\xff")


async def test_system_setting_has_its_type_and_its_default() -> None:
    async with manager() as system:
        configuration = system.configuration
        assert configuration.get(RATE) == 10
        configuration.set(RATE, 20)
        assert configuration.get(RATE) == 20
        with pytest.raises(InvalidValueError, match=r"calls\.rate"):
            configuration.set(RATE, "many")  # type: ignore[misc]
        system.state.configuration["calls.rate"] = "by another program"
        assert configuration.get(RATE) == 10
        assert configuration.get(MODE) == "careful"
        configuration.set("free", [1, 2])
        assert configuration.get("free") == [1, 2]
        assert configuration.get("none", "fallback") == "fallback"
        assert configuration.all() == {"calls.rate": "by another program", "free": [1, 2]}


def test_system_setting_refuses_a_default_that_does_not_fit() -> None:
    with pytest.raises(InvalidValueError, match="does not fit"):
        Setting("rate", int, default="ten")


async def test_system_setting_that_is_watched_tells_old_and_new_values() -> None:
    async with two() as (ana, bob):
        told: list[tuple[int, int]] = []
        awaited: asyncio.Queue[tuple[int, int]] = asyncio.Queue()

        async def take(old: int, new: int) -> None:
            await awaited.put((old, new))

        stop = ana.configuration.watch(RATE, lambda old, new: told.append((old, new)))
        ana.configuration.watch(RATE, take)
        ana.configuration.set(RATE, 20)
        ana.configuration.set("another", 1)
        meet(ana, bob)
        bob.configuration.set(RATE, 30)
        meet(ana, bob)
        stop()
        ana.configuration.unset(RATE)
        assert told == [(10, 20), (20, 30)]
        async with asyncio.timeout(5):
            assert [await awaited.get() for _ in range(3)] == [(10, 20), (20, 30), (30, 10)]


# Audit --------------------------------------------------------------------------------------------------------------


async def test_system_changes_are_noted_with_who_what_and_why_in_the_same_update() -> None:
    async with two() as (ana, bob):
        commits: list[object] = []
        ana.state.document.on_commit(commits.append)
        ana.configuration.set(RATE, 20, why="the provider allows more")
        ana.configuration.set(RATE, 20, why="nothing changes")
        assert len(commits) == 1
        meet(ana, bob)
        bob.configuration.unset(RATE, why="too fast")
        assert not bob.configuration.unset(RATE)
        bob.health.report("search", "down", detail="no route")
        bob.health.report("search", "down", detail="still none")
        meet(ana, bob)
        noted = [(entry.by, entry.name, entry.old, entry.new, entry.why) for entry in ana.audit()]
        assert noted == [
            ("ana", "configuration.calls.rate", None, 20, "the provider allows more"),
            ("bob", "configuration.calls.rate", 20, None, "too fast"),
            ("bob", "parts.search", None, "down", "no route"),
        ]
        assert [entry.by for entry in ana.audit(name="configuration.*")] == ["ana", "bob"]
        assert [entry.name for entry in ana.audit(by="bob", name="parts.*")] == ["parts.search"]
        assert ana.audit(since=datetime.now(UTC) + timedelta(hours=1)) == []
        with pytest.raises(InvalidValueError, match="zone"):
            ana.audit(since=datetime(2026, 1, 1))  # noqa: DTZ001  # what is refused


async def test_system_change_that_fails_is_not_noted() -> None:
    async with manager() as system:
        system.configuration.set("free", 1)
        with pytest.raises(InvalidValueError):
            system.configuration.set("free", object())
        assert [entry.new for entry in system.audit()] == [1]
        assert system.configuration.get("free") == 1


async def test_system_audit_trail_keeps_the_latest() -> None:
    async with manager(keep_audit=3) as system:
        for number in range(5):
            system.configuration.set("n", number)
        assert [entry.new for entry in system.audit()] == [2, 3, 4]


async def test_system_manager_refuses_to_keep_nothing() -> None:
    for keep_errors, keep_audit in ((0, 1), (1, 0)):
        with pytest.raises(InvalidValueError, match="nothing would be kept"):
            async with manager(keep_errors=keep_errors, keep_audit=keep_audit):
                pass


# Health -------------------------------------------------------------------------------------------------------------


async def test_system_is_as_its_worst_part() -> None:
    async with manager() as system:
        assert status(system) == "unknown"
        assert system.health.part("never heard of").status == "unknown"
        system.health.report("search")
        assert status(system) == "ok"
        system.health.report("model", "degraded", detail="slow")
        assert status(system) == "degraded"
        system.health.report("voice", "down")
        assert status(system) == "down"
        assert set(system.health.parts()) == {"search", "model", "voice"}
        assert system.health.remove("voice", why="switched off")
        assert not system.health.remove("voice")
        assert status(system) == "degraded"
        with pytest.raises(InvalidValueError, match="cannot be reported"):
            system.health.report("voice", "unknown")
        with pytest.raises(InvalidValueError, match="interval"):
            system.health.report("voice", interval=timedelta(0))


async def test_system_part_that_is_not_reported_in_time_is_unknown() -> None:
    async with timed() as (system, clock):
        system.health.report("search", interval=timedelta(seconds=30))
        system.health.report("model")
        began = clock.ms
        clock.move(timedelta(seconds=30))
        assert status(system) == "ok"
        clock.move(timedelta(seconds=1))
        part = system.health.part("search")
        assert (part.status, part.since, part.checked) == ("unknown", began + 30_000, began)
        assert system.health.part("model").status == "ok"
        assert status(system) == "unknown"
        system.health.report("search", interval=timedelta(seconds=30))
        assert system.health.part("search").since == began  # it was ok all the time, as far as it was reported
        assert status(system) == "ok"


async def test_system_health_tells_of_changes_of_a_status_alone() -> None:
    async with two() as (ana, bob):
        told: list[PartHealth] = []
        ana.health.on_change(told.append)
        bob.health.report("search")
        meet(ana, bob)
        bob.health.report("search", detail="fine")
        meet(ana, bob)
        bob.health.report("search", "down", detail="gone")
        meet(ana, bob)
        assert [(part.name, part.status, part.by) for part in told] == [
            ("search", "ok", "bob"),
            ("search", "down", "bob"),
        ]


# Errors -------------------------------------------------------------------------------------------------------------


async def test_system_errors_are_grouped_by_what_they_have_in_common() -> None:
    async with two() as (ana, bob):
        for number in range(3):
            ana.errors.record(ConnectionError(f"no answer from 10.0.0.{number}"), part="search")
        meet(ana, bob)
        bob.errors.record(ConnectionError("no answer from 10.0.0.9"), part="search")
        bob.errors.record("disk full", part="store", kind="StorageError", detail="/data")
        ana.errors.record(ConnectionError("no answer from 10.0.0.7"), part="search")
        meet(ana, bob)
        first, second = ana.errors.groups()
        assert (first.count, first.kind, first.part) == (5, "ConnectionError", "search")
        assert first.message == "no answer from 10.0.0.0"
        assert (second.count, second.message) == (1, "disk full")
        assert first.first <= first.last
        assert bob.errors.groups() == ana.errors.groups()
        assert len(ana.errors.latest()) == 6
        assert [record.detail for record in ana.errors.latest(part="store")] == ["/data"]
        assert len(ana.errors.latest(2)) == 2


async def test_system_error_that_is_raised_is_recorded_and_goes_on() -> None:
    async with manager() as system:

        def fail() -> None:
            with system.errors.recording("math"):
                print(1 / 0)  # noqa: T201  # never

        with pytest.raises(ZeroDivisionError):
            fail()
        (record,) = system.errors.latest()
        assert (record.kind, record.part, record.by) == ("ZeroDivisionError", "math", "ana")
        assert record.detail.startswith("test_agents_system.py:")
        assert record.detail.endswith("in fail")


async def test_system_recording_hides_no_error_that_cannot_be_recorded(caplog: pytest.LogCaptureFixture) -> None:
    async with manager() as system:
        pass
    with pytest.raises(ZeroDivisionError), system.errors.recording("math"):
        print(1 / 0)  # noqa: T201  # never
    assert "could not be recorded" in caplog.text


async def test_system_error_log_is_bounded_and_its_groups_go_on_counting() -> None:
    async with manager(keep_errors=3) as system:
        for number in range(5):
            system.errors.record(f"attempt {number} failed")
        assert [record.message for record in system.errors.latest()] == [f"attempt {n} failed" for n in (4, 3, 2)]
        assert [group.count for group in system.errors.groups()] == [5]
        system.errors.record("x" * 10_000)
        assert len(system.errors.latest(1)[0].message) == 2_000


async def test_system_errors_that_are_old_are_forgotten() -> None:
    async with timed() as (system, clock):
        system.errors.record("long ago")
        clock.move(timedelta(days=31))
        system.errors.record("today")
        assert [record.message for record in system.errors.latest()] == ["today"]
        assert [group.message for group in system.errors.groups()] == ["today"]


async def test_system_error_groups_are_bounded() -> None:
    async with timed() as (system, clock):
        with system.tier.transaction():
            for number in range(KEPT_GROUPS):
                row = system.state.error_groups
                row[f"group {number}"] = {"last": clock.ms + number}  # type: ignore[assignment]
        clock.move(timedelta(hours=1))
        system.errors.record("one more")
        groups = system.state.error_groups
        assert len(groups) == KEPT_GROUPS
        assert "group 0" not in groups
        assert fingerprint("", "", "one more") in groups


async def test_system_errors_are_cleared_by_somebody_for_a_reason() -> None:
    async with manager() as system:
        system.errors.record("a")
        system.errors.record("b")
        assert system.errors.clear(fingerprint("", "", "a"), why="mended") == 1
        assert [group.message for group in system.errors.groups()] == ["b"]
        assert system.errors.clear(why="all well") == 1
        assert system.errors.latest() == []
        assert [(entry.old, entry.why) for entry in system.audit()] == [(1, "mended"), (1, "all well")]
        assert system.errors.clear() == 0


# Metrics ------------------------------------------------------------------------------------------------------------


async def test_system_metrics_of_agents_add_up() -> None:
    async with two() as (ana, bob):
        for system in (ana, bob):
            system.metrics.count("calls")
            system.metrics.count("tokens", 40)
            system.metrics.observe("seconds", 0.5)
        bob.metrics.count("open", -1)
        ana.metrics.gauge("load", 0.25)
        meet(ana, bob)
        bob.metrics.gauge("load", 0.75)
        meet(ana, bob)
        assert ana.metrics.counted("calls") == 2
        assert ana.metrics.measured("load") == 0.75
        assert ana.metrics.all() == bob.metrics.all()
        assert ana.metrics.all().counters == {"calls": 2, "open": -1, "tokens": 80}
        assert ana.metrics.observed("seconds").count == 2
        assert ana.metrics.observed("seconds").mean == pytest.approx(0.5)
        assert (ana.metrics.counted("none"), ana.metrics.measured("none")) == (0, None)
        assert ana.metrics.observed("none").quantile(0.5) == 0
        assert ana.metrics.remove("calls", why="renamed")
        assert not ana.metrics.remove("calls")
        assert ana.metrics.counted("calls") == 0
        assert [(entry.name, entry.why) for entry in ana.audit()] == [("metrics.calls", "renamed")]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e10])
async def test_system_summary_refuses_what_it_cannot_add_up(value: float) -> None:
    async with manager() as system:
        with pytest.raises(InvalidValueError, match="observe"):
            system.metrics.observe("seconds", value)
        assert system.metrics.all().summaries == {}


VALUES = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))


@given(st.lists(st.lists(VALUES, max_size=5), min_size=2, max_size=3))
def test_system_summary_of_agents_is_that_of_one_who_saw_it_all(parts: list[list[float]]) -> None:
    states = [SummaryState(StateDocument(agent=str(number))) for number in range(len(parts))]
    for state, values in zip(states, parts, strict=True):
        for value in values:
            observe_in(state, value)
    for state in states:
        for other in states:
            state.document.apply(other.document.update_since())
    everything = sorted(value for values in parts for value in values)
    summaries = [summary_of(state) for state in states]
    assert all(summary == summaries[0] for summary in summaries)
    found = summaries[0]
    assert found.count == len(everything)
    assert found.total == pytest.approx(sum(everything), abs=UNIT * (len(everything) + 1))
    if everything:
        assert (found.least, found.most) == (everything[0], everything[-1])
        for number, value in enumerate(everything):
            share = number / max(len(everything) - 1, 1)
            assert found.quantile(share) == pytest.approx(value, rel=ACCURACY * 1.01, abs=2e-9)


@given(VALUES, VALUES)
def test_system_summary_ranges_are_in_the_order_of_values(one: float, other: float) -> None:
    if bucket_of(one) == bucket_of(other):
        assert one == pytest.approx(other, rel=2.1 * ACCURACY, abs=2e-9)


# A server -----------------------------------------------------------------------------------------------------------


async def test_system_is_shared_through_a_server_in_one_line(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        client = comity.connect(server.url, agent="ana")
        async with SystemManager.open(client, "reef") as mine:
            mine.configuration.set(RATE, 20, why="more")
            await mine.durable()
        async with SystemManager.open(comity.connect(server.url, agent="bob"), "shared/reef") as theirs:
            await theirs.synced()
            assert theirs.configuration.get(RATE) == 20
            assert [entry.by for entry in theirs.audit()] == ["ana"]


async def test_system_times_are_by_the_servers_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with in_process_server(tmp_path) as server:
        client = comity.connect(server.url, agent="ana")
        async with client, SystemManager.open(client, "system") as system:
            monkeypatch.setattr(asking, "wall_ms", lambda: 0)  # what this machine's clock says
            system.health.report("search")
            assert system.health.part("search").checked == 0
            await system.synced()
            began = datetime.now(UTC).timestamp() * 1000
            system.health.report("search")
            assert system.health.part("search").checked == pytest.approx(began, abs=5000)
