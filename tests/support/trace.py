"""A recorded history of a text that two people wrote at once: https://github.com/josephg/editing-traces."""

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple


class Patch(NamedTuple):
    """Some characters go, others come; positions are in characters."""

    at: int
    gone: int
    come: str


class Burst(NamedTuple):
    """Transactions that one author made in a row, having seen the same of the other, up to something that matters.

    Attributes:
        seen: how many transactions of the other author all of them build on.
        last: how many transactions this author has made at the end of it.
        transactions: the patches of each.
    """

    seen: int
    last: int
    transactions: list[list[Patch]]


class Trace(NamedTuple):
    """What two authors wrote, each in bursts, and the text that it comes to."""

    authors: tuple[list[Burst], list[Burst]]
    end: str


class _Made(NamedTuple):
    """A transaction as its author made it.

    Attributes:
        seen: how many transactions of authors 0 and 1 its author had in the text after it, itself included.
    """

    author: int
    seen: tuple[int, int]
    patches: list[Patch]


def read_trace(path: Path) -> Trace:
    """Read a concurrent trace of two authors."""
    with gzip.open(path) as file:
        recorded = json.load(file)
    made = _made(recorded["txns"])
    return Trace((_bursts(made, 0), _bursts(made, 1)), recorded["endContent"])


def _made(transactions: list[dict[str, Any]]) -> list[_Made]:
    """Work out what each transaction's author had seen.

    ``parents`` names the transactions that one builds on, and through them all that their authors had seen. An author
    has always seen all of its own, so that two numbers say which text a transaction was made in.
    """
    made: list[_Made] = []
    totals = [0, 0]
    for each in transactions:
        author: int = each["agent"]
        bases = [made[parent].seen for parent in each["parents"]]
        seen = [max((base[i] for base in bases), default=0) for i in (0, 1)]
        assert seen[author] == totals[author], "an author who had not seen what it made itself"
        seen[author] = totals[author] = totals[author] + 1
        made.append(_Made(author, (seen[0], seen[1]), [Patch(*patch) for patch in each["patches"]]))
    return made


def _bursts(made: list[_Made], author: int) -> list[Burst]:
    """Cut what an author made where it had seen more of the other, and where the other had seen just so much of it."""
    other = 1 - author
    cuts = {each.seen[author] for each in made if each.author == other}
    bursts: list[Burst] = []
    for each in (each for each in made if each.author == author):
        last = bursts[-1] if bursts else None
        if last is None or last.seen != each.seen[other] or last.last in cuts:
            last = Burst(each.seen[other], 0, [])
            bursts.append(last)
        last.transactions.append(each.patches)
        bursts[-1] = last._replace(last=each.seen[author])
    return bursts
