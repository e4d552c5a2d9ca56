"""The asking side of `codesearch serve`: imports nothing that takes time.

A request is one line of JSON over a socket that only the user can open; the reply is a line of
JSON with an exit code and two lengths, then what goes to stdout and to stderr.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

PROTOCOL = 2
# What the server says when it takes a request up. One that is stopped, or busy for long with
# another request, does not, and the query is answered without it.
GREETING = b"codesearch\n"
# The variables that decide how results look on the user's terminal.
LOOKS = ("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TERM_PROGRAM")
_LONGEST_PATH = 100  # bytes: the address of a socket holds 108
_CONNECT_SECONDS = 0.2
_GREETING_SECONDS = 1.0
_ANSWER_SECONDS = 30.0


def socket_path(home: Path) -> Path:
    """Where the server of an index home listens; in the temporary folder where home is deep."""
    place = home / "serve.sock"
    if len(os.fsencode(place)) <= _LONGEST_PATH:
        return place
    import hashlib
    import tempfile

    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"codesearch-{os.getuid()}-{digest}.sock"


def ask(home: Path, options: dict[str, Any]) -> int | None:
    """Let a running server answer a query and print what it says.

    Args:
        home: The index home.
        options: Those of the command, as JSON.

    Returns:
        The exit code; None: nobody serves this home, or not this version of the program.
    """
    connection = connect(home)
    if connection is None:
        return None
    try:
        with connection, connection.makefile("rwb") as stream:
            connection.settimeout(_GREETING_SECONDS)
            if stream.readline(len(GREETING)) != GREETING:
                return None
            connection.settimeout(_ANSWER_SECONDS)
            request = {
                "protocol": PROTOCOL,
                "options": options,
                "cwd": os.getcwd(),
                "terminals": [sys.stdout.isatty(), sys.stderr.isatty()],
                "columns": shutil.get_terminal_size().columns,
                "environment": {name: os.environ[name] for name in LOOKS if name in os.environ},
            }
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            head = json.loads(stream.readline())
            if head["code"] is None:
                return None
            out, err = (_exactly(stream.read(head[name]), head[name]) for name in ("out", "err"))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it stopped, is another program, or the working directory is gone
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(err)
    sys.stderr.buffer.flush()
    return int(head["code"])


def connect(home: Path) -> socket.socket | None:
    """A connection to the server of a home; None where there is none that is the user's own."""
    path = socket_path(home)
    try:
        found = os.lstat(path)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            return None
        import socket  # only now: there nearly always is no server

        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except (OSError, AttributeError):  # there is none, or this system has no such sockets
        return None
    try:
        connection.settimeout(_CONNECT_SECONDS)
        connection.connect(os.fspath(path))
    except OSError:
        connection.close()
        return None
    return connection


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise ValueError("the answer was cut off")
    return data
