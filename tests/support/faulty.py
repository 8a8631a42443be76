"""The switch of a disk that fails on demand: the other side of faults.c, which is preloaded into a child process."""

import ctypes
import errno
import mmap
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from .optional import give_up, require_tool

SOURCE: Final = Path(__file__).with_name("faults.c")
FOR_GOOD: Final = 2**62  # more calls than ever come
_TEXT: Final = 256  # as in faults.c


class Action(IntEnum):
    """What happens to a call that meets a fault; where something is left to chance, the seed decides."""

    NOTHING = 0
    FAIL = 1  # it does nothing and fails
    PART = 2  # a write stores a part only, and says so
    TEAR = 3  # a write stores any part and fails; anything else is done or not, and fails
    KILL = 4  # the process is killed in the middle of the call: before, after, or with any part of a write stored
    CUT = 5  # the same, and any sectors that were written and not synced are lost, as when the power is cut


class Call(IntFlag):
    """Kinds of calls that change files."""

    WRITE = 1
    SYNC = 2
    RESIZE = 4


ANY: Final = Call.WRITE | Call.SYNC | Call.RESIZE


class Hit(NamedTuple):
    """A call that met a fault; ``unsynced`` is how many bytes had been written since the last sync when it came."""

    call: Call
    file: Path
    unsynced: int


class _Control(ctypes.Structure):
    """``struct control`` of faults.c."""

    action: int
    calls: int
    error: int
    unsynced: int
    after: int
    count: int
    seed: int
    number: int
    pending: int
    seen: int
    hits: int
    hit_call: int
    hit_pending: int
    files: bytes
    hit_file: bytes
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("action", "calls", "error", "unsynced", "after", "count", "seed")),
        *((name, ctypes.c_int64) for name in ("number", "pending", "seen", "hits", "hit_call", "hit_pending")),
        ("files", ctypes.c_char * _TEXT),
        ("hit_file", ctypes.c_char * _TEXT),
    )


class Faults:
    """What goes wrong with the files of the processes that are started in ``environment``.

    Gives up the running test where there is no compiler, or where programs cannot be given another disk so.

    Args:
        folder: an empty directory, for the compiled half and the switch itself.
    """

    def __init__(self, folder: Path) -> None:
        library, switch = folder / "faults.so", folder / "faults.control"
        _compile(library)
        switch.write_bytes(bytes(ctypes.sizeof(_Control)))
        with switch.open("r+b") as file:
            self._control = _Control.from_buffer(mmap.mmap(file.fileno(), 0))
        self.environment: Final = {"LD_PRELOAD": str(library), "FAULTS_CONTROL": str(switch)}

    @property
    def seen(self) -> int:
        """How many calls there were since ``begin``, of those that it was about."""
        return self._control.seen

    @property
    def hits(self) -> int:
        """How many of them met the fault."""
        return self._control.hits

    @property
    def last(self) -> Hit:
        """The last of those."""
        control = self._control
        return Hit(Call(control.hit_call), Path(os.fsdecode(control.hit_file)), control.hit_pending)

    def begin(
        self,
        action: Action,
        *,
        calls: Call = ANY,
        files: str = "*",
        error: int = errno.EIO,
        unsynced: int = 0,
        after: int = 0,
        count: int = FOR_GOOD,
        seed: int = 0,
    ) -> None:
        """Let a fault begin, in place of what there was.

        Args:
            action: what happens to a call.
            calls: the kinds of calls that are counted and may meet it.
            files: a pattern of the paths of the files that this is about.
            error: the number of the error of what fails.
            unsynced: calls are counted only while so many bytes have been written since the last sync: inside of
            large transactions.
            after: so many calls are let through first.
            count: so many calls then meet it; 0 only counts.
            seed: what chance depends on.
        """
        control = self._control
        self.end()
        control.calls, control.files, control.error = calls, os.fsencode(files), error
        control.unsynced, control.after, control.count, control.seed = unsynced, after, count, seed
        control.pending = control.seen = control.hits = 0
        control.number += 1
        control.action = action  # last: from here on it holds

    def end(self) -> None:
        """Let the fault end: from now on everything works, for processes that still live."""
        self._control.action = Action.NOTHING

    @contextmanager
    def preloaded(self) -> Generator[None]:
        """Let this process start its children in ``environment`` while the context lasts."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield


def _compile(library: Path) -> None:
    if sys.platform != "linux":
        give_up("making a disk fail by LD_PRELOAD works on Linux alone")
    command: list[Any] = [require_tool("gcc", "cc", "clang"), "-std=gnu11", "-O2", "-Wall", "-fPIC", "-shared"]
    compiled = subprocess.run([*command, "-o", library, SOURCE], capture_output=True, text=True, check=False)
    if compiled.returncode:
        give_up(f"{SOURCE.name} cannot be compiled here (are libc's headers installed?): {compiled.stderr}")
