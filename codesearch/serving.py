"""`serve`: a process that keeps indexes and models open, so that `query` answers at once.

One query at a time, in the order they come. Between queries the repositories in use are looked at
for changes; where that is quick, before each query as well. So an answer from a small repository
is always fresh, and one from a large repository misses at most what changed in the last seconds. A
change that is too large for a query is read by a process beside it. A first indexing, and what
needs the user's terminal, is declined: the client does it itself.
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

from codesearch.background import BackgroundIndexing
from codesearch.client import GREETING, LOOKS, PROTOCOL, connect, socket_path
from codesearch.console import tell_fault
from codesearch.open_scopes import CHECK_EVERY_SECONDS, OpenScopes
from codesearch.querying import Output, Question, run, show_notes
from indexer.errors import CodesearchError, StorageError, UsageError
from indexer.interrupts import check_interrupted, note_interrupts
from indexer.storage.home import IndexHome
from models.checkpoint import CheckpointError

_LONGEST_REQUEST = 1 << 20  # bytes
_REQUEST_SECONDS = 5.0
_COULD_NOT = 2
_DECLINED: tuple[None, bytes, bytes] = (None, b"", b"")


class _Declined(Exception):
    """The client is to do this itself."""


class Server:
    """Answers queries over the socket of an index home until nobody asks any more."""

    def __init__(self, home: IndexHome, idle_seconds: float) -> None:
        self._home = home
        self._idle_seconds = idle_seconds
        self._scopes = OpenScopes(home)
        self._indexing = BackgroundIndexing(home)

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
        self._indexing.stop()
        self._scopes.close()

    def _accept(self, listener: socket.socket) -> None:
        """Serve one after another until idle for too long."""
        listener.settimeout(min(CHECK_EVERY_SECONDS, self._idle_seconds))
        last = time.monotonic()
        while time.monotonic() - last < self._idle_seconds:
            check_interrupted()
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                self._scopes.look_around()
                continue
            with connection:
                self._serve(connection)
            last = time.monotonic()
            # Now, since the next query may come before a quiet moment does.
            self._scopes.look_around()

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
        searcher = self._scopes.searcher(repo, ref, cwd)
        if searcher is None:
            raise _Declined
        show_notes(searcher.told, quiet)
        for item in searcher.behind:
            self._indexing.refresh(item)
        return 0 if run(searcher, asked, shown, quiet) else 1


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
