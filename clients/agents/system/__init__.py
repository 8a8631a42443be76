"""The state of a system of agents: configuration, health, errors, metrics, and who changed what."""

from .document import SystemState
from .manager import SystemManager
from .setting import Setting
from .summary import Summary
from .values import AuditEntry, ErrorGroup, ErrorRecord, Metrics, PartHealth, PartStatus

__all__ = [
    "AuditEntry",
    "ErrorGroup",
    "ErrorRecord",
    "Metrics",
    "PartHealth",
    "PartStatus",
    "Setting",
    "Summary",
    "SystemManager",
    "SystemState",
]
