"""The `query` command: read its options, open the scope, answer, print in the asked format."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codesearch.answer import Answer, QueryEncoder, Searcher
from codesearch.candidates import Filters
from codesearch.console import one_line, stderr, stdout, write_line
from codesearch.scope import Scope, find_scope
from indexer.errors import CodesearchError, RefNotFound, UsageError
from indexer.sources.listing import Selection
from indexer.storage.home import IndexHome, RepoFolder
from indexer.syntax.languages import language_named
from models.checkpoint import CheckpointError

KINDS = ("function", "class", "file", "doc")
STDIN = "-"
# More notes than this are counted: over many repositories they would bury the answer.
_NOTES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for, and how much of it is wanted."""

    text: str
    filters: Filters
    top_k: int
    every_chunk: bool

    @classmethod
    def read(
        cls,
        text: str,
        top_k: int,
        languages: Sequence[str],
        kinds: Sequence[str],
        paths: Sequence[str],
        every_chunk: bool,
    ) -> Question:
        """Check and normalise the options.

        Raises:
            UnknownLanguage: no such language.
            UsageError: an empty query, no such kind, or a number out of range.
        """
        check_top_k(top_k)
        if not text.strip():
            raise UsageError("the query is empty", 'ask something: codesearch query "parse json"')
        filters = read_filters(languages, kinds, paths)
        return cls(_utf8(text.strip()), filters, top_k, every_chunk)

    @property
    def expected(self) -> str:
        """The query; "" where queries are still to be read from stdin."""
        return "" if self.text == STDIN else self.text


def check_top_k(top_k: int) -> None:
    """Refuse a number of results that is none."""
    if top_k < 1:
        raise UsageError(f"-k {top_k} asks for no results", "give -k a number from 1")


def read_filters(languages: Sequence[str], kinds: Sequence[str], paths: Sequence[str]) -> Filters:
    """Check and normalise what narrows a search.

    Raises:
        UnknownLanguage: no such language.
        UsageError: no such kind.
    """
    wanted = tuple(kind.strip().lower() for kind in kinds)
    for kind in wanted:
        if kind not in KINDS:
            raise UsageError(f"unknown kind {kind!r}", f"use one of {', '.join(KINDS)}")
    names = tuple(language_named(name) for name in languages)
    return Filters(names, wanted, Selection(tuple(paths)))


@dataclass(frozen=True, slots=True)
class Output:
    """How results are printed; at most one format is chosen."""

    as_json: bool = False
    as_jsonl: bool = False
    vimgrep: bool = False
    files_only: bool = False
    context: int | None = None
    explain: bool = False
    open_first: bool = False

    def check(self, text: str) -> None:
        """Refuse what excludes each other.

        Args:
            text: What is looked for; `-` reads many queries.

        Raises:
            UsageError: two formats, a format for many queries, or a negative number of lines.
        """
        if sum((self.as_json, self.as_jsonl, self.vimgrep, self.files_only)) > 1:
            raise UsageError(
                "--json, --jsonl, --vimgrep and -l exclude each other", "choose one of them"
            )
        if text == STDIN and (self.vimgrep or self.files_only or self.open_first):
            raise UsageError(
                "`query -` prints JSON, one object per query", "leave --vimgrep, -l, --open away"
            )
        if self.context is not None and self.context < 0:
            raise UsageError(f"-C {self.context} is negative", "give -C a number from 0")


def open_searcher(
    home: IndexHome,
    repo: str | None,
    ref: str | None,
    quiet: bool,
    encoders: dict[str, QueryEncoder] | None = None,
    expected: str = "",
) -> Searcher:
    """Open what is to be searched; a repository without an index is indexed first.

    Of several repositories those that cannot be opened are noted, and the others searched.

    Args:
        home: Where indexes live.
        repo: A repository by path or name; None: the one here, else all.
        ref: A branch, tag or commit; None: each repository's own.
        quiet: Say nothing.
        encoders: Those that are loaded already, by fingerprint; new ones are added.
        expected: The query that will be asked, if it is known.
    """
    scope = find_scope(home, repo)
    folders = scope.folders or (_index_first(home, scope, ref, quiet),)
    searcher = Searcher(home, encoders={} if encoders is None else encoders, expected=expected)
    faults: list[CodesearchError | CheckpointError] = []
    for folder in folders:
        try:
            searcher.add(folder, ref)
        except (CodesearchError, CheckpointError) as error:
            faults.append(error)
    if not searcher.indexes:
        raise faults[0]
    told = (fault for fault in faults if not isinstance(fault, RefNotFound))
    searcher.unopened = [f"{fault}; {fault.hint}" for fault in told]
    show_notes(searcher.told, quiet)
    return searcher


