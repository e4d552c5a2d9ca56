"""The command line: each command reads its arguments, makes one call and shows the result.

Data goes to stdout, everything else to stderr. Exit codes: 0 found, 1 nothing found, 2 could not,
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from codesearch.console import stderr, stdout, tell_fault
from indexer.errors import CodesearchError, UsageError
from indexer.interrupts import end_as_told, note_interrupts
from models.checkpoint import CheckpointError
from models.threads import keep_to_one_core, share_cores

FAULTS = (CodesearchError, CheckpointError)
INTERRUPTED = 130
# Typer exports only this child of what it raises for arguments that it cannot read.
_ARGUMENT_FAULT: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="codesearch",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _home(context: typer.Context, value: Path | None) -> Path | None:
    """`--index` before the command holds where the command has none of its own."""
    if value is not None or context.parent is None:
        return value
    found: Path | None = context.parent.params.get("home")
    return found


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"codesearch {version('codesearch')}")
        raise typer.Exit


def _number(value: str | int) -> int:
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"{value!r} is not a whole number", "give one, like 10") from None


IndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index", metavar="DIR", callback=_home, help="Index home; else $CODESEARCH_INDEX."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")]
ModelOption = Annotated[
    str | None, typer.Option(metavar="MODEL", help="A checkpoint folder or Hugging Face name.")
]
DeviceOption = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu or cuda.")]
TopOption = Annotated[
    int, typer.Option("-k", metavar="N", parser=_number, help="How many results.")
]
LanguageOption = Annotated[
    list[str] | None,
    typer.Option("--lang", metavar="LANG", help="Only this language (repeatable)."),
]
PathOption = Annotated[
    list[str] | None, typer.Option("--path", metavar="GLOB", help="Only these paths (repeatable).")
]
KindOption = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help="function, class, file or doc (repeatable)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]
JsonLinesOption = Annotated[bool, typer.Option("--jsonl", help="A JSON object per result.")]
VimgrepOption = Annotated[
    bool, typer.Option("--vimgrep", help="path:line:column:text per result.")
]
FilesOption = Annotated[bool, typer.Option("-l", help="Only paths.")]
ContextOption = Annotated[
    int | None,
    typer.Option("-C", metavar="LINES", parser=_number, help="Lines around the best lines."),
]
LocationsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[PATH]…", help="Your repositories; else this one.")
]


@app.callback(invoke_without_command=True)
def program(
    context: typer.Context,
    home: IndexOption = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Find code in git repositories by meaning and by name: private, offline."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def index(
    locations: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH|URL]…", help="Folders or git URLs to index; else this one."),
    ] = None,
    ref: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="Index this branch, tag or commit beside the working tree."
        ),
    ] = None,
    path: PathOption = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Not these paths (repeatable).")
    ] = None,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Start from nothing.")] = False,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Index repositories: only what is new is read and encoded."""
    from codesearch.indexing import Wish, index_location
    from codesearch.reports import print_report
    from codesearch.watching import ProgressBars
    from indexer.sources.listing import Selection
    from indexer.storage.home import find_home

    wish = Wish(ref, Selection(tuple(path or ()), tuple(exclude or ())), model, device, rebuild)
    failed = False
    for location in locations or ["."]:
        try:
            with ProgressBars(stderr(), quiet) as progress:
                outcome = index_location(find_home(home), location, wish, progress)
        except FAULTS as error:
            tell_fault(str(error), error.hint)
            failed = True
        else:
            if not quiet:
                print_report(stderr(), outcome)
    if failed:
        raise typer.Exit(2)


