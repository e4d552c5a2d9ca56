"""Files and folders that change in one step: who reads, or comes after a kill, finds one whole."""

from __future__ import annotations

import os
import shutil
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


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside another; it takes the other's place when the block ends well.

    A kill between the last two steps leaves the old one as `.NAME.PID.old`.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
    old = beside.with_suffix(".old")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        if folder.exists():
            os.replace(folder, old)
        os.replace(beside, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
