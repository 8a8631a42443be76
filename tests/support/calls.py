"""What tests of a server's history have in common: stores to run it on, and the states that its answers add up to."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pycrdt
import pytest

from comity.persistence.memory import MemoryStore

from .raw import CallError, RawClient
from .server import ServerHere, in_process_server

STORES = ("memory", "sqlite")


@asynccontextmanager
async def server_on(store: str, **settings: Any) -> AsyncGenerator[ServerHere]:
    """Serve from an empty store of a kind while the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        kept = MemoryStore() if store == "memory" else None
        async with in_process_server(Path(folder), kept, **settings) as server:
            yield server


async def write(client: RawClient, *texts: str) -> None:
    """Append texts to the root text "t", each a version of its own."""
    for text in texts:
        await client.edit(text)
        await client.durable()


async def refusal(client: RawClient, method: str, **params: Any) -> int:
    """Return the code that a call is refused with."""
    with pytest.raises(CallError) as raised:
        await client.call(method, **params)
    return raised.value.failure.code


async def text_at(client: RawClient, seq: int) -> str:
    """Return the root text "t" as it was at a version, from the keyframe and the records that the server gives."""
    after, state = await client.call("base", seq=seq)
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    if state is not None:
        doc.apply_update(state)
    while after < seq:
        for record in await client.call("records", after=after, limit=seq - after):
            after, update = record[0], record[3]
            doc.apply_update(update)
    return str(doc.get("t", type=pycrdt.Text))
