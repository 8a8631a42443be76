"""The Python client: replicas of a server's rooms as typed state."""

from .client import Client, connect
from .replica import Replica

__all__ = ["Client", "Replica", "connect"]
