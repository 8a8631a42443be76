"""Migrations: made once in effect, whoever makes them, offline too; older classes go on or are told clearly."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from comity.clients.client import connect
from comity.crdt_types import Counter, List, Log, Map, ORSet, Register, State, StateDocument, Text
from comity.crdt_types.document.clock import HybridClock, wall_ms
from comity.crdt_types.errors import SchemaError, StateError
from comity.crdt_types.schema.migrating import Lineage, made
from comity.crdt_types.schema.migration import After, Before, migration
from comity.crdt_types.schema.validation import transition
from tests.support.invariants import check
from tests.support.profiles import examples
from tests.support.server import in_process_server
from tests.support.waiting import until

WORDS = ["low", "high"]


class Old(State, name="mission"):
    title: Register[str]
    cost: Counter
    journal: Log[str]
    labels: ORSet[str]
    priority: Register[int]
    order: List[str]
    parts: Map[int]
    notes: Text


@migration(1, 2, backward=False)
def reshape(old: Before, new: After) -> None:
    new.rename("title", "goal")
    new.rename("cost", "spent")
    new.rename("journal", "log", str.upper)
    new.rename("labels", "tags")
    new.convert("priority", lambda number: WORDS[number])
    new.rename("order", "plan")
    new.convert("parts", str)


class New(State, name="mission", version=2, migrations=[reshape]):
    goal: Register[str]
    spent: Counter
    log: Log[str]
    tags: ORSet[str]
    priority: Register[str]
    plan: List[str]
    parts: Map[str]
    notes: Text


def document(update: bytes | None = None, agent: str = "") -> StateDocument:
    return StateDocument(agent=agent, update=update)


def filled() -> Old:
    old = Old(document(agent="old"))
    old.title.set("reef")
    old.cost.add(5)
    old.journal.extend(["a", "b", "a"])
    old.labels |= {"x"}
    old.priority.set(1)
    old.order.extend("xyz")
    old.order.move(0, 2)
    old.parts["k"] = 3
    old.notes.append("note")
    return old


MIGRATED = {
    "goal": "reef", "spent": 5, "log": ["A", "B", "A"], "tags": ["x"], "priority": "high",
    "plan": ["y", "z", "x"], "parts": {"k": "3"}, "notes": "note",
}  # fmt: skip


def exchange(*states: State) -> None:
    """Bring all of them what they lack, until nobody has anything to say to it."""
    for _ in range(6):
        updates = [state.document.update_since() for state in states]
        for state in states:
            for update in updates:
                state.document.apply(update)


def test_migration_makes_of_every_type_what_it_says() -> None:
    old = filled()
    new = New(document(old.document.update_since()))
    assert new.to_dict() == MIGRATED
    assert new.log.times() == old.journal.times()
    assert not new.conflicts()
    assert not new.violations()
    check(new.document)


def test_migration_of_one_content_by_two_replicas_is_one_update() -> None:
    update = filled().document.update_since()
    one, two = New(document(update, "one")), New(document(update, "two"))
    assert one.document.update_since() == two.document.update_since()
    exchange(one, two)
    assert one.to_dict() == two.to_dict() == MIGRATED


def test_migration_does_not_depend_on_the_order_in_which_content_came() -> None:
    updates: list[bytes] = []
    for name in "ba":
        old = Old(document(agent=name))
        old.parts[name] = 1
        old.labels.add(name)
        old.cost.add(1)
        old.journal.append(name)
        updates.append(old.document.update_since())
    one, two = document(), document()
    for update in updates:
        one.apply(update)
    for update in reversed(updates):
        two.apply(update)
    assert made(one, Lineage("mission"), reshape, 2) == made(two, Lineage("mission"), reshape, 2)


def test_migration_that_was_made_is_not_made_again_though_its_record_is_gone() -> None:
    old = filled().document
    update = made(old, Lineage("mission"), widen, 1)
    assert update is not None
    old.apply(update)
    assert made(old, Lineage("mission"), widen, 1) is None


def test_equal_log_items_stay_as_often_as_they_were() -> None:
    for word in ("A", "B", "C", "D", "E", "F"):  # whose lanes' client ids, being hashes, are in either order
        olds = [Old(StateDocument(agent=name, clock=HybridClock(lambda: 1_700_000_000_000))) for name in ("a", "b")]
        for old in olds:
            old.journal.append(word)
        both = StateDocument(update=olds[0].document.update_since())
        both.apply(olds[1].document.update_since())
        one, two = New(both), New(document(olds[0].document.update_since()))
        assert (list(one.log), list(two.log)) == ([word, word], [word])
        exchange(one, two)
        assert list(one.log) == list(two.log) == [word, word]


def test_migration_is_not_made_again_by_those_who_come_later() -> None:
    new = New(document(filled().document.update_since()))
    new.spent.add(1)
    new.log.append("C")
    for _ in range(3):
        update = new.document.update_since()
        new = New(document(update))
        assert new.document.update_since() == update
    assert new.to_dict() == {**MIGRATED, "spent": 6, "log": ["A", "B", "A", "C"]}


def test_migration_waits_for_content_that_comes_while_the_state_is_open() -> None:
    new = New(document(agent="early"))
    new.document.apply(filled().document.update_since())
    assert new.to_dict() == MIGRATED


def test_migration_that_follows_at_once_leaves_no_violation_to_tell_of() -> None:
    new = New(document())
    told: list[Any] = []
    new.on_violation(told.append)
    new.document.apply(filled().document.update_since())
    assert new.priority.value == "high"
    assert not told


def test_migration_waits_for_the_end_of_a_transaction() -> None:
    place = document(filled().document.update_since())
    with place.transaction():
        new = New(place)
        assert new.goal.value is None
        new.tags.add("mine")
    assert new.to_dict() == {**MIGRATED, "tags": ["x", "mine"]}


def test_migration_waits_for_what_is_missing() -> None:
    old = Old(document(agent="old"))
    updates: list[bytes] = []
    old.document.on_commit(lambda commit: updates.append(commit.update))
    for word in ("a", "b", "c"):
        old.journal.append(word)
    new = New(document())
    new.document.apply(updates[0])
    made_once = new.document.state_vector()
    new.document.apply(updates[2])
    assert new.document.lacks_updates
    assert list(new.log) == ["A"]
    new.document.apply(updates[1])
    assert list(new.log) == ["A", "B", "C"]
    assert new.document.state_vector() != made_once


def test_migration_follows_a_reset_to_older_content() -> None:
    new = New(document())
    new.goal.set("mine")
    new.document.reset(filled().document.update_since())
    assert new.to_dict() == MIGRATED
    new.spent.add(1)
    late = Old(document(filled().document.update_since()))
    late.cost.add(1)
    new.document.apply(late.document.update_since())
    again = New(document(new.document.update_since()))
    assert again.to_dict() == new.to_dict()


def test_migration_is_sent_like_an_edit_of_this_replica() -> None:
    new = New(document())
    commits: list[Any] = []
    new.document.on_commit(commits.append)
    update = filled().document.update_since()
    new.document.apply(update)
    assert [commit.local for commit in commits] == [False, True]
    other = StateDocument(update=update)
    other.apply(commits[1].update)
    assert New(other).to_dict() == MIGRATED
    assert other.update_since() == new.document.update_since()


def test_edits_of_the_newer_version_before_older_content_comes_are_kept_beside_it() -> None:
    update = filled().document.update_since()
    new = New(StateDocument(agent="early", clock=HybridClock(lambda: wall_ms() + 10_000)))
    new.spent.add(1)
    new.log.append("LATER")
    new.parts["mine"] = "1"
    new.priority.set("low")
    new.document.apply(update)
    assert new.spent.value == 6
    assert list(new.log) == ["A", "B", "A", "LATER"]
    assert new.parts.value == {"k": "3", "mine": "1"}
    assert new.priority.value == "low"
    assert [conflict.values for conflict in new.conflicts()] == [["low", "high"]]


def test_migrations_of_different_contents_come_to_one() -> None:
    update = filled().document.update_since()
    olds = [Old(document(update, name)) for name in ("one", "two", "three")]
    for number, old in enumerate(olds):
        old.cost.add(10**number)
        old.journal.append(f"of {number}")
        old.labels.add(f"of {number}")
        old.parts[f"of {number}"] = number
    news = [New(document(old.document.update_since(), "new")) for old in olds]
    news[0].spent.add(1000)
    news[1].goal.set("wreck")
    exchange(*news)
    first = news[0].to_dict()
    assert all(new.to_dict() == first for new in news)
    assert first["spent"] == 1116
    assert first["log"][:3] == ["A", "B", "A"]
    assert sorted(first["log"][3:]) == ["OF 0", "OF 1", "OF 2"]
    assert first["tags"] == ["x", "of 0", "of 1", "of 2"]
    assert first["parts"] == {"k": "3", "of 0": "0", "of 1": "1", "of 2": "2"}
    assert first["plan"] == ["y", "z", "x"]
    assert first["goal"] == "wreck"
    assert not news[0].conflicts()
    assert not news[0].violations()


def test_what_an_older_version_wrote_offline_follows_when_it_comes() -> None:
    update = filled().document.update_since()
    new = New(document(update, "new"))
    late = Old(StateDocument(agent="late", update=update, clock=HybridClock(lambda: wall_ms() + 10_000)))
    late.cost.add(20)
    late.journal.append("late")
    late.labels.add("late")
    late.order.append("late")
    late.parts["late"] = 7
    late.priority.set(0)
    new.document.apply(late.document.update_since())
    assert new.to_dict() == {
        **MIGRATED, "spent": 25, "log": ["A", "B", "A", "LATE"], "tags": ["x", "late"],
        "plan": ["y", "z", "x", "late"], "parts": {"k": "3", "late": "7"}, "priority": "low",
    }  # fmt: skip
    assert not new.violations()


def test_what_an_older_version_counted_offline_follows_alone() -> None:
    empty = Old(document())
    empty.title.set("x")
    update = empty.document.update_since()
    for start in (update, filled().document.update_since()):
        new = New(document(start, "new"))
        before = new.spent.value
        late = Old(document(start, "late"))
        for total in (20, 50):
            late.cost.assign(before + total)
            new.document.apply(late.document.update_since())
            assert new.spent.value == before + total
        late.journal.append("z")
        new.document.apply(late.document.update_since())
        assert new.spent.value == before + 50
        assert New(document(new.document.update_since())).to_dict() == new.to_dict()


def test_lane_that_comes_after_it_was_made_one_with_another_is_found() -> None:
    update = filled().document.update_since()
    old = Old(document(update, "old"))
    posted: list[bytes] = []
    old.document.on_commit(lambda commit: posted.append(commit.update))
    old.journal.append("w")
    one = New(document(update, "one"))
    two = New(document(old.document.update_since(), "two"))
    migrated = two.document.update_since(old.document.state_vector())
    merged: list[bytes] = []
    two.document.on_commit(lambda commit: merged.append(commit.update))
    two.document.apply(one.document.update_since())
    assert len(merged) == 2
    for late in (merged[1], *posted, migrated):
        one.document.apply(late)
    assert sorted(one.log) == ["A", "A", "B", "W"]
    exchange(one, two)
    assert one.to_dict() == two.to_dict()
    assert sorted(two.log) == ["A", "A", "B", "W"]


def test_transition_that_a_migration_makes_is_no_violation() -> None:
    class Strict(New, name="mission", version=2, migrations=[reshape]):
        @transition("priority")
        @staticmethod
        def never(old: object, new: object) -> None:
            if new == "high":
                raise ValueError("never high")

    state = Strict(document())
    told: list[Any] = []
    state.on_violation(told.append)
    state.document.apply(filled().document.update_since())
    assert state.priority.value == "high"
    assert [each.value for each in told] == []


def test_migrations_form_a_chain() -> None:
    @migration(2, 4, backward=False)
    def shout(old: Before, new: After) -> None:
        new.convert("goal", str.upper)
        new.rename("spent", "total")

    class Newest(State, name="mission", version=4, migrations=[shout, reshape]):
        goal: Register[str]
        total: Counter
        log: Log[str]

    update = filled().document.update_since()
    migrated = New(document(update)).document.update_since()
    for start in (update, migrated):
        newest = Newest(document(start))
        assert (newest.goal.value, newest.total.value, list(newest.log)) == ("REEF", 5, ["A", "B", "A"])
    two = Newest(document(migrated, "two"))
    exchange(newest, two)
    assert newest.to_dict() == two.to_dict()
    with pytest.raises(SchemaError, match="version 4 or later"):
        New(document(two.document.update_since()))


# Older classes --------------------------------------------------------------------------------------------------


@migration(1, 2, backward=True)
def widen(old: Before, new: After) -> None:
    first, _, last = old.register("title", "").partition(" ")
    new.set("first", first)
    new.set("last", last)
    new.rename("journal", "log")
    new.rename("cost", "spent")


class Wide(State, name="mission", version=2, migrations=[widen]):
    first: Register[str]
    last: Register[str]
    log: Log[str]
    spent: Counter


def test_older_class_goes_on_beside_a_backward_migration() -> None:
    old = filled()
    old.title.set("coral reef")
    wide = Wide(document(old.document.update_since()))
    assert wide.to_dict() == {"first": "coral", "last": "reef", "log": ["a", "b", "a"], "spent": 5}
    again = Old(document(wide.document.update_since()))
    assert again.to_dict() == old.to_dict()
    again.title.set("wreck")
    wide.document.apply(again.document.update_since())
    assert wide.first.value == "coral"


def test_older_class_is_refused_when_it_is_opened_on_what_it_cannot_read() -> None:
    new = New(document(filled().document.update_since()))
    with pytest.raises(SchemaError, match=r"'mission'.*version 2 of the schema.*version 2 or later is needed"):
        Old(document(new.document.update_since()))


def test_older_class_that_is_open_reads_on_and_refuses_edits() -> None:
    old = filled()
    new = New(document(old.document.update_since()))
    old.document.apply(new.document.update_since())
    assert list(old.journal) == []
    assert old.notes.value == "note"
    before = old.document.update_since()
    with pytest.raises(SchemaError, match="version 2 or later"):
        old.title.set("again")
    with pytest.raises(SchemaError), old.transaction():
        old.cost.add(1)
    assert old.document.update_since() == before

    class Other(State):
        other: Register[str]

    Other(old.document).other.set("fine")


def test_class_without_a_name_or_version_leaves_no_mark() -> None:
    class Plain(State):
        goal: Register[str]

    plain, named = Plain(), Old()
    plain.goal.set("x")
    named.title.set("x")
    assert [field for (_kind, field), cells in plain.document.index.fields.items() if cells] == ["", "goal"]
    assert list(named.document.index.cells(1, "$schema")) == ["mission@1"]


def failing() -> Iterator[str]:
    yield "y"
    raise TypeError


def test_mark_is_in_the_transaction_that_it_belongs_to() -> None:
    new = New()
    updates: list[bytes] = []
    new.document.on_commit(lambda commit: updates.append(commit.update))
    with pytest.raises(TypeError), new.transaction():
        new.log.extend(["x", *failing()])
    assert not new.document.index.cells(1, "$schema")
    new.goal.set("x")
    new.goal.set("y")
    new.spent.add(1)
    assert len(updates) == 3
    assert [entry.value for entry in new.document.index.cells(1, "$schema")["mission@2"]] == [2]


def test_migration_that_fails_is_told_and_blocks_edits_only() -> None:
    @migration(1, 2, backward=False)
    def broken(old: Before, new: After) -> None:
        raise KeyError("mistake")

    class Broken(State, name="mission", version=2, migrations=[broken]):
        goal: Register[str]

    update = filled().document.update_since()
    with pytest.raises(SchemaError, match=r"migration mission 1>2.*mistake"):
        Broken(document(update))
    state = Broken()
    state.document.apply(update)
    assert state.goal.value is None
    with pytest.raises(SchemaError, match="mistake"):
        state.goal.set("x")


@pytest.mark.parametrize(
    "edit",
    [
        lambda new: new.clear("title"),
        lambda new: new.set("title", "other"),
        lambda new: new.put("parts", "k", 1),
        lambda new: new.delete("parts", "k"),
        lambda new: new.discard("labels", "x"),
        lambda new: new.convert("priority", str),
        lambda new: new.drop("journal"),
        lambda new: new.drop("empty"),
        lambda new: new.rename("cost", "cost"),
    ],
)
def test_backward_migration_may_not_take_anything_away(edit: Any) -> None:
    @migration(1, 2, backward=True)
    def taking(old: Before, new: After) -> None:
        edit(new)

    class Taking(State, name="mission", version=2, migrations=[taking]):
        goal: Register[str]

    with pytest.raises(SchemaError):
        Taking(document(filled().document.update_since()))


def test_migration_reads_and_writes_everything_one_by_one() -> None:
    @migration(1, 2, backward=False)
    def rewrite(old: Before, new: After) -> None:
        seen = {
            "register": old.register("title"), "none": old.register("nothing", 7), "map": old.map("parts"),
            "set": old.set("labels"), "counter": old.counter("cost"), "log": old.log("journal"),
            "list": old.list("order"), "text": old.text("notes"), "rows": old.rows("people"),
        }  # fmt: skip
        new.set("seen", seen)
        for key in old.rows("people"):
            new.rename(f"people/{key}/name", f"persons/{key}/title")
            new.add("persons", key)
        for item in old.log("journal"):
            new.push("items", item)
            new.append("events", {"item": item})
        new.put("table", "k", b"v")
        new.count("uses", 2)
        new.drop("journal")
        new.delete("parts", "k")
        new.discard("labels", "x")
        new.clear("title")

    class Person(State):
        name: Register[str]

    class Titled(State):
        title: Register[str]

    class People(Old, name="mission"):
        people: Map[Person]

    class Rewritten(State, name="mission", version=2, migrations=[rewrite]):
        seen: Register[dict[str, Any]]
        persons: Map[Titled]
        items: List[str]
        events: Log[Any]
        table: Map[bytes]
        uses: Counter
        title: Register[str]
        journal: Log[str]
        labels: ORSet[str]
        parts: Map[int]

    old = People(document(filled().document.update_since()))
    old.people["a/b"] = Person(name="Ann")
    old.people["c"] = Person(name="Cid")
    state = Rewritten(document(old.document.update_since()))
    assert state.seen.value == {
        "register": "reef", "none": 7, "map": {"k": 3}, "set": ["x"], "counter": 5, "log": ["a", "b", "a"],
        "list": ["y", "z", "x"], "text": "note", "rows": ["a/b", "c"],
    }  # fmt: skip
    assert state.persons.value == {"a/b": {"title": None}, "c": {"title": "Cid"}}
    assert list(state.items) == ["a", "b", "a"]
    assert list(state.events) == [{"item": "a"}, {"item": "b"}, {"item": "a"}]
    assert (state.table.value, state.uses.value) == ({"k": b"v"}, 2)
    assert (state.title.value, list(state.journal), list(state.labels), state.parts.value) == (None, [], [], {})
    two = Rewritten(document(old.document.update_since()))
    assert two.document.update_since() == state.document.update_since()


def test_migration_of_rows_takes_all_of_them_late_ones_too() -> None:
    @migration(1, 2, backward=False)
    def retitle(old: Before, new: After) -> None:
        new.rename("people/*/name", "people/*/title", str.title)
        new.rename("people/*/paid", "people/*/spent")
        new.rename("people/*/old/*/x", "people/*/new/*/y")

    class Inner(State):
        x: Register[int]

    class Renamed(State):
        y: Register[int]

    class Person(State):
        name: Register[str]
        paid: Counter
        old: Map[Inner]

    class Titled(State):
        title: Register[str]
        spent: Counter
        new: Map[Renamed]

    class People(State, name="people"):
        people: Map[Person]

    class Retitled(State, name="people", version=2, migrations=[retitle]):
        people: Map[Titled]

    old = People()
    for key in ("a/b", "*", ""):
        old.people[key] = Person(name=f"ann {key}", paid=2)
    old.people["*"].old["q"] = Inner(x=1)
    new = Retitled(document(old.document.update_since()))
    expected: dict[str, Any] = {key: {"title": f"Ann {key}".title(), "spent": 2, "new": {}} for key in ("", "*", "a/b")}
    expected["*"]["new"]["q"] = {"y": 1}
    assert new.people.value == expected
    old.people["late"] = Person(name="late", paid=7)
    new.document.apply(old.document.update_since())
    assert new.people.value == {**expected, "late": {"title": "Late", "spent": 7, "new": {}}}
    check(new.document)


def test_migrations_are_refused_that_lead_nowhere() -> None:
    with pytest.raises(SchemaError, match="later version"):
        migration(2, 2, backward=True)
    with pytest.raises(SchemaError, match="later version"):
        migration(0, 1, backward=True)
    with pytest.raises(SchemaError, match="lead to version 1"):
        type("A", (State,), {}, migrations=[reshape])
    with pytest.raises(SchemaError, match="lead to version 3"):
        type("B", (State,), {}, version=3, migrations=[reshape, migration(1, 3, backward=True)(lambda old, new: None)])
    with pytest.raises(SchemaError, match="no version"):
        type("C", (State,), {}, version=0)
    with pytest.raises(SchemaError, match="without a name"):
        type("D", (State,), {}, name="")
    outer = type("Outer", (State,), {"__annotations__": {"inner": New}})
    with pytest.raises(SchemaError, match="lies in another"):
        outer()


# Anything in any order ------------------------------------------------------------------------------------------

SITES = st.integers(0, 2)


def rivals(state: State) -> list[Any]:
    """Return the live values of all cells in conflict."""
    return [(conflict.field, conflict.key, conflict.values) for conflict in state.conflicts() if conflict.values[1:]]


class Upgrades(RuleBasedStateMachine):
    """Sites of the older version become such of the newer one, while all of them edit and exchange what they did."""

    @initialize(shared=st.booleans())
    def open(self, shared: bool) -> None:
        start = filled().document.update_since() if shared else None
        self.sites: list[State] = [Old(document(start, f"site {number}")) for number in range(3)]
        self.boxes: list[list[bytes]] = [[], [], []]
        self.total = 5 if shared else 0
        self.items = ["A", "B", "A"] if shared else []
        self.tags = {"x"} if shared else set[str]()
        self.parts = {"k": "3"} if shared else {}
        self.made = 0
        for number in range(3):
            self._follow(number)

    def _follow(self, number: int) -> None:
        def post(commit: Any) -> None:
            if commit.local:
                for other, box in enumerate(self.boxes):
                    if other != number:
                        box.append(commit.update)

        self.sites[number].document.on_commit(post)

    @rule(number=SITES, amount=st.integers(-3, 9))
    def edit(self, number: int, amount: int) -> None:
        site = self.sites[number]
        self.made += 1
        name = f"w{self.made}"
        try:
            with site.transaction():
                self._edit(site, name, amount)
        except SchemaError:
            assert isinstance(site, Old)
            return
        self.total += amount
        self.items.append(name.upper())
        self.tags.add(name)
        self.parts[name] = str(self.made)

    def _edit(self, site: State, name: str, amount: int) -> None:
        if isinstance(site, Old):
            site.cost.add(amount)
            site.journal.append(name)
            site.labels.add(name)
            site.parts[name] = self.made
            site.order.append(name)
            site.title.set(name)
            site.priority.set(self.made % 2)
        elif isinstance(site, New):
            site.spent.add(amount)
            site.log.append(name.upper())
            site.tags.add(name)
            site.parts[name] = str(self.made)
            site.plan.append(name)
            site.goal.set(name)
            site.priority.set(WORDS[self.made % 2])

    @rule(number=SITES, choices=st.lists(st.integers(0, 9), min_size=1, max_size=4), keep=st.booleans())
    def deliver(self, number: int, choices: list[int], keep: bool) -> None:
        box = self.boxes[number]
        for choice in choices:
            if box:
                at = choice % len(box)
                self.sites[number].document.apply(box[at] if keep else box.pop(at))

    @rule(number=SITES)
    @precondition(lambda self: any(isinstance(site, Old) for site in self.sites))
    def upgrade(self, number: int) -> None:
        self._restart(number, New)

    @rule(number=SITES)
    def restart(self, number: int) -> None:
        self._restart(number, type(self.sites[number]))

    def _restart(self, number: int, cls: type[State]) -> None:
        site = self.sites[number]
        fresh = StateDocument(agent=f"site {number}")
        fresh.apply(site.document.update_since())
        try:
            self.sites[number] = cls(fresh)
        except SchemaError:
            assert cls is Old
            return
        if self.sites[number].document.state_vector() != site.document.state_vector():
            for other, box in enumerate(self.boxes):
                if other != number:
                    box.append(self.sites[number].document.update_since(site.document.state_vector()))
        self._follow(number)

    @rule()
    def settle(self) -> None:
        exchange(*self.sites)
        self._check_agreement()

    def _check_agreement(self) -> None:
        # What a site of the older version reads of what it cannot read any more is what it saw last.
        news = [site for site in self.sites if isinstance(site, New)]
        assert all(site.to_dict() == news[0].to_dict() for site in news)
        assert all(rivals(site) == rivals(news[0]) for site in news)

    def teardown(self) -> None:
        if not hasattr(self, "sites"):
            return
        for number, site in enumerate(self.sites):
            if isinstance(site, Old):
                self._restart(number, New)
        exchange(*self.sites)
        self._check_agreement()
        state = self.sites[0]
        assert isinstance(state, New)
        assert state.spent.value == self.total
        assert sorted(state.log) == sorted(self.items)
        assert sorted(state.tags) == sorted(self.tags)
        assert state.parts.value == self.parts
        assert sorted(state.plan) == sorted([*(self.tags - {"x"}), *("xyz" if "x" in self.tags else "")])
        assert not state.violations()
        check(state.document)


TestUpgrades = Upgrades.TestCase
TestUpgrades.settings = settings(max_examples=examples(30, 1500), stateful_step_count=examples(12, 40), deadline=None)


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=6))
@settings(max_examples=examples(12, 500))
def test_lanes_of_one_migration_come_to_one_in_any_order(order: list[int], again: list[int]) -> None:
    update = filled().document.update_since()
    updates: list[bytes] = []
    for number in range(4):
        old = Old(document(update, f"old {number}"))
        old.cost.add(10**number)
        old.journal.append(f"of {number}")
        new = New(document(old.document.update_since(), "new"))
        updates.append(new.document.update_since())
    reader = New(document(agent="reader"))
    for number in (*order, *again):
        reader.document.apply(updates[number])
    assert reader.spent.value == 5 + 1111
    assert sorted(reader.log) == ["A", "A", "B", "OF 0", "OF 1", "OF 2", "OF 3"]


# Over a server --------------------------------------------------------------------------------------------------


async def test_clients_that_open_old_data_at_once_migrate_it_once(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "data") as server:
        async with connect(server.url, agent="old").open("room", Old) as old:
            old.cost.add(5)
            old.journal.extend(["a", "b"])
            old.title.set("reef")
            await old.durable()
        async with (
            connect(server.url, agent="one").open("room", New) as one,
            connect(server.url, agent="two").open("room", New) as two,
        ):
            one.spent.add(1)
            two.log.append("Z")
            await one.synced()
            await two.synced()
            await until(one, lambda: list(one.log) == ["A", "B", "Z"] and two.spent.value == 6)
            await one.durable()
            await two.durable()
            assert one.to_dict() == two.to_dict()
            assert one.spent.value == 6
        async with connect(server.url).open("room", New) as late:
            await late.synced()
            assert late.spent.value == 6
            assert list(late.log) == ["A", "B", "Z"]
            assert late.goal.value == "reef"


async def test_migrations_made_offline_come_to_one_over_a_server(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "data") as server:
        for name in ("one", "two"):
            async with connect(server.url, agent=name, directory=tmp_path / name).open("room", Old) as old:
                await old.synced()
                old.cost.add(5 if name == "one" else 0)
                await old.durable()
        for name in ("one", "two"):
            async with connect("ws://127.0.0.1:9", agent=name, directory=tmp_path / name).open("room", Old) as old:
                old.cost.add(10)
                old.journal.append(name)
        async with (
            connect(server.url, agent="one", directory=tmp_path / "one").open("room", New) as one,
            connect(server.url, agent="two", directory=tmp_path / "two").open("room", New) as two,
        ):
            for state in (one, two):
                await until(state, lambda: one.spent.value == two.spent.value == 25)
                await until(state, lambda: sorted(one.log) == sorted(two.log) == ["ONE", "TWO"])


async def test_older_client_is_refused_edits_once_the_room_is_migrated(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path / "data") as server,
        connect(server.url, agent="old").open("room", Old) as old,
    ):
        old.cost.add(5)
        await old.durable()
        async with connect(server.url, agent="new").open("room", New) as new:
            await until(new, lambda: new.spent.value == 5)
            await until(old, lambda: "mission@2" in old.document.index.cells(1, "$schema"))
        with pytest.raises(StateError, match="version 2 or later"):
            old.cost.add(1)
        assert old.cost.value == 5
