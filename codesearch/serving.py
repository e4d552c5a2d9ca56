"""`serve`: a process that keeps indexes and models open, so that `query` answers at once.

One query at a time, in the order they come. Between queries the repositories in use are looked at
for changes; where that is quick, before each query as well. So an answer from a small repository
is always fresh, and one from a large repository misses at most what changed in the last seconds.
What takes long (indexing) or needs the user's terminal is declined: the client does it itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from codesearch.answer import QueryEncoder, Searcher
from codesearch.client import GREETING, LOOKS, PROTOCOL, connect, socket_path
from codesearch.console import tell_fault
from codesearch.querying import Output, Question, open_searcher, run, show_notes
from codesearch.scope import find_scope
from indexer.errors import CodesearchError, StorageError, UsageError
from indexer.interrupts import check_interrupted, note_interrupts
from indexer.storage.home import IndexHome
from models.checkpoint import CheckpointError

QUICK_CHECK_SECONDS = 0.02  # checks that take no longer are made before each query
CHECK_EVERY_SECONDS = 2.0  # others: between queries
IN_USE_SECONDS = 60.0  # after its last query a repository is not looked at any more
MOST_OPEN = 8  # scopes
_LONGEST_REQUEST = 1 << 20  # bytes
_REQUEST_SECONDS = 5.0
_COULD_NOT = 2
_DECLINED: tuple[None, bytes, bytes] = (None, b"", b"")


class _Declined(Exception):
    """The client is to do this itself."""


@dataclass(slots=True)
class _Open:
    """A scope that is kept open."""

    searcher: Searcher
    used_at: float
    checked_at: float
    check_seconds: float

    def is_current(self) -> bool:
        """Whether it may answer: its indexes are those on disk, and what is quick is checked."""
        if self.check_seconds > QUICK_CHECK_SECONDS:
            return self.searcher.is_current
        return self.check()

    def check(self) -> bool:
        """Look for changes in the repositories; False: it must be opened anew."""
        started = time.monotonic()
        is_current = self.searcher.recheck()
        self.checked_at = time.monotonic()
        self.check_seconds = self.checked_at - started
        return is_current


class Server:
    """Answers queries over the socket of an index home until nobody asks any more."""

    def __init__(self, home: IndexHome, idle_seconds: float) -> None:
        self._home = home
        self._idle_seconds = idle_seconds
        self._open: dict[tuple[str | None, str | None, str], _Open] = {}
        self._encoders: dict[str, QueryEncoder] = {}

    def run(self, started: Callable[[str], None]) -> None:
        """Serve until idle for too long, or until a signal; the socket is gone afterwards.

        Args:
            started: Told where, once queries are answered.

        Raises:
            UsageError: this home is served already.
            StorageError: the socket cannot be made.
        """
        path = socket_path(self._home.folder)
        if connect(self._home.folder) is not None:
            raise UsageError(f"{self._home.folder} is served already", "just query it")
        note_interrupts(signal.SIGTERM)  # ends as with Ctrl-C
        with (
            contextlib.suppress(KeyboardInterrupt),
            _listening(self._home, os.fspath(path)) as listener,
        ):
            started(os.fspath(path))
            self._accept(listener)
        for item in self._open.values():
            item.searcher.close()

    def _accept(self, listener: socket.socket) -> None:
        """Serve one after another until idle for too long."""
        listener.settimeout(min(CHECK_EVERY_SECONDS, self._idle_seconds))
        last = time.monotonic()
        while time.monotonic() - last < self._idle_seconds:
            check_interrupted()
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                self._look_around()
                continue
            with connection:
                self._serve(connection)
            last = time.monotonic()
            self._look_around()  # now, since the next query may come before a quiet moment does

    def _serve(self, connection: socket.socket) -> None:
        """Answer one request; a client that breaks off harms nobody."""
        connection.settimeout(_REQUEST_SECONDS)
        with contextlib.suppress(OSError), connection.makefile("rwb") as stream:
            stream.write(GREETING)
            stream.flush()
            request = _Request.read(stream.readline(_LONGEST_REQUEST))
            code, out, err = _DECLINED if request is None else self._answer(request)
            reply = {"code": code, "out": len(out), "err": len(err)}
            stream.write(json.dumps(reply).encode() + b"\n" + out + err)
            stream.flush()

    def _answer(self, request: _Request) -> tuple[int | None, bytes, bytes]:
        """The exit code of a query, None for one that is declined, and what it prints."""
        with _surroundings(request) as (out, err):
            try:
                code = self._query(request.cwd, **request.options)
            except (_Declined, TypeError):  # the latter: options of another version
                return _DECLINED
            except (CodesearchError, CheckpointError) as error:
                tell_fault(str(error), error.hint)
                code = _COULD_NOT
            except OSError as error:
                tell_fault(str(error), "check the path, its permissions and the disk")
                code = _COULD_NOT
        return code, out(), err()

    def _query(
        self,
        cwd: str,
        question: dict[str, Any],
        output: dict[str, Any],
        repo: str | None,
        ref: str | None,
        quiet: bool,
    ) -> int:
        asked, shown = Question.read(**question), Output(**output)
        shown.check(asked.text)
        searcher = self._searcher(repo, ref, cwd, quiet)
        return 0 if run(searcher, asked, shown, quiet) else 1

    def _searcher(self, repo: str | None, ref: str | None, cwd: str, quiet: bool) -> Searcher:
        """The open scope; opened now where it is not, or is out of date."""
        key, now = (repo, ref, cwd), time.monotonic()
        found = self._open.get(key)
        if found is not None and not found.is_current():
            self._close(key)
            found = None
        if found is None:
            if not find_scope(self._home, repo).folders:
                raise _Declined
            searcher = open_searcher(self._home, repo, ref, quiet, self._encoders)
            found = self._open[key] = _Open(searcher, now, now, QUICK_CHECK_SECONDS)
            for least in sorted(self._open, key=lambda k: self._open[k].used_at)[:-MOST_OPEN]:
                self._close(least)
        else:
            show_notes(found.searcher.notes, quiet)
        found.used_at = time.monotonic()
        return found.searcher

    def _look_around(self) -> None:
        """Look at what was used lately, one scope at a time; what has changed is closed."""
        now = time.monotonic()
        for key, item in list(self._open.items()):
            if now - item.used_at > IN_USE_SECONDS or now - item.checked_at < CHECK_EVERY_SECONDS:
                continue
            try:
                is_current = item.check()
            except (CodesearchError, CheckpointError, OSError):
                is_current = False  # the next query says why
            if not is_current:
                self._close(key)

    def _close(self, key: tuple[str | None, str | None, str]) -> None:
        self._open.pop(key).searcher.close()


@contextlib.contextmanager
def _listening(home: IndexHome, path: str) -> Iterator[socket.socket]:
    """A socket at a path that only the user can open; the path is gone afterwards."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        home.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a server that was killed: nobody answers there
        listener.bind(path)
        listener.listen(16)
    except OSError as error:
        listener.close()
        raise StorageError(
            f"cannot listen at {path}: {error.strerror}", "choose another --index"
        ) from error
    finally:
        os.umask(before)
    try:
        yield listener
    finally:
        listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


