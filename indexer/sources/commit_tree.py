"""The files of a commit, from git's objects alone: nothing is checked out."""

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import RefNotFound, RepositoryError
from indexer.sources.disk import is_safe_path
from indexer.sources.git import GitFailed, ObjectReader, read_git
from indexer.sources.ignore import OWN_IGNORE_FILE
from indexer.sources.linguist import ATTRIBUTES_FILE
from indexer.sources.listing import Listing, NameRules, Selection
from indexer.sources.repository import Repository, resolve_ref
from indexer.sources.skip import size_reason

_SYMLINK = "120000"
_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of `git ls-tree`; the size is None where a partial clone lacks the blob."""

    path: str
    mode: str
    object_id: str
    size_bytes: int | None


def list_commit(repository: Repository, ref: str, selection: Selection, max_bytes: int) -> Listing:
    """Lists the files of a ref; see `indexer.sources.walk.list_files`."""
    if repository.git_dir is None:
        raise RefNotFound(
            f"{repository.root} is not a git repository, so it has no ref {ref!r}",
            "leave out --ref to index the files of the folder",
        )
    listing = Listing(ref, resolve_ref(repository, ref))
    entries = [entry for entry in _entries(repository.git_dir, listing.commit or "")]
    with ObjectReader(repository.git_dir) as objects:
        rules = NameRules(selection)
        _read_rules(entries, objects, rules)
        for entry in entries:
            if not rules.wants(entry.path):
                continue
            reason = _reason(entry, objects, rules, max_bytes)
            if reason is None:
                listing.files[entry.path] = entry.object_id
            else:
                listing.skipped[entry.path] = reason
    return listing


def _entries(git_dir: Path, commit: str) -> Iterator[_Entry]:
    """The entries of the commit's tree in the order of their paths."""
    output = _ls_tree(git_dir, commit)
    for path, line in sorted(_fields(record) for record in output.split(b"\0") if record):
        mode, _, object_id, *size = line.split()
        if is_safe_path(path):
            known = bool(size) and size[0].isdigit()
            yield _Entry(path, mode, object_id, int(size[0]) if known else None)


def _ls_tree(git_dir: Path, commit: str) -> bytes:
    """Modes, blobs, sizes and paths; without sizes where blobs are missing.

    Raises:
        RepositoryError: A tree of the commit is missing or damaged.
    """
    try:
        return read_git(git_dir, None, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    except GitFailed:
        pass
    try:
        return read_git(git_dir, None, "ls-tree", "-r", "-z", "--full-tree", commit)
    except GitFailed as error:
        raise RepositoryError(
            f"git cannot list commit {commit[:12]} in {git_dir}: {error}",
            "the clone is incomplete or damaged: run `git fsck` there, or `git fetch --refetch`",
        ) from None


def _fields(record: bytes) -> tuple[str, str]:
    """Path and the rest of a record, "mode type id[ size]<tab>path"."""
    line, _, path = record.partition(b"\t")
    return os.fsdecode(path), line.decode("ascii")


def _read_rules(entries: list[_Entry], objects: ObjectReader, rules: NameRules) -> None:
    """Takes in the ignore and attributes files of the commit."""
    for entry in entries:
        folder, name = posixpath.split(entry.path)
        if name in (OWN_IGNORE_FILE, ATTRIBUTES_FILE) and entry.mode.startswith("100"):
            rules_of = rules.ignore if name == OWN_IGNORE_FILE else rules.linguist
            rules_of.add(folder, _text(entry, objects))


def _text(entry: _Entry, objects: ObjectReader) -> str:
    """The blob as text, "" where the repository lacks it."""
    try:
        return objects.read(entry.object_id).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _reason(entry: _Entry, objects: ObjectReader, rules: NameRules, max_bytes: int) -> str | None:
    """Why the entry is left out, by type, name and size."""
    if entry.mode == _SUBMODULE:
        return "submodule"
    if entry.mode == _SYMLINK:
        return _symlink_reason(entry.path, _text(entry, objects))
    reason = rules.reason(entry.path)
    if reason is None and entry.size_bytes is not None:
        reason = size_reason(entry.path, entry.size_bytes, max_bytes)
    return reason


def _symlink_reason(path: str, target: str) -> str:
    """Follows the link by its text alone: there is no folder that it could be followed in."""
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    leaves = end.startswith("/") or end == ".." or end.startswith("../")
    return "symlink leaving the repository" if leaves else "symlink"
