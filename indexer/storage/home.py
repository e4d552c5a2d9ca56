"""Where indexes live on disk.

HOME/
├── vectors.db                     every vector, shared by all repositories
├── clones/<host>/<owner>/<name>.git    repositories indexed by URL
├── training/<hash>/               a training that was interrupted
└── repos/<name>-<hash of root>/
    ├── index.db                   files, refs, chunks and their words
    ├── vectors.faiss              a cache, rebuilt when missing or damaged
    ├── text.idx                   another one: the text index
    └── lock                       held by the process that writes
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import StorageError
from models.replacing import LEFTOVERS


@dataclass(frozen=True, slots=True)
class RepoFolder:
    """The files of one repository's index."""

    folder: Path

    @property
    def database(self) -> Path:
        """The truth about the repository's files and chunks."""
        return self.folder / "index.db"

    @property
    def faiss(self) -> Path:
        """The cache of the repository's vectors."""
        return self.folder / "vectors.faiss"

    @property
    def text_index(self) -> Path:
        """The cache of the repository's words."""
        return self.folder / "text.idx"

    @property
    def lock(self) -> Path:
        """Held by the process that writes."""
        return self.folder / "lock"

    @property
    def exists(self) -> bool:
        """Whether the repository was ever indexed."""
        return self.database.is_file()

    def create(self) -> None:
        """Make the folder; only its owner can read it, since it holds the repository's text."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(
                f"cannot write the index in {self.folder}: {error.strerror}",
                "choose another place with --index DIR",
            ) from error

    def delete_leftovers(self) -> None:
        """Remove what killed writers left; the caller holds the lock."""
        for path in self.folder.glob(LEFTOVERS):
            path.unlink(missing_ok=True)

    def delete(self) -> None:
        """Remove the whole index of the repository; the database goes first.

        Raises:
            StorageError: it cannot be removed.
        """
        try:
            for name in ("index.db", "index.db-wal", "index.db-shm"):
                (self.folder / name).unlink(missing_ok=True)
            shutil.rmtree(self.folder)
        except OSError as error:
            raise StorageError(
                f"cannot remove the index in {self.folder}: {error.strerror}",
                "check who owns that folder",
            ) from error


@dataclass(frozen=True, slots=True)
class IndexHome:
    """The folder that holds all indexes of a user."""

    folder: Path

    @property
    def vectors(self) -> Path:
        """The database of vectors."""
        return self.folder / "vectors.db"

    @property
    def clones(self) -> Path:
        """Repositories that were indexed by URL."""
        return self.folder / "clones"

    @property
    def training(self) -> Path:
        """What `train` has under way."""
        return self.folder / "training"

    def repo(self, root: Path) -> RepoFolder:
        """The index folder of the repository with this resolved root."""
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip(".-") or "root"
        return RepoFolder(self.folder / "repos" / f"{name[:40]}-{digest}")

    def repos(self) -> list[RepoFolder]:
        """Every indexed repository, by name."""
        folders = sorted((self.folder / "repos").glob("*/index.db"))
        return [RepoFolder(database.parent) for database in folders]


def find_home(option: Path | None) -> IndexHome:
    """`--index`, else `CODESEARCH_INDEX`, else the user's data folder."""
    if option is not None:
        return IndexHome(option.expanduser().resolve())
    variable = os.environ.get("CODESEARCH_INDEX")
    if variable:
        return IndexHome(Path(variable).expanduser().resolve())
    from platformdirs import user_data_path

    return IndexHome(user_data_path("codesearch"))
