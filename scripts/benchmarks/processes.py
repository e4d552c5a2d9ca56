"""Work in processes of its own: nothing that ran before counts towards its memory."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TypeVar

R = TypeVar("R")
FRESH = get_context("spawn")
SAMPLE_SECONDS = 0.05


def new_process(context: BaseContext = FRESH) -> ProcessPoolExecutor:
    """One process that keeps what it is given between calls."""
    return ProcessPoolExecutor(1, context)


def having_imported(*modules: str) -> BaseContext:
    """Processes that are forked from one that has imported modules and done nothing else."""
    context = get_context("forkserver")
    context.set_forkserver_preload([*modules])
    return context


def in_process(
    function: Callable[..., R], *arguments: object, context: BaseContext = FRESH
) -> R | None:
    """Call in a fresh process; None where it was killed, as it is for want of memory."""
    with new_process(context) as process:
        try:
            return process.submit(function, *arguments).result()
        except BrokenProcessPool:
            print(f"{function.__name__}{arguments} was killed", file=sys.stderr)
            return None


def run_tree(command: list[str], folder: Path) -> dict[str, float]:
    """Wall seconds of a command, and the most memory that it and its children held at once.

    Memory is resident memory: shared pages count in each process.
    """
    import psutil  # of the extra `bench`

    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):  # a child ended meanwhile
            tree = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(one.memory_info().rss for one in tree))
        time.sleep(SAMPLE_SECONDS)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return {"seconds": round(seconds, 2), "peak_mb": round(peak / 1e6)}
