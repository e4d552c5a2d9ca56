"""What is indexed: one repository looked at closely, or all of them in a line each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from codesearch.freshness import Change, find_change
from indexer.errors import CodesearchError
from indexer.storage.binding import read_facts
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.reader import Counts, Reader, RefInfo


@dataclass(frozen=True, slots=True)
class RefStatus:
    """A ref and what has changed since it was indexed."""

    ref: RefInfo
    files: int
    change: Change


@dataclass(frozen=True, slots=True)
class RepoStatus:
    """Everything that `status` says about one repository."""

    name: str
    root: str
    model: str
    fingerprint: str
    last_encoding: str  # how much, how fast, on what; "" where nothing was encoded
    size_bytes: int
    counts: Counts
    skipped: Counter[str]  # reason → files, over all refs
    refs: tuple[RefStatus, ...]


@dataclass(frozen=True, slots=True)
class RepoLine:
    """What `repos` says about one repository; `problem` where its index cannot be read."""

    name: str
    root: str
    model: str
    size_bytes: int
    problem: str = ""


def repo_status(folder: RepoFolder) -> RepoStatus:
    """Look closely at one index."""
    reader = Reader(folder)
    try:
        refs = tuple(
            RefStatus(ref, len(reader.files(ref.id)), find_change(reader, ref))
            for ref in reader.refs()
        )
        counts = reader.counts()
        skipped: Counter[str] = Counter(counts.skipped)
        for item in refs:
            skipped.update(item.ref.skipped)
        facts = reader.facts
        return RepoStatus(
            reader.name,
            reader.root,
            facts.get("model", "?"),
            facts.get("fingerprint", "?"),
            facts.get("last_encoding", ""),
            _size_bytes(folder),
            counts,
            skipped,
            refs,
        )
    finally:
        reader.close()


def all_repos(home: IndexHome) -> list[RepoLine]:
    """Every index of a home, by name."""
    return [_line(folder) for folder in home.repos()]


def _line(folder: RepoFolder) -> RepoLine:
    name, size_bytes = folder.folder.name, _size_bytes(folder)
    try:
        facts = read_facts(folder)
    except CodesearchError as error:
        return RepoLine(name, "?", "?", size_bytes, str(error))
    return RepoLine(
        facts.get("name", name), facts.get("root", "?"), facts.get("model", "?"), size_bytes
    )


def _size_bytes(folder: RepoFolder) -> int:
    return sum(file.stat().st_size for file in folder.folder.iterdir() if file.is_file())
