"""The load beside a real provider in the same room: both must have counted the same edits."""

import json
import subprocess
from threading import Timer
from typing import Final

from benchmarks.peers.client import Client
from benchmarks.peers.dialects import HOCUSPOCUS, Dialect
from benchmarks.peers.failures import LoadError
from benchmarks.peers.load import Load
from benchmarks.peers.servers import JS, NODE, Running
from comity.crdt_types.update import read_state_vector

WRITERS: Final = 5
EDITS: Final = 200
ROOM: Final = "crosscheck"
SECONDS: Final = 30


def crosscheck(running: Running) -> str:
    """Check the load against the provider that belongs to a server, and say what was found.

    Raises: LoadError, if the two disagree.
    """
    server = running.server
    kind = "hocuspocus" if server.dialect is HOCUSPOCUS else "y-websocket"
    url = f"ws://127.0.0.1:{running.port}{_base(server.dialect)}"
    with Load() as load:
        writers = load.join(running.port, server.dialect, [ROOM] * WRITERS)
        command = [str(NODE), str(JS / "provider.mjs"), kind, url, ROOM, str(WRITERS * EDITS)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:
            limit = Timer(SECONDS, provider.kill)
            limit.start()
            try:
                assert provider.stdout is not None
                if not provider.stdout.readline():
                    raise LoadError(f"the {kind} provider did not sync")
                limit.cancel()
                write(load, writers)
                told, _ = provider.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                raise LoadError(f"the {kind} provider did not receive every edit") from None
            finally:
                limit.cancel()
                provider.kill()
    if not told.startswith("{"):
        raise LoadError(f"the {kind} provider ended: {told}")
    compare(writers, bytes.fromhex(json.loads(told)["state"]))
    return f"{server.name}: the {kind} provider and the load agree on {WRITERS * EDITS:,} edits"


def write(load: Load, writers: list[Client]) -> None:
    """Have writers make their edits, and wait until each has those of all."""
    for writer in writers:
        writer.prepare(EDITS)
    for _ in range(EDITS):
        for writer in writers:
            writer.edit()
        load.run(0)
    load.settle()


def compare(writers: list[Client], state_vector: bytes) -> None:
    """Raise LoadError unless a state vector has what the writers made, and nothing else."""
    found = read_state_vector(state_vector)
    made = {writer.id: writer.made for writer in writers}
    if found != made:
        raise LoadError(f"the load made {made}, the provider has {found}")


def _base(dialect: Dialect) -> str:
    return dialect.path("").rstrip("/")
