"""The files of a working tree or of a plain folder, as the user sees them now.

git is asked for names only (tracked, and untracked-not-ignored). What the files are, this module
sees for itself, since git would apply the repository's filters to answer. A file is hashed once
and known by its stamp from then on.
"""

import os
import posixpath
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from indexer.errors import RepositoryError
from indexer.sources.disk import Disk, NotRegularFile, Stamp, blob_id, is_safe_path
from indexer.sources.git import GitFailed, read_git
from indexer.sources.ignore import GIT_IGNORE_FILE, OWN_IGNORE_FILE, IgnoreRules, parents
from indexer.sources.linguist import ATTRIBUTES_FILE
from indexer.sources.listing import WORKING_TREE, Listing, NameRules, Selection
from indexer.sources.repository import Repository
from indexer.sources.skip import folder_reason, size_reason

RACY_NS = 2_000_000_000  # a file this fresh may change again without its stamp telling


def list_working_tree(
    repository: Repository, selection: Selection, known: Mapping[str, Stamp], max_bytes: int
) -> Listing:
    """Lists the files on disk; see `indexer.sources.walk.list_files`."""
    disk = Disk(repository.root)
    rules = NameRules(selection)
    listing = Listing(WORKING_TREE, None)
    if repository.git_dir is None:
        paths = _walk_folder(disk, rules.ignore, listing.skipped)
    else:
        paths = _ask_git(repository.root, repository.git_dir)
        _read_ignore_files(disk, paths, rules.ignore)
    for path in paths:
        if posixpath.basename(path) == ATTRIBUTES_FILE:
            rules.linguist.add(posixpath.dirname(path), disk.text(path))
    examine = _Examination(disk, rules, known, max_bytes, repository.object_format, listing)
    for path in paths:
        if rules.wants(path):
            examine(path)
    return listing


class _Examination:
    """Puts one path after the other into the listing: as a file, as skipped, or not at all."""

    def __init__(
        self,
        disk: Disk,
        rules: NameRules,
        known: Mapping[str, Stamp],
        max_bytes: int,
        object_format: str,
        listing: Listing,
    ) -> None:
        self._disk = disk
        self._rules = rules
        self._known = known
        self._max_bytes = max_bytes
        self._object_format = object_format
        self._listing = listing
        self._fresh_since_ns = time.time_ns() - RACY_NS

    def __call__(self, path: str) -> None:
        try:
            status = self._disk.status(path)
            reason = self._reason(path, status)
            stamp = None if reason else self._stamp(path, status)
        except (FileNotFoundError, NotADirectoryError, NotRegularFile):
            return  # deleted, or replaced while we looked
        except OSError:
            reason = "unreadable"
        if reason is not None:
            self._listing.skipped[path.rstrip("/")] = reason
        elif stamp is not None:
            self._listing.files[path] = stamp.blob_id
            if stamp.mtime_ns < self._fresh_since_ns:
                self._listing.stamps[path] = stamp

    def _reason(self, path: str, status: os.stat_result) -> str | None:
        """Why the path is left out, by type, name and size; a folder here is a repository."""
        if stat.S_ISLNK(status.st_mode):
            inside = self._disk.link_stays_inside(path)
            return "symlink" if inside else "symlink leaving the repository"
        if stat.S_ISDIR(status.st_mode):
            return self._folder_reason(path)
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        return self._rules.reason(path) or size_reason(path, status.st_size, self._max_bytes)

    def _folder_reason(self, path: str) -> str:
        """Of folders git names only foreign repositories, unless one replaced a tracked file."""
        if path.endswith("/"):
            return "nested repository"
        folder = f"{self._disk.root}/{path}"
        if os.path.lexists(f"{folder}/.git") or not os.listdir(folder):
            return "submodule"
        raise NotRegularFile(f"{path} is a folder now")

    def _stamp(self, path: str, status: os.stat_result) -> Stamp:
        """The stamp known from before where it still fits, else that of the bytes read now."""
        known = self._known.get(path)
        if known is not None and known.is_of(status):
            return known
        data, status = self._disk.read(path)
        return Stamp(
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            inode=status.st_ino,
            blob_id=blob_id(data, self._object_format),
        )


def _ask_git(root: Path, git_dir: Path) -> list[str]:
    """Tracked and untracked-not-ignored paths, sorted, each once; "/" ends a foreign repository.

    Raises:
        RepositoryError: git cannot read the index.
    """
    try:
        output = read_git(
            git_dir, root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
        )
    except GitFailed as error:
        raise RepositoryError(
            f"git cannot list the files of {root}: {error}", "Run `git status` there to see why."
        ) from None
    names = set(output.split(b"\0"))
    return sorted(path for path in map(os.fsdecode, names) if is_safe_path(path.rstrip("/")))


def _read_ignore_files(disk: Disk, paths: list[str], ignore: IgnoreRules) -> None:
    """Takes in every `.codesearchignore`, also one that git itself is told to ignore."""
    holding = {path.rpartition("/")[0] for path in paths}
    for folder in sorted({above for inner in holding for above in parents(f"{inner}/")}):
        if disk.has_folder(folder):
            ignore.add(folder, disk.text(posixpath.join(folder, OWN_IGNORE_FILE)))


def _walk_folder(disk: Disk, ignore: IgnoreRules, skipped: dict[str, str]) -> list[str]:
    """Paths of a folder without git, sorted; ignored and left-out folders are not entered."""
    paths: list[str] = []
    pending = [""]
    while pending:
        folder = pending.pop()
        for name in (GIT_IGNORE_FILE, OWN_IGNORE_FILE):
            ignore.add(folder, disk.text(posixpath.join(folder, name)))
        try:
            entries = list(os.scandir(f"{disk.root}/{folder}"))
        except OSError:
            skipped[folder or "."] = "unreadable"
            continue
        for entry in entries:
            path = posixpath.join(folder, entry.name)
            if not entry.is_dir(follow_symlinks=False):
                paths.append(path)
            elif is_safe_path(path) and not ignore.ignores_folder(path):
                if reason := folder_reason(path):
                    skipped[path] = reason
                else:
                    pending.append(path)
    return sorted(filter(is_safe_path, paths))
