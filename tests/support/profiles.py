"""How much hypothesis tries: quick by default, deep where COMITY_DEEP=1."""

import os
from typing import Final

DEEP: Final = os.environ.get("COMITY_DEEP") == "1"


def examples(quick: int, deep: int) -> int:
    """Return the number of examples, or of steps, for the profile in use."""
    return deep if DEEP else quick
