"""Examples of docs/agents-conversation.md run one after the other; tests/test_examples.py runs that with a server."""

from tests.support.optional import ROOT
from tests.test_docs import blocks

PAGE = "docs/agents-conversation.md"


def test_examples_of_the_page_run_one_after_the_other() -> None:
    names: dict[str, object] = {"__name__": PAGE}
    here = [(line, source) for line, source in blocks(ROOT / PAGE) if "127.0.0.1:8765" not in source]
    assert len(here) == 5
    for line, source in here:
        exec(compile("\n" * line + source, PAGE, "exec"), names)
