"""Machines that agents share through a real server: each transition is decided once."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import comity
from comity import Client, Map, Register, State, StateDocument
from comity.clients.agents.machines import (
    BEGINNING,
    UPGRADE,
    Machine,
    MachineDefinition,
    MachineState,
    Step,
    Timeout,
    Transition,
    Unfinished,
)
from comity.clients.agents.machines.chart import Chart
from comity.clients.agents.machines.functions import Functions
from comity.clients.agents.machines.run import Cause
from comity.clients.agents.machines.timers import Timers
from comity.crdt_types.errors import (
    ActionFailedError,
    InvalidValueError,
    NotConnectedError,
    PreconditionError,
    SchemaError,
    TransitionRefusedError,
)
from tests.support import machine_process
from tests.support.optional import ROOT
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import DEADLINE, until

AGENTS = ("ana", "bob", "eve")
ORDER: dict[str, Any] = {
    "name": "order",
    "initial": "draft",
    "context": {"total": 0, "votes": 0},
    "states": {
        "draft": {"on": {"submit": {"target": "review", "actions": {"assign": {"total": "data.total"}}}}},
        "review": {
            "on": {
                "approve": {"target": "approved", "guard": "total < 1000", "actions": "notify"},
                "vote": {"actions": {"assign": {"votes": "votes + 1"}}},
                "reject": "draft",
            }
        },
        "approved": {"type": "final"},
    },
}
RING: dict[str, Any] = {
    "name": "ring",
    "initial": "a",
    "states": {"a": {"on": {"next": "b"}}, "b": {"on": {"next": "c"}}, "c": {"on": {"next": "a"}}},
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[ServerHere]:
    async with in_process_server(tmp_path) as server, asyncio.timeout(DEADLINE):
        yield server


@pytest.fixture
def clients(server: ServerHere) -> list[Client]:
    return [comity.connect(server.url, agent=name) for name in AGENTS]


def nothing(_transition: Transition) -> None:
    """Be an action."""


def open_order(client: Client, notify: Any = nothing, **more: Any) -> Any:
    return Machine.open(client, "order-7", ORDER, actions={"notify": notify}, **more)


async def in_step(*machines: Machine[Any]) -> None:
    """Return once all have seen as many transitions as the first."""
    wanted = machines[0].state.number.get(0)
    for machine in machines:
        await until(machine.state, partial(has_made, machine, wanted))


def has_made(machine: Machine[Any], number: int) -> bool:
    return machine.state.number.get(0) >= number


def assert_path(journal: list[Transition]) -> None:
    """Assert that each transition begins where the one before it ended."""
    assert [made.number for made in journal] == list(range(1, len(journal) + 1))
    assert all(before.target == made.source for before, made in pairwise(journal))
    assert all(before.at <= made.at for before, made in pairwise(journal))


def assert_taken(definition: dict[str, Any], journal: list[Transition]) -> None:
    """Assert that each transition leads where the definition says."""
    chart = Chart(MachineDefinition.load(definition), Functions(actions={"notify": nothing}))
    position = chart.begin(Cause("", {}, "", "", 0)).position
    assert list(position.configuration) == journal[0].target
    for made in journal[1:]:
        position = chart.advance(position, Cause(made.event, made.data, made.who, made.why, made.at)).position
        assert list(position.configuration) == made.target


async def test_machine_takes_an_event_of_several_agents_once(clients: list[Client]) -> None:
    told: list[str] = []

    async def notify(transition: Transition) -> None:
        told.append(f"{transition.who} {transition.why}")

    async with (
        open_order(clients[0], notify) as ana,
        open_order(clients[1], notify) as bob,
        open_order(clients[2], notify) as eve,
    ):
        await ana.fire("submit", total=120)
        await in_step(ana, bob, eve)
        fired = await asyncio.gather(
            *(each.fire("approve", why=f"by {each.who}") for each in (ana, bob, eve)), return_exceptions=True
        )
        (won,) = [one for one in fired if isinstance(one, Transition)]
        lost = [one for one in fired if isinstance(one, TransitionRefusedError)]
        assert len(lost) == 2
        assert {(error.by, error.configuration) for error in lost} == {(won.who, ("approved",))}
        assert told == [f"{won.who} by {won.who}"]
        await in_step(ana, bob, eve)
        for each in (ana, bob, eve):
            assert (each.configuration, each.is_finished, each.context["total"]) == ({"approved"}, True, 120)
            assert [made.event for made in each.state.journal] == [BEGINNING, "submit", "approve"]
            assert_path(list(each.state.journal))
            assert_taken(ORDER, list(each.state.journal))


async def test_machine_goes_one_step_for_each_agent_that_won_however_they_race(clients: list[Client]) -> None:
    won = lost = 0
    async with (
        Machine.open(clients[0], "ring", RING) as ana,
        Machine.open(clients[1], "ring", RING) as bob,
        Machine.open(clients[2], "ring", RING) as eve,
    ):
        for _ in range(8):
            fired = await asyncio.gather(*(each.fire("next") for each in (ana, bob, eve)), return_exceptions=True)
            assert all(isinstance(one, (Transition, TransitionRefusedError)) for one in fired), fired
            won += sum(isinstance(one, Transition) for one in fired)
            lost += sum(isinstance(one, TransitionRefusedError) for one in fired)
        await ana.tier.synced()
        journal = list(ana.state.journal)
    assert_path(journal)
    assert_taken(RING, journal)
    assert len(journal) == won + 1
    assert won >= 8
    assert lost > 0


async def test_machine_counts_every_vote(clients: list[Client]) -> None:
    async with open_order(clients[0]) as ana, open_order(clients[1]) as bob:
        await ana.fire("submit", total=5000)
        await in_step(ana, bob)
        await asyncio.gather(*(each.fire("vote") for each in (ana, bob) for _ in range(3)))
        await until(ana.state, lambda: ana.context["votes"] == 6)
        assert not ana.can("approve")
        with pytest.raises(TransitionRefusedError, match="no state takes this event now"):
            await ana.fire("approve")
        assert ana.allowed_events() == ["approve", "reject", "vote"]


async def test_machine_moves_two_regions_at_once(clients: list[Client]) -> None:
    regions = {
        name: {"initial": f"{name}1", "states": {f"{name}1": {"on": {name: f"{name}2"}}, f"{name}2": {"type": "final"}}}
        for name in ("left", "right")
    }
    both = {
        "name": "both",
        "initial": "p",
        "states": {"p": {"type": "parallel", "states": regions, "on": {"done.state.p": "end"}}, "end": {}},
    }
    async with Machine.open(clients[0], "both", both) as ana, Machine.open(clients[1], "both", both) as bob:
        await asyncio.gather(ana.fire("left"), bob.fire("right"))
        await asyncio.gather(ana.reached("end"), bob.reached("end"))
        assert_path(list(ana.state.journal))


async def test_machine_whose_winner_stops_before_its_action_is_done_leaves_it_to_people(clients: list[Client]) -> None:
    begun, told = asyncio.Event(), list[str]()

    async def endless(_transition: Transition) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with open_order(clients[1], lambda made: told.append(made.who)) as bob:
        async with open_order(clients[0], endless) as ana:
            await ana.fire("submit", total=1)
            firing = asyncio.create_task(ana.fire("approve"))
            await begun.wait()
            firing.cancel()
            await asyncio.wait([firing])
        await bob.reached("approved")
        assert bob.unfinished() == {3: Unfinished("ana", ["notify"])}
        assert told == []
        await bob.retry(3)
        assert (told, bob.unfinished()) == (["ana"], {})
        with pytest.raises(TransitionRefusedError, match="nothing of it is unfinished"):
            await bob.retry(3)


async def test_machine_whose_winner_is_killed_in_its_action_does_it_once_at_most(server: ServerHere) -> None:
    command = [sys.executable, "-m", "tests.support.machine_process", server.url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"acting\n"
    process.kill()
    await process.communicate()
    acted: list[Transition] = []
    client = comity.connect(server.url, agent="bob")
    async with Machine.open(client, machine_process.ROOM, actions={"act": acted.append}) as machine:
        assert machine.is_in("b")
        assert machine.unfinished() == {2: Unfinished("victim", ["act"])}
        assert machine.state.journal[-1].who == "victim"
    assert acted == []


async def test_machine_whose_action_fails_keeps_the_transition_and_tells_what_is_left(clients: list[Client]) -> None:
    def broken(_transition: Transition) -> None:
        raise OSError("no mail")

    async with open_order(clients[0], broken) as ana:
        await ana.fire("submit", total=1)
        with pytest.raises(ActionFailedError, match="no mail") as caught:
            await ana.fire("approve")
        assert caught.value.number == 3
        assert ana.is_in("approved")
        assert ana.unfinished() == {3: Unfinished("ana", ["notify"], "OSError('no mail')")}
        ana.dismiss(3)
        assert ana.unfinished() == {}


def late(after: float) -> dict[str, Any]:
    return {
        "name": "late",
        "initial": "waiting",
        "states": {
            "waiting": {"timeouts": [{"after": after, "event": "expire"}], "on": {"expire": "late", "done": "early"}},
            "late": {"timeouts": [{"after": after, "event": "expire"}], "on": {"expire": "over"}},
            "early": {},
            "over": {"type": "final"},
        },
    }


async def test_machine_fires_a_timeout_once_and_not_before_its_time(clients: list[Client]) -> None:
    async with Machine.open(clients[0], "late", late(0.1)) as ana, Machine.open(clients[1], "late", late(0.1)) as bob:
        await asyncio.gather(ana.reached("over"), bob.reached("over"))
        begun, first, second = journal = list(ana.state.journal)
        assert_path(journal)
        assert (first.event, first.is_timeout, first.why) == ("expire", True, "waiting timed out")
        assert first.at >= begun.at + 100
        assert second.at >= first.at + 100


async def test_machine_fires_what_is_due_when_the_next_agent_opens_it(clients: list[Client]) -> None:
    async with Machine.open(clients[0], "late", late(0.05)) as ana:
        assert [timeout.event for timeout in ana.state.timeouts.values()] == ["expire"]
    async with Machine.open(clients[1], "late") as bob:
        await bob.reached("over")
        assert [(made.event, made.who) for made in bob.state.journal][1:] == [("expire", "bob")] * 2


async def test_machine_of_an_agent_whose_clock_is_ahead_waits_for_the_servers(clients: list[Client]) -> None:
    async with Machine.open(clients[0], "late", late(0.15)) as ana:

        async def ahead() -> int:
            return await ana.tier.replica.server_time() + 3_600_000

        expire = ana._expire  # pyright: ignore[reportPrivateUsage]
        early = asyncio.create_task(Timers(ana.state, ahead, expire, ana.tier.synced).run())
        await ana.reached("late")
        early.cancel()
        await asyncio.wait([early])
        begun, expired = list(ana.state.journal)[:2]
        assert expired.at >= begun.at + 150


async def test_machine_that_fires_too_early_comes_again_when_the_server_says() -> None:
    state, done = MachineState(StateDocument(agent="ana")), asyncio.Event()
    state.timeouts["a/0"] = Timeout("a", "expire", 1000)
    tries: list[str] = []

    async def ahead() -> int:
        return 5000

    async def expire(key: str, _timeout: Timeout) -> None:
        tries.append(key)
        if len(tries) < 3:
            raise PreconditionError("it is not that late", retry_after=0.01)
        del state.timeouts[key]
        done.set()

    timers = asyncio.create_task(Timers(state, ahead, expire, done.wait).run())
    async with asyncio.timeout(DEADLINE):
        await done.wait()
    timers.cancel()
    await asyncio.wait([timers])
    assert tries == ["a/0"] * 3


async def test_machine_whose_guard_fails_leaves_that_timeout_and_goes_on(
    clients: list[Client], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_step: Step) -> bool:
        raise ZeroDivisionError

    waiting = {
        "timeouts": [{"after": 0.01, "event": "bad"}, {"after": 0.02, "event": "good"}],
        "on": {"bad": {"target": "waiting", "guard": "broken"}, "good": "over"},
    }
    definition = {"name": "two", "initial": "waiting", "states": {"waiting": waiting, "over": {}}}
    async with Machine.open(clients[0], "two", definition, guards={"broken": broken}) as ana:
        await ana.reached("over")
        assert "the timeout waiting/0 failed" in caplog.text
        assert [made.event for made in ana.state.journal] == [BEGINNING, "good"]


async def test_machine_goes_on_from_its_own_actions(clients: list[Client]) -> None:
    job = {
        "name": "job",
        "initial": "idle",
        "states": {"idle": {"on": {"start": "busy"}}, "busy": {"entry": "work", "on": {"done": "idle"}}},
    }

    async def work(transition: Transition) -> None:
        await machine.fire("done", after=transition.number)

    async with Machine.open(clients[0], "job", job, actions={"work": work}) as machine:
        await machine.fire("start")
        made = [(made.event, made.data) for made in machine.state.journal]
        assert made[1:] == [("start", {}), ("done", {"after": 2})]
        assert machine.is_in("idle")
        assert machine.unfinished() == {}


async def test_machine_takes_back_a_timeout_when_its_state_is_left(clients: list[Client]) -> None:
    async with Machine.open(clients[0], "late", late(0.3)) as ana:
        await ana.fire("done")
        assert ana.state.timeouts == {}
        assert ana.is_in("early")


async def test_machine_without_a_server_refuses_and_can_still_be_read(clients: list[Client]) -> None:
    async with Machine.open(clients[0], "late", late(0.2)) as ana:
        with ana.tier.replica.offline():
            with pytest.raises(NotConnectedError):
                await ana.fire("done")
            assert ana.is_in("waiting")
            assert ana.can("done")
        await ana.reached("over")


async def test_machine_of_one_agent_needs_no_server(tmp_path: Path) -> None:
    client = comity.connect("ws://127.0.0.1:9", agent="ana", directory=tmp_path)
    async with client.local("late", MachineState) as tier, Machine(tier, late(0.02)) as machine:
        await machine.reached("over")
    async with client.local("ring", MachineState) as tier, Machine(tier, RING) as machine:
        await machine.fire("next")
    async with client.local("ring", MachineState) as tier, Machine(tier) as machine:
        assert machine.is_in("b")
        assert_path(list(machine.state.journal))


async def test_machine_that_is_another_is_refused_or_upgraded(clients: list[Client]) -> None:
    renamed = {**ORDER, "states": {**ORDER["states"], "review": {**ORDER["states"]["review"], "entry": "notify"}}}
    async with open_order(clients[0]) as ana:
        await ana.fire("submit", total=1)
        with pytest.raises(SchemaError, match="holds another definition"):
            async with Machine.open(clients[1], "order-7", renamed, actions={"notify": nothing}):
                pass
        async with Machine.open(clients[1], "order-7", renamed, actions={"notify": nothing}, upgrade={}) as bob:
            assert bob.is_in("review")
            assert bob.state.journal[-1].event == UPGRADE
            await in_step(bob, ana)
            with pytest.raises(SchemaError, match="holds another definition"):
                await ana.fire("approve")
            await bob.fire("approve")
            async with Machine.open(clients[2], "order-7", actions={"notify": nothing}) as eve:
                assert eve.definition == bob.definition
                assert eve.is_finished


async def test_machine_without_a_definition_anywhere_is_refused(clients: list[Client]) -> None:
    with pytest.raises(SchemaError, match="there is no machine"):
        async with Machine.open(clients[0], "nothing"):
            pass


async def test_machine_that_is_not_open_or_not_one_says_so(clients: list[Client]) -> None:
    async with clients[0].shared("other", Project) as tier:
        with pytest.raises(SchemaError, match="Project is no MachineState"):
            Machine(tier, RING)
        with pytest.raises(InvalidValueError, match="the machine is not open"):
            await Machine(tier, RING, select=lambda project: project.ring).fire("next")
        async with Machine(tier, RING, select=lambda project: project.ring) as ring:
            with pytest.raises(InvalidValueError, match="no event 'nxt'"):
                await ring.fire("nxt")
            with pytest.raises(InvalidValueError, match="no state 'd'"):
                await ring.reached("d")


class Project(State):
    title: Register[str]
    ring: MachineState
    reviews: Map[MachineState]


async def test_machines_in_one_room_do_not_stand_in_each_others_way(clients: list[Client]) -> None:
    def review(project: Project) -> MachineState:
        return project.reviews.setdefault("r1", MachineState())

    async with clients[0].shared("project", Project) as here, clients[1].shared("project", Project) as there:
        here.state.title.set("Comity")
        async with (
            Machine(here, RING, select=lambda project: project.ring) as ring,
            Machine(there, ORDER, select=review, actions={"notify": nothing}) as order,
        ):
            heard: list[str] = []
            order.on_transition(lambda made: heard.append(made.event))
            for event in ("submit", "reject") * 2:
                await asyncio.gather(ring.fire("next"), order.fire(event, total=3))
            assert heard == ["submit", "reject"] * 2
            await until(there.state, lambda: there.state.ring.number.value == 5)
            assert there.state.ring.is_in("b")
            assert_path(list(there.state.ring.journal))


async def test_machine_tells_of_every_transition_whoever_makes_it(clients: list[Client]) -> None:
    heard: list[tuple[str, str]] = []
    third = asyncio.Event()

    async def listen(made: Transition) -> None:
        await asyncio.sleep(0)
        heard.append((made.event, made.who))
        if len(heard) == 2:
            third.set()

    def broken(_made: Transition) -> None:
        raise RuntimeError("a listener of no use")

    async with open_order(clients[0]) as ana, open_order(clients[1]) as bob:
        bob.on_transition(broken)
        stop = bob.on_transition(listen)
        await bob.fire("submit", total=1)
        await in_step(bob, ana)
        await ana.fire("reject")
        await third.wait()
        assert heard == [("submit", "bob"), ("reject", "ana")]
        stop()
        await in_step(ana, bob)
        await bob.fire("submit", total=1)
        assert len(heard) == 2


async def test_machine_can_be_watched_without_functions(clients: list[Client]) -> None:
    seen: list[Transition] = []
    async with open_order(clients[0]) as ana, clients[1].shared("order-7", MachineState) as watched:
        await watched.synced()
        watched.state.on_transition(seen.append)
        made = await ana.fire("submit", total=1)
        await until(watched.state, lambda: watched.state.is_in("review"))
        assert seen == [made]
