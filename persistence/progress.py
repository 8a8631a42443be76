"""How far long work has come."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how much was done since the last call, and how much there is in all."""


def no_progress(_done: int, _of: int) -> None:
    """Tell nobody."""
