"""Expressions: what guards and changes of the context say without any code.

Names, constants, ``and``, ``or``, ``not`` and comparisons are the library's own; they are joined here by what an event
brought (``data.amount``), ``In("state")``, and sums of numbers. Nothing of a document is ever run as Python.
"""

import ast
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final, Protocol

from comity.crdt_types.errors import InvalidValueError, SchemaError

try:
    from statemachine.spec_parser import build_expression, operator_mapping
except ModuleNotFoundError as error:  # by its own name one would look for another library
    raise ModuleNotFoundError("state machines need python-statemachine: install comity[machines]") from error

MAX_EXPRESSION: Final = 1000  # characters; what is longer deserves a function with a name
DATA: Final = "data"  # what comes before a name that the event brought

_SIMPLE: Final = (ast.BoolOp, ast.And, ast.Or, ast.Not, ast.Compare, ast.Load, ast.Add, ast.Sub, *operator_mapping)
_CONSTANTS: Final = (str, int, float, bool, type(None))


class Scope(Protocol):
    """What an expression is evaluated against."""

    @property
    def data(self) -> Mapping[str, Any]:
        """What the event brought."""
        ...

    def named(self, name: str) -> Any:
        """Return what a name stands for."""
        ...

    def is_in(self, state: str) -> bool:
        """Tell whether a state is active."""
        ...


_Leaf = Callable[[Any], Any]  # of a Scope
_Combine = Callable[..., _Leaf]

# The library's own, which says nothing of types.
_build: Final[Callable[[ast.AST, Callable[[str], _Leaf], dict[type[ast.AST], _Combine]], _Leaf]] = build_expression
_combinators: Final[dict[type[ast.AST], Any]] = {**operator_mapping}


class Expression:
    """An expression, ready to be evaluated.

    Args:
        text: as it is written, such as ``total > 100 and not In("paused")``.
        subject: where it is written, for error messages.

    Attributes:
        names: the names of fields and functions in it.
        states: the states that it asks for.

    Raises: SchemaError, if it is none.
    """

    def __init__(self, text: str, subject: str) -> None:
        self.text = text
        self.subject = subject
        if len(text) > MAX_EXPRESSION:
            raise SchemaError(f"an expression longer than {MAX_EXPRESSION}", subject=subject, remedy="name a function")
        translator = _Translator(self)
        try:
            self._evaluate = translator.compiled(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise SchemaError(f"{text!r} is no expression: {error}", subject=subject) from None
        self.names = frozenset(translator.names)
        self.states = frozenset(translator.states)

    def evaluate(self, scope: Scope) -> Any:
        """Return the value.

        Raises: InvalidValueError, if what it compares or adds up does not go together.
        """
        try:
            return self._evaluate(scope)
        except _UnfitError as error:
            raise InvalidValueError(f"{self.text!r} cannot be evaluated: {error}", subject=self.subject) from None

    def unsupported(self, what: str) -> SchemaError:
        """Return the error for a part that an expression cannot have."""
        return SchemaError(
            f"{self.text!r} has {what}",
            subject=self.subject,
            remedy="use names, constants, comparisons, and, or, not, +, -, data.name and In('state')",
        )


class _UnfitError(Exception):
    """Values that cannot be compared or added up."""


class _Translator(ast.NodeTransformer):
    """Puts a name in the place of each part that the library does not know, and remembers what it stands for."""

    def __init__(self, expression: Expression) -> None:
        self.names: set[str] = set()
        self.states: set[str] = set()
        self._expression = expression
        self._leaves: dict[str, _Leaf] = {}
        self._numbers = count()

    def compiled(self, node: ast.expr) -> _Leaf:
        built: _Leaf = _build(self.visit(node), self._leaves.__getitem__, _OPERATORS)
        return built

    def _leaf(self, evaluate: _Leaf) -> ast.Name:
        name = str(next(self._numbers))
        evaluate.__name__ = name  # the library makes names of names
        self._leaves[name] = evaluate
        return ast.Name(name, ast.Load())

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, _SIMPLE):
            raise self._expression.unsupported(f"a part that is not supported ({type(node).__name__})")
        return super().generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:  # ast looks for this name
        if not isinstance(node.value, _CONSTANTS):
            raise self._expression.unsupported(f"the constant {node.value!r}")
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        name = node.id
        self.names.add(name)
        return self._leaf(lambda scope: scope.named(name))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if not isinstance(node.value, ast.Name) or node.value.id != DATA:
            raise self._expression.unsupported("a dot that is not after 'data'")
        name = node.attr
        return self._leaf(lambda scope: scope.data.get(name))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        states = [part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if not isinstance(node.func, ast.Name) or node.func.id != "In" or len(states) != 1 or len(node.args) != 1:
            raise self._expression.unsupported("a call that is not In('state')")
        (state,) = states
        self.states.add(state)
        return self._leaf(lambda scope: scope.is_in(state))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if not isinstance(node.op, (ast.Add, ast.Sub)):
            raise self._expression.unsupported(f"an operator other than + and - ({type(node.op).__name__})")
        sign = 1 if isinstance(node.op, ast.Add) else -1
        left, right = self.compiled(node.left), self.compiled(node.right)
        return self._leaf(lambda scope: _number(left(scope)) + sign * _number(right(scope)))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.Not):
            return ast.UnaryOp(node.op, self.visit(node.operand))
        if not isinstance(node.op, ast.USub):
            raise self._expression.unsupported("a sign other than -")
        operand = self.compiled(node.operand)
        return self._leaf(lambda scope: -_number(operand(scope)))


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _UnfitError(f"{value!r} is not a number")
    return value


def _careful(combine: _Combine) -> _Combine:
    """Return a comparison of the library's that tells of values which have no order."""

    def combined(left: _Leaf, right: _Leaf) -> _Leaf:
        def compared(scope: Any) -> Any:
            one, other = left(scope), right(scope)
            try:
                return combine(lambda _scope: one, lambda _scope: other)(scope)
            except TypeError as error:
                raise _UnfitError(error) from None

        compared.__name__ = f"({left.__name__} to {right.__name__})"
        return compared

    return combined


_OPERATORS: Final[dict[type[ast.AST], _Combine]] = {
    kind: _careful(combine) if issubclass(kind, ast.cmpop) else combine for kind, combine in _combinators.items()
}
