"""Which paths the ignore files of a tree leave out, exactly as git reads `.gitignore`.

The file of a deeper folder has the last word over those above it, and what lies in an ignored
folder stays ignored whatever is said about it below. pathspec answers for one file's patterns,
this module for a tree of such files. Patterns that git would not understand are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

OWN_IGNORE_FILE = ".codesearchignore"
GIT_IGNORE_FILE = ".gitignore"
Rule = TypeVar("Rule")


def compile_globs(globs: Iterable[str]) -> GitIgnoreSpec | None:
    """One matcher for gitignore-style globs, None where there is not a single valid one."""
    given = [glob for glob in globs if glob.strip()]
    if not given:
        return None
    from pathspec import GitIgnoreSpec

    valid = []
    for glob in given:
        try:
            spec = GitIgnoreSpec.from_lines([glob])
        except ValueError:
            continue
        valid += [pattern for pattern in spec.patterns if pattern.include is not None]
    return GitIgnoreSpec(valid) if valid else None


def escape_glob(path: str) -> str:
    """A glob that selects exactly this path from the root, and all below it if it is a folder."""
    special = str.maketrans({character: f"\\{character}" for character in "\\*?[]!# "})
    return "/" + path.strip("/").translate(special)


def parents(path: str) -> Iterator[str]:
    """The folders that hold a POSIX path, the nearest first, the root ("") last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


class ByFolder(Generic[Rule]):
    """Rules of a tree by the folder that they are of; looked up once for each folder."""

    def __init__(self) -> None:
        self._own: dict[str, list[Rule]] = {}
        self._above: dict[str, tuple[tuple[int, Rule], ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._own)

    def add(self, folder: str, rule: Rule) -> None:
        """Take a rule in; it comes before those that its folder has."""
        self._own.setdefault(folder, []).insert(0, rule)
        self._above.clear()

    def of(self, path: str) -> tuple[tuple[int, Rule], ...]:
        """The rules for a path, the nearest first, and where the path relative to each begins."""
        if not self._own:
            return ()
        folder = path.rpartition("/")[0]
        known = self._above.get(folder)
        if known is None:
            known = tuple(
                (len(above) + 1 if above else 0, rule)
                for above in parents(f"{folder}/")
                for rule in self._own.get(above, ())
            )
            self._above[folder] = known
        return known


class IgnoreRules:
    """The ignore files found in a tree so far."""

    def __init__(self) -> None:
        self._specs: ByFolder[GitIgnoreSpec] = ByFolder()
        self._folders: dict[str, bool] = {"": False}

    def add(self, folder: str, text: str) -> None:
        """Takes in the text of an ignore file that lies in this folder ("" is the root)."""
        spec = compile_globs(text.lstrip("\ufeff").splitlines())
        if spec is not None:
            self._specs.add(folder, spec)

    def ignores_folder(self, folder: str) -> bool:
        """Whether the folder, and so all that is in it, is left out."""
        if not self._specs:
            return False
        known = self._folders.get(folder)
        if known is None:
            known = self.ignores_folder(folder.rpartition("/")[0]) or self._matches(f"{folder}/")
            self._folders[folder] = known
        return known

    def ignores(self, path: str) -> bool:
        """Whether the file is left out."""
        if not self._specs:
            return False
        return self.ignores_folder(path.rpartition("/")[0]) or self._matches(path)

    def _matches(self, path: str) -> bool:
        """What the deepest file that speaks of the path says; a folder ends in a slash."""
        for start, spec in self._specs.of(path.rstrip("/")):
            verdict = spec.check_file(path[start:]).include
            if verdict is not None:
                return verdict
        return False
