"""Folds the log of a large room into one state, in a process of its own.

The engine holds the interpreter while it encodes a document, 3 ms for each MB, in a thread as well. Run as a program,
this reads parts of a document from its standard input and writes the whole to its standard output.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final

from comity.crdt_types.errors import EngineError, ProtocolError, StorageError

from .document import Document

# Before each part, in bytes: its length, the most significant byte first.
LENGTH_BYTES: Final = 8
# Of a part, handed over at once: copied in less than a tenth of a millisecond.
CHUNK: Final = 256 * 1024


async def folded(name: str, parts: Sequence[bytes]) -> bytes:
    """Return the state of a document that consists of some updates; the event loop waits for none of it.

    Raises: StorageError, if there is no such document.
    """
    process = await _started(name)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        reading = asyncio.create_task(process.stdout.read())
        await _hand_over(process.stdin, parts)
        state = await reading
        if await process.wait():
            raise StorageError("its log could not be folded", subject=f"room {name!r}", remedy="run comity verify")
        return state
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _started(name: str) -> Process:
    command = sys.executable, "-m", __name__
    try:
        return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    except OSError as error:  # no memory or no handles for it, or another Python was installed meanwhile
        what = f"its log could not be folded: {error.strerror}"
        raise StorageError(what, subject=f"room {name!r}", remedy="look at the limits of the system") from error


async def _hand_over(stream: asyncio.StreamWriter, parts: Iterable[bytes]) -> None:
    try:
        for part in parts:
            stream.write(len(part).to_bytes(LENGTH_BYTES))
            for at in range(0, len(part), CHUNK):
                stream.write(memoryview(part)[at : at + CHUNK])
                await stream.drain()
        stream.close()
        await stream.wait_closed()
    except (BrokenPipeError, ConnectionResetError):  # it has ended, and its exit code says why
        stream.close()


def main(source: BinaryIO, target: BinaryIO) -> int:
    """Read parts to the end, write their document, and return an exit code."""
    try:
        target.write(Document(_parts(source)).state())
        target.flush()
    except (ProtocolError, EngineError):
        return 1
    return 0


def _parts(source: BinaryIO) -> Iterable[bytes]:
    while head := source.read(LENGTH_BYTES):
        yield source.read(int.from_bytes(head))


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
