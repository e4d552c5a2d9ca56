"""Results for people: rich panels on a terminal, plain uncut text in a pipe.

Everything that comes from a repository is shown as `Text` or `Syntax`, never as markup, and its
control characters are made visible.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from codesearch.answer import Answer
from codesearch.formats import score_parts
from codesearch.search import Hit, SearchResult
from codesearch.snippet import Passage, best_passages, chunk_lines
from indexer.sources.listing import WORKING_TREE

# Lines of code in a panel: three results and their frames fit on a large screen.
PANEL_LINES = 16
# Other hits of a file that are named below its best one.
MORE_SHOWN = 3
_LEXERS = {"tsx": "tsx", "csharp": "csharp", "text": "text", "rst": "rst"}
_CONTROL = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}


def render(
    console: Console,
    answer: Answer,
    context: int | None = None,
    explain: bool = False,
) -> None:
    """Print an answer to a terminal or, plainly, to a pipe.

    Args:
        console: where to.
        answer: what to show.
        context: lines around each best line; None takes the default.
        explain: show the parts of each score.
    """
    show = _panel if console.is_terminal else _plain
    for rank, result in enumerate(answer.results, 1):
        passages = _passages(result.best, answer.query, context, console.is_terminal)
        console.print(show(result, rank, passages, explain), soft_wrap=not console.is_terminal)


def printable(text: str) -> str:
    """Text without control characters: an escape sequence in a file must not reach a terminal."""
    return text.translate(_CONTROL)


def _passages(hit: Hit, query: str, context: int | None, is_terminal: bool) -> list[Passage]:
    chunk = hit.chunk
    text = hit.target.reader.text(chunk.file_id)
    lines = tuple(map(printable, chunk_lines(text, chunk.start_line, chunk.end_line)))
    if context is not None:
        room = max(PANEL_LINES, 2 * (2 * context + 1))
        return best_passages(lines, chunk.start_line, query, room, context)
    if not is_terminal and chunk.kind != "file":
        return [Passage(chunk.start_line, lines)]
    return best_passages(lines, chunk.start_line, query, PANEL_LINES)


def _plain(
    result: SearchResult, rank: int, passages: list[Passage], explain: bool
) -> RenderableType:
    hit = result.best
    head = Text(
        f"{_place(hit)}  {printable(hit.chunk.symbol) or hit.chunk.kind}  {result.score:.3f}"
    )
    body = [head]
    if explain:
        body.append(Text(_explanation(hit)))
    for number, passage in enumerate(passages):
        if number:
            body.append(Text("  ..."))
        body.extend(Text(f"  {line}".rstrip()) for line in passage.lines)
    return Group(*body, Text(""))


def _panel(
    result: SearchResult, rank: int, passages: list[Passage], explain: bool
) -> RenderableType:
    hit = result.best
    body: list[RenderableType] = []
    line = hit.chunk.start_line
    for passage in passages:
        if passage.start_line > line:
            body.append(Text(f"  ⋯ {passage.start_line - line} lines", style="dim"))
        body.append(_syntax(hit, passage))
        line = passage.end_line + 1
    if line <= hit.chunk.end_line:
        body.append(Text(f"  ⋯ {hit.chunk.end_line - line + 1} lines", style="dim"))
    if result.more:
        body.append(_more(result))
    if explain:
        body.append(Text(_explanation(hit), style="dim"))
    return Panel(
        Group(*body),
        title=_title(hit, rank),
        title_align="left",
        subtitle=Text(f" {result.score:.3f} ", style="dim"),
        subtitle_align="right",
        border_style="blue",
        padding=(0, 1),
    )


def _title(hit: Hit, rank: int) -> Text:
    link = Style(link=_link(hit)) if hit.target.ref.name == WORKING_TREE else Style()
    title = Text(f" {rank} ", style="bold")
    title.append(_place(hit), style=Style(color="cyan", bold=True) + link)
    if hit.chunk.symbol:
        title.append(f"  {printable(hit.chunk.symbol)}", style="magenta")
    title.append(f"  {hit.chunk.kind} ", style="dim")
    return title


def _more(result: SearchResult) -> Text:
    names = [
        f"{printable(hit.chunk.symbol) or hit.chunk.kind}:{hit.chunk.start_line}"
        for hit in result.more[:MORE_SHOWN]
    ]
    rest = len(result.more) - len(names)
    more = f", {rest} more" if rest else ""
    return Text(f"  also {', '.join(names)}{more}", style="dim")


def _syntax(hit: Hit, passage: Passage) -> Syntax:
    return Syntax(
        "\n".join(passage.lines),
        _LEXERS.get(hit.chunk.language, hit.chunk.language),
        line_numbers=True,
        start_line=passage.start_line,
        theme="ansi_dark",
        background_color="default",
        word_wrap=True,
    )


def _explanation(hit: Hit) -> str:
    parts = score_parts(hit)
    return "  " + "  ".join(f"{name} {value}" for name, value in parts.items())


def _place(hit: Hit) -> str:
    ref = "" if hit.target.ref.name == WORKING_TREE else f"{hit.target.ref.name}:"
    chunk = hit.chunk
    path = printable(f"{hit.target.reader.name}/{ref}{chunk.path}")
    return f"{path}:{chunk.start_line}-{chunk.end_line}"


def _link(hit: Hit) -> str:
    return (Path(hit.target.reader.root) / hit.chunk.path).as_uri() + f"#L{hit.chunk.start_line}"
