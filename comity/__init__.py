"""Comity: typed state that AI agents share, merge and keep."""

from pathlib import Path as _Path

# In a checkout the four parts lie beside this folder; in a wheel they lie inside it.
_root = _Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file():
    __path__.insert(0, str(_root))

from comity.clients import Client, Replica, connect
from comity.crdt_types import (
    Change,
    Conflict,
    Counter,
    Log,
    Map,
    ORSet,
    Register,
    Rival,
    State,
    StateDocument,
    Text,
    Violation,
    errors,
)

__version__ = "0.1.0"

__all__ = [
    "Change",
    "Client",
    "Conflict",
    "Counter",
    "Log",
    "Map",
    "ORSet",
    "Register",
    "Replica",
    "Rival",
    "State",
    "StateDocument",
    "Text",
    "Violation",
    "connect",
    "errors",
]
