"""Paths: the names of fields, from the root of a state down.

Source: JSON Pointer (RFC 6901), whose escapes they use; a path has no slash in front.
"""

from typing import Final

_SLASH: Final = "/"


def escape(part: str) -> str:
    """Return one name as it stands in a path."""
    return part.replace("~", "~0").replace(_SLASH, "~1") if "~" in part or _SLASH in part else part


def unescape(part: str) -> str:
    """Return the name that a part of a path stands for."""
    return part.replace("~1", _SLASH).replace("~0", "~") if "~" in part else part


def join(*names: str) -> str:
    """Return the path of the names on the way, the outermost first."""
    return _SLASH.join(map(escape, names))


def child(parent: str, name: str) -> str:
    """Return the path of a name below another path; the root's is empty."""
    return f"{parent}{_SLASH}{escape(name)}" if parent else escape(name)


def split(path: str) -> tuple[str, ...]:
    """Return the names on the way of a path."""
    return tuple(map(unescape, path.split(_SLASH)))
