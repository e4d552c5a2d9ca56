"""The writing side of `index.db`: file versions, refs, chunks and what is still to be encoded.

One process writes at a time (the caller holds the repository's lock); readers see the last
committed state. Each public method is one transaction on a connection of its own, so any thread
may call it; writes take turns.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from indexer.prepare import PreparedChunk, PreparedFile
from indexer.sources.disk import Stamp
from indexer.sources.listing import Listing, Selection
from indexer.storage import waiting
from indexer.storage.binding import SCHEMA_VERSION
from indexer.storage.schema import (
    Chunk,
    ChunkTerms,
    File,
    Meta,
    Pending,
    Ref,
    RefFile,
    StampRow,
    Table,
    create_tables,
    open_engine,
)
from indexer.words import plain_name
from models.inputs import EncoderInput


class Store:
    """An open `index.db`, for the process that holds the lock."""

    def __init__(self, path: Path) -> None:
        self._engine = open_engine(path)
        self._turn = threading.Lock()
        create_tables(self._engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def bind(self, facts: Mapping[str, str]) -> None:
        """Write what the index is bound to: its model, its root."""
        with self._writing() as session:
            for key, value in {"schema": str(SCHEMA_VERSION), **facts}.items():
                session.merge(Meta(key=key, value=value))

    def file_ids(self) -> dict[tuple[str, str], int]:
        """Every stored file version: (path, blob) → id."""
        with Session(self._engine) as session:
            rows = session.execute(select(File.path, File.blob_id, File.id)).all()
        return {(path, blob): file_id for path, blob, file_id in rows}

    def ref_names(self) -> set[str]:
        """The refs that are mapped."""
        with Session(self._engine) as session:
            return set(session.scalars(select(Ref.name)))

    def add_files(self, files: Sequence[PreparedFile], encoded: set[bytes]) -> None:
        """Store file versions with their chunks; keys not in `encoded` become pending."""
        inputs = {
            chunk.key: chunk.input
            for file in files
            for chunk in file.chunks
            if chunk.key not in encoded
        }
        with self._writing() as session:
            first = _last_id(session, "files") + 1
            chunks = [(i, chunk) for i, file in enumerate(files, first) for chunk in file.chunks]
            _insert(session, File, [_file_row(i, file) for i, file in enumerate(files, first)])
            _add_chunks(session, chunks)
            waiting.add(session, inputs)
            _advance(session, "generation")

    def set_ref(self, listing: Listing, selection: Selection) -> None:
        """Make a ref map to exactly the listed file versions; forget what no ref names."""
        ids = self.file_ids()
        present = [ids[item] for item in listing.files.items() if item in ids]
        with self._writing() as session:
            ref = session.scalar(select(Ref).where(Ref.name == listing.ref))
            if ref is None:
                ref = Ref(name=listing.ref)
                session.add(ref)
            ref.commit = listing.commit
            ref.selection = json.dumps({"paths": selection.paths, "excludes": selection.excludes})
            ref.skipped = json.dumps(Counter(listing.skipped.values()))
            ref.indexed_at = time.time()
            session.flush()
            before = set(session.scalars(select(RefFile.file_id).where(RefFile.ref_id == ref.id)))
            _map_files(session, ref.id, before, set(present))
            if listing.stamps:
                _replace_stamps(session, listing.stamps)
            _forget_unused(session)
            _advance(session, "generation")
            _advance(session, "text_generation")

    def drop_refs(self, names: Iterable[str]) -> None:
        """Remove refs and every file version that no other ref names."""
        with self._writing() as session:
            session.execute(delete(Ref).where(Ref.name.in_(list(names))))
            _forget_unused(session)
            _advance(session, "generation")
            _advance(session, "text_generation")

    def drop_files(self, file_ids: Sequence[int]) -> None:
        """Remove file versions, so that the next run reads them anew."""
        with self._writing() as session:
            _delete_files(session, file_ids)
            _advance(session, "generation")
            _advance(session, "text_generation")

    def pending_keys(self) -> Iterator[list[bytes]]:
        """The content keys of all inputs that wait to be encoded, in pages."""
        page: list[bytes] = []
        while True:
            with Session(self._engine) as session:
                page = waiting.keys_after(session, page[-1] if page else b"")
            if not page:
                return
            yield page

    def pending_tokens(self) -> int:
        """The tokens of all inputs that wait."""
        with Session(self._engine) as session:
            return waiting.tokens(session)

    def longest_pending(self, limit: int) -> list[tuple[bytes, int]]:
        """Content key and tokens of the longest inputs that wait, in a fixed order."""
        with Session(self._engine) as session:
            return waiting.longest(session, limit)

    def inputs(self, keys: Sequence[bytes]) -> dict[bytes, EncoderInput]:
        """The inputs of those keys that wait still, in the order of the keys."""
        with Session(self._engine) as session:
            return waiting.inputs(session, keys)

    def finish(self, keys: Sequence[bytes]) -> None:
        """Take inputs off the waiting list: their vectors are stored."""
        with self._writing() as session:
            waiting.remove(session, keys)
            _advance(session, "generation")

    def files_of_chunks(self, chunk_ids: Sequence[int]) -> list[int]:
        """The file versions that own these chunks."""
        with Session(self._engine) as session:
            return list(
                session.scalars(select(Chunk.file_id).where(Chunk.id.in_(chunk_ids)).distinct())
            )

    def mark_synced(self) -> None:
        """Note that the FAISS file holds the present generation's vectors."""
        with self._writing() as session:
            present = session.get(Meta, "generation")
            value = present.value if present else "0"
            session.merge(Meta(key="faiss_generation", value=value))

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with self._turn, Session(self._engine) as session, session.begin():
            yield session


