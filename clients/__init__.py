"""The Python client: replicas of a server's rooms as typed state, and their histories."""

from .client import Client, connect
from .history.history import History
from .history.results import Branch, Checkpoint, ErasedRoom, Merged, RedactedRoom, Revision, Version
from .replica import Replica

__all__ = [
    "Branch",
    "Checkpoint",
    "Client",
    "ErasedRoom",
    "History",
    "Merged",
    "RedactedRoom",
    "Replica",
    "Revision",
    "Version",
    "connect",
]
