"""A state with a field of every type, and random edits of it."""

from typing import Any, cast

from hypothesis import strategies as st

from comity.crdt_types import Counter, GCounter, GSet, List, Log, Map, ORSet, Register, State, Text


class Profile(State):
    """A state in the state."""

    name: Register[str]
    visits: Counter


class Task(State):
    """A row."""

    title: Register[str]
    spent: Counter
    marks: ORSet[str]
    seen: GSet[str]
    reads: GCounter
    log: Log[int]
    points: List[int]
    notes: Text


class World(State):
    """One field of every type."""

    goal: Register[Any] = Register(default="none")
    steps: Map[Any]
    tags: ORSet[Any]
    known: GSet[str]
    spent: Counter
    views: GCounter
    log: Log[Any]
    items: List[Any]
    notes: Text
    profile: Profile
    tasks: Map[Task]


Edit = tuple[Any, ...]

KEYS = st.sampled_from(["a", "b", "$c/~d"])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([1.0, "x", b"y", [1], {"k": [2]}]))
SHORT = st.sampled_from(["x", "yz", "é🐠", ""])
AT = st.integers(0, 9)
SIZE = st.integers(0, 3)
FORMAT = st.sampled_from([{"bold": True}, {"bold": None}, {"link": "a", "bold": True}])

CELL_EDITS = st.one_of(
    st.tuples(st.just("set"), VALUES),
    st.tuples(st.just("clear")),
    st.tuples(st.just("put"), KEYS, VALUES),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("tag"), VALUES),
    st.tuples(st.just("untag"), VALUES),
    st.tuples(st.just("count"), st.integers(-3, 3)),
    st.tuples(st.just("append"), VALUES),
    st.tuples(st.just("prune"), SIZE),
    st.tuples(st.just("name"), SHORT),
    st.tuples(st.just("visit"), SIZE),
)
LIST_EDITS = st.one_of(
    st.tuples(st.just("insert"), AT, VALUES),
    st.tuples(st.just("overwrite"), AT, VALUES),
    st.tuples(st.just("move"), AT, AT),
    st.tuples(st.just("remove"), AT),
)
TEXT_EDITS = st.one_of(
    st.tuples(st.just("type"), AT, SHORT),
    st.tuples(st.just("erase"), AT, SIZE),
    st.tuples(st.just("format"), AT, SIZE, FORMAT),
    st.tuples(st.just("embed"), AT),
)
ROW_EDITS = st.one_of(
    st.tuples(st.just("row"), KEYS, SHORT, SIZE),
    st.tuples(st.just("drop"), KEYS),
    st.tuples(st.just("title"), KEYS, SHORT),
    st.tuples(st.just("spend"), KEYS, st.integers(-3, 3)),
    st.tuples(st.just("mark"), KEYS, SHORT),
    st.tuples(st.just("point"), KEYS, AT),
    st.tuples(st.just("journal"), KEYS, SIZE),
    st.tuples(st.just("note"), KEYS, AT, SHORT),
    st.tuples(st.just("strike"), KEYS, AT, SIZE),
)
GROWING = st.one_of(st.tuples(st.just("know"), SHORT), st.tuples(st.just("view"), SIZE))
EDITS = st.one_of(CELL_EDITS, LIST_EDITS, TEXT_EDITS, ROW_EDITS)


def make(world: World, edit: Edit) -> None:
    """Make an edit; positions are taken modulo what there is, and what is not there is left alone."""
    match edit:
        case ("set", value):
            world.goal.set(value)
        case ("clear",):
            world.goal.clear()
        case ("put", key, value):
            world.steps[key] = value
        case ("delete", key):
            world.steps.pop(key, None)
        case ("tag", value):
            world.tags.add(value)
        case ("untag", value):
            world.tags.discard(value)
        case ("count", amount):
            world.spent.add(amount)
        case ("append", value):
            world.log.append(value)
        case ("prune", keep):
            world.log.prune(keep)
        case ("name", name):
            world.profile.name.set(name)
        case ("visit", amount):
            world.profile.visits.add(amount)
        case ("know", value):
            world.known.add(value)
        case ("view", amount):
            world.views.add(amount)
        case ("insert" | "overwrite" | "move" | "remove", *_):
            edit_list(world.items, edit)
        case ("type" | "erase" | "format" | "embed", *_):
            edit_text(world.notes, edit)
        case _:
            edit_rows(world, edit)


def edit_list(items: List[Any], edit: Edit) -> None:
    """Make an edit of a list."""
    size = len(items)
    match edit:
        case ("insert", at, value):
            items.insert(at % (size + 1), value)
        case ("overwrite", at, value) if size:
            items[at % size] = value
        case ("move", at, to) if size:
            items.move(at % size, to % size)
        case ("remove", at) if size:
            del items[at % size]
        case _:
            pass


def edit_text(text: Text, edit: Edit) -> None:
    """Make an edit of a text."""
    match edit:
        case ("type", at, come):
            text.insert(at % (len(text) + 1), come)
        case ("embed", at):
            text.insert_embed(at % (len(text) + 1), {"image": at})
        case ("erase", at, length):
            at = at % (len(text) + 1)
            text.delete(at, min(length, len(text) - at))
        case ("format", at, length, attributes):
            at = at % (len(text) + 1)
            text.format(at, min(length, len(text) - at), attributes)
        case _:
            pass


def edit_rows(world: World, edit: Edit) -> None:
    """Make an edit of the rows."""
    match edit:
        case ("row", key, title, count):
            words = {"title": title, "notes": title, "points": [1, count], "marks": [title]}
            cast(Any, world.tasks)[key] = {**words, "spent": count}
            return
        case (_, key, *_) if key not in world.tasks:
            return
        case _:
            pass
    task = world.tasks[edit[1]]
    match edit:
        case ("drop", key):
            del world.tasks[key]
        case ("title", _, title):
            task.title.set(title)
        case ("spend", _, amount):
            task.spent.add(amount)
        case ("mark", _, mark):
            task.marks.add(mark)
        case ("point", _, at):
            task.points.insert(at % (len(task.points) + 1), at)
        case ("journal", _, item):
            task.log.append(item)
        case ("note", _, at, come):
            task.notes.insert(at % (len(task.notes) + 1), come)
        case ("strike", _, at, length):
            at = at % (len(task.notes) + 1)
            task.notes.delete(at, min(length, len(task.notes) - at))
        case _:
            pass


def picture(world: World) -> Any:
    """Return all that can be read, the texts with their formatting."""
    texts = {key: row.notes.delta() for key, row in world.tasks.items()}
    return world.to_dict(), world.goal.is_set, world.notes.delta(), texts
