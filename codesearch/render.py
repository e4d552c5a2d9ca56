"""Results for people at a terminal: a panel each, with the best lines of the code highlighted.

Everything that comes from a repository is shown as `Text` or `Syntax`, never as markup.
"""

from __future__ import annotations

from pathlib import Path

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from codesearch.answer import Answer
from codesearch.console import one_line, printable
from codesearch.formats import explanation, other_hits, passages, place
from codesearch.search import Hit, SearchResult
from codesearch.snippet import Passage, split_lines
from indexer.sources.listing import WORKING_TREE

# Up to here a passage is highlighted as part of its unit, so that a docstring stays a string.
_LINES_LEXED = 2_000
_FRAME = 6  # cells of a panel's edge beside its title
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
        title = _title(result.best, rank, working_directory, console.width - _FRAME)
        console.print(_panel(result, title, shown, explain))


def _panel(result: SearchResult, title: Text, shown: list[Passage], explain: bool) -> Panel:
    hit = result.best
    body = _code(hit, shown)
    if result.more:
        body.append(_more(result))
    if explain:
        body.append(Text(explanation(result), style="dim"))
    return Panel(
        Group(*body),
        title=title,
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


def _title(hit: Hit, rank: int, working_directory: Path, width: int) -> Text:
    """Rank, place, symbol and kind: what does not fit goes from the end, then from the path."""
    link = Style(link=_link(hit)) if hit.target.ref.name == WORKING_TREE else Style()
    title = Text(f" {rank} ", style="bold")
    shown = _shortened(place(hit, working_directory), width - title.cell_len - 1)
    title.append(shown, style=Style(color="cyan", bold=True) + link)
    symbol = Text(f"  {one_line(hit.chunk.symbol)}" if hit.chunk.symbol else "", style="magenta")
    kind = Text(f"  {hit.chunk.kind}", style="dim")
    for part in (symbol, kind):
        if title.cell_len + part.cell_len < width:
            title.append_text(part)
    return title.append(" ")


def _shortened(text: str, width: int) -> str:
    """A place in so many cells, cut in its middle: its end names the file and the lines."""
    if cell_len(text) <= width:
        return text
    head = set_cell_size(text, max(0, (width - 1) // 3)).rstrip()
    tail = text
    while tail and cell_len(head) + 1 + cell_len(tail) > width:
        tail = tail[1:]
    return f"{head}…{tail}"


def _more(result: SearchResult) -> Text:
    return Text(f"  also {other_hits(result)}", style="dim")


def _syntax(hit: Hit, passage: Passage) -> Syntax:
    """The passage, highlighted in the light of what stands before it in its unit."""
    first = min(hit.chunk.start_line, passage.start_line)
    text = printable(hit.target.reader.text(hit.chunk.file_id).replace("\r\n", "\n"))
    before = split_lines(text)[first - 1 : passage.start_line - 1]
    if len(before) > _LINES_LEXED:
        first, before = passage.start_line, ()
    return Syntax(
        "\n".join([*before, *passage.lines]),
        _lexer(hit.chunk.language),
        line_numbers=True,
        start_line=first,
        line_range=(len(before) + 1, len(before) + len(passage.lines)),
        theme="ansi_dark",
        background_color="default",
        word_wrap=True,
    )


def _lexer(language: str) -> Lexer | str:
    """What Pygments reads a language with; PHP begins inside, since `<?php` is far above."""
    if language == "php":
        return get_lexer_by_name("php", startinline=True, stripnl=False, ensurenl=True)
    return _LEXERS.get(language, language)


def _link(hit: Hit) -> str:
    return (Path(hit.target.reader.root) / hit.chunk.path).as_uri() + f"#L{hit.chunk.start_line}"
