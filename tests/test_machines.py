"""Each type beside the plain Python object that it is like, edit by edit, through failures and restarts."""

from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from comity.crdt_types import Change, StateDocument
from comity.crdt_types.document.values import canonical
from comity.crdt_types.errors import InvalidValueError
from tests.support.edits import CHARACTERS, ELEMENTS, KEYS, PLAIN, Everything
from tests.support.invariants import check, check_text
from tests.support.machines import Machine, profiled
from tests.support.profiles import examples

AT = st.integers(-8, 8)
WORDS = st.sampled_from(["a", "b", "\u00e9", ""])


class FailError(Exception):
    """Raised in a transaction, on purpose."""


class Beside(RuleBasedStateMachine):
    """A field of a state, and the plain object that it is to be like.

    Attributes:
        name: the name of the field.
    """

    name: ClassVar[str]
    plain: Any

    @initialize()
    def open(self) -> None:
        self.state = Everything(StateDocument(agent="one"))
        self.sent: list[bytes] = []
        self._listen()

    def _listen(self) -> None:
        self.told: list[Change] = []
        self.state.document.on_commit(lambda commit: self.sent.append(commit.update))
        self.state.on_change(self.told.append)

    @property
    def field(self) -> Any:
        return getattr(self.state, self.name)

    def both(self, edit: Callable[[Any], Any]) -> None:
        """Make an edit of the field and of the plain object, and see that they return or raise the same."""
        assert outcome(edit, self.field) == outcome(edit, self.plain)

    def failing(self, edit: Callable[[Any], Any]) -> None:
        """Make an edit in a transaction that fails."""
        before = self.state.document.state_vector()
        try:
            with self.state.transaction():
                edit(self.field)
                raise FailError
        except (FailError, InvalidValueError, KeyError, IndexError, ValueError):
            assert self.state.document.state_vector() == before

    @rule()
    def restart(self) -> None:
        self.state = Everything(StateDocument(agent="one", update=self.state.document.update_since()))
        self._listen()

    @rule()
    def load_elsewhere(self) -> None:
        """A document that got every update one by one reads the same."""
        other = Everything(StateDocument())
        for update in self.sent:
            other.document.apply(update)
        assert canonical(other.to_dict()) == canonical(self.state.to_dict())

    @invariant()
    def same(self) -> None:
        if hasattr(self, "state"):
            check(self.state.document)
            assert canonical(self.field.value) == canonical(self.expected())

    def expected(self) -> Any:
        """Return what the field's value is to be."""
        return self.plain


def outcome(edit: Callable[[Any], Any], of: Any) -> Any:
    """Return what an edit returns as bytes, or which error it raises."""
    try:
        return canonical(edit(of))
    except (KeyError, IndexError) as error:
        return type(error)


def machine(of: type[Beside]) -> Machine:
    """Return a state machine as a test case."""
    return profiled(of.TestCase, examples(10, 2000), examples(20, 60))


class BesideValue(Beside):
    """A register, beside a value."""

    name = "goal"
    plain = None

    @rule(value=PLAIN)
    def set(self, value: Any) -> None:
        self.field.set(value)
        self.plain = value
        assert self.field.is_set

    @rule()
    def clear(self) -> None:
        self.field.clear()
        self.plain = None
        assert not self.field.is_set

    @rule(value=PLAIN)
    def assign(self, value: Any) -> None:
        self.field.assign(value)
        self.plain = value
        before = len(self.sent)
        self.field.assign(value)
        assert len(self.sent) == before

    @rule(value=PLAIN)
    def fail(self, value: Any) -> None:
        self.failing(lambda field: field.set(value))


