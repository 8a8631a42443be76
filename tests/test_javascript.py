"""The JavaScript client's own tests, run by Node as part of these."""

import os
import subprocess
import sys

from tests.support.optional import ROOT, require_path, require_tool


def test_javascript_client_passes_its_own_tests() -> None:
    folder = ROOT / "clients" / "js"
    npm = require_tool("npm")
    require_path(folder / "node_modules", "scripts/setup dev installs it")
    environment = {**os.environ, "COMITY_PYTHON": sys.executable}  # for the servers that they start
    done = subprocess.run(
        [npm, "test"], cwd=folder, capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
