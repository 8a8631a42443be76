"""Disks that are told to fail do so: in the calls that were meant, in the way that was meant, and alike for a seed."""

import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.faulty import Action, Call, Faults

OLD: Final = b"old" * 1024
NEW: Final = b"new" * 1024
SECTOR: Final = 512
PROGRAM: Final = """
import os, sys
file = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(file, b"old" * 1024, 0)
os.fsync(file)
print(os.pwrite(file, b"new" * 1024, 0), flush=True)
os.fsync(file)
print("end")
"""


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Faults:
    return Faults(tmp_path_factory.mktemp("faults"))


class Ran(NamedTuple):
    """What became of a program, and of its file."""

    exit_code: int
    printed: str
    content: bytes

    @property
    def size(self) -> int:
        """How much of the second write is in the file, which is nothing but that and the first."""
        size = next((at for at, (old, new) in enumerate(zip(self.content, NEW, strict=True)) if old != new), len(NEW))
        assert self.content == NEW[:size] + OLD[size:]
        return size


def run_program(faults: Faults, path: Path) -> Ran:
    """Run a program that writes two times and syncs each."""
    path.write_bytes(b"")
    command = [sys.executable, "-S", "-c", PROGRAM, str(path)]
    ended = subprocess.run(command, env=faults.environment, capture_output=True, text=True, check=False)
    faults.end()
    return Ran(ended.returncode, ended.stdout + ended.stderr, path.read_bytes())


def test_fault_that_fails_a_call_changes_nothing(faults: Faults, tmp_path: Path) -> None:
    faults.begin(Action.FAIL, calls=Call.WRITE, files="*/file", error=errno.ENOSPC, after=1)
    ran = run_program(faults, tmp_path / "file")
    assert (ran.exit_code, ran.size) == (1, 0)
    assert "No space left on device" in ran.printed
    assert (faults.seen, faults.hits, faults.last) == (2, 1, (Call.WRITE, tmp_path / "file", 0))


def test_fault_of_syncs_lets_writes_through(faults: Faults, tmp_path: Path) -> None:
    faults.begin(Action.FAIL, calls=Call.SYNC, files="*/file", after=1)
    ran = run_program(faults, tmp_path / "file")
    assert (ran.exit_code, ran.size) == (1, len(NEW))
    assert "Input/output error" in ran.printed
    assert faults.last == (Call.SYNC, tmp_path / "file", len(NEW))


def test_fault_that_cuts_a_write_short_tells_how_much_was_written(faults: Faults, tmp_path: Path) -> None:
    faults.begin(Action.PART, files="*/file", after=2, count=1)
    ran = run_program(faults, tmp_path / "file")
    assert (ran.exit_code, ran.printed) == (0, f"{ran.size}\nend\n")
    assert 0 < ran.size < len(NEW)


@pytest.mark.parametrize(("action", "exit_code"), [(Action.TEAR, 1), (Action.KILL, -signal.SIGKILL)])
def test_fault_in_a_write_leaves_any_part_of_it(faults: Faults, tmp_path: Path, action: Action, exit_code: int) -> None:
    sizes = []
    for seed in (1, 2, 3, 1):
        faults.begin(action, files="*/file", after=2, seed=seed)
        ran = run_program(faults, tmp_path / "file")
        assert ran.exit_code == exit_code
        sizes.append(ran.size)
    assert sizes[0] == sizes[3]
    assert len(set(sizes)) == 3


def test_fault_that_cuts_the_power_loses_sectors_that_were_not_synced(faults: Faults, tmp_path: Path) -> None:
    kept = set()
    for seed in range(6):
        faults.begin(Action.CUT, calls=Call.SYNC, files="*/file", after=1, seed=seed)
        ran = run_program(faults, tmp_path / "file")
        assert ran.exit_code == -signal.SIGKILL
        for at in range(0, len(NEW), SECTOR):
            assert ran.content[at : at + SECTOR] in (OLD[at : at + SECTOR], NEW[at : at + SECTOR])
        kept.add(sum(ran.content[at] == NEW[at] for at in range(0, len(NEW), SECTOR)))
    assert len(kept) > 2


def test_fault_elsewhere_is_not_met(faults: Faults, tmp_path: Path) -> None:
    faults.begin(Action.KILL, files="*/other")
    ran = run_program(faults, tmp_path / "file")
    assert (ran.exit_code, ran.size, faults.seen) == (0, len(NEW), 0)
