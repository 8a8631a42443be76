"""Comity: typed state that AI agents share, merge and keep."""

from pathlib import Path as _Path

# In a checkout the four parts lie beside this folder; in a wheel they lie inside it.
_root = _Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file():
    __path__.insert(0, str(_root))

from comity.clients import Client, Replica, connect
from comity.crdt_types import (
    ABSENT,
    After,
    Before,
    Change,
    Conflict,
    Counter,
    GCounter,
    GSet,
    Limits,
    List,
    Log,
    Map,
    ORSet,
    PNCounter,
    Register,
    Rival,
    RuleWarning,
    State,
    StateDocument,
    Text,
    Ticket,
    UndoManager,
    Violation,
    allow,
    deny,
    errors,
    first_writer,
    last_writer,
    manual,
    merge,
    migration,
    transition,
    validates,
    warn,
)

__version__ = "0.1.0"

__all__ = [
    "ABSENT",
    "After",
    "Before",
    "Change",
    "Client",
    "Conflict",
    "Counter",
    "GCounter",
    "GSet",
    "Limits",
    "List",
    "Log",
    "Map",
    "ORSet",
    "PNCounter",
    "Register",
    "Replica",
    "Rival",
    "RuleWarning",
    "State",
    "StateDocument",
    "Text",
    "Ticket",
    "UndoManager",
    "Violation",
    "allow",
    "connect",
    "deny",
    "errors",
    "first_writer",
    "last_writer",
    "manual",
    "merge",
    "migration",
    "transition",
    "validates",
    "warn",
]