class _Screen(io.TextIOWrapper):
    """Text for a stream of the client's, which may be a terminal."""

    is_terminal = False

    def isatty(self) -> bool:
        return self.is_terminal

    def taken(self) -> bytes:
        self.flush()
        return self.buffer.getvalue()  # type: ignore[attr-defined, no-any-return]


@contextlib.contextmanager
def _surroundings(
    request: _Request,
) -> Iterator[tuple[Callable[[], bytes], Callable[[], bytes]]]:
    """The client's working directory, terminal and streams; gives what was written to each."""
    screens = [_Screen(io.BytesIO(), encoding="utf-8", errors="replace") for _ in range(2)]
    for screen, is_terminal in zip(screens, request.terminals, strict=True):
        screen.is_terminal = is_terminal
    environment, cwd = dict(os.environ), os.getcwd()
    streams = sys.stdout, sys.stderr
    for name in LOOKS:
        os.environ.pop(name, None)
    os.environ.update(request.environment)
    sys.stdout, sys.stderr = screens
    try:
        with contextlib.suppress(OSError):
            os.chdir(request.cwd)
        yield screens[0].taken, screens[1].taken
    finally:
        sys.stdout, sys.stderr = streams
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(cwd)


@dataclass(frozen=True, slots=True)
class _Request:
    """A query, and where it was asked."""

    options: dict[str, Any]
    cwd: str
    terminals: tuple[bool, bool]  # whether stdout and stderr are
    environment: dict[str, str]

    @classmethod
    def read(cls, line: bytes) -> _Request | None:
        """A request of this protocol; None for anything else."""
        try:
            found = json.loads(line)
            if found["protocol"] != PROTOCOL:
                return None
            out, err = found["terminals"]
            width = {"COLUMNS": str(int(found["columns"]))}
            names = {str(name): str(value) for name, value in found["environment"].items()}
            return cls(dict(found["options"]), str(found["cwd"]), (out, err), width | names)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
