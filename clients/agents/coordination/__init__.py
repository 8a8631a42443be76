"""Coordination of agents that share the interfaces of providers: quotas, requests, failures, back-off."""

from .bucket import Limit
from .coordinator import ApiCoordinator
from .document import ApiCoordination, Condition, ProviderStatus, RequestRecord, RequestStatus
from .quotas import Grant, Offline, Standing
from .request import Request
from .tracking import Totals

__all__ = [
    "ApiCoordination",
    "ApiCoordinator",
    "Condition",
    "Grant",
    "Limit",
    "Offline",
    "ProviderStatus",
    "Request",
    "RequestRecord",
    "RequestStatus",
    "Standing",
    "Totals",
]
