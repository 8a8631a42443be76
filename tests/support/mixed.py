"""JavaScript replicas beside Python ones: one Node process holds them all, and is told what to do line by line."""

import base64
import json
from collections import Counter as Tally
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import count
from subprocess import PIPE, Popen
from typing import Any, Final

import msgpack

from comity.crdt_types import Commit
from comity.crdt_types.document.path import join, split
from comity.crdt_types.document.values import canonical
from comity.crdt_types.update import read_state_vector

from .draft import Draft
from .edits import Edit
from .entry_vectors import restored
from .model import Rivals, View
from .network import FailedError, Network, Site
from .optional import ROOT, require_path, require_tool

PROGRAM: Final = ROOT / "clients" / "js" / "test" / "support" / "peer.mjs"

Command = dict[str, Any]

# The kind, the method and the arguments before the value, for each operation of an `Edit`.
_METHODS: Final = {
    "set": ("register", "set"),
    "clear": ("register", "clear"),
    "put": ("map", "set"),
    "delete": ("map", "delete"),
    "add": ("set", "add"),
    "discard": ("set", "delete"),
    "count": ("counter", "add"),
    "append": ("log", "push"),
    "prune": ("log", "prune"),
    "insert": ("list", "insert"),
    "replace": ("list", "set"),
    "move": ("list", "move"),
    "remove": ("list", "delete"),
    "write": ("text", "replace"),
}


def base64_of(data: bytes) -> str:
    """Return bytes as text."""
    return base64.b64encode(data).decode()


def packed(value: Any) -> str:
    """Return a value as it crosses to JavaScript and back."""
    return base64_of(msgpack.packb(value))


def unpacked(text: str) -> Any:
    """Return a value that crossed."""
    return msgpack.unpackb(base64.b64decode(text), strict_map_key=False)


