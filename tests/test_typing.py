"""Type checkers know what every field holds."""

import subprocess
import sys

from tests.support.optional import ROOT


def test_types_of_fields_are_known_to_mypy() -> None:
    files = sorted(str(path) for path in (ROOT / "tests" / "typing").glob("*.py"))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
