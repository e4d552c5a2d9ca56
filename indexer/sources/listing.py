"""What a listing is, which part of a repository was asked for, and who decides by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.sources.disk import Stamp
from indexer.sources.ignore import IgnoreRules, compile_globs
from indexer.sources.linguist import LinguistMarks
from indexer.sources.skip import path_reason

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

WORKING_TREE = "worktree"


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a repository that was asked for, in gitignore-style globs.

    Attributes:
        paths: What is wanted; a folder's name stands for all below it; empty means all.
        excludes: What is not wanted, whatever `paths` says.
    """

    paths: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    _wanted: GitIgnoreSpec | None = field(init=False, repr=False, compare=False, default=None)
    _unwanted: GitIgnoreSpec | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_wanted", _compiled(self.paths))
        object.__setattr__(self, "_unwanted", _compiled(self.excludes))

    def keeps(self, path: str) -> bool:
        """Whether a POSIX path is part of the selection."""
        if self.paths and (self._wanted is None or not self._wanted.match_file(path)):
            return False
        return self._unwanted is None or not self._unwanted.match_file(path)


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one ref.

    Attributes:
        ref: The ref as it was asked for; `WORKING_TREE` for files on disk.
        commit: The commit's hash; None for files on disk.
        files: Blob name of each POSIX path, in the order of paths.
        stamps: Working tree only: how to know each file again. Fresh files have none.
        skipped: Why a path is left out. Ignored, unselected and vanished files are not mentioned.
    """

    ref: str
    commit: str | None
    files: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NameRules:
    """All that decides by name in one tree: the selection and the tree's own files of rules."""

    selection: Selection
    ignore: IgnoreRules = field(default_factory=IgnoreRules)
    linguist: LinguistMarks = field(default_factory=LinguistMarks)

    def wants(self, path: str) -> bool:
        """Whether the path is selected and not ignored."""
        return self.selection.keeps(path) and not self.ignore.ignores(path)

    def reason(self, path: str) -> str | None:
        """Why a wanted path is left out, or None; the repository's marks overrule the tables."""
        reason = path_reason(path)
        if reason not in (None, "generated", "vendored"):
            return reason
        verdicts = self.linguist.verdicts(path)
        if reason is not None and verdicts.get(reason, True):
            return reason
        return next((kind for kind, is_set in sorted(verdicts.items()) if is_set), None)


def _compiled(globs: Iterable[str]) -> GitIgnoreSpec | None:
    """The globs as one matcher; `./` in front, as shells complete it, is dropped."""
    plain = [glob.removeprefix("./") for glob in globs]
    return compile_globs(plain) if plain else None
