"""The reading side of `index.db`, in plain SQL on sqlite3: a query starts without an ORM.

Everything is read-only; a writer at work is not disturbed and does not disturb (WAL).
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from indexer.errors import IndexDamaged, IndexNotFound
from indexer.sources.disk import Stamp
from indexer.sources.listing import Selection
from indexer.storage.binding import check_schema, open_read_only, read_facts, rebuild_command
from indexer.storage.failures import database_failure
from indexer.storage.home import RepoFolder
from indexer.storage.text_index import Ids, IndexedTerms
from indexer.words import plain_name

_BATCH = 500
_TEXTS_KEPT = 64  # the best chunks of a query are read, and some of them shown
_CHUNK_ROW = (
    "chunks.id, file_id, path, language, kind, symbol, part, start_line, end_line, size_bytes"
)


@dataclass(frozen=True, slots=True)
class RefInfo:
    """A ref as it was indexed."""

    id: int
    name: str
    commit: str | None
    selection: Selection
    skipped: dict[str, int]  # reason → files left out unread
    indexed_at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A stored chunk with its place."""

    id: int
    file_id: int
    path: str
    language: str
    kind: str
    symbol: str
    part: int  # of a unit above the model's limit, from 1; 0: it is whole
    start_line: int
    end_line: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How much an index holds."""

    files: int
    chunks: int
    by_language: dict[str, int]  # files
    by_kind: dict[str, int]  # chunks
    skipped: dict[str, int]  # reason → files read and left out
    split_units: int  # units above the model's limit
    pending: int  # chunks without a vector yet
    tokens: int


class Reader:
    """An open index of one repository."""

    def __init__(self, folder: RepoFolder) -> None:
        """Open an index.

        Raises:
            IndexNotFound: there is none.
            IndexMismatch: it has another schema.
            IndexDamaged: it cannot be read.
        """
        if not folder.exists:
            raise IndexNotFound(f"no index in {folder.folder}", "run `codesearch index PATH`")
        self.folder = folder
        self.facts = read_facts(folder)
        check_schema(self.facts, folder.folder)
        self._file_ids: dict[tuple[int, tuple[str, ...], Selection], Ids] = {}
        self._usual_depth: dict[int, float] = {}
        # The text of a file version as it was indexed; "" where a writer has forgotten it since.
        self.text = lru_cache(maxsize=_TEXTS_KEPT)(self._text)
        with self._guard():
            self._db = open_read_only(folder.database)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @property
    def name(self) -> str:
        """The repository's name."""
        return self.facts.get("name", self.folder.folder.name)

    @property
    def root(self) -> str:
        """The repository's resolved root."""
        return self.facts.get("root", "")

    @property
    def is_synced(self) -> bool:
        """Whether the FAISS file holds the vectors of the stored chunks."""
        return self.facts.get("faiss_generation") == self.facts.get("generation")

    @property
    def text_generation(self) -> int:
        """Names the state of the chunks that the refs map to; grows with each change."""
        return int(self.facts.get("text_generation", 0))

    def refs(self) -> list[RefInfo]:
        """All indexed refs, in the order of their first indexing."""
        rows = self._rows(
            'SELECT id, name, "commit", selection, skipped, indexed_at FROM refs ORDER BY id'
        )
        found = []
        for ref_id, name, commit, selection, skipped, indexed_at in rows:
            chosen = json.loads(selection)
            scope = Selection(tuple(chosen["paths"]), tuple(chosen["excludes"]))
            found.append(RefInfo(ref_id, name, commit, scope, json.loads(skipped), indexed_at))
        return found

    def skipped(self, ref: RefInfo) -> dict[str, int]:
        """Reason → files of a ref that were left out, unread or after a look."""
        read = self._rows(
            "SELECT skipped, count(*) FROM files JOIN ref_files ON file_id = id"
            " WHERE ref_id = ? AND skipped IS NOT NULL GROUP BY skipped",
            (ref.id,),
        )
        total = Counter(ref.skipped)
        total.update(dict(read))
        return dict(total.most_common())

    def stamps(self) -> dict[str, Stamp]:
        """The working tree's files as they were last hashed."""
        rows = self._rows(
            "SELECT path, size_bytes, mtime_ns, ctime_ns, inode, blob_id FROM stamps"
        )
        return {row[0]: Stamp(*row[1:]) for row in rows}

    def files(self, ref_id: int) -> dict[str, str]:
        """Path → blob of every file of a ref."""
        return dict(
            self._rows(
                "SELECT path, blob_id FROM files JOIN ref_files ON file_id = id WHERE ref_id = ?",
                (ref_id,),
            )
        )

    def file_ids(self, ref_id: int, languages: Sequence[str], paths: Selection) -> Ids:
        """The files of a ref that a search may look into; looked up once."""
        asked = (ref_id, tuple(languages), paths)
        if asked not in self._file_ids:
            self._file_ids[asked] = self._find_file_ids(ref_id, languages, paths)
        return self._file_ids[asked]

    def _find_file_ids(self, ref_id: int, languages: Sequence[str], paths: Selection) -> Ids:
        rows = self._rows(
            "SELECT id, path, language FROM ref_files JOIN files ON file_id = id WHERE ref_id = ?",
            (ref_id,),
        )
        ids = [
            file_id
            for file_id, path, language in rows
            if (not languages or language in languages) and paths.keeps(path)
        ]
        return np.array(ids, dtype=np.int64)

    def usual_depth(self, ref_id: int) -> float:
        """How many folders deep the files of a ref lie, in the mean; looked up once."""
        if ref_id not in self._usual_depth:
            rows = self._rows(
                "SELECT avg(length(path) - length(replace(path, '/', '')))"
                " FROM ref_files JOIN files ON file_id = id WHERE ref_id = ?",
                (ref_id,),
            )
            self._usual_depth[ref_id] = list(rows)[0][0] or 0.0
        return self._usual_depth[ref_id]

    def chunk_ids(self) -> Ids:
        """All chunks, ascending."""
        rows = self._rows("SELECT id FROM chunks ORDER BY id")
        return np.fromiter((chunk_id for (chunk_id,) in rows), dtype=np.int64)

    def terms_after(self, chunk_id: int) -> Iterator[IndexedTerms]:
        """What the text index is to know of the chunks behind one, ascending."""
        rows = self._rows(
            "SELECT chunk_id, file_id, kind, stems, weights, words"
            " FROM chunk_terms JOIN chunks ON chunks.id = chunk_id"
            " WHERE chunk_id > ? ORDER BY chunk_id",
            (chunk_id,),
        )
        return (IndexedTerms(*row) for row in rows)

    def named(self, names: Sequence[str]) -> list[int]:
        """Chunks whose symbol's last part is one of the names, in whatever style."""
        wanted = [plain_name(name) for name in names]
        sql = f"SELECT id FROM chunks WHERE name IN ({_marks(wanted)}) AND name != '' ORDER BY id"
        return [chunk_id for (chunk_id,) in self._rows(sql, wanted)]

    def chunks(self, ids: Sequence[int]) -> dict[int, ChunkRow]:
        """The rows of these chunks."""
        found = {}
        for batch in _batches(ids):
            sql = (
                f"SELECT {_CHUNK_ROW}"
                f" FROM chunks JOIN files ON files.id = file_id"
                f" WHERE chunks.id IN ({_marks(batch)})"
            )
            found.update({row[0]: ChunkRow(*row) for row in self._rows(sql, batch)})
        return found

    def chunk_at(self, ref_id: int, path: str, line: int) -> ChunkRow | None:
        """The smallest chunk of a ref's file that a line (from 1) is in."""
        rows = self._rows(
            f"SELECT {_CHUNK_ROW}"
            " FROM ref_files JOIN files ON files.id = file_id JOIN chunks USING (file_id)"
            " WHERE ref_id = ? AND path = ? AND start_line <= ? AND end_line >= ?"
            " ORDER BY end_line - start_line, kind = 'file', chunks.id LIMIT 1",
            (ref_id, path, line, line),
        )
        return next((ChunkRow(*row) for row in rows), None)

    def _text(self, file_id: int) -> str:
        for (text,) in self._rows("SELECT text FROM files WHERE id = ?", (file_id,)):
            with self._guard():
                return zlib.decompress(text).decode("utf-8")
        return ""

    def encoded(self) -> list[tuple[int, int, bytes]]:
        """Every chunk whose vector is not pending: its id, its file's, and its content key.

        Those of a file follow each other.
        """
        return list(
            self._rows(
                "SELECT id, file_id, vector_key FROM chunks"
                " WHERE vector_key NOT IN (SELECT vector_key FROM pending)"
                " ORDER BY file_id, id"
            )
        )

    def vector_keys(self, ids: Sequence[int]) -> dict[int, bytes]:
        """The content keys of these chunks."""
        found: dict[int, bytes] = {}
        for batch in _batches(ids):
            sql = f"SELECT id, vector_key FROM chunks WHERE id IN ({_marks(batch)})"
            found.update(self._rows(sql, batch))
        return found

    def all_keys(self) -> set[bytes]:
        """The content keys of all chunks."""
        return {key for (key,) in self._rows("SELECT DISTINCT vector_key FROM chunks")}

    def pending_tokens(self) -> tuple[int, int]:
        """How many inputs wait to be encoded, and their tokens."""
        rows = list(self._rows("SELECT count(*), coalesce(sum(tokens), 0) FROM pending"))
        return rows[0]

    def counts(self) -> Counts:
        """How much the index holds, over all refs."""
        return Counts(
            files=self._number("SELECT count(*) FROM files WHERE skipped IS NULL"),
            chunks=self._number("SELECT count(*) FROM chunks"),
            by_language=self._tally("SELECT language, count(*) FROM files WHERE skipped IS NULL"),
            by_kind=self._tally("SELECT kind, count(*) FROM chunks"),
            skipped=self._tally("SELECT skipped, count(*) FROM files WHERE skipped IS NOT NULL"),
            split_units=self._number("SELECT count(*) FROM chunks WHERE part = 1"),
            pending=self._number(
                "SELECT count(*) FROM chunks WHERE vector_key IN (SELECT vector_key FROM pending)"
            ),
            tokens=self._number("SELECT coalesce(sum(tokens), 0) FROM chunks"),
        )

    def _number(self, sql: str) -> int:
        return int(next(iter(self._rows(sql)))[0])

    def _tally(self, sql: str) -> dict[str, int]:
        return dict(self._rows(f"{sql} GROUP BY 1 ORDER BY 2 DESC, 1"))

    def _rows(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple]:  # type: ignore[type-arg]
        with self._guard():
            yield from self._db.execute(sql, values)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        folder = self.folder.folder
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise database_failure(folder, error) from error
        except zlib.error as error:
            raise IndexDamaged(
                f"the index in {folder} is damaged ({error})", rebuild_command(self.facts)
            ) from error


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _batches(ids: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _BATCH):
        yield [int(item) for item in ids[start : start + _BATCH]]
