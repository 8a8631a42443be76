"""Typed CRDTs over Yjs documents, their schemas, and the wire: pure, without I/O or an event loop."""

from . import errors
from .changes import ABSENT, Change, Conflict, Rival, Violation
from .counter import Counter, GCounter, PNCounter
from .document import Commit, StateDocument
from .limits import Limits
from .list import List
from .log import Log
from .map import Map
from .migration import After, Before, migration
from .orset import GSet, ORSet
from .register import Register
from .resolution import Ticket, first_writer, last_writer, manual, merge
from .rules import RuleWarning, allow, deny, warn
from .schema import State
from .text import Text
from .undo import UndoManager
from .validation import transition, validates

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
