"""Definitions: a state machine as plain data, which a document can hold."""

from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from comity.crdt_types.errors import SchemaError

from .outline import Outline
from .parts import FieldName, Name, Part, StateDefinition
from .soundness import check


class MachineDefinition(Part):
    """A state machine as data.

    Attributes:
        name: what it is a machine of.
        initial: which of its states is entered first.
        states: its states by their names.
        context: the fields of its context with their first values.
        version: a number for people; machines are compared by all that they say.
        description: for people.

    Raises: SchemaError, if it cannot work.
    """

    name: Annotated[str, Field(min_length=1)]
    initial: Name
    states: Annotated[dict[Name, StateDefinition], Field(min_length=1)]
    context: dict[FieldName, JsonValue] = Field(default_factory=dict)
    version: int = 1
    description: str = ""

    @classmethod
    def load(cls, data: Any) -> Self:
        """Return the definition that plain data describes.

        Args:
            data: a mapping of the names above; a transition may be the name of its target, a list of one its item.

        Raises: SchemaError, if it is not one, or cannot work.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise SchemaError(f"no definition: {first['msg']}", subject=place, remedy="mend it there") from None

    def dump(self) -> dict[str, JsonValue]:
        """Return the definition as plain data, without what is as it is by default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @cached_property
    def outline(self) -> Outline:
        """All states by their names, with where they lie."""
        return Outline(self.initial, self.states)

    @model_validator(mode="after")
    def _works(self) -> Self:
        check(self.outline, self.context)
        return self
