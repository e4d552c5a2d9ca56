"""Clones of remote repositories: bare, so that nothing is checked out and no filter or hook runs.

`https://host/owner/name` lies in `<clones>/host/owner/name.git`. A clone appears there whole or
not at all; one that is there is fetched, and its branches are then the remote's.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from indexer.errors import RepositoryError
from indexer.sources.git import GitFailed, talk_to_remote

OWNER_FILE = "codesearch-owner"  # in a clone: the folders above it that belong to its name
_URL = re.compile(r"(?P<scheme>https?|ssh|git|file)://(?P<host>[^/]*)/(?P<path>.+)", re.IGNORECASE)
_SCP_LIKE = re.compile(r"(?P<host>[\w.-]+@[\w.-]+|[\w-]+(?:\.[\w-]+)+):(?P<path>[^:].*)")
_HELPER = re.compile(r"[\w-]+::")
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_HINT = "Check the address and your access: `git ls-remote URL` must work."


def is_url(text: str) -> bool:
    """Whether the text names a remote repository: by scheme, or like `git@host:owner/name`."""
    if os.path.exists(text):
        return False
    return any(pattern.match(text) for pattern in (_URL, _SCP_LIKE, _HELPER))


def place_of(url: str, clones: Path) -> Path:
    """Where the clone of a URL lies, always below `clones`.

    Raises:
        RepositoryError: The URL is of a kind that is not cloned, or names no repository.
    """
    match = _URL.fullmatch(url) or _SCP_LIKE.fullmatch(url)
    if match is None or match["host"].startswith("-"):
        raise RepositoryError(
            f"{_public(url)} is not a URL that can be cloned",
            "use https://, ssh://, git://, file:// or git@host:owner/name",
        )
    host = match["host"].rpartition("@")[2].lower().replace(":", "-") or "localhost"
    owner, _, name = match["path"].strip("/").rpartition("/")
    folders = [host, *filter(None, owner.split("/"))]
    name = name.removesuffix(".git")
    if not all(map(_is_folder_name, [*folders, name])) or any(f.endswith(".git") for f in folders):
        raise RepositoryError(f"{_public(url)} is not the address of a repository", _HINT)
    return clones.joinpath(*folders, f"{name}.git")


def clone_bare(url: str, target: Path, owner: str, progress: Callable[[str], None] | None) -> None:
    """Clones into a folder that does not exist yet; on any failure nothing is left behind.

    Raises:
        RepositoryError: git could not clone, in its own words.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".cloning-", dir=target.parent))
    fresh = beside / target.name
    try:
        arguments = ["clone", "--bare", "--template=", "--progress", "--", url, str(fresh)]
        _talk(fresh, arguments, url, progress)
        (fresh / OWNER_FILE).write_text(owner, encoding="utf-8")
        if not target.exists():  # another process may have been faster
            fresh.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def fetch_all(target: Path, url: str, progress: Callable[[str], None] | None) -> None:
    """Makes the branches, tags and HEAD of a clone those of its remote.

    Raises:
        RepositoryError: git could not fetch, in its own words.
    """
    fetch = ["fetch", "--prune", "--progress", "--no-write-fetch-head", "--", url, *_REFSPECS]
    _talk(target, fetch, url, progress)
    answer = _talk(target, ["ls-remote", "--symref", "--", url, "HEAD"], url, None)
    branch = re.match(r"ref: (refs/heads/\S+)\tHEAD", answer)
    if branch is not None:
        _talk(target, ["symbolic-ref", "HEAD", branch[1]], url, None)


def owner_of(git_dir: Path) -> str:
    """The owner that a clone was made for, "" for a repository that is no clone of ours."""
    try:
        return (git_dir / OWNER_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _talk(
    target: Path, arguments: Sequence[str], url: str, progress: Callable[[str], None] | None
) -> str:
    try:
        return talk_to_remote(target, arguments, progress)
    except GitFailed as error:
        said = str(error).replace(url, _public(url))
        raise RepositoryError(f"git could not read {_public(url)}: {said}", _HINT) from None


def _is_folder_name(part: str) -> bool:
    """Whether a part of a URL can be the name of a folder, and of one below."""
    return part not in ("", ".", "..", ".git") and re.search(r'[\\:*?"<>|\x00-\x1f]', part) is None


def _public(url: str) -> str:
    """The URL without the password or token that it may hold."""
    return re.sub(r"//[^/@]*@", "//", url)
