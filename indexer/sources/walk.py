"""Which files of a repository are indexed, and as which blobs: one listing per ref.

The working tree is a ref of its own, `WORKING_TREE`: the files as they are on disk, named by git's
hash of their raw bytes, so that a file without changes has the name of its committed blob and is
indexed once for both. Whatever the source (working tree, commit, plain folder), the same rules
decide: selection, `.codesearchignore`, names, Linguist marks, size.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

from indexer.sources.commit_tree import list_commit
from indexer.sources.disk import Disk, FileChanged, Stamp
from indexer.sources.disk import blob_id as hash_blob
from indexer.sources.git import ObjectReader
from indexer.sources.listing import WORKING_TREE, Listing, Selection
from indexer.sources.repository import Repository
from indexer.sources.skip import MAX_FILE_BYTES
from indexer.sources.working_tree import list_working_tree

__all__ = [
    "WORKING_TREE",
    "BlobReader",
    "FileChanged",
    "Listing",
    "Selection",
    "Stamp",
    "list_files",
]
_NOTHING_KNOWN: Mapping[str, Stamp] = MappingProxyType({})


def list_files(
    repository: Repository,
    ref: str | None,
    selection: Selection,
    known: Mapping[str, Stamp] = _NOTHING_KNOWN,
    max_bytes: int = MAX_FILE_BYTES,
) -> Listing:
    """Lists the files of a ref that are to be indexed.

    Args:
        repository: Where to look.
        ref: A branch, tag or commit; None is the working tree, or HEAD of a bare repository.
        selection: Which paths are wanted.
        known: The stamps of an earlier listing; files that still fit theirs are not read.
        max_bytes: Size beyond which a file is left out.

    Raises:
        RefNotFound: The repository has no such ref.
        RepositoryError: git cannot list the repository.
    """
    if ref is None:
        ref = "HEAD" if repository.is_bare else WORKING_TREE
    if ref == WORKING_TREE:
        return list_working_tree(repository, selection, known, max_bytes)
    return list_commit(repository, ref, selection, max_bytes)


class BlobReader:
    """Bytes of listed files: from disk for the working tree, from git's objects for refs."""

    def __init__(self, repository: Repository) -> None:
        self._disk = Disk(repository.root)
        self._object_format = repository.object_format
        self._objects = ObjectReader(repository.git_dir) if repository.git_dir else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the git process, if one was needed."""
        if self._objects is not None:
            self._objects.close()

    def read(self, path: str, blob_id: str, ref: str) -> bytes:
        """The bytes that `blob_id` names; a file on disk is hashed again to be sure of that.

        Raises:
            FileChanged: The file on disk is no longer the one that was listed.
            OSError: It is gone, unreadable, not a regular file, or missing among git's objects.
        """
        if ref != WORKING_TREE:
            if self._objects is None:
                raise FileNotFoundError(f"{path}: a plain folder has no refs")
            return self._objects.read(blob_id)
        data, _ = self._disk.read(path)
        if hash_blob(data, self._object_format) != blob_id:
            raise FileChanged(f"{path} changed after it was listed")
        return data
