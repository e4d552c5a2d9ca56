"""`clean`: get rid of a repository's index, or of what is dead.

Vectors are shared, so what is unused is known only while nobody writes: the locks of all indexes
are held meanwhile. An index that is begun after that may miss a vector that went; its next run
makes it anew, as after a loss of `vectors.db`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import CodesearchError, RefNotFound
from indexer.progress import Progress
from indexer.sources.clones import OWNER_FILE
from indexer.sources.listing import WORKING_TREE
from indexer.sources.repository import find_repository, resolve_ref
from indexer.storage.binding import read_facts
from indexer.storage.failures import storage_failures
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.locking import writing, writing_if_free
from indexer.storage.reader import Reader, RefInfo

TRAINING_DAYS = 30  # after so many nobody goes on with it


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What `clean` removed."""

    repos: tuple[str, ...] = ()  # roots
    refs: tuple[str, ...] = ()
    vectors: int = 0
    trainings: int = 0


def clean_all(home: IndexHome, progress: Progress) -> Cleaned:
    """Remove the indexes of vanished repositories, vanished refs, and vectors nobody names.

    So are trainings that nobody has gone on with for `TRAINING_DAYS`.
    """
    with _nobody_writing(home, progress):
        gone = [folder for folder in home.repos() if not _is_there(_root(folder))]
        names = tuple(_root(folder) or str(folder.folder) for folder in gone)
        for folder in gone:
            folder.delete()
        names += tuple(_remove_clones_without_index(home))
        refs = [name for folder in home.repos() for name in _clean_refs(folder)]
        return Cleaned(names, tuple(refs), _clean_vectors(home), _clean_trainings(home))


def clean_repo(home: IndexHome, folder: RepoFolder, progress: Progress) -> Cleaned:
    """Remove one repository's index, its clone if it was indexed by URL, and its own vectors."""
    with _nobody_writing(home, progress):
        root = Path(_root(folder) or folder.folder)
        folder.delete()
        if root.is_relative_to(home.clones):
            shutil.rmtree(root, ignore_errors=True)
        return Cleaned((str(root),), (), _clean_vectors(home))


@contextmanager
def _nobody_writing(home: IndexHome, progress: Progress) -> Iterator[None]:
    with storage_failures(home.folder), ExitStack() as locks:
        for folder in home.repos():
            locks.enter_context(writing(folder, progress))
        yield


def _clean_vectors(home: IndexHome) -> int:
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


def _clean_trainings(home: IndexHome) -> int:
    """Remove what was interrupted long ago, a gigabyte each; returns how many."""
    since = time.time() - 86_400 * TRAINING_DAYS
    states = [folder for folder in home.training.glob("*") if folder.is_dir()]
    dead = [folder for folder in states if _changed_at(folder) < since]
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return len(dead)


def _changed_at(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


def _clean_refs(folder: RepoFolder) -> list[str]:
    reader = Reader(folder)
    try:
        dead = [ref.name for ref in reader.refs() if _is_dead(reader, ref)]
        name = reader.name
    finally:
        reader.close()
    if dead:
        from indexer.storage.store import Store

        store = Store(folder.database)
        try:
            store.drop_refs(dead)
        finally:
            store.close()
    return [f"{name}@{ref}" for ref in dead]


def _is_dead(reader: Reader, ref: RefInfo) -> bool:
    if ref.name == WORKING_TREE:
        return False
    try:
        resolve_ref(find_repository(Path(reader.root))[0], ref.name)
    except RefNotFound:
        return True
    except CodesearchError:  # a repository that git cannot open now may be repaired
        return False
    return False


def _remove_clones_without_index(home: IndexHome) -> list[str]:
    """Clones whose indexing never began, nor is about to."""
    removed = []
    for clone in [file.parent for file in home.clones.glob(f"**/*.git/{OWNER_FILE}")]:
        folder = home.repo(clone.resolve())
        if folder.exists:
            continue
        folder.create()
        with writing_if_free(folder) as is_held:
            if is_held and not folder.exists:  # else it was made in the meantime
                shutil.rmtree(clone, ignore_errors=True)
                folder.delete()
                removed.append(str(clone))
    return removed


def _is_there(root: str) -> bool:
    return bool(root) and Path(root).is_dir()


def _root(folder: RepoFolder) -> str:
    """Where the repository is: "" for an index that was begun and knows nothing yet.

    One that cannot be read stands for itself: it may be repaired.
    """
    try:
        return read_facts(folder).get("root", "")
    except CodesearchError:
        return str(folder.folder)
