"""What a repository is to us: a root that identifies it, and where git keeps its objects.

The root of a working tree is the folder that holds `.git`; what the repository's own configuration
says about it (`core.worktree`) is not believed.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import RefNotFound, RepositoryError
from indexer.sources import clones as cloning
from indexer.sources.clones import is_url
from indexer.sources.git import GitFailed, read_git

__all__ = ["Repository", "clone", "find_repository", "head", "is_url", "resolve_ref"]
_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MAX_NEAR_NAMES = 3


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree, a bare repository, or a plain folder.

    Attributes:
        root: Its resolved top folder, which identifies it.
        git_dir: The folder with `HEAD`; None for a plain folder without git.
        is_bare: Whether it has objects but no files.
        object_format: The hash that names its objects, "sha1" or "sha256".
        owner: For clones of ours, the owner of the remote repository.
    """

    root: Path
    git_dir: Path | None
    is_bare: bool
    object_format: str = "sha1"
    owner: str = ""

    @property
    def name(self) -> str:
        """The folder's name without `.git`, with the owner in front for clones of ours."""
        name = self.root.name.removesuffix(".git") or self.root.name
        return f"{self.owner}/{name}" if self.owner else name


def find_repository(path: Path) -> tuple[Repository, str]:
    """The repository around a folder, and the folder's POSIX path inside it ("" is the root).

    Raises:
        RepositoryError: The folder does not exist, is a file, or its `.git` is broken.
    """
    folder = _existing_folder(path)
    for root in (folder, *folder.parents):
        git_dir = _git_dir_in(root)
        if git_dir is not None:
            return _open(root, git_dir), folder.relative_to(root).as_posix().removeprefix(".")
        if _is_git_dir(root):
            if root.name == ".git":
                return _open(root.parent, root), ""
            return _open(root, root), ""
    return Repository(folder, None, is_bare=False), ""


def clone(url: str, clones: Path, progress: Callable[[str], None] | None = None) -> Repository:
    """The bare clone of a URL below `clones`: made now, or brought up to date.

    Args:
        url: The address, as `git clone` takes it.
        clones: The folder of all clones.
        progress: Gets the lines that git writes on the way.

    Raises:
        RepositoryError: The URL is refused, or git cannot read it.
    """
    target = cloning.place_of(url, clones)
    if target.exists():
        cloning.fetch_all(target, url, progress)
    else:
        owner = "/".join(target.relative_to(clones).parts[1:-1])
        cloning.clone_bare(url, target, owner, progress)
    return find_repository(target)[0]


def resolve_ref(repository: Repository, ref: str) -> str:
    """The hash of the commit that a branch, tag or revision names.

    Raises:
        RefNotFound: There is none; the hint offers names that are near.
    """
    commit = _commit_of(repository, ref)
    if commit is not None:
        return commit
    names = _ref_names(repository)
    if not names and _commit_of(repository, "HEAD") is None:
        raise RefNotFound(
            f"{repository.name} has no commits", "Leave out --ref to index the files as they are."
        )
    near = difflib.get_close_matches(ref, names, _MAX_NEAR_NAMES) or names[:_MAX_NEAR_NAMES]
    raise RefNotFound(
        f"{repository.name} has no ref {ref!r}",
        f"Did you mean {' or '.join(near)}?" if near else "Give a commit's hash, or HEAD.",
    )


def head(repository: Repository) -> tuple[str | None, str | None]:
    """The checked-out branch (None when detached) and its commit (None when there is none)."""
    if repository.git_dir is None:
        return None, None
    try:
        name = read_git(
            repository.git_dir, None, "rev-parse", "--verify", "--symbolic-full-name", "HEAD"
        )
    except GitFailed:
        return _unborn_branch(repository.git_dir), None
    branch = name.decode("utf-8", "replace").strip()
    is_detached = not branch.startswith("refs/heads/")
    commit = _commit_of(repository, "HEAD")
    return None if is_detached else branch.removeprefix("refs/heads/"), commit


def _existing_folder(path: Path) -> Path:
    """The resolved folder.

    Raises:
        RepositoryError: There is none.
    """
    try:
        folder = path.resolve(strict=True)
        if folder.is_dir():
            next(folder.iterdir(), None)
            return folder
    except (FileNotFoundError, NotADirectoryError):
        problem, hint = "does not exist", "Check the spelling; give a folder or a URL."
    except (OSError, RuntimeError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        hint = "Check its permissions."
    else:
        problem, hint = "is a file", f"Give its folder: {folder.parent}"
    raise RepositoryError(f"{path} {problem}", hint)


def _git_dir_in(root: Path) -> Path | None:
    """The git folder of a working tree with this root, None where the folder is no such root.

    Raises:
        RepositoryError: There is a `.git`, and it is none.
    """
    dot_git = root / ".git"
    if not dot_git.exists():
        return None
    git_dir = dot_git if dot_git.is_dir() else _linked_git_dir(dot_git)
    if git_dir is None or not (git_dir / "HEAD").is_file():
        raise RepositoryError(
            f"{dot_git} is not a git repository",
            "repair it, or remove it to index the folder's files without git",
        )
    return git_dir.resolve()


def _linked_git_dir(dot_git: Path) -> Path | None:
    """Where the `.git` file of a worktree or submodule points to."""
    if not dot_git.is_file():
        return None
    try:
        text = dot_git.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    marker, _, target = text.partition("gitdir:")
    return (dot_git.parent / target.strip()) if not marker and target.strip() else None


def _is_git_dir(folder: Path) -> bool:
    """Whether the folder is laid out as a repository without a working tree."""
    parts = (folder / "objects", folder / "refs")
    return (folder / "HEAD").is_file() and all(part.is_dir() for part in parts)


def _open(root: Path, git_dir: Path) -> Repository:
    """Asks git about a repository that was found.

    Raises:
        RepositoryError: git does not take it for one.
    """
    try:
        answer = read_git(
            git_dir, None, "rev-parse", "--is-bare-repository", "--show-object-format"
        )
    except GitFailed as error:
        raise RepositoryError(
            f"{root} is a git repository that git cannot open: {error}",
            "run `git status` there to see why",
        ) from None
    is_bare, object_format = answer.decode("ascii").split()
    return Repository(
        root=root,
        git_dir=git_dir,
        is_bare=is_bare == "true" or root == git_dir,
        object_format=object_format,
        owner=cloning.owner_of(git_dir) if root == git_dir else "",
    )


def _commit_of(repository: Repository, ref: str) -> str | None:
    """The commit that git finds for a revision, None where there is none."""
    if repository.git_dir is None or not ref or ref.startswith("-") or "\0" in ref:
        return None
    try:
        answer = read_git(
            repository.git_dir, None, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"
        ).strip()
    except GitFailed:
        return None
    return answer.decode("ascii") if _COMMIT.fullmatch(answer) else None


def _ref_names(repository: Repository) -> list[str]:
    """Branches and tags by their short names."""
    if repository.git_dir is None:
        return []
    try:
        output = read_git(repository.git_dir, None, "for-each-ref", "--format=%(refname:short)")
    except GitFailed:
        return []
    return output.decode("utf-8", "replace").split("\n")[:-1]


def _unborn_branch(git_dir: Path) -> str | None:
    """The branch that the first commit will make."""
    try:
        text = (git_dir / "HEAD").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    is_branch = text.startswith("ref: refs/heads/")
    return text.removeprefix("ref: refs/heads/").strip() if is_branch else None
