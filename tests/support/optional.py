"""What some tests need and a machine may lack: programs, and real data beside the repository."""

import os
import shutil
from pathlib import Path
from typing import Final, NoReturn

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
REAL_DATA: Final = ROOT.parent / "shared" / "data"

# Set to 1 where everything is meant to be there: a test that cannot run then fails instead of being skipped.
REQUIRE_ALL: Final = "COMITY_REQUIRE_ALL"


def require_tool(*names: str) -> str:
    """Return the path of the first of these programs that is installed, or give up the test.

    Several names are alternatives, such as "chromium" and "chromium-browser".
    """
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        give_up(f"{' or '.join(names)} is not installed")
    return path


def require_path(path: Path, remedy: str) -> Path:
    """Return a path that something else must have made, or give up the test.

    Args:
        path: a file or folder, such as clients/js/node_modules.
        remedy: how to get it, for whoever reads the report.
    """
    if not path.exists():
        give_up(f"{path.name} is absent; {remedy}")
    return path


def give_up(reason: str) -> NoReturn:
    """Skip the running test with this reason, or fail it where COMITY_REQUIRE_ALL=1."""
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"{reason}, and {REQUIRE_ALL}=1", pytrace=False)
    pytest.skip(reason)


def real_data(name: str) -> Path:
    """Return the path of a file of real data beside the repository, or skip the test."""
    path = REAL_DATA / name
    if not path.is_file():
        pytest.skip(f"no real data: {name} is not beside the repository")
    return path
