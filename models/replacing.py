"""Files that change in one step: who reads, or comes after a kill, finds the old or the new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFTOVERS = ".*.writing"  # of who was killed meanwhile


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """A place beside a file to write to; it takes the file's place when the block ends well.

    Args:
        path: What is replaced, or made.
        durable: Wait until the disk has it; without, a power cut may lose it.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        yield beside
        if durable:
            with open(beside, "rb") as file:
                os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
