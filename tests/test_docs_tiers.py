"""The fragments in docs/tiers.md run one after the other, in the place of the program that the page begins with."""

import ast
import asyncio
from datetime import timedelta
from inspect import isawaitable
from pathlib import Path
from typing import Final

import pytest

import comity
from comity import Counter, Log, Map, Register, State
from tests.support.optional import ROOT
from tests.support.server import in_process_server
from tests.test_docs import blocks

PAGE: Final = ROOT / "docs" / "tiers.md"
ADDRESS: Final = "127.0.0.1:8765"  # a block with it is a program, which tests/test_examples.py runs


class Task(State):
    title: Register[str]
    status: Register[str] = Register(default="open")


class Board(State):
    goal: Register[str]
    steps: Map[str]
    tasks: Map[Task]
    spent: Counter
    notes: Log[str]


class Call(State):
    caller: Register[str]


async def test_fragments_of_the_page_do_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fragments = [(line, source) for line, source in blocks(PAGE) if ADDRESS not in source]
    assert len(fragments) >= 4
    async with (
        in_process_server(tmp_path) as server,
        comity.connect(server.url, agent="ben") as client,
        client.shared("team-7", Board) as team,
    ):
        names = {**globals(), "client": client, "team": team, "timedelta": timedelta, "asyncio": asyncio}
        team.state.tasks["dive"] = Task(title="Dive")
        team["steps.pack"] = "done"
        for line, source in fragments:
            code = compile("\n" * line + source, str(PAGE), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, names)
            if isawaitable(result):
                await result
        assert (team["spent"], team["goal"], team["steps.v1\\.2"]) == (120, "map the lagoon", "done")
        assert (team["tasks.report.status"], names["task"]) == ("doing", "report")
        await team.durable()
    printed = capsys.readouterr().out
    assert "{'tasks.dive.status': 'open'} -> {'tasks.dive.status': 'done'}" in printed
    assert "it ends" not in printed
