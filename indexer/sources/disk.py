"""Files of a working tree as they are on disk, read without ever leaving its root.

A tree may hold a symlink where a folder was, a FIFO that never answers, or an index that names
`../../secret`. So a path is taken apart before it is used, its folder must be a real one below the
root, and only regular files are opened, never through a link and never waiting.
"""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_FLAGS |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_UNSAFE = re.compile(r"(?:^|/)(?:\.{0,2}|\.git)(?:/|$)", re.IGNORECASE)


class NotRegularFile(OSError):
    """A link, a device, a pipe or a folder, where a file was expected."""


class FileChanged(OSError):
    """The file is no longer the one that was listed; list again."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file is the one that was hashed before, without reading it."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    blob_id: str

    def is_of(self, status: os.stat_result) -> bool:
        """Whether a file with this status is still the stamped one."""
        return (
            self.mtime_ns == status.st_mtime_ns
            and self.size_bytes == status.st_size
            and self.ctime_ns == status.st_ctime_ns
            and self.inode == status.st_ino
        )


def is_safe_path(path: str) -> bool:
    """Whether a path stays below a root, outside `.git`, and is written without detours."""
    return _UNSAFE.search(path) is None


def blob_id(data: bytes, hash_name: str = "sha1") -> str:
    """The name that git gives to these bytes in a repository of this object format."""
    header = b"blob %d\0" % len(data)
    return hashlib.new(hash_name, header + data, usedforsecurity=False).hexdigest()


class Disk:
    """The files below one root."""

    def __init__(self, root: Path) -> None:
        self.root = os.fspath(root)
        self._real_folders: dict[str, bool] = {"": True}

    def has_folder(self, folder: str) -> bool:
        """Whether the POSIX folder exists and no part of its path is a symlink (remembered)."""
        known = self._real_folders.get(folder)
        if known is None:
            known = self.has_folder(folder.rpartition("/")[0]) and self._is_folder(folder)
            self._real_folders[folder] = known
        return known

    def status(self, path: str) -> os.stat_result:
        """The status of the file itself, not of what it links to.

        Raises:
            FileNotFoundError: There is no such file below the root.
        """
        if not self.has_folder(path.rpartition("/")[0]):
            raise FileNotFoundError(f"{path} is not below {self.root}")
        return os.lstat(f"{self.root}/{path}")

    def read(self, path: str, max_bytes: int = -1) -> tuple[bytes, os.stat_result]:
        """The first `max_bytes` bytes (-1: all) of a regular file, and its status before reading.

        Raises:
            NotRegularFile: It is something else.
            OSError: It is gone, or not ours to read.
        """
        if not is_safe_path(path) or not self.has_folder(path.rpartition("/")[0]):
            raise FileNotFoundError(f"{path} is not below {self.root}")
        descriptor = os.open(f"{self.root}/{path}", _FLAGS)
        with open(descriptor, "rb", closefd=True) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise NotRegularFile(f"{path} is not a regular file")
            return file.read(max_bytes), status

    def text(self, path: str, max_bytes: int = 1_000_000) -> str:
        """The text of a small file of settings, "" where there is none that can be read."""
        try:
            return self.read(path, max_bytes)[0].decode("utf-8", "replace")
        except OSError:
            return ""

    def link_stays_inside(self, path: str) -> bool:
        """Whether what the symlink points to, in the end, lies below the root."""
        target = os.path.realpath(f"{self.root}/{path}")
        return target == self.root or target.startswith(self.root.rstrip("/") + "/")

    def _is_folder(self, folder: str) -> bool:
        try:
            return stat.S_ISDIR(os.lstat(f"{self.root}/{folder}").st_mode)
        except OSError:
            return False