class Peer:
    """A Node process that holds JavaScript replicas; clients/js/test/support/peer.mjs says what it understands."""

    def __init__(self, process: "Popen[bytes]") -> None:
        self._process = process
        self._ids = count(1)

    def fresh_id(self) -> str:
        """Return an id that no replica had before."""
        return str(next(self._ids))

    def do(self, *commands: Command) -> list[Command]:
        """Give commands, all at once, and return the answers; an error in one is raised."""
        answers = self.ask(*commands)
        for answer in answers:
            assert "error" not in answer, answer
        return answers

    def ask(self, *commands: Command) -> list[Command]:
        """Give commands, all at once, and return the answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        lines = [json.dumps(command).encode() + b"\n" for command in commands]
        self._process.stdin.write(b"".join(lines))
        self._process.stdin.flush()
        return [json.loads(self._process.stdout.readline()) for _ in commands]


@contextmanager
def node_peer() -> Generator[Peer]:
    """Run a Node process for JavaScript replicas; give up the test without Node."""
    node = require_tool("node")
    require_path(ROOT / "clients" / "js" / "node_modules", "scripts/setup dev installs it")
    with Popen([node, str(PROGRAM)], stdin=PIPE, stdout=PIPE) as process:
        yield Peer(process)


def commands_of(edit: Edit) -> Iterator[Command]:
    """Yield the commands that make an edit."""
    operation, path, arguments = edit
    if operation == "row":  # one that is new
        key, title = arguments
        yield from commands_of(Edit("add", path, (key,)))
        yield from commands_of(Edit("set", join(*split(path), key, "title"), (title,)))
        return
    if operation == "write" and len(names := split(path)) > 2:  # a text in a row: the row stays
        yield from commands_of(Edit("add", join(*names[:-2]), (names[-2],)))
    kind, method = _METHODS[operation]
    if operation == "remove":
        arguments = (*arguments, 1)
    yield {"do": "edit", "kind": kind, "field": path, "op": method, "args": list(map(packed, arguments))}


def written_by(peer: Peer, session: dict[str, Any]) -> bytes:
    """Return what a JavaScript session leaves that makes the edits of a document of entries.json, as a Yjs update."""
    replica = peer.fresh_id()
    commands: list[Command] = [{"do": "open", "client": session["client"], "agent": session["agent"], "wall": 0}]
    for at, operation, path, *arguments in session["edits"]:
        edit = Edit(operation, path, tuple(map(restored, arguments)))
        commands += [{"do": "wall", "wall": at}, {"do": "transaction", "edits": list(commands_of(edit))}]
    commands += [{"do": "since"}, {"do": "close"}]
    *_done, whole, _closed = peer.do(*({**command, "id": replica} for command in commands))
    return base64.b64decode(whole["update"])


class JavaScriptSite(Site):
    """A JavaScript replica. Its `document` is one in Python that gets the same updates, and never writes."""

    def __init__(self, network: "MixedNetwork", number: int, update: bytes | None = None) -> None:
        super().__init__(network, number, update)
        self._peer = network.peer
        self._id = network.peer.fresh_id()
        self._client = network.fresh_client()
        self._commands: list[Command] = []
        self._grown = Tally[str]()
        self._taking_own = False
        opened = {"do": "open", "client": self._client, "agent": f"agent-{number}", "wall": self.wall}
        self._do({**opened, "update": base64_of(update)} if update is not None else opened)

    def _do(self, *commands: Command) -> list[Command]:
        return self._peer.do(*({**command, "id": self._id} for command in commands))

    def _committed(self, commit: Commit) -> None:
        if self._taking_own:
            self.outbox.append(commit.update)

    def apply(self, update: bytes) -> None:
        """Take in what others made."""
        super().apply(update)
        self._do({"do": "apply", "update": base64_of(update)})

    def close(self) -> bytes:
        """End the session, and return the bytes that it leaves."""
        whole, _closed = self._do({"do": "since"}, {"do": "close"})
        return base64.b64decode(whole["update"])

    @contextmanager
    def editing(self) -> Generator[None]:
        """Run edits in one transaction and note them in the model once they are in."""
        self._draft = draft = Draft(self.network.model, self.seen, self._client)
        self._commands.clear()
        self._grown.clear()
        sent = len(self.outbox)
        try:
            yield
        except FailedError:
            self._fail()
            raise
        finally:
            self._draft = None
        self._send()
        self.network.note(draft, self.outbox[sent:])

    def edit(self, edit: Edit) -> None:
        """Make an edit; one of a whole row is left to the Python sites, the peer knows the fields of none."""
        if edit.operation not in ("drop", "row"):
            super().edit(edit)

    def _make(self, edit: Edit) -> None:
        self._commands.extend(commands_of(edit))
        if edit.operation == "write":
            _at, gone, come = edit.arguments
            self._grown[edit.path] += len(come) - gone

    def _length_of(self, path: str) -> int:
        return super()._length_of(path) + self._grown[path]

    def _send(self) -> None:
        before = base64_of(self.document.state_vector())
        edits = {"do": "transaction", "edits": self._commands}
        *_done, made = self._do({"do": "wall", "wall": self.wall}, edits, {"do": "since", "sv": before})
        self._taking_own = True
        self.document.apply(base64.b64decode(made["update"]))
        self._taking_own = False

    def _fail(self) -> None:
        """Have the transaction made and fail at its end, and assert that nothing came of it."""
        before = self._reading()
        [answer] = self._peer.ask({"do": "transaction", "edits": self._commands, "throws": True, "id": self._id})
        assert answer["error"] == "Error", answer
        assert self._reading() == before

    def _reading(self) -> list[Command]:
        return self._do({"do": "since"}, {"do": "state"}, {"do": "conflicts"})

    def check(self) -> None:
        """Assert that JavaScript reads what Python reads in the same bytes, and what the model says."""
        super().check()
        if self.network.exact and not self.lacks_updates:
            whole, state, conflicts = self._reading()
            assert read_state_vector(base64.b64decode(whole["sv"])) == self.seen
            view = self.network.model.view(self.seen)
            self._check_state(unpacked(state["state"]), view)
            assert _rivals(unpacked(conflicts["conflicts"])) == view.rivals()

    def _check_state(self, state: list[Any], view: View) -> None:
        texts = {path: value for kind, path, value in state if kind == "text"}
        assert texts == {path: text for path, text in self._texts() if text}
        fields = {(kind, path): value for kind, path, value in state if kind != "text" and (value or kind != "counter")}
        assert _comparable(fields) == _comparable(view.plain())

    def _texts(self) -> Iterator[tuple[str, str]]:
        for path in self.network.texts:
            yield path, self.document.text(path).value


def _comparable(fields: dict[tuple[str, str], Any]) -> dict[tuple[str, str], bytes]:
    return {field: canonical(value) for field, value in fields.items()}


def _rivals(conflicts: list[Any]) -> Rivals:
    found = {
        (field, key): [
            (canonical(value), client, stamp) for value, _author, client, stamp, deleted in rivals if not deleted
        ]
        for _type, field, key, _kind, rivals, _ancestor in conflicts
    }
    return {place: rivals for place, rivals in found.items() if len(rivals) > 1}


class MixedNetwork(Network):
    """A network in which every second site is a JavaScript replica."""

    def __init__(self, size: int, peer: Peer) -> None:
        self.peer = peer
        super().__init__(size)

    def open_site(self, number: int, update: bytes | None = None) -> Site:
        """Return a site as a new session."""
        return JavaScriptSite(self, number, update) if number % 2 else super().open_site(number, update)
