"""The command line: each command reads its arguments, makes one call and shows the result.

Data goes to stdout, everything else to stderr. Exit codes: 0 found, 1 nothing found, 2 could not.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.errors import CodesearchError, UsageError
from models.checkpoint import CheckpointError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="codesearch",
    help="Find code in git repositories by meaning and by name: private, offline.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="Index home; else $CODESEARCH_INDEX."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")]


@app.command()
def index(
    locations: Annotated[
        list[str], typer.Argument(metavar="PATH|URL…", help="Folders or git URLs to index.")
    ],
    ref: Annotated[
        str | None, typer.Option(help="Index this branch, tag or commit beside the working tree.")
    ] = None,
    path: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only these paths (repeatable).")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Not these paths (repeatable).")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A checkpoint folder or Hugging Face name.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    rebuild: Annotated[bool, typer.Option(help="Throw the old index away first.")] = False,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Index repositories: only what is new is read and encoded."""
    from codesearch.indexing import index_location
    from codesearch.reports import print_report
    from codesearch.watching import ProgressBars
    from indexer.sources.listing import Selection
    from indexer.storage.home import find_home

    console = _stderr()
    selection = Selection(tuple(path or ()), tuple(exclude or ()))
    for location in locations:
        with ProgressBars(console, quiet) as progress:
            repository, report = index_location(
                find_home(home), location, ref, selection, model, device, rebuild, progress
            )
        if not quiet:
            print_report(console, repository, report)


@app.command()
def query(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What you look for; - reads a query per line.")
    ],
    top_k: Annotated[int, typer.Option("-k", help="How many results.", show_default=True)] = 10,
    repo: Annotated[
        str | None, typer.Option(help="A repository by path or name; else the one around here.")
    ] = None,
    ref: Annotated[str | None, typer.Option(help="An indexed branch, tag or commit.")] = None,
    lang: Annotated[
        list[str] | None, typer.Option(metavar="LANG", help="Only this language (repeatable).")
    ] = None,
    path: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only these paths (repeatable).")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="function, class, file or doc (repeatable).")
    ] = None,
    every_chunk: Annotated[
        bool, typer.Option("--all", help="Every matching unit instead of one result per file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="A JSON object per result.")] = False,
    vimgrep: Annotated[
        bool, typer.Option("--vimgrep", help="path:line:column:text per result.")
    ] = False,
    files_only: Annotated[bool, typer.Option("-l", help="Only paths.")] = False,
    context: Annotated[
        int | None, typer.Option("-C", metavar="LINES", help="Lines around the best lines.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show the parts of scores.")] = False,
    open_first: Annotated[
        bool, typer.Option("--open", help="Open the first result in your editor.")
    ] = False,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Find code by meaning or by name."""
    from codesearch.querying import Output, open_searcher, read_filters, run_queries
    from indexer.storage.home import find_home

    output = Output(as_json, as_jsonl, vimgrep, files_only, context, explain, open_first)
    output.check()
    if top_k < 1:
        raise UsageError(f"-k {top_k} asks for no results", "give -k a number from 1")
    if not text.strip():
        raise UsageError("the query is empty", 'ask something: codesearch query "parse json"')
    filters = read_filters(lang or (), kind or (), path or ())
    searcher = open_searcher(find_home(home), repo, ref, _stderr(), quiet)
    try:
        found = run_queries(searcher, text, filters, top_k, every_chunk, output)
    finally:
        searcher.close()
    raise typer.Exit(0 if found else 1)


@app.command()
def status(
    repo: Annotated[Path, typer.Argument(help="A folder of the repository.")] = Path("."),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    home: IndexOption = None,
) -> None:
    """What is indexed of a repository, what was left out and why, and what has changed since."""
    from codesearch.manage import find_indexed, repo_status
    from codesearch.reports import print_status
    from indexer.sources.repository import find_repository
    from indexer.storage.home import find_home

    repository, _ = find_repository(repo)
    found = repo_status(find_indexed(find_home(home), repository.root))
    print_status(_stdout(), found, as_json)


@app.command()
def repos(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    home: IndexOption = None,
) -> None:
    """All indexed repositories."""
    from codesearch.reports import print_repos
    from indexer.storage.home import find_home

    print_repos(_stdout(), find_home(home), as_json)


@app.command()
def clean(
    repo: Annotated[
        Path | None, typer.Argument(help="Remove this repository's index; else only dead things.")
    ] = None,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Remove a repository's index, or what is dead: vanished repositories, refs, vectors."""
    from codesearch.manage import clean_all, clean_repo, find_indexed
    from codesearch.reports import print_cleaned
    from codesearch.watching import ProgressBars
    from indexer.sources.repository import find_repository
    from indexer.storage.home import find_home

    place, console = find_home(home), _stderr()
    if repo is None:
        cleaned = clean_all(place, ProgressBars(console, quiet))
    else:
        root = find_repository(repo)[0].root if repo.exists() else repo.resolve()
        cleaned = clean_repo(place, find_indexed(place, root))
    if not quiet:
        print_cleaned(console, cleaned)


def main() -> None:
    """Run the program; every expected fault is two lines on stderr and exit code 2."""
    try:
        app()
    except (CodesearchError, CheckpointError) as error:
        _fail(str(error), error.hint)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _fail("interrupted", "run the same command again: it goes on from here", 130)


def _stdout() -> Console:
    from rich.console import Console

    return Console()


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _fail(problem: str, hint: str, code: int = 2) -> None:
    from codesearch.render import printable

    print(f"codesearch: {printable(problem)}\n  {printable(hint)}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
