"""What checkpoints and branches may be called."""

from typing import Final

from comity.crdt_types.errors import InvalidValueError

# As long as a room's name by default: a branch is a room, and both are shown in one line.
MAX_NAME: Final = 200


def check_name(what: str, name: str) -> None:
    """Check that a checkpoint or a branch may have a name. Raises InvalidValueError."""
    if not name or not name.isprintable() or len(name.encode(errors="replace")) > MAX_NAME:
        raise InvalidValueError(
            f"not a name for a {what}", remedy=f"use at most {MAX_NAME} bytes of printable characters"
        )
