"""Imports point one way: clients -> crdt_types <- server -> persistence."""

from pathlib import PurePosixPath
from typing import Final

import pytest

from tests.support.layers import MAY_IMPORT, violations
from tests.support.optional import ROOT

OTHER_FOLDERS: Final = ("benchmarks", "comity", "examples", "scripts", "tests")


def modules(folder: str) -> list[PurePosixPath]:
    """Return the Python files of a folder, relative to the root, none of them behind a link."""
    top = ROOT / folder
    apart = {top / "js", top / "peers" / "js", *(path for path in top.iterdir() if path.is_symlink())}
    found = (path for path in top.rglob("*.py") if apart.isdisjoint(path.parents))
    return sorted(PurePosixPath(path.relative_to(ROOT)) for path in found)


@pytest.mark.parametrize("folder", [*MAY_IMPORT, *OTHER_FOLDERS])
def test_layers_hold(folder: str) -> None:
    if not (ROOT / folder).is_dir():
        pytest.skip(f"{folder} does not exist yet")
    wrong = [line for path in modules(folder) for line in violations(path, (ROOT / path).read_text())]
    assert not wrong, "\n".join(wrong)


def test_layers_are_looked_for_where_the_code_is() -> None:
    assert all(modules(folder) for folder in (*MAY_IMPORT, "comity", "tests"))
    assert not [path for path in modules("comity") if len(path.parts) != 2]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("server/room.py", "from comity.crdt_types.wire import Update"),
        ("server/room.py", "from comity.persistence import Store"),
        ("server/room.py", "from comity import crdt_types"),
        ("server/app.py", "from comity import __version__"),
        ("server/room.py", "from . import outbox\nfrom .outbox import Outbox"),
        ("server/http/rooms.py", "from ..hub import Hub"),
        ("clients/client.py", "from comity.crdt_types import State\nimport asyncio"),
        ("persistence/sqlite.py", "import aiosqlite\nfrom .store import Store"),
        ("crdt_types/wire.py", "import msgpack\nfrom .errors import ProtocolError"),
        ("comity/__init__.py", "from comity.clients.client import connect"),
        ("comity/__main__.py", "from comity.clients import demo\nfrom comity.server import cli"),
        ("tests/test_wire.py", "from comity.crdt_types import wire\nfrom tests.support import server"),
    ],
)
def test_layers_allow(path: str, source: str) -> None:
    assert violations(PurePosixPath(path), source) == []


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        ("crdt_types/types/map.py", "from comity.server import room", "crdt_types imports server"),
        ("crdt_types/types/map.py", "from comity.clients.client import Client", "crdt_types imports clients"),
        ("server/hub.py", "import comity.clients.client", "server imports clients"),
        ("server/hub.py", "from comity import clients", "server imports clients"),
        ("clients/client.py", "from comity.server import hub", "clients imports server"),
        ("clients/client.py", "from comity.persistence import store", "clients imports persistence"),
        ("persistence/store.py", "from comity.crdt_types import errors", "persistence imports crdt_types"),
        ("persistence/store.py", "import pycrdt", "no business with pycrdt"),
        ("persistence/journal.py", "import prometheus_client", "no business with prometheus_client"),
        ("crdt_types/wire.py", "import asyncio", "no business with asyncio"),
        ("crdt_types/wire.py", "from sqlite3 import connect", "no business with sqlite3"),
        ("crdt_types/wire.py", "import urllib.request", "no business with urllib"),
        ("server/hub.py", "from comity.server.rooms.room import Room", "server imports itself"),
        ("server/hub.py", "from comity import State", "lies above it"),
        ("server/hub.py", "import comity", "lies above it"),
        ("server/hub.py", "from crdt_types import wire", "bare name"),
        ("tests/test_hub.py", "from server.hub import Hub", "bare name"),
        ("server/hub.py", "from ..crdt_types import wire", "leaves its folder"),
        ("server/http/rooms.py", "from ...crdt_types import wire", "leaves its folder"),
        ("comity/__init__.py", "from .clients import connect", "outside the four folders"),
        ("server/hub.py", "def f():\n    import json", "inside a function"),
        ("server/hub.py", "class A:\n async def f(self):\n  if x:\n   from . import b", "inside a function"),
        ("server/hub.py", "import importlib\nimportlib.import_module('comity.clients')", "by name"),
        ("server/hub.py", "if TYPE_CHECKING:\n    from comity.clients import a", "server imports clients"),
    ],
)
def test_layers_refuse(path: str, source: str, said: str) -> None:
    wrong = violations(PurePosixPath(path), source)
    assert len(wrong) == 1
    assert said in wrong[0]
