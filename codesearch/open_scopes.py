"""Scopes that stay open between queries, looked at for changes before or between them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from codesearch.answer import QueryEncoder, Searcher
from codesearch.querying import open_searcher
from codesearch.scope import find_scope
from indexer.errors import CodesearchError
from indexer.storage.home import IndexHome
from models.checkpoint import CheckpointError

QUICK_CHECK_SECONDS = 0.02  # checks that take no longer are made before each query
CHECK_EVERY_SECONDS = 2.0  # others: between queries
IN_USE_SECONDS = 60.0  # after its last query a repository is not looked at any more
MOST_OPEN = 8  # scopes

_Key = tuple[str | None, str | None, str]


@dataclass(slots=True)
class _Open:
    """A scope that is kept open."""

    searcher: Searcher
    used_at: float
    checked_at: float
    check_seconds: float

    def is_current(self, quick_check_seconds: float) -> bool:
        """Whether it may answer: its indexes are those on disk, and what is quick is checked."""
        if self.check_seconds > quick_check_seconds:
            return self.searcher.is_current
        return self.check()

    def check(self) -> bool:
        """Look for changes in the repositories; False: it must be opened anew."""
        started = time.monotonic()
        is_current = self.searcher.recheck()
        self.checked_at = time.monotonic()
        self.check_seconds = self.checked_at - started
        return is_current


class OpenScopes:
    """The searchers of the scopes that were asked for lately."""

    def __init__(self, home: IndexHome, quick_check_seconds: float = QUICK_CHECK_SECONDS) -> None:
        self._home = home
        self._quick_check_seconds = quick_check_seconds
        self._open: dict[_Key, _Open] = {}
        self._encoders: dict[str, QueryEncoder] = {}

    def searcher(self, repo: str | None, ref: str | None, cwd: str) -> Searcher | None:
        """The searcher of a scope, opened now where it is not or is out of date.

        Args:
            repo: As `--repo` names it; None: what is around the working directory, else all.
            ref: A branch, tag or commit; None: each repository's own.
            cwd: The working directory.

        Returns:
            None: the repository has no index yet.

        Raises:
            CodesearchError: nothing of that name is indexed, or it cannot be opened.
            CheckpointError: its model cannot be read.
        """
        key, now = (repo, ref, cwd), time.monotonic()
        found = self._open.get(key)
        if found is not None and not found.is_current(self._quick_check_seconds):
            self._close(key)
            found = None
        if found is None:
            if not find_scope(self._home, repo).folders:
                return None
            searcher = open_searcher(self._home, repo, ref, True, self._encoders)
            found = self._open[key] = _Open(searcher, now, now, QUICK_CHECK_SECONDS)
            for least in sorted(self._open, key=lambda k: self._open[k].used_at)[:-MOST_OPEN]:
                self._close(least)
        found.used_at = time.monotonic()
        return found.searcher

    def look_around(self) -> None:
        """Look at what was used lately, one scope at a time; what has changed is closed."""
        now = time.monotonic()
        for key, item in list(self._open.items()):
            if now - item.used_at > IN_USE_SECONDS or now - item.checked_at < CHECK_EVERY_SECONDS:
                continue
            try:
                is_current = item.check()
            except (CodesearchError, CheckpointError, OSError):
                is_current = False  # the next query says why
            if not is_current:
                self._close(key)

    def close(self) -> None:
        """Close all of them."""
        for key in list(self._open):
            self._close(key)

    def _close(self, key: _Key) -> None:
        self._open.pop(key).searcher.close()