@app.command()
def query(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What you look for; - reads a query per line.")
    ],
    top_k: TopOption = 10,
    repo: Annotated[
        str | None,
        typer.Option(metavar="REPO", help="A repository by path or name; else the one here."),
    ] = None,
    ref: Annotated[
        str | None, typer.Option(metavar="REF", help="An indexed branch, tag or commit.")
    ] = None,
    lang: LanguageOption = None,
    path: PathOption = None,
    kind: KindOption = None,
    every_chunk: Annotated[
        bool, typer.Option("--all", help="Every matching unit instead of one result per file.")
    ] = False,
    as_json: JsonOption = False,
    as_jsonl: JsonLinesOption = False,
    vimgrep: VimgrepOption = False,
    files_only: FilesOption = False,
    context: ContextOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show the parts of scores.")] = False,
    open_first: Annotated[
        bool, typer.Option("--open", help="Open the first result in your editor.")
    ] = False,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Find code by meaning or by name."""
    keep_to_one_core()
    from codesearch.client import ask
    from indexer.storage.home import find_home

    place = find_home(home)
    question: dict[str, Any] = {
        "text": text,
        "top_k": top_k,
        "languages": lang or [],
        "kinds": kind or [],
        "paths": path or [],
        "every_chunk": every_chunk,
    }
    output: dict[str, Any] = {
        "as_json": as_json,
        "as_jsonl": as_jsonl,
        "vimgrep": vimgrep,
        "files_only": files_only,
        "context": context,
        "explain": explain,
        "open_first": open_first,
    }
    if not open_first and text.strip() != "-":  # those need this process's editor and stdin
        options = {"question": question, "output": output}
        code = ask(place.folder, options | {"repo": repo, "ref": ref, "quiet": quiet})
        if code is not None:
            raise typer.Exit(code)
    from codesearch.querying import Output, Question, open_searcher, run

    asked, shown = Question.read(**question), Output(**output)
    shown.check(asked.text)
    searcher = open_searcher(place, repo, ref, quiet, expected=asked.expected)
    try:
        found = run(searcher, asked, shown, quiet)
    finally:
        searcher.close()
    raise typer.Exit(0 if found else 1)


@app.command()
def serve(
    idle: Annotated[
        float, typer.Option(metavar="MINUTES", help="Stop after so long without a query.")
    ] = 30.0,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Keep indexes and models open, so that `query` answers at once."""
    keep_to_one_core()
    from codesearch.serving import Server
    from indexer.storage.home import find_home

    if idle <= 0:
        raise UsageError(f"--idle {idle:g} is not above 0", "give minutes, or leave it out")
    note = f"stops after {idle:g} minutes without a query, or with Ctrl-C"

    def started(path: str) -> None:
        if not quiet:
            stderr().print(f"serving at {path}; {note}", soft_wrap=True)

    Server(find_home(home), 60 * idle).run(started)


@app.command("mcp")
def serve_agents(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="The repository; else the one here.")
    ] = None,
    home: IndexOption = None,
) -> None:
    """Let coding agents search, over the Model Context Protocol on stdin and stdout."""
    keep_to_one_core()
    from importlib.util import find_spec

    from indexer.storage.home import find_home

    place = find_home(home)
    if find_spec("mcp") is None:
        raise UsageError(
            "mcp must be installed to talk with agents",
            "run `pip install -e '.[mcp]'` where codesearch was installed from",
        )
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder", "give that of a repository")
        os.chdir(folder)
    from codesearch.agents import run

    note_interrupts(signal.SIGTERM)
    run(place)


