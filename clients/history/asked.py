"""Who knows the past of a document: its server, or a file of this machine."""

from typing import Any, Protocol


class Asked(Protocol):
    """Who is asked about a document's past, and takes edits of it: a server over a line, or a file of this machine."""

    @property
    def subject(self) -> str:
        """The document, as errors name it."""
        ...

    @property
    def principal(self) -> str:
        """The name under which edits are noted."""
        ...

    async def call(self, method: str, **params: Any) -> Any:
        """Return what a call of docs/protocol.md is answered."""
        ...

    async def hand_in(self, update: bytes) -> None:
        """Return once an update is on disk."""
        ...
