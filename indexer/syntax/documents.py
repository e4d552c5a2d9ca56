"""Sections of documentation (Markdown, reStructuredText) and groups of plain lines.

A section is a heading and the prose under it until the next heading. Headings are found line by
line: CommonMark's ATX and setext headings outside fenced code; reStructuredText's underlines,
whose levels are the order in which their characters appear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SHORT_SECTION_CHARS = 200
GROUP_LINES = 60

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"[\s>]*(`{3,}|~{3,})(.*)$")
_NOT_PROSE = re.compile(r"[ \t]*$| {0,3}([-*+>#|]|\d+[.)])[ \t]| {4}|\t| {0,3}[<|]")
_UNDERLINE = re.compile(r"([!-/:-@\[-`{-~])\1+[ \t]*$")
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|<[^>]+>|[`*]|\{#[^}]*\}")


@dataclass(frozen=True, slots=True)
class Section:
    """Lines `start_line` to `end_line` (from 1, both included) under a path of headings."""

    headings: tuple[str, ...]
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class _Heading:
    line: int
    level: int
    title: str


def sections(lines: list[str], language: str) -> list[Section]:
    r"""The sections of a document, in order; together they cover every line once.

    Args:
        lines: The document's lines, without their newlines; "\r" may remain.
        language: "markdown" or "rst".
    """
    if not lines:
        return []
    stripped = [line.rstrip("\r") for line in lines]
    found = _rst_headings(stripped) if language == "rst" else _markdown_headings(stripped)
    return _merged(list(_cut(list(found), len(lines))), stripped)


def groups(lines: list[str]) -> list[tuple[int, int]]:
    """Ranges of about sixty lines (from 1, both included), cut at blank lines where possible."""
    ranges, start, total = [], 0, len(lines)
    while total - start > GROUP_LINES * 5 // 4:
        end = start + GROUP_LINES
        blank = (i for i in range(end, start + GROUP_LINES // 2, -1) if not lines[i - 1].strip())
        end = next(blank, end)
        ranges.append((start + 1, end))
        start = end
    return [*ranges, (start + 1, total)] if total > start else ranges


def _cut(headings: list[_Heading], total: int) -> Iterator[Section]:
    """One section per heading, and one for the lines above the first."""
    if not headings or headings[0].line > 1:
        yield Section((), 1, headings[0].line - 1 if headings else total)
    path: list[_Heading] = []
    for i, heading in enumerate(headings):
        path = [above for above in path if above.level < heading.level] + [heading]
        end = headings[i + 1].line - 1 if i + 1 < len(headings) else total
        yield Section(tuple(above.title for above in path if above.title), heading.line, end)


def _merged(found: list[Section], lines: list[str]) -> list[Section]:
    """Join a short section to the one before it under the same parent, or to the one after it."""
    kept: list[Section] = []
    for section in found:
        last = kept[-1] if kept else None
        if last is not None and _joins(last, section, lines):
            headings = last.headings or section.headings
            kept[-1] = Section(headings, last.start_line, section.end_line)
        else:
            kept.append(section)
    return kept


def _joins(last: Section, section: Section, lines: list[str]) -> bool:
    """Whether `section` is read together with `last`, the section above it."""
    parent, above = section.headings[:-1], last.headings
    if _chars(last, lines) < SHORT_SECTION_CHARS:  # only a title, or one of several small ones
        return not above or above == parent or above[:-1] == parent
    return _chars(section, lines) < SHORT_SECTION_CHARS and above in {
        parent,
        (*parent, *above[-1:]),
    }


def _chars(section: Section, lines: list[str]) -> int:
    return sum(len(line) + 1 for line in lines[section.start_line - 1 : section.end_line])


def _front_matter_end(lines: list[str]) -> int:
    """How many lines at the top are front matter (YAML `---`, TOML `+++`); 0 for none."""
    mark = lines[0].rstrip()
    if mark not in {"---", "+++"}:
        return 0
    ends = {mark, "..."} if mark == "---" else {mark}
    return next((i + 1 for i in range(1, len(lines)) if lines[i].rstrip() in ends), 0)


def _markdown_headings(lines: list[str]) -> Iterator[_Heading]:
    """ATX and setext headings that are not inside fenced code or front matter."""
    fence = ""
    above = ""  # the line above when it is a paragraph's first line: setext underlines one
    for i in range(_front_matter_end(lines), len(lines)):
        line = lines[i]
        fence, fenced = _fence_after(line, fence)
        if fenced:
            above = ""
        elif match := _ATX.match(line):
            yield _Heading(i + 1, len(match[1]), _title(match[2] or ""))
            above = ""
        elif above and (match := _SETEXT.match(line)):
            yield _Heading(i, 1 if match[1][0] == "=" else 2, _title(above))
            above = ""
        else:
            is_first = i == 0 or not lines[i - 1].strip() or _ATX.match(lines[i - 1]) is not None
            above = line if is_first and not _NOT_PROSE.match(line) else ""


def _fence_after(line: str, fence: str) -> tuple[str, bool]:
    """The fence open after this line ("" for none), and whether the line is code or a fence."""
    match = _FENCE.match(line)
    if match is None:
        return fence, bool(fence)
    mark, rest = match[1], match[2]
    if not fence:
        opens = mark[0] == "~" or "`" not in rest
        return (mark if opens else ""), opens
    closes = mark[0] == fence[0] and len(mark) >= len(fence) and not rest.strip()
    return ("" if closes else fence), True


def _rst_headings(lines: list[str]) -> Iterator[_Heading]:
    """Titles with a line of punctuation below, or above and below."""
    levels: list[tuple[str, bool]] = []
    i = 0
    while i < len(lines) - 1:
        title, has_overline = lines[i], False
        below = i + 1
        if _UNDERLINE.match(title) and i + 2 < len(lines) and _is_underline(lines, i + 2):
            has_overline = lines[i].rstrip() == lines[i + 2].rstrip()
            title, below = lines[i + 1], i + 2
        if below == i + 2 and not has_overline:
            i += 1
            continue
        if not _is_underline(lines, below) or (not has_overline and title[:1].isspace()):
            i += 1
            continue
        style = (lines[below][0], has_overline)
        if style not in levels:
            levels.append(style)
        yield _Heading(i + 1, levels.index(style) + 1, _title(title))
        i = below + 1


def _is_underline(lines: list[str], i: int) -> bool:
    """Whether line `i` underlines the text above it: punctuation at least as long as it."""
    title = lines[i - 1].strip()
    is_text = bool(title) and not _UNDERLINE.match(title)
    line = lines[i].rstrip()
    return is_text and _UNDERLINE.match(line) is not None and len(line) >= min(len(title), 4)


def _title(text: str) -> str:
    """A heading without its markup: links, badges, emphasis, anchors."""
    return " ".join(_MARKUP.sub(r"\1", text).split())
