"""Files that are there whole, and on disk, or not at all."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from .directory import sync
from .failures import from_os

PART: Final = ".part"


@contextmanager
def written_whole(path: Path) -> Generator[BinaryIO]:
    """Write a file under a temporary name; it gets its own once all of it is on disk, unless the context raised.

    Raises:
        StoreFullError: there is no space for it; nothing of it is left.
        StoreUnwritableError: it cannot be written.
    """
    part = path.with_name(f"{path.name}{PART}")
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        raise from_os(error, path) from error
    finally:
        part.unlink(missing_ok=True)
