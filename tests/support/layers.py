"""Reads imports out of Python source, and says which of them break the rule of the layers.

``clients -> crdt_types <- server -> persistence``: imports point one way. Inside a folder they are relative,
across folders absolute, and they stand at the top of their module.
"""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final, NamedTuple

MAY_IMPORT: Final[dict[str, frozenset[str]]] = {
    "clients": frozenset({"crdt_types"}),
    "crdt_types": frozenset(),
    "persistence": frozenset(),
    "server": frozenset({"crdt_types", "persistence"}),
}

_WEB: Final = frozenset({"starlette", "uvicorn", "uvloop", "httptools", "prometheus_client"})
_LOOPS: Final = frozenset({"asyncio", "anyio", "selectors", "threading", "multiprocessing", "subprocess"})
_OUTSIDE: Final = frozenset({"sqlite3", "aiosqlite", "socket", "ssl", "http", "urllib", "websockets"})

# Distributions and standard modules that a folder has no business with.
FOREIGN: Final[dict[str, frozenset[str]]] = {
    "clients": _WEB,
    "crdt_types": _WEB | _LOOPS | _OUTSIDE,
    "persistence": _WEB | {"pycrdt", "pydantic", "msgpack", "websockets"},
    "server": frozenset(),
}

# The one name that a folder may take from comity itself.
VERSION: Final = "__version__"


class Import(NamedTuple):
    """One imported module: level 0 is absolute, 1 the module's own package, 2 that one's parent."""

    line: int
    level: int
    module: str
    names: tuple[str, ...]
    in_function: bool


def violations(path: PurePosixPath, source: str) -> list[str]:
    """Return what breaks the rule in one module, a line each.

    Args:
        path: where it lies, relative to the repository's root.
        source: its text.
    """
    found = imports(ast.parse(source))
    return [f"{path}:{each.line}: {wrong}" for each in found for wrong in _wrongs(path, each)]


def imports(tree: ast.AST, *, in_function: bool = False) -> Iterator[Import]:
    """Yield every import below a node."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, 0, alias.name, (), in_function)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import(node.lineno, node.level, node.module or "", names, in_function)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            yield Import(node.lineno, 0, "", (), in_function=True)
        else:
            below = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, in_function=in_function or below)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _wrongs(path: PurePosixPath, each: Import) -> Iterator[str]:
    folder = path.parts[0]
    if each.in_function:
        yield "an import inside a function or by name; imports stand at the top"
    if each.level:
        yield from _wrongs_of_relative(path, each)
        return
    root = each.module.partition(".")[0]
    if root in MAY_IMPORT:
        yield f"{root} is imported by its bare name; write comity.{root}"
    if root in FOREIGN.get(folder, ()):
        yield f"{folder} has no business with {root}"
    if root == "comity" and folder in MAY_IMPORT:
        yield from _wrongs_across(folder, each)


def _wrongs_of_relative(path: PurePosixPath, each: Import) -> Iterator[str]:
    if path.parts[0] not in MAY_IMPORT and path.parts[0] != "tests":
        yield "a relative import outside the four folders; write comity.<folder>"
    elif each.level >= len(path.parts):
        yield "a relative import that leaves its folder; across folders write comity.<folder>"


def _wrongs_across(folder: str, each: Import) -> Iterator[str]:
    for other in _targets(each):
        if other == VERSION or other in MAY_IMPORT[folder]:
            continue
        if other == folder:
            yield f"{folder} imports itself as comity.{folder}; inside a folder imports are relative"
        elif other not in MAY_IMPORT:
            yield f"{folder} imports {other} from comity, which lies above it; name the defining folder"
        else:
            yield f"{folder} imports {other}; imports point clients -> crdt_types <- server -> persistence"


def _targets(each: Import) -> tuple[str, ...]:
    """Return what is taken from comity: folders' names, or names of comity itself."""
    below = each.module.split(".")[1:2]
    return tuple(below) or each.names or ("package",)
