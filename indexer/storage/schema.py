"""The tables of one repository's `index.db`.

A file version is a path with a blob; a ref maps to file versions, so refs share everything that
they have in common. A chunk names its vector by content key; while a key is in `pending`, the
vector is still to be made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, ForeignKey, UniqueConstraint, create_engine, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

BUSY_TIMEOUT_SECONDS = 60


class Table(DeclarativeBase):
    """All tables of an index."""


class Meta(Table):
    """One fact about the index: its schema, model, root and generations."""

    __tablename__ = "meta"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Ref(Table):
    """A branch, tag or commit, or the working tree, as it was indexed."""

    __tablename__ = "refs"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    commit: Mapped[str | None]
    selection: Mapped[str]  # JSON: paths and excludes that were asked for
    skipped: Mapped[str]  # JSON: reason → number of files that were left out unread
    indexed_at: Mapped[float]  # seconds since 1970


class File(Table):
    """One version of one file; `skipped` says why it has no chunks."""

    __tablename__ = "files"
    __table_args__ = (UniqueConstraint("path", "blob_id"), {"sqlite_autoincrement": True})
    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    blob_id: Mapped[str]
    language: Mapped[str]
    size_bytes: Mapped[int]
    skipped: Mapped[str | None]
    text: Mapped[bytes]  # zlib of the UTF-8 text


class RefFile(Table):
    """A ref contains a file version."""

    __tablename__ = "ref_files"
    ref_id: Mapped[int] = mapped_column(
        ForeignKey("refs.id", ondelete="CASCADE"), primary_key=True
    )
    file_id: Mapped[int] = mapped_column(
        ForeignKey("files.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Chunk(Table):
    """A unit that can be found; parts of an over-long one share its symbol and have numbers."""

    __tablename__ = "chunks"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    symbol: Mapped[str]
    name: Mapped[str] = mapped_column(index=True)  # the last part, as `plain_name` has it
    start_line: Mapped[int]
    end_line: Mapped[int]
    part: Mapped[int]  # 0: the whole unit; from 1: a part of it
    tokens: Mapped[int]
    vector_key: Mapped[bytes] = mapped_column(index=True)


class ChunkTerms(Table):
    """What the text index is made of; see `indexer.terms`."""

    __tablename__ = "chunk_terms"
    chunk_id: Mapped[int] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True
    )
    stems: Mapped[str]
    weights: Mapped[bytes]  # uint16 (n,)
    words: Mapped[int]


class Pending(Table):
    """An encoder input whose vector is still to be made."""

    __tablename__ = "pending"
    vector_key: Mapped[bytes] = mapped_column(primary_key=True)
    tokens: Mapped[int]
    ids: Mapped[bytes]  # int32 (L,)
    block_index: Mapped[bytes]  # int32 (N, K)
    block_count: Mapped[bytes]  # int32 (N,)


class StampRow(Table):
    """What the file system said of a working-tree file when it was hashed."""

    __tablename__ = "stamps"
    path: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int]
    mtime_ns: Mapped[int]
    ctime_ns: Mapped[int]
    inode: Mapped[int]
    blob_id: Mapped[str]


# Batches are made of the longest inputs that wait: this answers which, without reading them.
_BY_LENGTH = """
CREATE INDEX IF NOT EXISTS pending_by_length ON pending (tokens DESC, vector_key)
"""


def open_engine(path: Path) -> Engine:
    """Open or create a database; readers and one writer do not block each other (WAL)."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def create_tables(engine: Engine) -> None:
    """Create what is missing."""
    with engine.begin() as connection:
        Table.metadata.create_all(connection)
        connection.execute(text(_BY_LENGTH))