def _last_id(session: Session, table: str) -> int:
    """The greatest id that was ever given."""
    last = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
    return session.execute(last, {"table": table}).scalar() or 0


def _insert(session: Session, table: type[Table], rows: list[dict[str, Any]]) -> None:
    if rows:  # on the connection: the session would build an object for each row
        session.connection().execute(insert(table), rows)


def _file_row(file_id: int, file: PreparedFile) -> dict[str, Any]:
    return {
        "id": file_id,
        "path": file.path,
        "blob_id": file.blob_id,
        "language": file.language,
        "size_bytes": file.size_bytes,
        "skipped": file.skipped,
        "text": zlib.compress(file.text.encode("utf-8"), 6),
    }


def _add_chunks(session: Session, chunks: Sequence[tuple[int, PreparedChunk]]) -> None:
    """Store chunks, each with its file's id, and their words."""
    first = _last_id(session, "chunks") + 1
    rows = [_chunk_row(i, file_id, chunk) for i, (file_id, chunk) in enumerate(chunks, first)]
    _insert(session, Chunk, rows)
    terms = [asdict(chunk.terms) | {"chunk_id": i} for i, (_, chunk) in enumerate(chunks, first)]
    _insert(session, ChunkTerms, terms)


def _chunk_row(chunk_id: int, file_id: int, chunk: PreparedChunk) -> dict[str, Any]:
    return {
        "id": chunk_id,
        "file_id": file_id,
        "kind": chunk.kind,
        "symbol": chunk.symbol,
        "name": plain_name(chunk.symbol.rsplit(".", 1)[-1]),
        "start_line": chunk.start_line,
        "end_line": chunk.end_line,
        "part": chunk.part,
        "tokens": len(chunk.input),
        "vector_key": chunk.key,
    }


def _map_files(session: Session, ref_id: int, before: set[int], after: set[int]) -> None:
    gone = [{"file": file_id, "ref": ref_id} for file_id in before - after]
    new = [{"ref_id": ref_id, "file_id": file_id} for file_id in after - before]
    if gone:
        session.execute(
            text("DELETE FROM ref_files WHERE ref_id = :ref AND file_id = :file"), gone
        )
    if new:
        session.execute(insert(RefFile), new)


def _replace_stamps(session: Session, stamps: Mapping[str, Stamp]) -> None:
    session.execute(delete(StampRow))
    rows = [
        {
            "path": path,
            "size_bytes": stamp.size_bytes,
            "mtime_ns": stamp.mtime_ns,
            "ctime_ns": stamp.ctime_ns,
            "inode": stamp.inode,
            "blob_id": stamp.blob_id,
        }
        for path, stamp in stamps.items()
    ]
    session.execute(insert(StampRow), rows)


def _forget_unused(session: Session) -> None:
    """Delete file versions without a ref, then waiting inputs without a chunk."""
    unused = session.scalars(select(File.id).where(File.id.not_in(select(RefFile.file_id))))
    _delete_files(session, list(unused))


def _delete_files(session: Session, file_ids: Sequence[int]) -> None:
    rows = [{"file": file_id} for file_id in file_ids]
    if not rows:
        return
    session.execute(text("DELETE FROM files WHERE id = :file"), rows)
    session.execute(delete(Pending).where(Pending.vector_key.not_in(select(Chunk.vector_key))))


def _advance(session: Session, counter: str) -> None:
    """Count up; an index that is made anew begins elsewhere than the one before it."""
    row = session.get(Meta, counter)
    session.merge(Meta(key=counter, value=str(int(row.value) + 1 if row else time.time_ns())))
