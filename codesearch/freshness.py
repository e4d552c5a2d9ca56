"""Is an index what the repository is now? A small change is taken in, a large one reported."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import CodesearchError
from indexer.sources.listing import WORKING_TREE, Listing
from indexer.sources.repository import Repository, find_repository, resolve_ref
from indexer.sources.walk import list_files
from indexer.storage.home import IndexHome
from indexer.storage.locking import writing_if_free
from indexer.storage.reader import Reader, RefInfo
from models.checkpoint import Checkpoint, CheckpointError

# About two seconds of reading and encoding on two cores, without torch.
REFRESH_FILES = 40
REFRESH_BYTES = 400_000
REFRESH_TOKENS = 3_000


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between a repository and its index."""

    repository: Repository | None  # None: it is gone
    listing: Listing | None  # None: nothing to compare with
    changed: tuple[str, ...] = ()  # paths that are new or have other content
    gone: tuple[str, ...] = ()
    problem: str = ""  # why it could not be compared, or how a ref moved

    @property
    def is_stale(self) -> bool:
        """Whether answers may differ from the repository."""
        return bool(self.changed or self.gone or self.problem)

    @property
    def is_small(self) -> bool:
        """Whether a query can take the change in without keeping its user waiting."""
        if self.repository is None or self.listing is None or len(self.changed) > REFRESH_FILES:
            return False
        root = self.repository.root
        return sum(_size(root / path) for path in self.changed) <= REFRESH_BYTES

    def describe(self) -> str:
        """What has changed, in a few words."""
        if self.problem:
            return self.problem
        count = len(self.changed) + len(self.gone)
        files = "1 file has" if count == 1 else f"{count:,} files have"
        return f"{files} changed since it was indexed"

    def note(self, reader: Reader, ref: RefInfo) -> str:
        """One line for the user: what has changed, and the command that takes it in."""
        line = f"{reader.name}: {self.describe()}"
        return f"{line}; run `{refresh_command(reader, ref)}`" if self.repository else line

    def note_meanwhile(self, reader: Reader) -> str:
        """One line for the user while the index is being written."""
        left = len(self.changed) + len(self.gone)
        return f"{reader.name}: is being indexed now; {left:,} files are not taken in yet"


def refresh_command(reader: Reader, ref: RefInfo) -> str:
    """The command that brings a ref up to date, with the options it was indexed with."""
    command = ["codesearch", "index", reader.root]
    if ref.name != WORKING_TREE:
        command += ["--ref", ref.name]
    for option, globs in (("--path", ref.selection.paths), ("--exclude", ref.selection.excludes)):
        for glob in globs:
            command += [option, glob]
    return shlex.join(command)


def find_change(reader: Reader, ref: RefInfo) -> Change:
    """Compare a ref with the repository as it is now; whatever prevents that is the problem."""
    root = Path(reader.root)
    try:
        repository, _ = find_repository(root)
        if repository.root != root:
            return _not_comparable(f"{root} is no repository any more")
        if ref.name == WORKING_TREE:
            return _working_tree_change(reader, ref, repository)
        commit = resolve_ref(repository, ref.name)
    except (CodesearchError, OSError) as error:
        return _not_comparable(str(error))
    if commit == ref.commit:
        return Change(repository, None)
    old, new = (ref.commit or "nothing")[:12], commit[:12]
    return Change(repository, None, problem=f"{ref.name} moved from {old} to {new}")


def take_in(
    home: IndexHome, reader: Reader, ref: RefInfo, change: Change, checkpoint: Checkpoint
) -> bool:
    """Refresh the index by a small change; False where it cannot be written now.

    Text is searchable by words afterwards; vectors follow here if they are few, else with the next
    `codesearch index`.
    """
    from indexer.build import IndexBuild
    from models.light_encoder import LightEncoder

    if change.repository is None or change.listing is None or not checkpoint.is_bert:
        return False
    build = IndexBuild(home, change.repository, checkpoint, lambda: LightEncoder(checkpoint))
    with writing_if_free(home.repo(change.repository.root)) as is_held:
        if not is_held:
            return False
        try:
            build.update(change.listing, ref.selection, REFRESH_TOKENS)
        except (CodesearchError, CheckpointError, OSError):
            return False  # a full disk, say: the answer is stale, not lost
    return True


def _not_comparable(reason: str) -> Change:
    return Change(None, None, problem=f"answers come from the index alone: {reason}")


def _working_tree_change(reader: Reader, ref: RefInfo, repository: Repository) -> Change:
    listing = list_files(repository, None, ref.selection, reader.stamps())
    stored = reader.files(ref.id)
    changed = tuple(path for path, blob in listing.files.items() if stored.get(path) != blob)
    gone = tuple(path for path in stored if path not in listing.files)
    return Change(repository, listing, changed, gone)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
