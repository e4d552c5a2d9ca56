"""What is indexed, and how to get rid of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from codesearch.freshness import Change, find_change
from indexer.errors import CodesearchError, IndexNotFound
from indexer.progress import Progress
from indexer.storage.binding import read_facts
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.locking import writing
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
    size_bytes: int
    counts: Counts
    skipped: Counter[str]  # reason → files, over all refs
    refs: tuple[RefStatus, ...]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What `clean` removed."""

    repos: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    vectors: int = 0


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
            sum(file.stat().st_size for file in folder.folder.iterdir()),
            counts,
            skipped,
            refs,
        )
    finally:
        reader.close()


def clean_all(home: IndexHome, progress: Progress) -> Cleaned:
    """Remove the indexes of vanished repositories, vanished refs, and vectors nobody names."""
    gone = [folder for folder in home.repos() if not Path(_root(folder)).is_dir()]
    names = tuple(_root(folder) for folder in gone)
    for folder in gone:
        folder.delete()
    refs = [name for folder in home.repos() for name in _clean_refs(folder, progress)]
    return Cleaned(names, tuple(refs), clean_vectors(home))


def clean_repo(home: IndexHome, folder: RepoFolder) -> Cleaned:
    """Remove one repository's index and the vectors that only it used."""
    name = _root(folder)
    folder.delete()
    return Cleaned((name,), (), clean_vectors(home))


def clean_vectors(home: IndexHome) -> int:
    """Delete vectors that no index names; returns how many.

    Raises:
        IndexDamaged: an index cannot be read, so nothing is known to be unused.
    """
    from indexer.storage.vectors import VectorStore

    if not home.vectors.is_file():
        return 0
    used: set[bytes] = set()
    for folder in home.repos():
        reader = Reader(folder)
        try:
            used |= reader.all_keys()
        finally:
            reader.close()
    store = VectorStore(home.vectors)
    try:
        return store.keep_only(used)
    finally:
        store.close()


def find_indexed(home: IndexHome, root: Path) -> RepoFolder:
    """The index of the repository with this root.

    Raises:
        IndexNotFound: it was never indexed.
    """
    folder = home.repo(root)
    if not folder.exists:
        raise IndexNotFound(f"{root} is not indexed", f"run `codesearch index {root}`")
    return folder


def _clean_refs(folder: RepoFolder, progress: Progress) -> list[str]:
    reader = Reader(folder)
    try:
        dead = [ref.name for ref in reader.refs() if _is_dead(reader, ref)]
        name = reader.name
    finally:
        reader.close()
    if dead:
        from indexer.storage.store import Store

        with writing(folder, progress):
            store = Store(folder.database)
            try:
                store.drop_refs(dead)
            finally:
                store.close()
    return [f"{name}@{ref}" for ref in dead]


def _is_dead(reader: Reader, ref: RefInfo) -> bool:
    from indexer.errors import RefNotFound
    from indexer.sources.listing import WORKING_TREE
    from indexer.sources.repository import find_repository, resolve_ref

    if ref.name == WORKING_TREE:
        return False
    try:
        resolve_ref(find_repository(Path(reader.root))[0], ref.name)
    except RefNotFound:
        return True
    return False


def _root(folder: RepoFolder) -> str:
    try:
        return read_facts(folder).get("root", str(folder.folder))
    except CodesearchError:
        return str(folder.folder)
