"""The Python client: replicas of a server's rooms as typed state, and their histories."""

from .blocking.client import BlockingClient, connect_sync
from .client import Client, connect
from .history.history import History
from .history.results import Begun, Branch, Checkpoint, ErasedRoom, Merged, RedactedRoom, Revision, Version
from .leases import Lease, LeaseRecord, Leases
from .local.history import LocalHistory
from .local.moving import Moved
from .replica import Replica
from .tiers.local import LocalState
from .tiers.reading import WithHistory
from .tiers.session import SessionState
from .tiers.tier import PersistentState, SharedState, Tier
from .tiers.untyped import Untyped

__all__ = [
    "Begun",
    "BlockingClient",
    "Branch",
    "Checkpoint",
    "Client",
    "ErasedRoom",
    "History",
    "Lease",
    "LeaseRecord",
    "Leases",
    "LocalHistory",
    "LocalState",
    "Merged",
    "Moved",
    "PersistentState",
    "RedactedRoom",
    "Replica",
    "Revision",
    "SessionState",
    "SharedState",
    "Tier",
    "Untyped",
    "Version",
    "WithHistory",
    "connect",
    "connect_sync",
]