def run(searcher: Searcher, question: Question, output: Output, quiet: bool = False) -> bool:
    """Answer the question, or each line of stdin; tells whether anything was found."""
    if question.text != STDIN:
        return _answer(searcher, question.text, question, output, quiet)
    found = False
    for line in _lines_of_stdin():
        as_json = Output(as_json=True, context=output.context, explain=output.explain)
        found |= _answer(searcher, line, question, as_json, quiet=True)
    return found


def _answer(
    searcher: Searcher, text: str, question: Question, output: Output, quiet: bool
) -> bool:
    answer = searcher.answer(text, question.filters, question.top_k, question.every_chunk)
    read = [
        f"nothing has {typed!r}; read as {meant!r}" for typed, meant in answer.corrected.items()
    ]
    show_notes(read, quiet)
    print_answer(output, answer)
    if output.open_first and answer.results:
        from codesearch.editor import open_in_editor

        open_in_editor(answer.results[0].best, answer.meant)
    return bool(answer.results)


def _index_first(home: IndexHome, scope: Scope, ref: str | None, quiet: bool) -> RepoFolder:
    from codesearch.indexing import Wish, index_repository
    from codesearch.reports import print_report
    from codesearch.watching import ProgressBars

    repository = scope.unindexed
    if repository is None:
        raise ValueError("a scope has folders or a repository without an index")
    with ProgressBars(stderr(), quiet) as progress:
        progress.say(f"{repository.root} is not indexed yet; indexing it first")
        outcome = index_repository(home, repository, Wish(ref), progress)
    if not quiet:
        print_report(stderr(), outcome)
    return home.repo(repository.root)


def show_notes(notes: Sequence[str], quiet: bool) -> None:
    """What the user should know, to stderr; many notes are counted."""
    if quiet or not notes:
        return
    console = stderr()
    for note in notes[:_NOTES_SHOWN]:
        console.print(one_line(note), style="yellow", soft_wrap=True)
    if len(notes) > _NOTES_SHOWN:
        rest = len(notes) - _NOTES_SHOWN
        console.print(f"{rest} more notes like these", style="yellow", soft_wrap=True)


def _lines_of_stdin() -> Iterator[str]:
    for raw in sys.stdin.buffer:
        line = raw.decode("utf-8", "replace").strip()
        if line:
            yield line


def print_answer(output: Output, answer: Answer) -> None:
    """An answer in the chosen format, or a line that says that it is empty."""
    from codesearch import formats

    if output.as_json:
        _write([formats.answer_json(answer, output.context, output.explain)])
    elif output.as_jsonl:
        _write(formats.json_lines(answer, output.context, output.explain))
    elif output.vimgrep:
        _write(formats.vimgrep_lines(answer, Path.cwd()))
    elif output.files_only:
        _write(formats.file_names(answer, Path.cwd()))
    elif not answer.results:
        asked = json.dumps(answer.query, ensure_ascii=False)
        stderr().print(one_line(f"nothing found for {asked}"), soft_wrap=True)
    elif stdout().is_terminal:
        from codesearch.render import render

        render(stdout(), answer, Path.cwd(), output.context, output.explain)
    else:
        _write(formats.plain_lines(answer, Path.cwd(), output.context, output.explain))


def _write(lines: Iterable[str]) -> None:
    """One query's output at a time, so that a reader at the other end need not wait."""
    for line in lines:
        write_line(line)
    sys.stdout.buffer.flush()


def _utf8(text: str) -> str:
    """The text as it can be encoded: bytes of the command line that are not UTF-8 are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
