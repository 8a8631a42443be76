"""The public surface is this list, and every name on it says in one sentence what it is."""

import inspect
from types import ModuleType

import pytest

import comity
from comity import crdt_types
from comity.crdt_types import errors

PUBLIC = [
    "ABSENT",
    "After",
    "Before",
    "Begun",
    "Blame",
    "BlockingClient",
    "Branch",
    "Change",
    "Checkpoint",
    "Client",
    "Conflict",
    "Counter",
    "Difference",
    "Differences",
    "ErasedRoom",
    "GCounter",
    "GSet",
    "History",
    "Lease",
    "LeaseRecord",
    "Leases",
    "Limits",
    "List",
    "LocalHistory",
    "LocalState",
    "Log",
    "LogEntry",
    "Map",
    "Merged",
    "Moved",
    "ORSet",
    "PNCounter",
    "PersistentState",
    "RedactedRoom",
    "Register",
    "Replica",
    "Revision",
    "Rival",
    "RuleWarning",
    "SessionState",
    "SharedState",
    "State",
    "StateDocument",
    "Text",
    "Ticket",
    "Tier",
    "UndoManager",
    "Untyped",
    "Version",
    "Violation",
    "WithHistory",
    "allow",
    "connect",
    "connect_sync",
    "deny",
    "errors",
    "first_writer",
    "last_writer",
    "manual",
    "merge",
    "migration",
    "transition",
    "validates",
    "warn",
]


def test_public_names_are_these() -> None:
    assert sorted(comity.__all__) == PUBLIC
    assert set(crdt_types.__all__) - {"Commit"} <= set(PUBLIC)
    for name in crdt_types.__all__:
        assert getattr(crdt_types, name) is getattr(comity, name, getattr(crdt_types, name))


def _described() -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [("comity", comity)]
    for name in PUBLIC:
        thing = getattr(comity, name)
        found.append((name, thing))
        if inspect.isclass(thing):
            found += [(f"{name}.{key}", member) for key, member in vars(thing).items() if _is_public(key, member)]
    found += [
        (name, error) for name, error in vars(errors).items() if inspect.isclass(error) and name.endswith("Error")
    ]
    return found


def _is_public(name: str, member: object) -> bool:
    return not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))


@pytest.mark.parametrize(("name", "thing"), _described(), ids=lambda part: part if isinstance(part, str) else "")
def test_public_names_are_described_in_one_sentence_first(name: str, thing: object) -> None:
    first, _, rest = (inspect.getdoc(thing) or "").partition("\n")
    assert first, f"{name} has no docstring"
    sentence = first if first.endswith((".", ":", "::")) or rest.startswith("\n") else f"{first} {rest}"
    assert "." in sentence or isinstance(thing, ModuleType), f"{name} does not begin with a sentence"
    assert first[0].isupper() or first[0] == "`"
