"""The examples in the documentation run as they stand."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.optional import ROOT

_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Pages whose Python blocks make one program, top to bottom, that needs no server.
RUNNABLE: Final = ("docs/types.md", "docs/text.md", "docs/schemas.md", "docs/undo.md", "docs/json.md")


def blocks(path: Path) -> list[tuple[int, str]]:
    """Return the Python blocks of a page, each with the number of the line before its first."""
    text = path.read_text(encoding="utf-8")
    return [(text[: found.start(1)].count("\n"), found[1]) for found in _BLOCK.finditer(text)]


@pytest.mark.parametrize("page", RUNNABLE)
def test_examples_of_a_page_run_one_after_the_other(page: str) -> None:
    names: dict[str, object] = {"__name__": page}
    found = blocks(ROOT / page)
    assert found
    for line, source in found:
        exec(compile("\n" * line + source, page, "exec"), names)
