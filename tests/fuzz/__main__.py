"""Fuzz one target by coverage: `python -m tests.fuzz TARGET --minutes N`.

atheris is not among the dependencies: install it into an environment of its own, beside comity. It prints how many
inputs were executed, and keeps one that fails in the corpus as `crash-...`; `--run FILE` tries that again.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from .targets import TARGETS, Target

try:
    import atheris as _atheris  # type: ignore[import-untyped]
except ImportError:
    _atheris = None

atheris: Final[Any] = _atheris

SERVER: Final = "comity.server."


def main() -> None:
    """Fuzz what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--corpus", type=Path, help="where to keep what was found; a temporary folder if not given")
    parser.add_argument("--run", type=Path, help="try only this input")
    options = parser.parse_args()
    target = TARGETS[options.target]
    if options.run:
        target.run(options.run.read_bytes())
        return
    if atheris is None:
        parser.exit(2, "atheris is not installed; install it with: pip install atheris\n")
    _fuzz(target, options.minutes, options.corpus or Path(tempfile.mkdtemp()))


def _fuzz(target: Target, minutes: float, corpus: Path) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    for function in _functions(target):
        atheris.instrument_func(function)
    flags = ["-print_final_stats=1", "-max_len=4096", "-timeout=20", "-rss_limit_mb=2048"]
    flags += [f"-max_total_time={round(minutes * 60)}", f"-artifact_prefix={corpus}/"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], target.run)
    atheris.Fuzz()


def _functions(target: Target) -> Iterator[FunctionType]:
    """Yield every function and method of the modules that are watched."""
    watched = {module.__name__ for module in target.modules}
    if target.is_server:
        watched |= {name for name in sys.modules if name.startswith(SERVER)}
    for name in watched:
        yield from _functions_in(sys.modules[name], name)


def _functions_in(holder: ModuleType | type[Any], name: str) -> Iterator[FunctionType]:
    for found in list(vars(holder).values()):
        if isinstance(found, FunctionType) and found.__module__ == name:
            yield found
        elif isinstance(found, type) and found.__module__ == name:
            yield from _functions_in(found, name)


if __name__ == "__main__":
    main()