class BesideDict(Beside):
    """A map, beside a dict."""

    name = "steps"

    def __init__(self) -> None:
        super().__init__()
        self.plain: dict[str, Any] = {}

    @rule(key=KEYS, value=PLAIN)
    def put(self, key: str, value: Any) -> None:
        self.both(lambda mapping: mapping.__setitem__(key, value))

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.both(lambda mapping: mapping.__delitem__(key))

    @rule(key=KEYS, value=PLAIN)
    def read(self, key: str, value: Any) -> None:
        self.both(lambda mapping: mapping.get(key, value))
        self.both(lambda mapping: mapping.pop(key, value))
        self.both(lambda mapping: mapping.setdefault(key, value))
        self.both(lambda mapping: [key in mapping, len(mapping), sorted(mapping)])

    @rule(values=st.dictionaries(KEYS, PLAIN, max_size=3))
    def update(self, values: dict[str, Any]) -> None:
        self.both(lambda mapping: mapping.update(values))

    @rule()
    def clear(self) -> None:
        self.both(lambda mapping: mapping.clear())

    @rule(values=st.dictionaries(KEYS, PLAIN, max_size=3))
    def assign(self, values: dict[str, Any]) -> None:
        self.field.assign(values)
        self.plain = values.copy()

    @rule(values=st.dictionaries(KEYS, PLAIN, max_size=3), key=KEYS)
    def fail(self, values: dict[str, Any], key: str) -> None:
        self.failing(lambda mapping: (mapping.update(values), mapping.pop(key, None), mapping.update(z=object())))

    def expected(self) -> Any:
        return dict(sorted(self.plain.items()))


class BesideSet(Beside):
    """A set, beside a dict of its elements by what tells them apart."""

    name = "tags"

    def __init__(self) -> None:
        super().__init__()
        self.plain: dict[bytes, Any] = {}

    @rule(element=ELEMENTS)
    def add(self, element: Any) -> None:
        self.field.add(element)
        self.plain[canonical(element)] = element
        assert element in self.field

    @rule(elements=st.lists(ELEMENTS, max_size=3))
    def update(self, elements: list[Any]) -> None:
        self.field.update(elements)
        self.plain.update({canonical(element): element for element in elements})

    @rule(elements=st.lists(ELEMENTS, max_size=3))
    def fail(self, elements: list[Any]) -> None:
        self.failing(lambda field: field.update([*elements, object()]))
        assert len(self.field) == len(self.plain)

    def expected(self) -> Any:
        return [element for _key, element in sorted(self.plain.items())]


class BesideShrinkingSet(BesideSet):
    """An observed-remove set by itself removes what it is told to."""

    @rule(element=ELEMENTS)
    def discard(self, element: Any) -> None:
        self.field.discard(element)
        self.plain.pop(canonical(element), None)
        assert element not in self.field

    @rule(element=ELEMENTS)
    def remove(self, element: Any) -> None:
        there = canonical(element) in self.plain
        removed = outcome(lambda field: field.remove(element), self.field) is not KeyError
        assert there == removed
        self.plain.pop(canonical(element), None)

    @rule(elements=st.lists(ELEMENTS, max_size=3))
    def assign(self, elements: list[Any]) -> None:
        self.field.assign(elements)
        wanted = {canonical(element): element for element in elements}
        self.plain = {key: self.plain.get(key, element) for key, element in wanted.items()}

    @rule()
    def clear(self) -> None:
        self.field.clear()
        self.plain.clear()


class BesideGrowingSet(BesideSet):
    """A grow-only set refuses to lose elements."""

    name = "seen"

    @rule(elements=st.lists(ELEMENTS, max_size=3))
    def assign(self, elements: list[Any]) -> None:
        wanted = {canonical(element): element for element in elements}
        try:
            self.field.assign(elements)
        except InvalidValueError:
            assert not self.plain.keys() <= wanted.keys()
        else:
            self.plain = {key: self.plain.get(key, element) for key, element in wanted.items()}


class BesideNumber(Beside):
    """A counter, beside a whole number."""

    name = "spent"
    plain = 0

    @rule(amount=st.integers(-(10**6), 10**6))
    def add(self, amount: int) -> None:
        self.field.add(amount)
        self.plain += amount

    @rule(amount=st.integers(-9, 9))
    def subtract(self, amount: int) -> None:
        self.field.subtract(amount)
        self.plain -= amount

    @rule(value=st.integers(-99, 99))
    def assign(self, value: int) -> None:
        self.field.assign(value)
        self.plain = value
        assert int(self.field) == value

    @rule(amount=st.integers(-9, 9), wrong=st.sampled_from([1.0, True, "1", None, 2**53]))
    def fail(self, amount: int, wrong: Any) -> None:
        self.failing(lambda field: (field.add(amount), field.add(wrong)))


