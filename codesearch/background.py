"""Indexing beside a server that goes on answering: a process of its own, one at a time."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from codesearch.answer import OpenIndex
from codesearch.freshness import refresh_command
from indexer.storage.home import IndexHome

_STOP_SECONDS = 5.0


class BackgroundIndexing:
    """A process that brings an index up to date, one at a time."""

    def __init__(self, home: IndexHome) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._begun_at = 0.0

    def index(self, root: Path) -> None:
        """Begin with a repository that has no index yet, unless it is at work."""
        self._begin(["codesearch", "index", os.fspath(root)])

    def refresh(self, item: OpenIndex) -> None:
        """Begin to read what has changed since an index was made, unless it is at work."""
        self._begin(shlex.split(refresh_command(item.reader, item.ref)))

    def _begin(self, command: Sequence[str]) -> None:
        """Start what a user would type."""
        if self.is_running:
            return
        self.stop()
        self._begun_at = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command, "--quiet", "--index", str(self._home.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    @property
    def is_running(self) -> bool:
        """Whether it is at work."""
        return self._process is not None and self._process.poll() is None

    @property
    def seconds(self) -> float:
        """How long ago it was begun."""
        return time.monotonic() - self._begun_at

    def problem(self) -> str:
        """Why the last one failed; "" where it did not."""
        if self._process is None or not self._process.poll() or self._process.stderr is None:
            return ""
        said = self._process.stderr.read().decode("utf-8", "replace")
        return "; ".join(line.strip() for line in said.splitlines())

    def stop(self) -> None:
        """End it: what is encoded is kept, and the next one goes on from there."""
        if self._process is None:
            return
        if self.is_running:
            self._process.send_signal(signal.SIGINT)  # as with Ctrl-C: its workers end, too
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
