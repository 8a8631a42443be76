"""The commands that ask a running server about the history of a room, each a process of its own."""

import asyncio
import json
import os
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

import comity
from comity import Counter, List, Log, Map, ORSet, Register, State, StateDocument, Text
from comity.__main__ import app
from comity.clients.commands.contents import contents
from comity.clients.commands.options import moment
from comity.clients.commands.output import plain, printable
from comity.crdt_types import ABSENT
from comity.crdt_types.history.blame import Credit
from tests.support.optional import ROOT
from tests.support.server import running_server

PLAN = "shared/plan"


class Task(State):
    title: Register[str]


class Plan(State):
    goal: Register[Any]
    spent: Counter
    steps: Map[Any]
    tags: ORSet[str]
    days: List[str]
    log: Log[str]
    body: Text
    tasks: Map[Task]


class Said(NamedTuple):
    """What a command said, and how it ended."""

    exit_code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """Its output, read as JSON."""
        return json.loads(self.output)

    @property
    def cells(self) -> list[list[str]]:
        """Its output, read as a table."""
        return [line.split() for line in self.output.splitlines()]


# The runner takes over the standard output of this process.
_OUTPUT = threading.Lock()


def _invoked(environment: dict[str, str], arguments: tuple[str, ...]) -> Said:
    with _OUTPUT:
        done = CliRunner(env=environment).invoke(app, list(arguments))
    return Said(done.exit_code, done.stdout, done.stderr)