class BesideGrowingNumber(Beside):
    """A grow-only counter, beside a whole number."""

    name = "earned"
    plain = 0

    @rule(amount=st.integers(-3, 10**6))
    def add(self, amount: int) -> None:
        try:
            self.field.add(amount)
        except InvalidValueError:
            assert amount < 0
        else:
            self.plain += amount

    @rule(amount=st.integers(0, 9))
    def fail(self, amount: int) -> None:
        self.failing(lambda field: (field.add(amount), field.add(-1)))


class BesideAppended(Beside):
    """A log, beside a list that is appended to and cut at its front."""

    name = "journal"

    def __init__(self) -> None:
        super().__init__()
        self.plain: list[str] = []

    @rule(item=WORDS)
    def append(self, item: str) -> None:
        self.both(lambda log: log.append(item))

    @rule(items=st.lists(WORDS, max_size=4))
    def extend(self, items: list[str]) -> None:
        self.both(lambda log: log.extend(items))

    @rule(keep=st.integers(0, 8))
    def prune(self, keep: int) -> None:
        gone = max(len(self.plain) - keep, 0)
        assert self.field.prune(keep) == gone
        del self.plain[:gone]

    @rule(gone=st.integers(0, 4), items=st.lists(WORDS, max_size=3))
    def assign(self, gone: int, items: list[str]) -> None:
        wanted = [*self.plain[gone:], *items] if gone < len(self.plain) else []
        self.field.assign(wanted)
        self.plain = wanted

    @rule(at=AT, part=st.slices(8), item=WORDS)
    def read(self, at: int, part: slice, item: str) -> None:
        self.both(lambda log: log[at])
        self.both(lambda log: log[part])
        self.both(lambda log: [len(log), item in log, log.count(item), list(reversed(log))])

    @rule(items=st.lists(WORDS, max_size=4), keep=st.integers(0, 5))
    def fail(self, items: list[str], keep: int) -> None:
        self.failing(lambda log: (log.extend(items), log.prune(keep), log.append(object())))


class BesideList(Beside):
    """A list, beside a list."""

    name = "plan"

    def __init__(self) -> None:
        super().__init__()
        self.plain: list[Any] = []

    @rule(at=AT, value=PLAIN)
    def insert(self, at: int, value: Any) -> None:
        self.both(lambda items: items.insert(at, value))

    @rule(values=st.lists(PLAIN, max_size=4))
    def extend(self, values: list[Any]) -> None:
        self.both(lambda items: items.extend(values))

    @rule(at=AT, value=PLAIN)
    def replace(self, at: int, value: Any) -> None:
        self.both(lambda items: items.__setitem__(at, value))

    @rule(part=st.slices(8).filter(lambda part: part.step in (None, 1)), values=st.lists(PLAIN, max_size=4))
    def replace_part(self, part: slice, values: list[Any]) -> None:
        self.both(lambda items: items.__setitem__(part, values))

    @rule(at=AT)
    def pop(self, at: int) -> None:
        self.both(lambda items: items.pop(at))

    @rule(part=st.slices(8))
    def delete_part(self, part: slice) -> None:
        self.both(lambda items: items.__delitem__(part))

    @rule()
    def turn_around(self) -> None:
        self.both(lambda items: items.reverse())

    @rule(at=AT, to=AT)
    def move(self, at: int, to: int) -> None:
        inside = range(-len(self.plain), len(self.plain))
        try:
            self.field.move(at, to)
        except IndexError:
            assert at not in inside or to not in inside
        else:
            item = self.plain.pop(at)
            self.plain.insert(to if to >= 0 else len(self.plain) + 1 + to, item)

    @rule(values=st.lists(PLAIN, max_size=5))
    def assign(self, values: list[Any]) -> None:
        self.field.assign(values)
        self.plain = values.copy()

    @rule(at=AT, part=st.slices(8))
    def read(self, at: int, part: slice) -> None:
        self.both(lambda items: items[at])
        self.both(lambda items: items[part])
        self.both(lambda items: [len(items), *reversed(items)])
        ids = [self.field.id_of(index) for index in range(len(self.field))]
        assert [self.field.index_of(id) for id in ids] == list(range(len(ids)))

    @rule(at=AT, to=AT, values=st.lists(PLAIN, max_size=3))
    def fail(self, at: int, to: int, values: list[Any]) -> None:
        self.failing(lambda items: (items.extend(values), items.move(at, to), items.pop(to), items.append(object())))


