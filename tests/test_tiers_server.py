"""Tiers of several agents on one server: continuity, concurrency, isolation, partitions, decisions."""

import asyncio
from pathlib import Path

import pytest

import comity
from comity import errors
from comity.clients.tiers.tier import SharedState
from tests.support.boards import NOBODY, Board, boards
from tests.support.server import in_process_server
from tests.support.waiting import eventually


async def test_compare_and_set_writes_only_what_nobody_wrote_meanwhile(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, boards(server, "ana", "ben") as (ana, ben):
        assert ana.version("goal") == ""
        version = await ana.compare_and_set("goal", "hers", expected_version="")
        assert version == ana.version("goal") != ""
        await eventually(lambda: ben.get("goal") == "hers")
        seen = ben.version("goal")
        ana["goal"] = "changed by merging"
        await ana.durable()
        with pytest.raises(errors.PreconditionError):
            await ben.compare_and_set("goal", "his", expected_version=seen)
        assert ana["goal"] == "changed by merging"
        with pytest.raises(errors.InvalidValueError):
            await ana.compare_and_set("spent", 5, expected_version=ana.version("spent"))


async def test_of_many_who_set_one_key_at_once_one_succeeds(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, boards(server, "ana", "ben", "cleo", "dan") as all_:
        found = await asyncio.gather(
            *(each.compare_and_set("goal", each.replica.agent, expected_version="") for each in all_),
            return_exceptions=True,
        )
        won = [each for each in found if isinstance(each, str)]
        assert len(won) == 1
        assert all(isinstance(each, str | errors.PreconditionError) for each in found)
        await eventually(lambda: len({each.get("goal") for each in all_}) == 1)
        assert not all_[0].state.conflicts()


async def test_decision_stands_only_if_what_it_relies_on_is_unchanged(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, boards(server, "ana", "ben") as (ana, ben):

        def sum_up(board: Board) -> int:
            board.spent.assign(len(board.tasks))
            return len(board.tasks)

        for number in range(1, 11):
            ana[f"tasks.t{number}.title"] = "Dive"
            await ana.durable()  # ben may know of it, or not yet
            assert await ben.decide(sum_up, reads=["tasks"]) == ben["spent"] == number
        await eventually(lambda: ana["spent"] == ben["spent"])
        with pytest.raises(errors.InvalidValueError, match="text"):
            await ben.decide(lambda board: board.spent.add(1), reads=["draft"])
        with pytest.raises(errors.InvalidValueError, match="text"):
            await ben.decide(lambda board: board.spent.add(1), reads=[ben.state.draft])


async def test_value_comes_with_the_versions_that_changed_it(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, boards(server, "ana") as (ana,):
        for step in ("todo", "doing", "done"):
            ana["steps.dive"] = step
            ana["steps.other"] = step
            ana["goal"] = step
            await ana.durable()
        found = await ana.get_with_history("steps.dive", limit=2)
        assert found.value == "done"
        assert [[(change.key, change.new) for change in entry.changes] for entry in found.entries] == [
            [("dive", "doing")],
            [("dive", "done")],
        ]
        assert {entry.author for entry in found.entries} == {"ana"}


async def test_row_and_text_come_with_the_versions_that_changed_them(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, boards(server, "ana") as (ana,):
        for key, value in (("tasks.t1.title", "Dive"), ("tasks.t2.title", "No"), ("tasks.t1.done", True)):
            ana[key] = value
            await ana.durable()
        ana["draft"] = "The reef"
        await ana.durable()
        row, text = await ana.get_with_history("tasks.t1"), await ana.get_with_history("draft")
        assert row.value == {"title": "Dive", "done": True}
        told = [change.field for entry in row.entries for change in entry.changes]
        assert [field for field in told if field != "tasks"] == ["tasks/t1/title", "tasks/t1/done"]
        assert (text.value, [entry.texts for entry in text.entries]) == (
            "The reef",
            [{"draft": [{"insert": "The reef"}]}],
        )
        with pytest.raises(errors.InvalidValueError):
            await ana.get_with_history("gaol")


async def test_many_agents_at_once_lose_nothing(tmp_path: Path) -> None:
    names = ("ana", "ben", "cleo", "dan")
    async with in_process_server(tmp_path) as server, boards(server, *names) as all_:

        async def work(board: SharedState[Board]) -> None:
            for number in range(20):
                board.state.spent.add(1)
                board.state.notes.append(f"{board.replica.agent} {number}")
                board[f"steps.{board.replica.agent} {number}"] = "done"
                await asyncio.sleep(0)
            await board.durable()

        await asyncio.gather(*map(work, all_))
        await eventually(lambda: all(dict(board) == dict(all_[0]) and board["spent"] == 80 for board in all_))
        assert sorted(all_[0]["notes"]) == sorted(f"{name} {number}" for name in names for number in range(20))
        assert len(all_[0].match("steps.*")) == 80


async def test_processes_of_one_agent_share_its_persistent_state(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        one, other = (comity.connect(server.url, agent="ana") for _ in range(2))
        async with one.persistent(Board) as here, other.persistent(Board) as there:
            here.state.spent.add(1)
            there.state.spent.add(2)
            await asyncio.gather(here.synced(), there.synced(), here.durable(), there.durable())
            await eventually(lambda: here["spent"] == there["spent"] == 3)


async def test_state_continues_across_the_lives_of_an_agent(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "server") as server:
        for life in range(3):
            client = comity.connect(server.url, agent="ana", directory=tmp_path / "disk" / str(life))  # a new machine
            async with client.persistent(Board) as own:
                await own.synced()
                assert own["spent"] == life
                own.state.spent.add(1)
                await own.durable()
    async with comity.connect(NOBODY, agent="ana", directory=tmp_path / "disk" / "2").persistent(Board) as own:
        assert own["spent"] == 3  # from the disk of that machine alone


async def test_agents_and_rooms_are_isolated_from_each_other(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        ana, ben = (comity.connect(server.url, agent=name) for name in ("ana", "ben"))
        async with (
            ana.persistent() as hers,
            ben.persistent() as his,
            ana.shared("one") as one,
            ben.shared("two") as two,
        ):
            hers["secret"] = one["plan"] = 1
            await asyncio.gather(hers.durable(), one.durable(), his.synced(), two.synced())
            assert (dict(his), dict(two)) == ({}, {})


async def test_both_sides_of_a_partition_merge_when_it_ends(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, boards(server, "ana", "ben") as (ana, ben):
        with ana.replica.offline():
            ana.state.spent.add(2)
            ana["steps.a"] = "hers"
            ben.state.spent.add(3)
            ben["steps.b"] = "his"
            await ben.durable()
            with pytest.raises(errors.NotConnectedError):
                await ana.compare_and_set("goal", "x", expected_version="")
        await asyncio.gather(ana.durable(), ana.synced())
        await eventually(lambda: dict(ana) == dict(ben))
        assert (ana["spent"], ana.match("steps.*")) == (5, {"steps.a": "hers", "steps.b": "his"})
