"""Measurements that a script makes in Node, with the client in clients/js."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).resolve().parent
_PACKAGES: Final = _HERE.parent / "clients" / "js" / "node_modules"


def unavailable() -> str:
    """Return why nothing can be measured in JavaScript, or nothing if it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    return "" if _PACKAGES.is_dir() else "clients/js/node_modules is absent; scripts/setup dev installs it"


def measured_by_node(script: str, arguments: dict[str, Any]) -> Any:
    """Run a script of this folder with arguments as JSON, and return what it told as JSON.

    Raises: RuntimeError, if it failed.
    """
    command = ["node", "--expose-gc", str(_HERE / script), json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script} failed in Node: {done.stderr}")
    return json.loads(done.stdout)
