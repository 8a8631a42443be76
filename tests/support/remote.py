"""A SQLite store in a child process, which may be killed and whose disk may be made to fail.

That child forks for each store, so that the next one is there at once. Requests come by its standard input, answers go
to its standard output, pickled, one for one.
"""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, cast

from comity.persistence.errors import StoreError
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store

from .optional import ROOT

ENTER: Final = "__aenter__"
LEAVE: Final = "__aexit__"
KILL: Final = "kill"


class EndedError(Exception):
    """The process that held a store has ended before it could answer.

    Args:
        exit_code: how; what killed it, negative.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"the store's process ended with {exit_code}")
        self.exit_code: Final = exit_code


class _Refused(NamedTuple):
    """A StoreError on its way: its arguments are not those that pickle would make it from."""

    kind: type[StoreError]
    text: str
    fields: dict[str, Any]

    def error(self) -> StoreError:
        error = self.kind.__new__(self.kind, self.text)
        vars(error).update(self.fields)
        return error


class _Ended(NamedTuple):
    exit_code: int


class RemoteStore:
    """A store whose methods a child process runs, one at a time; a context manager like any store.

    Every method raises EndedError when the process is killed.
    """

    def __init__(self, remote: "Remote", path: Path, durability: str) -> None:
        self._remote = remote
        self._place = path, durability

    async def __aenter__(self) -> Self:
        self._remote.ask(ENTER, *self._place)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._remote.is_serving:
            self._remote.ask(LEAVE, None, None, None)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return partial(self._call, name)

    async def _call(self, name: str, *arguments: Any) -> Any:
        return self._remote.ask(name, *arguments)


class Remote:
    """The child process: of the stores that it makes one may be open at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.is_serving = False
        self._process = process

    def store(self, path: Path, *, durability: str = "fsync") -> Store:
        """Return a store in a file, not yet entered."""
        return cast(Store, RemoteStore(self, path, durability))

    def kill(self) -> None:
        """Kill the process that holds the open store."""
        try:
            self.ask(KILL)
        except EndedError:
            return
        raise AssertionError("it lives on")

    def ask(self, name: str, *arguments: Any) -> Any:
        """Have a method of the open store called, and return or raise what it does, or EndedError."""
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps((name, arguments)))
        self._process.stdin.flush()
        answer = self._answer()
        is_last = name == LEAVE or (name == ENTER and isinstance(answer, _Refused))
        self.is_serving = not is_last and not isinstance(answer, _Ended)
        if is_last and not isinstance(answer, _Ended):
            assert self._answer() == _Ended(0)
        if isinstance(answer, _Ended):
            raise EndedError(answer.exit_code)
        if isinstance(answer, _Refused):
            raise answer.error()
        return answer

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)


@contextmanager
def remote(environment: Mapping[str, str]) -> Generator[Remote]:
    """Run such a child process while the context lasts, with this in its environment."""
    command = [sys.executable, "-c", "from tests.support.remote import main; main()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT, env={**os.environ, **environment}) as process:
        yield Remote(process)


def _send(answer: Any) -> None:
    sys.stdout.buffer.write(pickle.dumps(answer))
    sys.stdout.buffer.flush()


async def _answer(store: SqliteStore, name: str, arguments: tuple[Any, ...]) -> Any:
    try:
        answer = await getattr(store, name)(*arguments)
    except StoreError as error:
        return _Refused(type(error), str(error), vars(error))
    return None if answer is store else answer


async def _serve(path: Path, durability: Any) -> None:
    """Run one store, from its entering to its leaving."""
    store = SqliteStore(path, durability=durability)
    answer, name = await _answer(store, ENTER, ()), ENTER
    _send(answer)
    while name != LEAVE and not (name == ENTER and answer is not None):
        name, arguments = pickle.load(sys.stdin.buffer)
        if name == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await _answer(store, name, arguments)
        _send(answer)


def main() -> None:
    """Run one store after the other, each in a process of its own."""
    while True:
        try:
            _, place = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        child = os.fork()
        if not child:
            asyncio.run(_serve(*place))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        _send(_Ended(os.waitstatus_to_exitcode(status)))
