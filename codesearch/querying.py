"""The `query` command: read its options, open the scope, answer, print in the asked format."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from codesearch.answer import Answer, Searcher
from codesearch.scope import Scope, find_scope
from codesearch.search import Filters
from indexer.errors import UsageError
from indexer.sources.listing import Selection
from indexer.storage.home import IndexHome, RepoFolder
from indexer.syntax.languages import language_named

KINDS = ("function", "class", "file", "doc")


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

    def check(self) -> None:
        """Refuse formats that exclude each other.

        Raises:
            UsageError: two formats, or a negative number of context lines.
        """
        chosen = [self.as_json, self.as_jsonl, self.vimgrep, self.files_only]
        if sum(chosen) > 1:
            raise UsageError(
                "--json, --jsonl, --vimgrep and -l exclude each other", "choose one of them"
            )
        if self.context is not None and self.context < 0:
            raise UsageError(f"-C {self.context} is negative", "give -C a number from 0")


def read_filters(languages: Sequence[str], kinds: Sequence[str], paths: Sequence[str]) -> Filters:
    """Check and normalise filter options.

    Raises:
        UnknownLanguage: no such language.
        UsageError: no such kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"unknown kind {kind!r}", f"use one of {', '.join(KINDS)}")
    names = tuple(language_named(name) for name in languages)
    return Filters(names, tuple(kinds), Selection(tuple(paths)))


def open_searcher(
    home: IndexHome, repo: str | None, ref: str | None, console: Console, quiet: bool
) -> Searcher:
    """Open what is to be searched; a repository without an index is indexed first."""
    scope = find_scope(home, repo, Path.cwd())
    folders = scope.folders or (_index_first(home, scope, ref, console, quiet),)
    searcher = Searcher(home)
    for folder in folders:
        searcher.add(folder, ref)
    if not quiet:
        for note in searcher.notes:
            console.print(note, style="yellow", highlight=False, markup=False, soft_wrap=True)
    return searcher


def run_queries(
    searcher: Searcher, text: str, filters: Filters, top_k: int, every_chunk: bool, output: Output
) -> bool:
    """Answer the query, or with `-` one per line of stdin; tells whether anything was found."""
    if text.strip() == "-":
        found = False
        for line in _lines_of_stdin():
            answer = searcher.answer(line, filters, top_k, every_chunk)
            _print(Output(as_json=True, explain=output.explain), answer)
            found |= bool(answer.results)
        return found
    answer = searcher.answer(text, filters, top_k, every_chunk)
    _print(output, answer)
    if output.open_first and answer.results:
        from codesearch.editor import open_in_editor

        open_in_editor(answer.results[0].best, text)
    return bool(answer.results)


def _index_first(
    home: IndexHome, scope: Scope, ref: str | None, console: Console, quiet: bool
) -> RepoFolder:
    from codesearch.indexing import index_repository, within
    from codesearch.reports import print_report
    from codesearch.watching import ProgressBars
    from models.checkpoint import open_checkpoint

    repository = scope.unindexed
    if repository is None:
        raise ValueError("a scope has folders or a repository without an index")
    selection = within(Selection(), scope.subfolder) if scope.subfolder else Selection()
    with ProgressBars(console, quiet) as progress:
        progress.say(f"{repository.root} is not indexed yet; indexing it first")
        report = index_repository(
            home, repository, ref, selection, open_checkpoint(), "auto", False, progress
        )
    if not quiet:
        print_report(console, repository, report)
    return home.repo(repository.root)


def _lines_of_stdin() -> Iterator[str]:
    for line in sys.stdin:
        if line.strip():
            yield line.strip()


def _print(output: Output, answer: Answer) -> None:
    from codesearch import formats

    if output.as_json:
        _write([formats.answer_json(answer, output.explain)])
    elif output.as_jsonl:
        _write(formats.json_lines(answer, output.explain))
    elif output.vimgrep:
        _write(formats.vimgrep_lines(answer, Path.cwd()))
    elif output.files_only:
        _write(formats.shown_path(result.best, Path.cwd()) for result in answer.results)
    else:
        from codesearch.render import render

        console = Console()
        render(console, answer, output.context, output.explain)
        if not answer.results:
            Console(stderr=True).print(
                f"nothing found for {json.dumps(answer.query, ensure_ascii=False)}",
                highlight=False,
                markup=False,
            )


def _write(lines: Iterator[str] | Sequence[str]) -> None:
    """One line each to stdout, in UTF-8 whatever the locale; one query's output at a time."""
    for line in lines:
        sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()
