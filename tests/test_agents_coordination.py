"""Agents that share providers: quotas that hold, requests that are tracked, failures that everybody knows of."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import comity
from comity import errors
from comity.clients.agents.coordination import health, quotas, tracking
from comity.clients.agents.coordination.coordinator import ApiCoordinator
from comity.clients.agents.coordination.document import Condition, RequestStatus
from comity.clients.agents.coordination.quotas import Offline
from comity.clients.agents.coordination.tracking import KEPT, PRUNED, Totals
from comity.clients.agents.coordination.turn import Turn
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@asynccontextmanager
async def coordinators(
    server: ServerHere, *agents: str, room: str = "apis", offline: Offline = "refuse", breaker: int = 5
) -> AsyncGenerator[list[ApiCoordinator]]:
    async with AsyncExitStack() as stack:
        found = []
        for agent in agents:
            client = await stack.enter_async_context(comity.connect(server.url, agent=agent))
            found.append(
                await stack.enter_async_context(ApiCoordinator.open(client, room, offline=offline, breaker=breaker))
            )
        await asyncio.gather(*(each.tier.synced() for each in found))
        yield found


async def settled(*all_: ApiCoordinator) -> None:
    """Wait until all of them know the same."""
    await asyncio.gather(*(each.tier.durable() for each in all_))
    first = all_[0]
    await eventually(lambda: all(each.state.to_json() == first.state.to_json() for each in all_))


async def test_quota_is_never_exceeded_by_agents_that_ask_at_the_same_time(tmp_path: Path) -> None:
    capacity, per = 20, timedelta(milliseconds=400)
    taken: list[tuple[float, float, int]] = []
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben", "cleo", "dan") as agents:
        agents[0].limit("openai", "tokens", capacity, per=per)
        await settled(*agents)

        async def work(agent: ApiCoordinator, amount: int) -> None:
            for _ in range(5):
                asked = time.monotonic()
                grant = await agent.acquire("openai", {"tokens": amount})
                assert grant.certain
                taken.append((asked, time.monotonic(), amount))

        await asyncio.gather(*(work(agent, 1 + number) for number, agent in enumerate(agents)))
        await settled(*agents)
        total = sum(amount for _, _, amount in taken)
        assert total == 50
        assert {agent.quota("openai", "tokens").granted for agent in agents} == {total}
        assert agents[0].quota("openai", "tokens").overdrawn == 0
    # Each was granted between two moments that are known: in no window was there more than the quota, even if all those
    # that may lie in it do, up to the time that the decisions themselves took.
    for begin, _, _ in taken:
        for _, end, _ in taken:
            inside = sum(amount for asked, had, amount in taken if asked >= begin and had <= end)
            assert inside <= capacity + capacity * max(end - begin, 0) / per.total_seconds() + 1


async def test_quota_that_is_used_up_says_when_there_is_more(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben") as (ana, ben):
        ana.limit("openai", "tokens", 100, per=HOUR)
        await settled(ana, ben)
        await ana.acquire("openai", {"tokens": 90})
        with pytest.raises(errors.TooFastError) as raised:
            await ben.acquire("openai", {"tokens": 46}, max_wait=0.1)
        assert raised.value.limit == "tokens"
        assert raised.value.retry_after == pytest.approx(36 * 36, rel=0.01)
        assert (await ben.acquire("openai", {"tokens": 10}, max_wait=0)).amounts == {"tokens": 10}


async def test_request_waits_no_longer_than_asked_behind_another_of_its_agent(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "tokens", 10, per=timedelta(seconds=1))
        await ana.acquire("openai", {"tokens": 10})
        patient = asyncio.create_task(ana.acquire("openai", {"tokens": 10}, max_wait=60))
        await asyncio.sleep(0)  # it asks first
        with pytest.raises(errors.TooFastError):
            async with asyncio.timeout(0.8):
                await ana.acquire("openai", {"tokens": 1}, max_wait=0.05)
        patient.cancel()


async def test_numbers_and_ways_that_cannot_be_are_refused(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "tokens", 10, per=HOUR)
        for refused in (
            lambda: ana.limit("openai", "tokens", 1.5, per=HOUR),  # type: ignore[arg-type]
            lambda: ana.limit("openai", "tokens", 10, per=60),  # type: ignore[arg-type]
            lambda: ApiCoordinator(ana.tier, offline="sharing"),  # type: ignore[arg-type]
        ):
            with pytest.raises(errors.InvalidValueError):
                refused()
        with pytest.raises(errors.InvalidValueError):
            await ana.acquire("openai", {"tokens": 1.5})  # type: ignore[dict-item]
        assert ana.quota("openai", "tokens").limit.capacity == 10


async def test_quotas_are_taken_all_or_none(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "tokens", 100, per=HOUR)
        ana.limit("openai", "requests", 1, per=HOUR)
        await ana.acquire("openai", {"tokens": 10, "requests": 1})
        with pytest.raises(errors.TooFastError):
            await ana.acquire("openai", {"tokens": 10, "requests": 1}, max_wait=0)
        assert ana.quota("openai", "tokens").granted == 10


@pytest.mark.parametrize("amounts", [{"tokens": 101}, {"tokens": 0}, {"tokens": -1}, {"words": 1}])
async def test_amount_that_never_can_be_is_refused_at_once(tmp_path: Path, amounts: dict[str, int]) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "tokens", 100, per=HOUR)
        with pytest.raises(errors.InvalidValueError):
            await ana.acquire("openai", amounts)
        assert ana.quota("openai", "tokens").granted == 0


async def test_batch_is_spent_without_asking_and_its_rest_given_back(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben") as (ana, ben):
        ana.limit("openai", "tokens", 100, per=HOUR, batch=50)
        await settled(ana, ben)
        await ana.acquire("openai", {"tokens": 5})
        assert ana.quota("openai", "tokens").granted == 50
        with ana.tier.replica.offline():
            assert (await ana.acquire("openai", {"tokens": 5})).certain
        await ben.acquire("openai", {"tokens": 1})
        await ana.tier.synced()
        await eventually(lambda: ben.quota("openai", "tokens").granted <= 60)
    async with in_process_server(tmp_path) as server, coordinators(server, "cleo") as (cleo,):
        assert cleo.quota("openai", "tokens").granted == 11


async def test_requests_at_once_are_given_back_when_they_end(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben", "cleo") as agents:
        agents[0].limit("openai", "at once", 2, per=None)
        await settled(*agents)
        most = now = 0

        async def work(agent: ApiCoordinator) -> None:
            nonlocal most, now
            for _ in range(3):
                async with agent.request("openai", take={"at once": 1}):
                    now += 1
                    most = max(most, now)
                    await asyncio.sleep(0)
                    now -= 1

        await asyncio.gather(*map(work, agents))
        await settled(*agents)
        assert most <= 2
        assert agents[0].quota("openai", "at once").available == 2
        with pytest.raises(errors.InvalidValueError, match="when a request ends"):
            await agents[0].acquire("openai", {"at once": 1})


async def test_requests_are_tracked_with_what_they_took(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben") as (ana, ben):
        async with ana.request("openai", kind="chat") as request:
            await settled(ana, ben)
            assert [record.status for record in ben.requests("openai")] == [RequestStatus.RUNNING]
            request.ok(tokens=120, cost=3)
        with pytest.raises(ValueError, match="no such model"):
            async with ben.request("openai", kind="chat"):
                raise ValueError("no such model")
        with pytest.raises(TimeoutError):
            async with ben.request("search"):
                raise TimeoutError
        await settled(ana, ben)
        found = [(each.agent, each.status, each.tokens, each.error) for each in ana.requests()]
        assert found == [
            ("ana", RequestStatus.OK, 120, ""),
            ("ben", RequestStatus.FAILED, 0, "ValueError: no such model"),
            ("ben", RequestStatus.TIMED_OUT, 0, "TimeoutError: "),
        ]
        assert ana.usage("openai") == Totals(2, 1, 120, 3)
        assert ana.usage(agent="ben") == Totals(2, 2, 0, 0)
        assert all(each.started <= (each.ended or 0) for each in ana.requests())


async def test_request_that_is_cancelled_says_nothing_of_the_provider(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "at once", 1, per=None)
        began = asyncio.Event()

        async def ask() -> None:
            async with ana.request("openai", take={"at once": 1}):
                began.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(ask())
        await began.wait()
        task.cancel()
        await asyncio.wait([task])
        (record,) = ana.requests()
        assert record.status is RequestStatus.ABANDONED
        assert ana.status("openai").condition is Condition.UNKNOWN
        assert ana.quota("openai", "at once").available == 1


async def test_requests_of_an_agent_that_is_gone_are_abandoned_once(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben", "cleo") as (ana, ben, cleo):
        ana.limit("openai", "at once", 1, per=None)
        await settled(ana, ben, cleo)
        begun = ana.request("openai", take={"at once": 1}, lasts=timedelta(milliseconds=1))
        await begun.__aenter__()  # and never ends
        await settled(ana, ben, cleo)
        await eventually(lambda: cleo.requests()[0].until < time.time_ns() // 1_000_000 - 50)
        swept = await asyncio.gather(ben.sweep(), cleo.sweep())
        assert sorted(map(len, swept)) == [0, 1]
        await settled(ana, ben, cleo)
        assert ana.requests()[0].status is RequestStatus.ABANDONED
        assert ana.quota("openai", "at once").available == 1


async def test_provider_that_fails_is_down_and_one_agent_finds_out_whether_it_is_up(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben", breaker=2) as (ana, ben):
        for _ in range(2):
            async with ana.request("openai") as request:
                request.fail("overloaded", retry_after=0)
        await settled(ana, ben)
        assert ben.status("openai").condition is Condition.DOWN
        async with ben.request("openai") as probe:
            await settled(ana, ben)
            with pytest.raises(errors.TooFastError):
                async with ana.request("openai", max_wait=0):
                    raise AssertionError("two probes")
            probe.ok()
        await settled(ana, ben)
        assert ana.status("openai").condition is Condition.UP
        async with ana.request("openai"), ben.request("openai"):
            pass


async def test_pause_that_a_provider_asks_for_is_kept_by_everybody(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben") as (ana, ben):
        ana.observed("openai", {"Retry-After": "60"})
        ana.limited("openai", 1)  # no shorter
        ana.observed("search", {"Content-Type": "text/html"})
        await settled(ana, ben)
        assert ben.backoff("openai") == pytest.approx(60, abs=5)
        assert ben.backoff("search") == 0
        with pytest.raises(errors.TooFastError) as raised:
            async with ben.request("openai", max_wait=0.5):
                raise AssertionError("it was asked")
        assert raised.value.retry_after == pytest.approx(60, abs=5)


async def test_without_a_connection_nothing_is_granted(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "tokens", 100, per=HOUR)
        await ana.acquire("openai", {"tokens": 1})
        with ana.tier.replica.offline(), pytest.raises(errors.NotConnectedError):
            await ana.acquire("openai", {"tokens": 1})


async def test_without_a_connection_a_share_is_granted_and_shows_afterwards(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        coordinators(server, "ana", "ben", offline="share") as (ana, ben),
    ):
        ana.limit("openai", "tokens", 100, per=HOUR)
        await settled(ana, ben)
        with ana.tier.replica.offline(), ben.tier.replica.offline():
            for agent in (ana, ben):
                grant = await agent.acquire("openai", {"tokens": 50}, max_wait=0)
                assert not grant.certain
                with pytest.raises((errors.TooFastError, errors.NotConnectedError)):
                    await agent.acquire("openai", {"tokens": 10}, max_wait=0)
        await settled(ana, ben)
        assert (ana.quota("openai", "tokens").available, ana.quota("openai", "tokens").overdrawn) == (0, 0)


async def test_what_was_granted_on_both_sides_of_a_partition_is_overdrawn(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        coordinators(server, "ana", "ben", offline="share") as (ana, ben),
    ):
        ana.limit("openai", "tokens", 100, per=HOUR)
        await settled(ana, ben)
        with ana.tier.replica.offline():
            await ana.acquire("openai", {"tokens": 50})
            await ben.acquire("openai", {"tokens": 100})
        await settled(ana, ben)
        assert ana.quota("openai", "tokens").overdrawn == 50
        with pytest.raises(errors.TooFastError):
            await ben.acquire("openai", {"tokens": 1}, max_wait=0)


async def test_records_of_requests_are_bounded_and_totals_stay(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        async with ana.request("openai"):
            pass
        (record,) = ana.requests()
        with ana.tier.transaction():
            for number in range(KEPT + PRUNED):
                ana.state.requests[f"{number:08}"] = replace(record, id=f"{number:08}")
        async with ana.request("openai"):
            pass
        assert len(ana.requests()) == KEPT
        assert ana.usage().requests == 2


async def test_place_that_is_given_back_twice_is_given_back_once(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben") as (ana, ben):
        ana.limit("openai", "at once", 1, per=None)
        await settled(ana, ben)
        async with ana.request("openai", take={"at once": 1}, lasts=timedelta(milliseconds=1)) as request:
            await settled(ana, ben)
            with ana.tier.replica.offline():
                await eventually(lambda: ben.requests()[0].until < time.time_ns() // 1_000_000 - 50)
                assert len(await ben.sweep()) == 1
                request.ok(tokens=7)
                await ben.tier.durable()
        await ana.tier.synced()
        await settled(ana, ben)
        assert ben.quota("openai", "at once").available == 1
        assert ben.quota("openai", "at once").granted == 0
        assert ben.usage() == Totals(1, 0, 7, 0)


async def test_request_that_is_cancelled_while_it_begins_holds_nothing(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "at once", 1, per=None)
        ana.limit("openai", "tokens", 1000, per=HOUR)

        async def ask() -> None:
            async with ana.request("openai", take={"at once": 1, "tokens": 10}):
                await asyncio.Event().wait()

        for loops in range(40):  # at every step of it
            task = asyncio.create_task(ask())
            for _ in range(loops):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            async with ana.request("openai", take={"at once": 1}, max_wait=2) as request:  # after what was cancelled
                assert ana.requests(status=RequestStatus.RUNNING) == [request.record]
            assert ana.quota("openai", "at once").available == 1
            cancelled = ana.requests(status=RequestStatus.ABANDONED)  # those that had begun
            assert ana.quota("openai", "tokens").granted == 10 * len(cancelled)


async def test_request_that_finds_out_and_is_cancelled_leaves_that_to_another(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben", breaker=1) as (ana, ben):
        async with ana.request("openai") as request:
            request.fail("overloaded", retry_after=0)
        began = asyncio.Event()

        async def ask() -> None:
            async with ana.request("openai"):
                began.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(ask())
        await began.wait()
        task.cancel()
        await asyncio.wait([task])
        await settled(ana, ben)
        async with ben.request("openai", max_wait=0):
            pass


async def test_request_does_not_wait_for_those_that_want_other_quotas(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "slow", 1, per=HOUR)
        ana.limit("openai", "fast", 100, per=HOUR)
        await ana.acquire("openai", {"slow": 1})
        waiting = asyncio.create_task(ana.acquire("openai", {"slow": 1}, max_wait=7200))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await ana.acquire("openai", {"fast": 1}, max_wait=0)
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_turn_that_comes_too_late_is_refused_at_once() -> None:
    turn = Turn()
    async with turn.taken("openai", time.monotonic()):
        turn.free_at = time.monotonic() + 3600
        with pytest.raises(errors.TooFastError) as raised:
            async with turn.taken("openai", time.monotonic() + 60):
                raise AssertionError("it was taken twice")
        assert raised.value.retry_after == pytest.approx(3600, rel=0.01)
    async with turn.taken("openai", time.monotonic()):
        pass


async def test_records_are_pruned_of_requests_that_give_back_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "KEPT", 3)
    monkeypatch.setattr(tracking, "PRUNED", 2)
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "at once", 1, per=None)
        for _ in range(9):
            async with ana.request("openai", take={"at once": 1}):
                pass
        assert len(ana.requests()) <= 5


async def test_quota_that_is_not_here_yet_is_waited_for(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        ana.limit("openai", "tokens", 100, per=HOUR)
        await ana.tier.durable()
        async with comity.connect(server.url, agent="ben") as client, ApiCoordinator.open(client, "apis") as ben:
            assert (await ben.acquire("openai", {"tokens": 1})).certain


async def test_share_is_taken_of_all_quotas_or_none(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", offline="share") as (ana,):
        ana.limit("openai", "tokens", 100, per=HOUR)
        ana.limit("openai", "requests", 1, per=timedelta(milliseconds=200))
        await ana.acquire("openai", {"tokens": 1, "requests": 1})
        with ana.tier.replica.offline():
            for _ in range(4):
                await ana.acquire("openai", {"tokens": 20, "requests": 1}, max_wait=2)


@pytest.mark.parametrize("amounts", [{"tokens": -1}, {"cost": -1}, {"tokens": 1.5}])
async def test_end_that_makes_no_sense_is_refused_at_once(tmp_path: Path, amounts: dict[str, int]) -> None:
    async with in_process_server(tmp_path) as server, coordinators(server, "ana") as (ana,):
        async with ana.request("openai") as request:
            with pytest.raises(errors.InvalidValueError):
                request.ok(**amounts)
            with pytest.raises(errors.InvalidValueError):
                request.fail("overloaded", **amounts)
            with pytest.raises(errors.InvalidValueError):
                request.fail("overloaded", retry_after=float("inf"))
        assert ana.requests()[0].status is RequestStatus.OK


@pytest.mark.parametrize("header", ["9" * 400, "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_pause_of_more_than_a_day_is_a_day(header: str) -> None:
    assert health.retry_after({"Retry-After": header}, 0) == 86_400


async def test_place_that_is_given_back_is_had_at_once_by_whoever_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "HELD_SECONDS", 60.0)
    async with in_process_server(tmp_path) as server, coordinators(server, "ana", "ben") as (ana, ben):
        ana.limit("openai", "at once", 1, per=None)
        await settled(ana, ben)
        async with asyncio.timeout(10):
            async with ana.request("openai", take={"at once": 1}):
                await settled(ana, ben)
                waiting = asyncio.create_task(ben.request("openai", take={"at once": 1}, max_wait=90).__aenter__())
                await asyncio.sleep(0.05)
                assert not waiting.done()
            assert (await waiting).grant.certain
