"""Time and memory of this program beside other search tools: whole processes, first and repeated.

    python scripts/compare_tools.py REPOSITORY … [--home FOLDER] [--rounds 3]

Tools that are not installed are left out: ripgrep and `git grep` look for any of the question's
words, which ranks nothing; semble ranks, with the model that `SEMBLE_MODEL_NAME` names. First: the
repository and the tool's index have to be read from the disk. Repeated: all questions were asked
before. With `--home` indexes that are there are asked, and how long they took is not told. Figures
go to `results/`; the last line printed is JSON.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from measure_repos import output, run
from provenance import provenance, save

QUESTIONS = (
    "read settings from a file",
    "parse command line arguments",
    "retry a request after a network failure",
    "convert an object to text",
    "register a handler for an event",
    "default values of options",
    "report an error to the caller",
)
TOP_K = "10"


@dataclass(frozen=True)
class Tool:
    """How a tool is made ready and asked, and where it keeps what it made."""

    ask: Callable[[str], list[str]]
    prepare: list[str] | None = None
    index: Path | None = None
    is_served: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--home", type=Path, help="of indexes; else a temporary one")
    parser.add_argument("--rounds", type=int, default=3, help="of questions, the first not told")
    parser.add_argument("--no-save", action="store_true")
    arguments = parser.parse_args()
    report = provenance("tools", "python scripts/compare_tools.py REPOSITORY …")
    report["versions"] = versions()
    report["repositories"] = {}
    for repository in arguments.repositories:
        with tempfile.TemporaryDirectory() as folder:
            home = (arguments.home or Path(folder)).resolve()
            measured = measure(repository.resolve(), home, Path(folder), arguments.rounds)
            if arguments.home:
                measured["tools"]["codesearch"]["prepare_seconds"] = None
            report["repositories"][repository.resolve().name] = measured
    if not arguments.no_save:
        save(report)
    print(json.dumps(report))


def measure(repository: Path, home: Path, caches: Path, rounds: int) -> dict:
    """Each tool on one repository."""
    os.environ["SEMBLE_CACHE_LOCATION"] = str(caches / "semble")
    found = {}
    for name, tool in tools(repository, home, caches).items():
        made = run(tool.prepare, repository) if tool.prepare else None
        with served(home, repository) if tool.is_served else nullcontext():
            forget(repository, *([tool.index] if tool.index else []))
            first = run(tool.ask(QUESTIONS[0]), repository)
            again = [run(tool.ask(text), repository) for text in QUESTIONS * rounds]
            again = again[len(QUESTIONS) :]
        found[name] = {
            "prepare_seconds": made["seconds"] if made else None,
            "index_mb": round(size_of(tool.index) / 1e6, 1) if made and tool.index else None,
            "first_seconds": first["seconds"],
            "repeated_seconds": median(one["seconds"] for one in again),
            "peak_mb": max(one["peak_mb"] for one in again),
        }
        if name.startswith("codesearch"):
            answers = [json.loads(one["stdout"])["elapsed_ms"] for one in again]
            found[name]["answer_ms"] = round(median(answers), 1)  # inside the process
        print(f"{repository.name}, {name}: {found[name]}", file=sys.stderr, flush=True)
    command = [*codesearch("status"), "--index", str(home), "--json"]
    status = json.loads(output(command, repository))
    found["codesearch"]["index_mb"] = round(status["size_bytes"] / 1e6, 1)
    facts = {name: status[name] for name in ("files", "chunks", "pending")}
    return {"bytes": size_of(repository), **facts, "tools": found}


def tools(repository: Path, home: Path, caches: Path) -> dict[str, Tool]:
    """Those that are installed here."""
    where = str(repository)

    def ask(question: str) -> list[str]:
        return [*codesearch("query"), question, "-k", TOP_K, "--json", "--index", str(home)]

    index = [*codesearch("index"), where, "--index", str(home), "--quiet"]
    found = {
        "codesearch": Tool(ask, index, home),
        "codesearch, with serve": Tool(ask, None, home, is_served=True),
        "git grep": Tool(lambda question: ["git", "grep", "-ciE", words(question)]),
    }
    if not (repository / ".git").exists():
        found.pop("git grep")
    if shutil.which("rg"):
        found["ripgrep"] = Tool(lambda question: ["rg", "-ci", words(question), where])
    if shutil.which("semble"):
        search = ["semble", "search"]
        found["semble"] = Tool(
            lambda question: [*search, question, where, "-k", TOP_K],
            [*search, QUESTIONS[0], where],
            caches / "semble",
        )
    return found


def codesearch(command: str) -> list[str]:
    return [str(Path(sys.executable).with_name("codesearch")), command]


def words(question: str) -> str:
    """A pattern that finds any longer word of a question."""
    return "|".join(re.findall(r"\w{4,}", question))


@contextmanager
def served(home: Path, repository: Path):
    """A server for the index, up while the block runs."""
    command = [*codesearch("serve"), "--index", str(home)]
    server = subprocess.Popen(command, cwd=repository, stderr=subprocess.PIPE)
    assert server.stderr is not None
    server.stderr.readline()  # it says when it listens
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def forget(*places: Path) -> None:
    """Have the system drop what it keeps in memory of the files in some places."""
    for place in places:
        for path in files(place):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def size_of(place: Path) -> int:
    return sum(path.stat().st_size for path in files(place))


def files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file() and not path.is_symlink()]


def versions() -> dict[str, str]:
    """What each installed tool calls itself."""
    asked = {"ripgrep": ["rg", "--version"], "semble": ["semble", "--version"]}
    asked["git grep"] = ["git", "--version"]
    return {
        name: output(command, Path.cwd()).splitlines()[0]
        for name, command in asked.items()
        if shutil.which(command[0])
    }


if __name__ == "__main__":
    main()
