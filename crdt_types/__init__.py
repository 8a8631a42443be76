"""Typed CRDTs over Yjs documents, their schemas, and the wire: pure, without I/O or an event loop."""

from . import errors
from .document.changes import ABSENT, Change, Conflict, Rival, Violation
from .document.statedocument import Commit, StateDocument
from .limits import Limits
from .schema.migration import After, Before, migration
from .schema.rules import RuleWarning, allow, deny, warn
from .schema.state import State
from .schema.validation import transition, validates
from .types.counter import Counter, GCounter, PNCounter
from .types.list import List
from .types.log import Log
from .types.map import Map
from .types.orset import GSet, ORSet
from .types.register import Register
from .types.resolution import Ticket, first_writer, last_writer, manual, merge
from .types.text import Text
from .undo.manager import UndoManager

__all__ = [
    "ABSENT",
    "After",
    "Before",
    "Change",
    "Commit",
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
    "Rival",
    "RuleWarning",
    "State",
    "StateDocument",
    "Text",
    "Ticket",
    "UndoManager",
    "Violation",
    "allow",
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
