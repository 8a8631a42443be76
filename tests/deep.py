"""Runs the property tests in the deep profile, by hand, and says how many examples they tried.

    .venv/bin/python -m tests.deep [options and files of pytest]

Without files it runs those that are about types and merging. It takes an hour or two on two cores.
"""

import os
import sys
from collections import Counter as Tally
from typing import Any, Final

import hypothesis.statistics
import pytest

FILES: Final = (
    "convergence",
    "machines",
    "laws",
    "mixed",
    "list",
    "position",
    "conflicts",
    "entry",
    "text",
    "text_versions",
    "delta",
    "rope",
    "edits",
    "lanes",
    "document",
    "undo",
)


class Examples:
    """Counts the examples that hypothesis tried without finding anything wrong, test by test."""

    def __init__(self) -> None:
        self._now = ""
        self._counts = Tally[str]()

    def pytest_sessionstart(self) -> None:
        """Have hypothesis tell its statistics."""
        statistics: Any = hypothesis.statistics
        describe = statistics.describe_statistics

        def described(stats: Any) -> str:
            self._count(stats)
            return str(describe(stats))

        # A test of pytest's is told of by the first of these, one that it calls itself by the second.
        statistics.describe_statistics = described
        statistics.collector.value = self._count

    def _count(self, stats: Any) -> None:
        phases = [phase for phase in stats.values() if isinstance(phase, dict) and "test-cases" in phase]
        self._counts[self._now] += sum(case["status"] == "valid" for phase in phases for case in phase["test-cases"])

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note which test comes next."""
        self._now = item.nodeid

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how many examples each test tried."""
        terminalreporter.section("examples")
        for test, count in sorted(self._counts.items()):
            terminalreporter.write_line(f"{count:>9,}  {test}")
        terminalreporter.write_line(f"{self._counts.total():>9,}  in all")


def main() -> int:
    """Run the tests."""
    os.environ["COMITY_DEEP"] = "1"  # read by support/profiles.py when the tests are collected
    arguments = sys.argv[1:]
    if not any(argument.startswith("tests") for argument in arguments):
        arguments += [f"tests/test_{name}.py" for name in FILES]
    # Hypothesis is imported before pytest could rewrite its assertions, which does not matter.
    early = "ignore::pytest.PytestAssertRewriteWarning"
    return int(pytest.main(["-o", "timeout=0", "-W", early, *arguments], plugins=[Examples()]))


if __name__ == "__main__":
    sys.exit(main())
