"""Which indexes are meant: the repository around a folder, one by name, else all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from indexer.errors import CodesearchError, IndexNotFound, RefNotFound, UsageError
from indexer.sources.clones import is_url, place_of
from indexer.sources.listing import WORKING_TREE
from indexer.sources.repository import Repository, find_repository
from indexer.storage.binding import read_facts
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.reader import Reader, RefInfo


@dataclass(frozen=True, slots=True)
class Scope:
    """The indexes to search, or a repository that has none yet."""

    folders: tuple[RepoFolder, ...]
    unindexed: Repository | None = None


def find_scope(home: IndexHome, repo: str | None) -> Scope:
    """Choose what to search.

    Args:
        home: where indexes live.
        repo: `--repo`: a path, or the name of an indexed repository or the end of its name;
            None: what is around the working directory, else all.

    Raises:
        IndexNotFound: no index fits; the hint names those that there are.
    """
    if repo is not None:
        return _named_scope(home, repo)
    here = _working_directory()
    folder = _indexed_at(home, here)
    if folder is not None:
        return Scope((folder,))
    repository, _ = find_repository(here)
    if repository.git_dir is not None:
        return Scope((), repository)
    folders = home.repos()
    if not folders:
        raise IndexNotFound(
            f"nothing is indexed yet, and {here} is not in a git repository",
            "run `codesearch index PATH`",
        )
    return Scope(tuple(folders))


def find_indexed(home: IndexHome, repo: str) -> RepoFolder:
    """The one index that a path or a name means, also of a repository that is gone.

    Raises:
        IndexNotFound: it was never indexed.
        UsageError: several repositories have this name.
    """
    found = _named(home, repo)
    if len(found) > 1:
        roots = ", ".join(read_facts(folder).get("root", "?") for folder in found)
        raise UsageError(f"several repositories are called {repo!r}: {roots}", "give its path")
    if not found:
        raise _not_indexed(home, repo)
    return found[0]


def choose_ref(reader: Reader, name: str | None) -> RefInfo:
    """The ref to search: the named one, else the working tree's, else HEAD's, else the first.

    Raises:
        RefNotFound: the ref is not indexed; the message names those that are.
        IndexNotFound: nothing is, since the first indexing was cut off.
    """
    refs = {ref.name: ref for ref in reader.refs()}
    if not refs:
        raise IndexNotFound(
            f"the first indexing of {reader.name} is not finished",
            f"run `codesearch index {reader.root}`",
        )
    if name is not None:
        if name not in refs:
            raise RefNotFound(
                f"ref {name!r} of {reader.name} is not indexed (indexed: {', '.join(refs)})",
                f"run `codesearch index {reader.root} --ref {name}`",
            )
        return refs[name]
    for usual in (WORKING_TREE, "HEAD"):
        if usual in refs:
            return refs[usual]
    return next(iter(refs.values()))


def _named_scope(home: IndexHome, repo: str) -> Scope:
    folders = _named(home, repo)
    if folders:
        return Scope(folders)
    path = Path(repo).expanduser()
    if path.is_dir():
        return Scope((), find_repository(path)[0])
    raise _not_indexed(home, repo)


def _named(home: IndexHome, repo: str) -> tuple[RepoFolder, ...]:
    """Indexes by URL, or by path, then by name, then by the end of a name."""
    path = Path(repo).expanduser()
    if is_url(repo):
        folder: RepoFolder | None = home.repo(place_of(repo, home.clones))
    else:
        folder = _indexed_at(home, path) if path.is_dir() else home.repo(path.resolve())
    if folder is not None and folder.exists:
        return (folder,)
    names = _names(home)
    exact = tuple(folder for folder, name in names.items() if name == repo)
    return exact or tuple(f for f, name in names.items() if name.endswith(f"/{repo}"))


def _indexed_at(home: IndexHome, path: Path) -> RepoFolder | None:
    """The index of the repository around a folder, or of a plain folder around it."""
    repository, _ = find_repository(path)
    folder = home.repo(repository.root)
    if folder.exists or repository.git_dir is not None:
        return folder if folder.exists else None
    around = (home.repo(parent) for parent in repository.root.parents)
    return next((folder for folder in around if folder.exists), None)


def _not_indexed(home: IndexHome, repo: str) -> IndexNotFound:
    known = ", ".join(sorted(filter(None, _names(home).values()))) or "none"
    path = Path(repo).expanduser()
    name, place = (path.resolve(),) * 2 if path.is_dir() else (repr(repo), "PATH")
    if is_url(repo):
        place = repo
    return IndexNotFound(
        f"{name} is not indexed (indexed: {known})", f"run `codesearch index {place}`"
    )


def _names(home: IndexHome) -> dict[RepoFolder, str]:
    names = {}
    for folder in home.repos():
        try:
            names[folder] = read_facts(folder).get("name", "")
        except CodesearchError:  # a damaged index has no name
            names[folder] = ""
    return names


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError(
            "the working directory does not exist any more", "change to a folder that does"
        ) from None
