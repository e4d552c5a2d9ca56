"""Files are prepared in worker processes, in order, with a bounded number of them under way.

A process can die on a file: a grammar is C code. That breaks the pool and every task in it, and
does not tell the file. So each file of a broken task is prepared again in a process of its own,
where a file that breaks it is known, and skipped; the rest goes on in a new pool. No file is to
blame where a process ends that has nothing to do.

A worker leaves Ctrl-C to the main process, and ends with it however that one ends.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path

from indexer.errors import WorkersFailed
from indexer.prepare import PreparedFile, Preparer, SourceFile
from indexer.syntax.languages import language_of
from models.checkpoint import Checkpoint, open_checkpoint

CRASHED = "parser crashed"
# Below this many files, starting workers costs more than they save.
_FILES_WORTH_WORKERS = 100
_FILES_PER_TASK = 8
# Tasks under way for each worker, so that none waits for the main process.
_TASKS_PER_WORKER = 3


def prepare_files(
    checkpoint: Checkpoint, files: Iterable[SourceFile]
) -> Generator[PreparedFile, None, None]:
    """Prepare files in order, in worker processes when there are many.

    Only a few tasks are under way at once, so memory stays bounded for any number of files. Close
    it to end the workers early.

    Raises:
        WorkersFailed: worker processes cannot be had.
    """
    source, workers = iter(files), available_cores()
    head = list(islice(source, _FILES_WORTH_WORKERS))
    if len(head) < _FILES_WORTH_WORKERS or workers == 1:
        preparer = Preparer(checkpoint)
        yield from map(preparer.prepare, head)
        yield from map(preparer.prepare, source)
        return
    yield from _prepare_in_workers(checkpoint.folder, workers, head, source)


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _prepare_in_workers(
    folder: Path, workers: int, head: list[SourceFile], source: Iterator[SourceFile]
) -> Iterator[PreparedFile]:
    waiting: deque[tuple[list[SourceFile], Future[list[PreparedFile]]]] = deque()
    tasks = _tasks(head, source)
    with _Pool(folder, workers) as pool, _Pool(folder, 1) as single:
        for task in islice(tasks, workers * _TASKS_PER_WORKER):
            waiting.append((task, pool.submit(task)))
        while waiting:
            files, future = waiting.popleft()
            try:
                prepared = future.result()
            except BrokenProcessPool:
                prepared = [_prepare_alone(single, file) for file in files]
            yield from prepared
            for task in islice(tasks, 1):
                waiting.append((task, pool.submit(task)))


def _tasks(head: list[SourceFile], source: Iterator[SourceFile]) -> Iterator[list[SourceFile]]:
    while task := head[:_FILES_PER_TASK]:
        del head[:_FILES_PER_TASK]
        yield task
    while task := list(islice(source, _FILES_PER_TASK)):
        yield task


def _prepare_alone(single: _Pool, file: SourceFile) -> PreparedFile:
    try:
        return single.submit([file]).result()[0]
    except BrokenProcessPool:
        _check_that_workers_live(single)
        language, size = language_of(file.path, file.data), len(file.data)
        return PreparedFile(file.path, file.blob_id, language, size, CRASHED, "", ())


def _check_that_workers_live(pool: _Pool) -> None:
    try:
        pool.submit([]).result()
    except BrokenProcessPool as error:
        raise WorkersFailed(
            "the processes that read files end as soon as they start",
            "free some memory and index again; a script that indexes must do so below "
            'if __name__ == "__main__"',
        ) from error


class _Pool:
    """Worker processes that are started again after one has died."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        self._workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def submit(self, files: list[SourceFile]) -> Future[list[PreparedFile]]:
        """Have a task done; its future raises BrokenProcessPool where a worker died."""
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._workers, get_context("spawn"), _start_worker, (self._folder,)
            )
        try:
            return self._executor.submit(_work, files)
        except BrokenProcessPool:
            self._executor.shutdown()
            self._executor = None
            return self.submit(files)


_worker: Preparer | None = None


def _start_worker(folder: Path) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _worker = Preparer(open_checkpoint(folder))


def _end_with_parent() -> None:
    """A killed parent closes no pipes: its workers would wait for tasks for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(files: list[SourceFile]) -> list[PreparedFile]:
    if _worker is None:
        raise ValueError("the worker was not started")
    return [_worker.prepare(file) for file in files]
