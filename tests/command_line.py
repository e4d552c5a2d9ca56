"""The program as its users call it: in this process for speed, or in one of its own."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesearch.cli import main
from tests.git_repositories import make_repository

_LIBC = ctypes.CDLL(None)
_DROP_FROM_BOUNDING_SET, _DAC_OVERRIDE, _DAC_READ_SEARCH = 24, 1, 2  # see prctl(2)

FILES: dict[str, str | bytes] = {
    "app/config.py": (
        "import json\n\n\n"
        'def load_config(path):\n    """Read the JSON configuration."""\n'
        "    return json.load(open(path))\n\n\n"
        'def dump_config(path, value):\n    """Write the configuration."""\n'
        '    json.dump(value, open(path, "w"))\n'
    ),
    "app/net.py": (
        'class Client:\n    """Talks HTTP to a server."""\n\n'
        '    def fetch(self, url):\n        return self.send("GET", url)\n\n'
        "    def send(self, method, url):\n        return (method, url)\n"
    ),
    "web/retry.go": (
        "package web\n\n// Retry calls f until it succeeds.\n"
        "func Retry(f func() error) error {\n\tfor i := 0; i < 3; i++ {\n"
        "\t\tif err := f(); err == nil {\n\t\t\treturn nil\n\t\t}\n\t}\n\treturn nil\n}\n"
    ),
    "src/sum.cpp": "int sum_all(int* values, int count) {\n  int total = 0;\n  return total;\n}\n",
    "README.md": "# App\n\nReads the configuration and talks to a server.\n",
}


@dataclass(frozen=True)
class Run:
    """What the program said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def fault(self) -> str:
        """The two lines of a fault, which are all that was printed."""
        assert self.code == 2, self
        assert self.out == ""
        problem, hint = self.err.splitlines()
        assert problem.startswith("codesearch: ")
        assert hint.startswith("  ")
        assert hint.strip()
        return f"{problem.removeprefix('codesearch: ')}\n{hint.strip()}"


@dataclass(frozen=True)
class Place:
    """An index home, and the folder to stand in."""

    home: Path
    root: Path

    def run(
        self,
        *arguments: str,
        at: str = "",
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> Run:
        """Runs `codesearch` in this process."""
        return codesearch(*arguments, home=self.home, cwd=self.root / at, stdin=stdin, env=env)

    def paths(self, *arguments: str) -> list[str]:
        """The paths that a query finds, best first."""
        found = self.run("query", *arguments, "--json")
        return [result["path"] for result in found.json["results"]]


def codesearch(
    *arguments: str,
    home: Path,
    cwd: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> Run:
    """Runs `codesearch` in this process, with streams, folder and environment of its own."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with _surroundings(cwd, environment(home, env)), contextlib.ExitStack() as streams:
        streams.enter_context(contextlib.redirect_stdout(out))
        streams.enter_context(contextlib.redirect_stderr(err))
        before, argv = sys.stdin, sys.argv
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
        sys.argv = ["codesearch", *arguments]
        try:
            main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.stdin, sys.argv = before, argv
    assert isinstance(code, int)
    return Run(code, _text(out), _text(err))


def start(*arguments: str, home: Path, cwd: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Starts `codesearch` in a fresh process with pipes, in which even root obeys file modes."""
    settings = environment(home, options.pop("env", None))
    settings["PYTHONPATH"] = str(Path(__file__).parent.parent)
    command = [sys.executable, "-m", "codesearch", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options = {**pipes, "preexec_fn": _obey_file_modes, **options}
    return subprocess.Popen(command, cwd=cwd, env=settings, **options)


def finish(process: subprocess.Popen[bytes]) -> Run:
    """Waits for a process that `start` started."""
    out, err = process.communicate(timeout=120)
    return Run(process.returncode, out.decode("utf-8"), err.decode("utf-8"))


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The surroundings of a user without any settings."""
    kept = {
        key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ
    }
    ours = {
        "CODESEARCH_INDEX": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "OPENBLAS_NUM_THREADS": "1",  # as `query` sets it, for commands that come before one
    }
    return {**kept, **ours, **(extra or {})}


def a_copy_of(place: Place, folder: Path, name: str = "app") -> Place:
    """The same repository elsewhere, with an index that has all its vectors already."""
    import shutil

    home = folder / "home"
    if not home.exists():
        home.mkdir()
        shutil.copy(place.home / "vectors.db", home / "vectors.db")
    copy = Place(home, make_repository(folder / name, FILES))
    assert copy.run("index").code == 0
    return copy


def _obey_file_modes() -> None:
    """Gives up, before the program starts, root's right to read and write every file."""
    if os.geteuid() == 0:
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            _LIBC.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


@contextlib.contextmanager
def _surroundings(cwd: Path, settings: Mapping[str, str]) -> Iterator[None]:
    saved, before = dict(os.environ), os.getcwd()
    os.environ.clear()
    os.environ.update(settings)
    os.chdir(cwd)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(saved)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    data = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return data.decode("utf-8")