class Terminal(NamedTuple):
    """Where commands are typed that ask one server."""

    url: str

    async def run(self, *arguments: str) -> Said:
        """Run a command to its end, in a thread of this process: starting one takes longer than most commands."""
        return await asyncio.to_thread(_invoked, {"COMITY_URL": self.url, "COMITY_AGENT": "dee"}, arguments)

    async def run_apart(self, *arguments: str) -> Said:
        """Run a command to its end, in a process of its own."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "comity", *arguments),
            cwd=ROOT,
            env={**os.environ, "COMITY_URL": self.url, "COMITY_AGENT": "dee"},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode is not None
        return Said(process.returncode, output.decode(), errors.decode())

    async def done(self, *arguments: str) -> Said:
        """Run a command that must succeed."""
        said = await self.run(*arguments)
        assert (said.exit_code, said.errors) == (0, "")
        return said


@asynccontextmanager
async def terminal(tmp_path: Path) -> AsyncGenerator[Terminal]:
    """Serve a room with four versions while the context lasts."""
    async with running_server(tmp_path) as server:
        for agent, goal in (("ana", "one"), ("bo", "[red]two[/]"), ("ana", "three"), ("bo", "four")):
            async with comity.connect(server.url, agent=agent).open(PLAN, Plan) as plan:
                await plan.synced()
                with plan.transaction():
                    plan.goal.set(goal)
                    plan.body.append(f"{goal} ")
                    plan.spent.add(1)
                await plan.durable()
        yield Terminal(server.url)


async def test_commands_tell_of_the_history_of_a_room(tmp_path: Path) -> None:
    async with terminal(tmp_path) as here:
        made = await here.done("checkpoint", "create", PLAN, "half", "--at", "2", "--kind", "milestone", "--json")
        assert (made.json["version"], made.json["kind"], made.json["author"]) == (2, "milestone", "dee")
        commands = (
            ("history", PLAN),
            ("history", PLAN, "--limit", "2", "--json"),
            ("show", PLAN, "half", "--json"),
            ("show", PLAN, "4"),
            ("diff", PLAN, "half", "--json"),
            ("diff", PLAN, "1", "2"),
            ("log", PLAN, "--author", "bo", "--json"),
            ("log", PLAN, "--field", "goal", "--since", "2", "--until", "3"),
            ("blame", PLAN, "--json"),
            ("blame", PLAN, "--at", "half"),
            ("checkpoint", "list", PLAN),
        )
        listed, newest, then, now, diff, changed, log, goals, blame, before, names = await asyncio.gather(
            *(here.done(*command) for command in commands)
        )
        assert [line[0] for line in listed.cells] == ["version", "4", "3", "2", "1"]
        assert listed.cells[3][3:] == ["bo", listed.cells[3][4], "half"]
        assert [(each["number"], each["author"]) for each in newest.json] == [(4, "bo"), (3, "ana")]
        assert then.json == {"body": "one [red]two[/] ", "goal": "[red]two[/]", "spent": 2}
        assert now.json["goal"] == "four"
        assert len(now.output.splitlines()) == 5
        assert [(each["field"], each["old"], each["new"]) for each in diff.json["changes"]] == [
            ("goal", "[red]two[/]", "four"),
            ("spent", 2, 4),
        ]
        assert diff.json["texts"] == {"body": [{"retain": 16}, {"insert": "three four "}]}
        assert ["goal", "modified", '"one"', '"[red]two[/]"', "bo"] in changed.cells
        entries = [json.loads(line) for line in log.output.splitlines()]
        assert [(entry["version"], entry["author"]) for entry in entries] == [(2, "bo"), (4, "bo")]
        assert [line.split()[:2] for line in goals.output.splitlines()] == [["version", "3"], ["goal:", "modified,"]]
        (cell,) = (cell for cell in blame.json["cells"] if cell["field"] == "goal")
        assert (cell["credit"]["author"], cell["credit"]["version"]) == ("bo", 4)
        assert before.cells[-1][:4] == ["body", "4-16", "bo", "2"]
        assert names.cells[1][:4] == ["half", "2", "milestone", "dee"]
        assert (await here.done("log", PLAN, "--author", "nobody")).output == "no changes\n"
        assert (await here.done("log", PLAN, "--author", "nobody", "--json")).output == ""


async def test_commands_go_back_and_say_what_they_did(tmp_path: Path) -> None:
    async with terminal(tmp_path) as here:
        await here.done("checkpoint", "create", PLAN, "first", "--at", "1", "--note", "a note")
        back = await here.done("checkpoint", "restore", PLAN, "first", "--json")
        assert back.json["version"] == 5
        assert {change["field"] for change in back.json["changes"]} == {"goal", "spent", "body"}
        undone = await here.done("rollback", PLAN, "--version", "5")
        assert undone.output.splitlines()[0] == "version 6"
        four, six, same = await asyncio.gather(
            here.done("show", PLAN, "4"), here.done("show", PLAN, "6"), here.done("diff", PLAN, "6", "6")
        )
        assert (four, same.output) == (six, "no differences\n")
        rolled = await here.done("rollback", PLAN, "--author", "bo", "--until", "2", "--json")
        assert (rolled.json["version"], [kept["field"] for kept in rolled.json["kept"]]) == (7, ["goal"])
        told = await here.done("rollback", PLAN, "--author", "ana", "--field", "goal")
        assert "left alone: goal, written since by dee" in told.output
        assert (await here.done("checkpoint", "delete", PLAN, "first")).output == "deleted\n"
        assert (await here.done("checkpoint", "list", PLAN)).output == "no checkpoints\n"


async def test_commands_make_branches_and_bring_them_back(tmp_path: Path) -> None:
    async with terminal(tmp_path) as here:
        made = await here.done("branch", "create", PLAN, "draft", "--at", "3", "--json")
        room = made.json["room"]
        async with comity.connect(here.url, agent="cy").open(room, Plan) as draft:
            await draft.synced()
            draft.goal.set("drafted")
            draft.tags.add("new")
            await draft.durable()
        listed, differs, planned = await asyncio.gather(
            here.done("branch", "list", PLAN, "--json"),
            here.done("branch", "diff", PLAN, "draft"),
            here.done("branch", "merge", PLAN, "draft", "--dry-run", "--json"),
        )
        assert [(each["name"], each["room"], each["version"]) for each in listed.json] == [("draft", room, 3)]
        assert ["goal", "modified", '"four"', '"drafted"', "cy"] in differs.cells
        assert (planned.json["version"], len(planned.json["conflicts"])) == (None, 1)
        merged = await here.done("branch", "merge", PLAN, "draft")
        assert merged.output.splitlines()[0] == "version 5"
        assert merged.output.splitlines()[-1].startswith("in dispute: goal: ")
        assert {'"drafted" by cy', '"four" by bo'} == set(merged.output.splitlines()[-1][18:].split(", "))
        assert (await here.done("branch", "delete", PLAN, "draft")).output == "deleted\n"


async def test_commands_erase_a_room_if_somebody_means_it(tmp_path: Path) -> None:
    async with terminal(tmp_path) as here:
        asked = await here.run("erase", PLAN)
        assert asked.exit_code == 1
        assert "Erase room shared/plan" in asked.errors
        assert len((await here.done("history", PLAN, "--json")).json) == 4
        erased = await here.done("erase", PLAN, "--yes")
        assert erased.cells[1][:2] == [PLAN, "4"]
        assert (await here.done("history", PLAN)).output == "no versions\n"


async def test_commands_say_in_one_line_what_went_wrong(tmp_path: Path) -> None:
    async with terminal(tmp_path) as here:
        wrong = (
            ("show", PLAN, "9"),
            ("rollback", PLAN),
            ("checkpoint", "create", PLAN, ""),
            ("history", "a\nb"),
            ("log", PLAN, "--url", "ws://127.0.0.1:1"),
        )
        for said in await asyncio.gather(*(here.run(*command) for command in wrong)):
            assert said.exit_code == 1
            assert said.output == ""
            assert said.errors.startswith("comity: ")
            assert said.errors.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("12", 12),
        ("before-deploy", "before-deploy"),
        ("²", "²"),
        ("2026-11-20T18:00:00+01:00", datetime(2026, 11, 20, 17, tzinfo=UTC)),
    ],
)
def test_moment_is_a_number_a_time_or_a_name(text: str, meant: int | str | datetime) -> None:
    assert moment(text) == meant


def test_moment_without_a_zone_is_of_this_machine() -> None:
    found = moment("2026-11-20T18:00")
    assert isinstance(found, datetime)
    assert (found.hour, found.utcoffset() is not None) == (18, True)


def test_contents_are_every_field_as_it_is_read() -> None:
    plan = Plan(StateDocument(agent="ana"))
    plan.assign({"goal": {"$a": b"x"}, "spent": 3, "steps": {"$b": None}, "tags": {"x", "y"}, "days": ["mon", "tue"]})
    plan.days.move(1, 0)
    plan.log.append("a")
    plan.body.append("text")
    plan.tasks["t/1"] = Task(title="first")
    found = contents(plan.document)
    assert {name: value for name, value in found.items() if not name.startswith("$")} == {
        "body": "text",
        "days": ["tue", "mon"],
        "goal": {"$$a": {"$bytes": "eA=="}},
        "log": ["a"],
        "spent": 3,
        "steps": {"$$b": None},
        "tags": ["x", "y"],
        "tasks": ["t/1"],
        "tasks/t~11/title": "first",
    }
    assert json.loads(json.dumps(found)) == found


def test_plain_makes_json_of_results() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    assert plain(Credit("ana", 3, at)) == {"author": "ana", "version": 3, "at": "2026-11-20T00:00:00+00:00"}
    assert plain({"$x": (1, ABSENT, b"y")}) == {"$$x": [1, None, {"$bytes": "eQ=="}]}


def test_printable_quotes_what_could_steer_a_terminal() -> None:
    assert printable("shared/plan é") == "shared/plan é"
    assert printable("\x1b[2J") == "'\\x1b[2J'"


async def test_commands_are_programs(tmp_path: Path) -> None:
    async with terminal(tmp_path) as here:
        said = await here.run_apart("history", PLAN, "--json")
        assert (said.exit_code, said.errors) == (0, "")
        assert said == await here.run("history", PLAN, "--json")
        wrong = await here.run_apart("show", PLAN, "nothing")
        assert wrong.exit_code == 1
        assert wrong.errors.startswith("comity: ")
