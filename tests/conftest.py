"""What holds for every test."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import pytest
import uvloop
from hypothesis import settings

# No deadline: two busy cores make any single example slow now and then, and that says nothing about the code.
settings.register_profile("comity", deadline=None, print_blob=True)
settings.load_profile("comity")

# Servers run on uvloop, applications that hold one on whatever they like; the two treat broken connections differently.
_ON_BOTH_LOOPS: Final = ("test_server_fuzz.py",)
_LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loops that a test is to run on."""
    return _LOOPS if item.path.name in _ON_BOTH_LOOPS else {"asyncio": asyncio.new_event_loop}
