"""Frozen values: dicts and lists inside of snapshots, which nobody can change."""

from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic_core import core_schema


class FrozenMap(dict[str, Any]):
    """A dict that does not change once it is made; it goes into JSON, msgpack and pickle like any other."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none, because it changes
        return hash(frozenset(self.items()))

    def __reduce__(self) -> "tuple[type[FrozenMap], tuple[dict[str, Any]]]":
        return FrozenMap, (dict(self),)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> core_schema.CoreSchema:
        plain = core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())
        return core_schema.no_info_after_validator_function(freeze, plain)

    def _refuse(self, *arguments: object, **values: object) -> NoReturn:
        raise TypeError("a value of a snapshot does not change; make the edit through the manager")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]


NOTHING = FrozenMap()


def freeze(value: Any) -> Any:
    """Return plain data with all dicts and lists in it frozen."""
    if isinstance(value, Mapping):
        return FrozenMap({key: freeze(item) for key, item in value.items()}) if value else NOTHING
    if isinstance(value, (list, tuple)):
        return tuple(map(freeze, value))
    return value


def frozen_map(value: Mapping[str, Any]) -> FrozenMap:
    """Return a mapping with all that is in it frozen."""
    frozen: FrozenMap = freeze(value)
    return frozen


def thaw(value: Any) -> Any:
    """Return what `freeze` returned as dicts and lists that can be changed."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [thaw(item) for item in value]
    return value
