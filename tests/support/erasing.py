"""Erasing what an agent wrote from a document that nobody shares, as the server does from a room."""

from collections.abc import Collection

from comity.crdt_types import StateDocument
from comity.crdt_types.redaction import erasure


def agents_clients(document: StateDocument, agent: str) -> set[int]:
    """Return the client ids of an agent's sessions: those whose lanes have a header that names it."""
    return {client for client in document.index.headers if document.index.author(client) == agent}


def erase_author(document: StateDocument, clients: Collection[int]) -> None:
    """Delete what some clients wrote from a document, in one transaction that is nobody's edit."""
    document.apply(erasure(document.update_since(), clients))
