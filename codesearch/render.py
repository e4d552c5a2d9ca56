"""Results for people at a terminal: a panel each, with the best lines of the code highlighted.

Everything that comes from a repository is shown as `Text` or `Syntax`, never as markup.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from codesearch.answer import Answer
from codesearch.console import one_line, printable
from codesearch.formats import explanation, passages, place
from codesearch.search import Hit, SearchResult
from codesearch.snippet import Passage, split_lines
from indexer.sources.listing import WORKING_TREE

# Other hits of a file that are named below its best one.
MORE_SHOWN = 3
# Up to here a passage is highlighted as part of its unit, so that a docstring stays a string.
_LINES_LEXED = 2_000
_LEXERS = {"tsx": "typescript", "bash": "bash", "rst": "rst"}


def render(
    console: Console,
    answer: Answer,
    working_directory: Path,
    context: int | None = None,
    explain: bool = False,
) -> None:
    """Print an answer as panels.

    Args:
        console: where to.
        answer: what to show.
        working_directory: paths inside the same repository are shown from here.
        context: lines around each best line; None shows about a panelful.
        explain: show the parts of each score.
    """
    for rank, result in enumerate(answer.results, 1):
        shown = passages(result.best, answer.meant, context, is_whole=False)
        console.print(_panel(result, rank, shown, working_directory, explain))


def _panel(
    result: SearchResult, rank: int, shown: list[Passage], working_directory: Path, explain: bool
) -> Panel:
    hit = result.best
    body = _code(hit, shown)
    if result.more:
        body.append(_more(result))
    if explain:
        body.append(Text(explanation(result), style="dim"))
    return Panel(
        Group(*body),
        title=_title(hit, rank, working_directory),
        title_align="left",
        subtitle=Text(f" {result.score:.3f} ", style="dim"),
        subtitle_align="right",
        border_style="blue",
        padding=(0, 1),
    )


def _code(hit: Hit, shown: list[Passage]) -> list[RenderableType]:
    """The passages, and how many lines are folded before, between and after them."""
    body: list[RenderableType] = []
    line = hit.chunk.start_line
    for passage in shown:
        if passage.start_line > line:
            body.append(_folded(passage.start_line - line))
        body.append(_syntax(hit, passage))
        line = passage.end_line + 1
    if line <= hit.chunk.end_line:
        body.append(_folded(hit.chunk.end_line - line + 1))
    return body


def _folded(count: int) -> Text:
    return Text(f"  ⋯ {count:,} line{'s' if count > 1 else ''}", style="dim")


def _title(hit: Hit, rank: int, working_directory: Path) -> Text:
    link = Style(link=_link(hit)) if hit.target.ref.name == WORKING_TREE else Style()
    title = Text(f" {rank} ", style="bold")
    title.append(place(hit, working_directory), style=Style(color="cyan", bold=True) + link)
    if hit.chunk.symbol:
        title.append(f"  {one_line(hit.chunk.symbol)}", style="magenta")
    title.append(f"  {hit.chunk.kind} ", style="dim")
    return title


def _more(result: SearchResult) -> Text:
    names = [
        f"{one_line(hit.chunk.symbol) or hit.chunk.kind}:{hit.chunk.start_line}"
        for hit in result.more[:MORE_SHOWN]
    ]
    rest = len(result.more) - len(names)
    more = f", {rest} more" if rest else ""
    return Text(f"  also {', '.join(names)}{more}", style="dim")


def _syntax(hit: Hit, passage: Passage) -> Syntax:
    """The passage, highlighted in the light of what stands before it in its unit."""
    first = min(hit.chunk.start_line, passage.start_line)
    text = printable(hit.target.reader.text(hit.chunk.file_id).replace("\r\n", "\n"))
    before = split_lines(text)[first - 1 : passage.start_line - 1]
    if len(before) > _LINES_LEXED:
        first, before = passage.start_line, ()
    return Syntax(
        "\n".join([*before, *passage.lines]),
        _LEXERS.get(hit.chunk.language, hit.chunk.language),
        line_numbers=True,
        start_line=first,
        line_range=(len(before) + 1, len(before) + len(passage.lines)),
        theme="ansi_dark",
        background_color="default",
        word_wrap=True,
    )


def _link(hit: Hit) -> str:
    return (Path(hit.target.reader.root) / hit.chunk.path).as_uri() + f"#L{hit.chunk.start_line}"
