"""How much hypothesis tries: quick by default, deep where COMITY_DEEP=1."""

import os
from typing import Final

DEEP: Final = os.environ.get("COMITY_DEEP") == "1"
# Of the quick numbers, so much is tried: the whole suite is to take less than ten minutes on two cores.
SHARE: Final = 0.7


def examples(quick: int, deep: int) -> int:
    """Return the number of examples, or of steps, for the profile in use."""
    return deep if DEEP else max(1, round(quick * SHARE))
