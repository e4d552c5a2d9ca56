"""An index is bound to one model and one schema; anything else is refused, never mixed."""

from __future__ import annotations

import os
import shlex
import sqlite3
from pathlib import Path

from indexer.errors import IndexMismatch
from indexer.sources.repository import Repository
from indexer.storage.failures import database_failure
from indexer.storage.home import RepoFolder
from models.checkpoint import Checkpoint

# Raise it when the tables, the chunker, the words, the encoder's input or what FAISS holds change.
SCHEMA_VERSION = 5


def rebuild_command(facts: dict[str, str]) -> str:
    """What makes an index anew; vectors of text that is read as before are kept."""
    where = shlex.quote(facts["root"]) if "root" in facts else "."
    return f"run `codesearch index {where} --rebuild`"


def facts_of(repository: Repository, checkpoint: Checkpoint) -> dict[str, str]:
    """What an index remembers of its repository and model."""
    return {
        "root": str(repository.root),
        "name": repository.name,
        "model": checkpoint.name if checkpoint.is_shipped else str(checkpoint.folder),
        "fingerprint": checkpoint.fingerprint,
    }


def read_facts(folder: RepoFolder) -> dict[str, str]:
    """The facts of an index; empty where none were written yet.

    Raises:
        IndexDamaged: the database cannot be read.
    """
    if not folder.exists:
        return {}
    try:
        connection = open_read_only(folder.database)
        try:
            return dict(connection.execute("SELECT key, value FROM meta"))
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):  # killed before its first commit
            return {}
        raise database_failure(folder.folder, error) from error


def open_read_only(database: Path) -> sqlite3.Connection:
    """Open a database for reading, also in a folder that cannot be written.

    There SQLite cannot make the files that readers and a writer share; nobody writes, so it is
    told that nothing changes.
    """
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if os.access(database.parent, os.W_OK):
            raise
        return sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def check_schema(facts: dict[str, str], folder: Path) -> None:
    """Refuse an index that another version of the program made."""
    found = facts.get("schema", str(SCHEMA_VERSION))
    if found != str(SCHEMA_VERSION):
        raise IndexMismatch(
            f"{facts.get('name', folder)} was indexed by another version of this program "
            f"(schema {found}, this one reads {SCHEMA_VERSION})",
            rebuild_command(facts),
        )


def check_binding(folder: RepoFolder, checkpoint: Checkpoint) -> None:
    """Refuse an index that was made by another model or schema.

    Raises:
        IndexMismatch: with both names.
        IndexDamaged: the database cannot be read.
    """
    facts = read_facts(folder)
    check_schema(facts, folder.folder)
    found = facts.get("fingerprint", checkpoint.fingerprint)
    if found != checkpoint.fingerprint:
        raise IndexMismatch(
            f"{facts.get('name', folder.folder)} was indexed with model "
            f"{facts.get('model')} ({found[:12]}), not with {checkpoint.name} "
            f"({checkpoint.fingerprint[:12]})",
            f"{rebuild_command(facts)}, or name the model that made it with --model",
        )
