"""Documentation becomes pairs: a heading with its first prose, and the code shown under it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from indexer.errors import UnknownLanguage
from indexer.mining.prose import plain
from indexer.syntax.documents import sections
from indexer.syntax.grammars import GRAMMARS
from indexer.syntax.languages import language_named

MAX_PROSE_CHARS = 400

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*\{?\.?([\w+#-]*)[^`\n]*$")
_DIRECTIVE = re.compile(
    r"^([ \t]*)\.\. (?:code-block|code|sourcecode|highlight)::[ \t]*([\w+#-]*)"
)
_OPTION = re.compile(r"[ \t]+:[\w-]+:")
_NOT_PROSE = re.compile(r"\s*(?:$|[-*+>|#=~^<!]|\d+[.)]\s|\.\. |:\w+:|\[!|`{3}|~{3})")
_SHELLS = frozenset({"bash"})


@dataclass(frozen=True, slots=True)
class Example:
    """A block of code in a document; lines from 1, both included."""

    query: str
    code: str
    language: str
    start_line: int
    end_line: int


def examples(text: str, language: str) -> Iterator[Example]:
    """The first block of code of every section whose language is known and no shell.

    Args:
        text: The document.
        language: "markdown" or "rst".
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    find = _rst_block if language == "rst" else _markdown_block
    for section in sections(lines, language):
        first, last = section.start_line - 1, section.end_line
        block = find(lines, first, last)
        if block is None or not section.headings:
            continue
        name, start, end = block
        prose = _first_prose(lines[first:start])
        code = _dedented(lines[start:end])
        query = " ".join(filter(None, [_title(section.headings), prose]))
        if code:
            yield Example(query, code, name, start + 1, end)


def _markdown_block(lines: list[str], first: int, last: int) -> tuple[str, int, int] | None:
    """Language, first line and end (from 0, half open) of the first fenced block of code."""
    i = first
    while i < last:
        opening = _FENCE.match(lines[i])
        if opening is None:
            i += 1
            continue
        start = i + 1
        end = next((j for j in range(start, last) if _closes(lines[j], opening[1])), last)
        language = _language(opening[2])
        if language:
            return language, start, end
        i = end + 1
    return None


def _rst_block(lines: list[str], first: int, last: int) -> tuple[str, int, int] | None:
    for i in range(first, last):
        match = _DIRECTIVE.match(lines[i])
        language = _language(match[2]) if match else ""
        if match is None or not language:
            continue
        start = i + 1
        while start < last and (not lines[start].strip() or _OPTION.match(lines[start])):
            start += 1
        end = start
        while end < last and (not lines[end].strip() or _indent(lines[end]) > len(match[1])):
            end += 1
        return language, start, end
    return None


def _closes(line: str, fence: str) -> bool:
    mark = line.strip()
    return len(mark) >= len(fence) and set(mark) == {fence[0]}


def _language(info: str) -> str:
    """The language that a block's label names, "" where it is not one to search in."""
    try:
        language = language_named(info) if info else ""
    except UnknownLanguage:
        return ""
    return language if language in GRAMMARS and language not in _SHELLS else ""


def _title(headings: tuple[str, ...]) -> str:
    """The heading itself, with a full stop, so that prose may follow."""
    title = headings[-1].strip()
    return title if not title or title[-1] in ".?!:" else f"{title}."


def _first_prose(lines: list[str]) -> str:
    """The first paragraph that is neither a heading, a list nor a table."""
    paragraph: list[str] = []
    for line in lines[1:]:
        if _NOT_PROSE.match(line):
            if paragraph:
                break
        elif not line.startswith(("    ", "\t")):
            paragraph.append(line)
    return plain("\n".join(paragraph))[:MAX_PROSE_CHARS].rstrip(": ")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedented(lines: list[str]) -> str:
    """The lines without blank ones at the ends and without what indents them all."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    margin = min((_indent(line) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)
