"""State machines: definitions as data, on the library python-statemachine, whose current state lies in a document.

It takes the extra ``comity[machines]``.
"""

from .definition import MachineDefinition
from .functions import Assigner, Guard, Step, Work
from .machine import Machine
from .parts import Assign, StateDefinition, TimeoutDefinition, TransitionDefinition
from .record import BEGINNING, UPGRADE, Entered, Timeout, Transition, Unfinished
from .state import MachineState

__all__ = [
    "BEGINNING",
    "UPGRADE",
    "Assign",
    "Assigner",
    "Entered",
    "Guard",
    "Machine",
    "MachineDefinition",
    "MachineState",
    "StateDefinition",
    "Step",
    "Timeout",
    "TimeoutDefinition",
    "Transition",
    "TransitionDefinition",
    "Unfinished",
    "Work",
]
