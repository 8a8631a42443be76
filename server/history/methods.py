"""What clients can call: docs/protocol.md says what each method takes and answers."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from comity.crdt_types.errors import ComityError
from comity.crdt_types.precondition import Precondition

from ..auth import Access, Action
from ..rooms.archive import now
from ..rooms.buried import erased
from ..rooms.member import Member
from .beginnings import beginning
from .branches import Branch
from .expiry import End
from .person import taking_out
from .service import History

Params = dict[str, Any]


class Caller(NamedTuple):
    """Who calls, about which room, what they may do there, and their place in it."""

    room: str
    author: str
    access: Access
    member: Member


class Parting(NamedTuple):
    """The last thing that somebody is answered, and what they are sent away with once that is on its way."""

    result: Any
    error: ComityError


Run = Callable[[History, Caller, Params], Awaitable[Any]]


class Method(NamedTuple):
    """What can be called: what it takes to be allowed, its parameters, those that may be nil, and what it does."""

    action: Action
    params: dict[str, type]
    optional: frozenset[str]
    run: Run


def _read(run: Run, **params: type) -> Method:
    return Method(Action.READ, params, frozenset(), run)


def _write(run: Run, *optional: str, **params: type) -> Method:
    return Method(Action.WRITE, params, frozenset(optional), run)


async def _head(history: History, caller: Caller, _params: Params) -> Any:
    return (await history.head(caller.room))._asdict()


async def _versions(history: History, caller: Caller, params: Params) -> Any:
    return await history.versions(caller.room, **params)


async def _records(history: History, caller: Caller, params: Params) -> Any:
    records = await history.records(caller.room, **params)
    return [(record.seq, record.author, record.at, record.update) for record in records]


async def _base(history: History, caller: Caller, params: Params) -> Any:
    return await history.base(caller.room, params["seq"])


async def _version_at(history: History, caller: Caller, params: Params) -> Any:
    return await history.version_at(caller.room, params["at_ms"])


async def _checkpoints(history: History, caller: Caller, _params: Params) -> Any:
    return await history.checkpoints.all(caller.room)


async def _checkpoint(history: History, caller: Caller, params: Params) -> Any:
    name, seq, kind, note = params["name"], params["seq"], params["kind"], params["note"]
    return await history.checkpoint(caller.room, name, seq=seq, kind=kind, author=caller.author, note=note)


async def _drop_checkpoint(history: History, caller: Caller, params: Params) -> Any:
    return await history.checkpoints.drop(caller.room, params["name"])


async def _branches(history: History, caller: Caller, _params: Params) -> Any:
    return [_row(branch) for branch in await history.branches.of(caller.room)]


async def _branch(history: History, caller: Caller, params: Params) -> Any:
    return _row(await history.branch(caller.room, params["name"], seq=params["seq"], author=caller.author))


async def _drop_branch(history: History, caller: Caller, params: Params) -> Any:
    return await history.drop_branch(caller.room, params["name"])


async def _erase(history: History, caller: Caller, _params: Params) -> Any:
    report = [room._asdict() for room in await history.erasure.erase(caller.room, spared=caller.member)]
    return Parting(report, erased(caller.room))


async def _forget(history: History, caller: Caller, params: Params) -> Any:
    found = await history.redaction.forget(caller.room, params["author"], spared=caller.member)
    report = [room._asdict() for room in found]
    return Parting(report, taking_out(caller.room)) if report else report


async def _expire(history: History, caller: Caller, params: Params) -> Any:
    return _when(await history.expire(caller.room, params["seconds"]))


async def _renew(history: History, caller: Caller, _params: Params) -> Any:
    return _when(await history.renew(caller.room))


async def _end(history: History, caller: Caller, _params: Params) -> Any:
    return _when(await history.end_of(caller.room))


def _when(end: End | None) -> Any:
    return None if end is None else end._asdict()


async def _begin(history: History, caller: Caller, params: Params) -> Any:
    room, member, rows, checkpoints = caller.room, caller.member, params["records"], params["checkpoints"]
    if rows:
        await history.beginnings.stage(room, member, params["after"], rows)
    if checkpoints is None:
        return params["after"] + len(rows)
    return Parting(await history.beginnings.begin(room, member, checkpoints), beginning(room))


async def _begun(history: History, caller: Caller, _params: Params) -> Any:
    return await history.beginnings.of(caller.room)


async def _decide(history: History, caller: Caller, params: Params) -> Any:
    precondition = Precondition.from_params(params)
    attempt = params["attempt"] or 1
    return (await history.decide(caller.room, caller.member, params["update"], precondition, attempt))._asdict()


async def _clock(_history: History, _caller: Caller, _params: Params) -> Any:
    return now()


def _row(branch: Branch) -> tuple[Any, ...]:
    return branch.name, branch.room, branch.seq, branch.author, branch.at


METHODS: Final[dict[str, Method]] = {
    "head": _read(_head),
    "versions": _read(_versions, after=int, limit=int),
    "records": _read(_records, after=int, limit=int),
    "base": _read(_base, seq=int),
    "version_at": _read(_version_at, at_ms=int),
    "checkpoints": _read(_checkpoints),
    "checkpoint": _write(_checkpoint, "seq", name=str, seq=int, kind=str, note=str),
    "drop_checkpoint": _write(_drop_checkpoint, name=str),
    "branches": _read(_branches),
    "branch": _write(_branch, "seq", name=str, seq=int),
    "decide": _write(
        _decide,
        *("not_before", "attempt"),
        update=bytes,
        state_vector=bytes,
        cells=list,
        ids=list,
        not_before=int,
        attempt=int,
    ),
    "clock": _read(_clock),
    "drop_branch": _write(_drop_branch, name=str),
    "begin": _write(_begin, "checkpoints", after=int, records=list, checkpoints=list),
    "begun": _read(_begun),
    "erase": _write(_erase),
    "forget": _write(_forget, author=str),
    "expire": _write(_expire, "seconds", seconds=int),
    "renew": _write(_renew),
    "end": _read(_end),
}
"""Every method by its name."""
