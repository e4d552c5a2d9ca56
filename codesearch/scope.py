"""Which indexes a query searches: the repository around the working directory, else all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from indexer.errors import IndexNotFound, RefNotFound
from indexer.sources.listing import WORKING_TREE
from indexer.sources.repository import Repository, find_repository
from indexer.storage.binding import read_facts
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.reader import Reader, RefInfo


@dataclass(frozen=True, slots=True)
class Scope:
    """The indexes to search, and a repository that has none yet."""

    folders: tuple[RepoFolder, ...]
    unindexed: Repository | None = None
    subfolder: str = ""


def find_scope(home: IndexHome, repo: str | None, working_directory: Path) -> Scope:
    """Choose what to search.

    Args:
        home: where indexes live.
        repo: `--repo`: a path, or the name of an indexed repository or the end of its name.
        working_directory: where the user stands.

    Raises:
        IndexNotFound: no index fits; the hint names those that there are.
    """
    if repo is not None:
        return _named_scope(home, repo)
    repository, _ = find_repository(working_directory)
    folder = home.repo(repository.root)
    if folder.exists:
        return Scope((folder,))
    if repository.git_dir is not None:
        return Scope((), repository)
    inside = [item for item in home.repos() if _is_around(item, repository.root)]
    if inside:
        return Scope(tuple(inside[-1:]))
    folders = home.repos()
    if not folders:
        raise IndexNotFound(
            f"nothing is indexed yet, and {repository.root} is no git repository",
            "run `codesearch index PATH`",
        )
    return Scope(tuple(folders))


def choose_ref(reader: Reader, name: str | None) -> RefInfo:
    """The ref to search: the named one, else the working tree's, else HEAD's, else the first.

    Raises:
        RefNotFound: the ref is not indexed; the hint names those that are.
    """
    refs = {ref.name: ref for ref in reader.refs()}
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
    if not refs:
        raise IndexNotFound(
            f"the first indexing of {reader.name} was not finished",
            f"run `codesearch index {reader.root}`",
        )
    return next(iter(refs.values()))


def _named_scope(home: IndexHome, repo: str) -> Scope:
    path = Path(repo).expanduser()
    if path.is_dir():
        repository, subfolder = find_repository(path)
        folder = home.repo(repository.root)
        if folder.exists:
            return Scope((folder,))
        return Scope((), repository, subfolder)
    names = {folder: read_facts(folder).get("name", "") for folder in home.repos()}
    exact = tuple(folder for folder, name in names.items() if name == repo)
    found = exact or tuple(f for f, name in names.items() if name.endswith(f"/{repo}"))
    if found:
        return Scope(found)
    known = ", ".join(sorted(names.values())) or "none"
    raise IndexNotFound(
        f"no repository {repo!r} is indexed (indexed: {known})", "run `codesearch index PATH`"
    )


def _is_around(folder: RepoFolder, path: Path) -> bool:
    root = read_facts(folder).get("root")
    return root is not None and Path(root) in (path, *path.parents)
