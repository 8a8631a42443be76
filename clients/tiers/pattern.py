"""Patterns of keys: globs whose stars stop at the dots."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import takewhile
from typing import Final

Matcher = Callable[[str], object]

SEPARATOR: Final = "."
ESCAPE: Final = "\\"
_CACHED: Final = 256  # compiled patterns that are kept; programs have a few dozen, and each is small
_TOKEN: Final = re.compile(r"\\.|\*\*|.", re.DOTALL)
# One character inside of a part: where keys are escaped, a backslash and what follows count as one.
_PLAIN_CHARACTER: Final = r"[^.]"
_ESCAPED_CHARACTER: Final = r"(?:\\.|[^.\\])"
_ANYTHING: Final = r"(?:\\.|[^\\])*"


@lru_cache(_CACHED)
def matcher(pattern: str, *, escaped: bool) -> Matcher:
    """Return a function that tells whether a key matches a pattern.

    ``*`` stands for any characters but a dot, ``**`` for any at all, ``?`` for one that is no dot. A backslash makes
    the character after it mean itself.

    Args:
        pattern: the pattern.
        escaped: whether dots and backslashes inside the parts of a key are escaped, as in the keys of a typed state.
    """
    return re.compile("".join(_translated(pattern, escaped)), re.DOTALL).fullmatch


def _translated(pattern: str, escaped: bool) -> Iterator[str]:
    one = _ESCAPED_CHARACTER if escaped else _PLAIN_CHARACTER
    for token in _TOKEN.findall(pattern):
        if token == "**":
            yield _ANYTHING if escaped else ".*"
        elif token == "*":
            yield f"{one}*"
        elif token == "?":
            yield one
        elif len(token) == 1:
            yield re.escape(token)
        else:
            yield re.escape(token if escaped and token[1] in (SEPARATOR, ESCAPE) else token[1])


def beginning(pattern: str) -> tuple[str, ...]:
    """Return the parts that every match begins with, as far as the pattern says them."""
    return tuple(takewhile(_is_plain, pattern.split(SEPARATOR)))


def _is_plain(part: str) -> bool:
    return not any(sign in part for sign in ("*", "?", ESCAPE))