@app.command()
def similar(
    place: Annotated[
        str | None, typer.Argument(metavar="FILE:LINE", help="Code to find the like of.")
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option("-k", metavar="N", parser=_number, help="How many: 10, of clusters all."),
    ] = None,
    repo: Annotated[
        str | None, typer.Option(metavar="REPO", help="Look in this repository instead.")
    ] = None,
    lang: LanguageOption = None,
    path: PathOption = None,
    kind: KindOption = None,
    clusters: Annotated[
        bool, typer.Option("--clusters", help="Groups of functions that are nearly the same.")
    ] = False,
    threshold: Annotated[
        float, typer.Option(metavar="COSINE", help="How alike functions of a group are.")
    ] = 0.95,
    as_json: JsonOption = False,
    as_jsonl: JsonLinesOption = False,
    vimgrep: VimgrepOption = False,
    files_only: FilesOption = False,
    context: ContextOption = None,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Find code like the code at a line, or near-duplicates."""
    keep_to_one_core()
    from codesearch.querying import Output, read_filters
    from codesearch.similar import SIMILAR, Place, run_clusters, run_similar
    from indexer.storage.home import find_home

    output = Output(as_json, as_jsonl, vimgrep, files_only, context)
    filters = read_filters(lang or (), kind or (), path or ())
    if clusters == (place is not None):
        raise UsageError("give either FILE:LINE or --clusters", "see `codesearch similar --help`")
    if clusters and (as_jsonl or vimgrep or files_only or context is not None):
        raise UsageError("--clusters prints groups", "leave --jsonl, --vimgrep, -l and -C away")
    if place is None:
        found = run_clusters(find_home(home), repo, filters, threshold, top_k, as_json, quiet)
    else:
        at = Place.read(place)
        most = SIMILAR if top_k is None else top_k
        found = run_similar(find_home(home), at, repo, filters, most, output, quiet)
    raise typer.Exit(0 if found else 1)


@app.command()
def status(
    repo: Annotated[str, typer.Argument(help="A repository by path or name.")] = ".",
    as_json: JsonOption = False,
    home: IndexOption = None,
) -> None:
    """What is indexed of a repository, and what has changed since."""
    from codesearch.manage import repo_status
    from codesearch.reports import print_status
    from codesearch.scope import find_indexed
    from indexer.storage.home import find_home

    print_status(stdout(), repo_status(find_indexed(find_home(home), repo)), as_json)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
    home: IndexOption = None,
) -> None:
    """Try out everything that a search needs; exit code 1 where something is wrong."""
    from codesearch.doctor import examine
    from codesearch.reports import print_finding
    from indexer.storage.home import find_home

    has_fault = False
    for finding in examine(find_home(home)):
        has_fault |= finding.is_fault
        print_finding(stdout(), finding, as_json)
    raise typer.Exit(1 if has_fault else 0)


@app.command()
def repos(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    home: IndexOption = None,
) -> None:
    """All indexed repositories."""
    from codesearch.manage import all_repos
    from codesearch.reports import print_repos
    from indexer.storage.home import find_home

    print_repos(stdout(), all_repos(find_home(home)), as_json)


@app.command()
def clean(
    repo: Annotated[
        str | None, typer.Argument(help="Remove this repository's index; else only dead things.")
    ] = None,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Remove a repository's index, or everything that is dead."""
    from codesearch.cleaning import clean_all, clean_repo
    from codesearch.reports import print_cleaned
    from codesearch.scope import find_indexed
    from codesearch.watching import ProgressBars
    from indexer.storage.home import find_home

    place, progress = find_home(home), ProgressBars(stderr(), quiet)
    if repo is None:
        cleaned = clean_all(place, progress)
    else:
        cleaned = clean_repo(place, find_indexed(place, repo), progress)
    if not quiet:
        print_cleaned(stderr(), cleaned)


@app.command("eval")
def evaluate_model(
    locations: LocationsArgument = None,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """How well a model finds your own functions by what was written above them."""
    from codesearch.reports import print_evaluation
    from codesearch.tuning import evaluate
    from codesearch.watching import ProgressBars
    from models.checkpoint import DEFAULT_MODEL

    with ProgressBars(stderr(), quiet) as progress:
        found = evaluate(locations or ["."], model or DEFAULT_MODEL, device, progress)
    print_evaluation(stdout(), found, as_json)


@app.command()
def train(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the new model goes.")],
    locations: LocationsArgument = None,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    steps: Annotated[
        int | None, typer.Option(metavar="N", parser=_number, help="Else by the pairs there are.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="N", help="End training after so long.")
    ] = None,
    quiet: QuietOption = False,
    home: IndexOption = None,
) -> None:
    """Train a model on your own repositories; exit code 1 where it shows no gain."""
    from codesearch.reports import print_tuning
    from codesearch.tuning import Lesson, tune
    from codesearch.watching import ProgressBars
    from indexer.storage.home import find_home
    from models.checkpoint import DEFAULT_MODEL

    lesson = Lesson(out, model or DEFAULT_MODEL, device, steps, minutes)
    with ProgressBars(stderr(), quiet) as progress:
        tuning = tune(find_home(home), locations or ["."], lesson, progress)
    print_tuning(stdout(), tuning)
    raise typer.Exit(0 if tuning.shows_gain else 1)


def main() -> None:
    """Run the program; every expected fault is two lines on stderr and exit code 2."""
    note_interrupts()
    share_cores()
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
    except FAULTS as error:
        code = _fail(str(error), error.hint)
    except _ARGUMENT_FAULT as error:
        code = _fail(*_argument_problem(error))
    except BrokenPipeError:
        code = _enough()
    except SystemExit as end:  # Typer makes 1 of a closed pipe, which means "nothing found" here
        code = _enough() if isinstance(end.__context__, BrokenPipeError) else end.code
    except OSError as error:
        code = _fail(str(error), "check the path, its permissions and the disk")
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        tell_fault("interrupted", "run the same command again: it goes on from here")
    end_as_told()
    sys.exit(code)


def _enough() -> int:
    """The reader of a pipe has seen enough: nothing more is written, and that is no fault."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _argument_problem(error: Exception) -> tuple[str, str]:
    """Typer's own words about an argument, and which help to read."""
    message = getattr(error, "format_message", error.__str__)().strip().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "codesearch"
    extra = "; put the query in quotes" if "unexpected extra" in message else ""
    return message.replace("\n", " "), f"see `{command} --help`{extra}"


def _fail(problem: str, hint: str) -> int:
    tell_fault(problem, hint)
    return 2
