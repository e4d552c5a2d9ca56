"""History becomes pairs: the subject of a small commit, and the function that it changed most.

Only commits that modify a few files are read, and the function is taken as the commit left it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from indexer.mining.pairs import functions
from indexer.sources.git import GitFailed, ObjectReader, read_git
from indexer.sources.skip import content_reason, decode
from indexer.syntax.definitions import Definition, all_functions
from indexer.syntax.languages import language_of
from indexer.syntax.tree import SyntaxTree, parse

MAX_FILES = 2
MAX_FUNCTIONS = 3
SCANNED_PER_KEPT = 8  # most commits touch too much, or no function at all
COMMITS_PER_DIFF = 50
MAX_SUBJECT_CHARS = 300
# What the repository's own configuration could run or change is switched off.
_LOG = ("log", "--no-show-signature", "--no-notes", "--no-renames", "--no-color")
_PATCH = (
    "-c",
    "core.quotePath=false",
    *_LOG,
    *("--no-walk=unsorted", "--format=%x01%H", "-p", "-U0", "--inter-hunk-context=0"),
    *("--no-ext-diff", "--no-textconv", "--no-prefix", "--no-relative", "--diff-filter=M"),
)

_RAW = re.compile(r":(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) ([A-Z])")
_NEW_PATH = re.compile(r"^\+\+\+ ([^\t\n]+)", re.MULTILINE)
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
_PREFIX = re.compile(
    r"^(?:\[[^\]]{1,30}\]|\(?[A-Z]{2,10}-\d+\)?:?|#\d+:?|GH-\d+:?|[a-z]+(?:\([^)]*\))?!?:"
    r"|[\w./,*{} -]{1,40}:)\s+"
)
_SUFFIX = re.compile(
    r"\s*(?:\(?(?:#|gh-|PR ?|closes? |fixes |refs? |ticket |issue |bug )\w*#?\d+\)?[,.]?\s*)+$",
    re.IGNORECASE,
)
_EMPTY = re.compile(
    r"merge|revert|bump|release|version|prepare|update (?:change|read|docs|depend|copyright|to v)"
    r"|(?:fix|correct)(?:ed|es|ing)? (?:a |some |the )?(?:typo|lint|format|build|ci|tests?\b|doc)"
    r"|typo|lint|format|clean ?up|wip\b|refactor$|review|apply suggestion|address|minor|chore"
    r"|(?:add|update|improve|fix) (?:more |some |the )?(?:test|comment|doc|spec|changelog)|rename"
    r"|whitespace|style|misc|nit\b|deps|build\(|ci\b|docs?\b|tests?\b|backport|cherry|sync"
    r"|remove (?:unused|dead|trailing|unne|outdated|redundant)|fix up|deprecate|pre-commit"
    r"|\[pre|automatic|oops|more |another ",
    re.IGNORECASE,
)
_Ranges = list[tuple[int, int]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Change:
    """A function as a commit left it."""

    subject: str
    commit: str
    path: str
    definition: Definition
    tree: SyntaxTree


@dataclass(frozen=True, slots=True)
class _Commit:
    commit: str
    subject: str
    files: tuple[tuple[str, str, str], ...]  # path, new blob and old blob of each modified file


def changes(
    git_dir: Path, head: str, limit: int, wants: Callable[[str], bool]
) -> Iterator[Change]:
    """The changed function of the newest fitting commits, at most `limit` of them.

    Args:
        git_dir: Where git keeps the objects.
        head: The commit to start from.
        limit: How many commits are looked at closely.
        wants: Whether a path is code that may be mined.
    """
    if limit < 1:
        return
    log = _log(git_dir, head, limit * SCANNED_PER_KEPT, wants)
    fitting = (commit for commit in log if _fits(commit))
    with ObjectReader(git_dir) as objects:
        for batch in _batches(islice(fitting, limit)):
            changed = _changed_lines(git_dir, [commit.commit for commit in batch])
            for commit in batch:
                change = _most_changed(objects, commit, changed.get(commit.commit, {}))
                if change is not None:
                    yield change


def before(
    git_dir: Path, changed: Sequence[tuple[str, str, str]]
) -> Iterator[tuple[int, str, str]]:
    """What functions were before commits changed them.

    Args:
        git_dir: Where git keeps the objects.
        changed: Commit, path and symbol of each.

    Yields:
        The place in `changed`, the commit's whole subject, and the function without its
        documentation; what is not found is left out.
    """
    by_commit: dict[str, list[int]] = {}
    for place, (commit, _, _) in enumerate(changed):
        by_commit.setdefault(commit, []).append(place)
    with ObjectReader(git_dir) as objects:
        for batch in _batches(iter(by_commit)):
            for record in _read_log(git_dir, ("--no-walk=unsorted", *batch), lambda _: True):
                old = {path: blob for path, _, blob in record.files}
                for place in by_commit[record.commit]:
                    _, path, symbol = changed[place]
                    tree = _parsed(objects, path, old[path]) if path in old else None
                    code = None if tree is None else _code_of(tree, symbol)
                    if code is not None:
                        yield place, record.subject, code


def _code_of(tree: SyntaxTree, symbol: str) -> str | None:
    """The function of a name without its documentation; None where there is none, or several."""
    found = [unit for unit in functions(tree) if unit.symbol == symbol]
    return found[0].code.text(tree.source) if len(found) == 1 else None


def subject_words(subject: str) -> str:
    """A subject without ticket numbers and prefixes; "" where it says nothing about code."""
    text = subject[:MAX_SUBJECT_CHARS].strip()
    for _ in range(2):
        text = _PREFIX.sub("", text)
    text = _SUFFIX.sub("", text).strip(" .")
    return "" if _EMPTY.match(subject.strip()) or _EMPTY.match(text) else text


def _log(git_dir: Path, head: str, limit: int, wants: Callable[[str], bool]) -> Iterator[_Commit]:
    """The commits without merges, newest first, with the wanted files that each modifies."""
    yield from _read_log(git_dir, (f"--max-count={limit}", "--no-merges", head), wants)


def _read_log(
    git_dir: Path, which: Sequence[str], wants: Callable[[str], bool]
) -> Iterator[_Commit]:
    wanted = ("--raw", "--no-abbrev", "-z", "--format=%x01%H%x02%s")
    try:
        output = read_git(git_dir, None, *_LOG, *wanted, *which, "--")
    except GitFailed:
        return
    for record in output.decode("utf-8", "replace").split("\x01")[1:]:
        head_line, _, rest = record.partition("\0")
        commit, _, subject = head_line.partition("\x02")
        fields = [field.strip("\n") for field in rest.split("\0")]
        found = tuple(file for file in _modified(fields) if wants(file[0]))
        yield _Commit(commit, subject, found)


def _modified(fields: list[str]) -> Iterator[tuple[str, str, str]]:
    for raw, path in zip(fields[::2], fields[1::2], strict=False):
        match = _RAW.match(raw)
        if match is not None and match[5] == "M" and match[2].startswith("100"):
            yield path, match[4], match[3]


def _fits(commit: _Commit) -> bool:
    """Whether few files of code changed, and the subject says what was done."""
    return 1 <= len(commit.files) <= MAX_FILES and bool(subject_words(commit.subject))


def _batches(commits: Iterator[_T]) -> Iterator[list[_T]]:
    while batch := list(islice(commits, COMMITS_PER_DIFF)):
        yield batch


def _changed_lines(git_dir: Path, commits: list[str]) -> dict[str, dict[str, _Ranges]]:
    """By commit and path, the lines that are new or follow what was removed."""
    try:
        output = read_git(git_dir, None, *_PATCH, *commits, "--")
    except GitFailed:  # a shallow or partial clone lacks what was before
        return {}
    changed: dict[str, dict[str, _Ranges]] = {}
    for record in output.decode("utf-8", "replace").split("\x01"):
        commit, *patches = re.split(r"^diff --git ", record, flags=re.MULTILINE)
        for patch in patches:
            path = _NEW_PATH.search(patch)
            if path is not None:
                changed.setdefault(commit.strip(), {})[path[1]] = _ranges(patch)
    return changed


def _ranges(patch: str) -> _Ranges:
    found = []
    for match in _HUNK.finditer(patch):
        first, count = int(match[1]), int(match[2] or 1)
        found.append((first, first + max(count, 1) - 1))
    return found


def _most_changed(
    objects: ObjectReader, commit: _Commit, changed: dict[str, _Ranges]
) -> Change | None:
    """The function with most changed lines, None where none or too many were touched."""
    touched: list[tuple[int, Change]] = []
    for path, blob, _ in commit.files:
        tree = _parsed(objects, path, blob) if path in changed else None
        for definition in [] if tree is None else all_functions(tree):
            lines = sum(_overlap(definition, first, last) for first, last in changed[path])
            if lines and tree is not None:
                subject = subject_words(commit.subject)
                change = Change(subject, commit.commit, path, definition, tree)
                touched.append((lines, change))
    if not 1 <= len(touched) <= MAX_FUNCTIONS:
        return None
    return max(touched, key=lambda item: item[0])[1]


def _parsed(objects: ObjectReader, path: str, blob: str) -> SyntaxTree | None:
    """The file as the commit left it; None where it is no code, or missing."""
    try:
        data = objects.read(blob)
    except OSError:
        return None
    if content_reason(path, data) is not None:
        return None
    return parse(decode(data), language_of(path, data))


def _overlap(definition: Definition, first: int, last: int) -> int:
    return max(0, min(last, definition.end_line) - max(first, definition.start_line) + 1)
