"""Typed CRDTs over Yjs documents, their schemas, and the wire: pure, without I/O or an event loop."""

from . import errors
from .changes import Change, Conflict, Rival, Violation
from .counter import Counter
from .document import Commit, StateDocument
from .log import Log
from .map import Map
from .orset import ORSet
from .register import Register
from .schema import State
from .text import Text

__all__ = [
    "Change",
    "Commit",
    "Conflict",
    "Counter",
    "Log",
    "Map",
    "ORSet",
    "Register",
    "Rival",
    "State",
    "StateDocument",
    "Text",
    "Violation",
    "errors",
]
