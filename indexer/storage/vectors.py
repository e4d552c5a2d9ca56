"""`vectors.db`: content key → float16 vector, shared by all repositories.

Several processes may write it at once. An open one serves one thread at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import IndexDamaged
from indexer.storage.binding import open_read_only

BUSY_TIMEOUT_SECONDS = 60
_LOOKUP_BATCH = 500
_MEND = "run `codesearch index --rebuild` in each repository"


class VectorStore:
    """An open `vectors.db`."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        """Open it; made where it is missing, unless it is only to be read.

        Raises:
            IndexDamaged: it is no database, or is to be read and missing.
        """
        self._path = path
        if read_only:
            if not path.is_file():
                raise IndexDamaged(f"{path} is missing", _MEND)
            with self._guard():
                self._db = open_read_only(path)
            return
        with self._guard():
            self._db = sqlite3.connect(
                path,
                timeout=BUSY_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
            )

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def put(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Store the rows of `vectors (n, E)` in one transaction; a known key keeps its vector."""
        rows = [row.tobytes() for row in vectors.astype(np.float16)]
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR IGNORE INTO vectors VALUES (?, ?)", zip(keys, rows, strict=True)
            )
            self._db.execute("COMMIT")

    def known(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those of the keys that have a vector."""
        return {key for (key,) in self._lookup("key", keys)}

    def get(self, keys: Iterable[bytes]) -> dict[bytes, NDArray[np.float16]]:
        """The vectors (E,) of those keys that have one."""
        return {
            key: np.frombuffer(vector, dtype=np.float16)
            for key, vector in self._lookup("key, vector", keys)
        }

    def count(self) -> int:
        """How many vectors are stored."""
        with self._guard():
            return int(self._db.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def keep_only(self, used: set[bytes]) -> int:
        """Delete every vector whose key is not in `used`; returns how many went."""
        with self._guard():
            keys = [key for (key,) in self._db.execute("SELECT key FROM vectors")]
            unused = [(key,) for key in keys if key not in used]
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM vectors WHERE key = ?", unused)
            self._db.execute("COMMIT")
            self._db.execute("VACUUM")
        return len(unused)

    def _lookup(self, columns: str, keys: Iterable[bytes]) -> Iterator[tuple[bytes, ...]]:
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _LOOKUP_BATCH):
            batch = wanted[start : start + _LOOKUP_BATCH]
            marks = ",".join("?" * len(batch))
            with self._guard():
                rows = self._db.execute(
                    f"SELECT {columns} FROM vectors WHERE key IN ({marks})", batch
                ).fetchall()
            yield from rows

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError:
            raise  # full disk, locked, read-only: not damage
        except sqlite3.DatabaseError as error:
            raise IndexDamaged(
                f"{self._path} is damaged ({error})",
                f"{_MEND}: it sets the file aside",
            ) from error