class BesideText(Beside):
    """A text, beside a str."""

    name = "notes"
    plain = ""

    @rule(at=st.integers(0, 20), gone=st.integers(0, 4), come=CHARACTERS)
    def replace(self, at: int, gone: int, come: str) -> None:
        try:
            self.field.replace(at, gone, come)
        except InvalidValueError:
            assert at + gone > len(self.plain)
        else:
            self.plain = self.plain[:at] + come + self.plain[at + gone :]

    @rule(text=CHARACTERS)
    def append(self, text: str) -> None:
        self.field.append(text)
        self.plain += text

    @rule(text=CHARACTERS)
    def assign(self, text: str) -> None:
        self.field.assign(text)
        self.plain = text

    @rule(at=st.integers(0, 9), length=st.integers(0, 4), bold=st.booleans())
    def format(self, at: int, length: int, bold: bool) -> None:
        if at + length <= len(self.plain):
            self.field.format(at, length, {"bold": bold or None})

    @rule(at=st.integers(0, 9), come=CHARACTERS)
    def fail(self, at: int, come: str) -> None:
        self.failing(lambda text: (text.append(come), text.insert(0, come), text.delete(at, 1), text.append("\ud800")))

    @rule(part=st.slices(9), inner=CHARACTERS)
    def read(self, part: slice, inner: str) -> None:
        check_text(self.state.document, "notes")
        self.both(lambda text: [text[part], len(text), inner in text, text.find(inner), str(text)])
        assert "".join(op["insert"] for op in self.field.delta()) == self.plain


class BesideRows(Beside):
    """Rows, beside a dict of dicts."""

    name = "tasks"
    EMPTY: ClassVar[dict[str, Any]] = {
        "title": None,
        "spent": 0,
        "labels": [],
        "steps": [],
        "journal": [],
        "notes": "",
        "parts": {},
    }

    def __init__(self) -> None:
        super().__init__()
        self.plain: dict[str, dict[str, Any]] = {}

    ROWS = st.fixed_dictionaries(
        {},
        optional={
            "title": PLAIN,
            "spent": st.integers(-3, 3),
            "steps": st.lists(PLAIN, max_size=2),
            "notes": CHARACTERS,
            "parts": st.dictionaries(KEYS, st.fixed_dictionaries({"title": PLAIN, "notes": CHARACTERS}), max_size=2),
        },
    )

    @rule(key=KEYS, row=ROWS)
    def put(self, key: str, row: dict[str, Any]) -> None:
        self.field[key] = row
        self.plain[key] = {**self.EMPTY, **row}

    @rule(key=KEYS, row=ROWS)
    def change(self, key: str, row: dict[str, Any]) -> None:
        if key in self.plain:
            self.field[key].assign(row)
            self.plain[key] |= row
            assert canonical(self.field[key].to_dict()) == canonical(self.plain[key])

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.both(lambda rows: rows.__delitem__(key))

    @rule(rows=st.dictionaries(KEYS, ROWS, max_size=3))
    def assign(self, rows: dict[str, Any]) -> None:
        self.field.assign(rows)
        self.plain = {key: {**self.EMPTY, **row} for key, row in rows.items()}

    @rule()
    def clear(self) -> None:
        self.both(lambda rows: rows.clear())

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        self.both(lambda rows: [key in rows, len(rows), sorted(rows)])

    @rule(key=KEYS, row=ROWS, other=KEYS)
    def fail(self, key: str, row: dict[str, Any], other: str) -> None:
        self.failing(lambda rows: (rows.__setitem__(key, row), rows.pop(other), rows.update(z={"nothing": 1})))


TestRegister = machine(BesideValue)
TestMap = machine(BesideDict)
TestORSet = machine(BesideShrinkingSet)
TestGSet = machine(BesideGrowingSet)
TestCounter = machine(BesideNumber)
TestGCounter = machine(BesideGrowingNumber)
TestLog = machine(BesideAppended)
TestList = machine(BesideList)
TestText = machine(BesideText)
TestRows = machine(BesideRows)
