"""Texts that stand for more code than they show.

A class stands there without its methods' bodies, a long file as its outline.
"""

from __future__ import annotations

import re

from indexer.syntax.definitions import Definition
from indexer.syntax.lines import Lines

MAX_SIGNATURE_LINES = 12

# Marks around a comment's or a docstring's words.
_MARKS = re.compile(r'^[\s/*#!;|^"\'-]*(?:<\w+>|\{-)?(?:[@\\](?:doc|brief)\b)?[\s/*"\'|(~sS]*')
_NOT_A_SENTENCE = re.compile(r"@|false$|\[|\]|\\|<|#\[|\w+\s*[=(]")


def class_text(
    lines: Lines, language: str, definition: Definition, owned: tuple[tuple[int, int], ...]
) -> str:
    """A class's own lines, and in their place its members' signatures with a line of their doc."""
    inside = definition.children
    own = {line for first, last in owned for line in range(first, last + 1)}
    parts: list[tuple[int, str]] = [(line, lines.text(line, line)) for line in sorted(own)]
    parts += [
        (child.start_line, signature(lines, language, child))
        for child in inside
        if child.start_line not in own
    ]
    parts.sort(key=lambda part: part[0])
    return "\n".join(text for _, text in parts)


def file_outline(
    lines: Lines, language: str, definitions: tuple[Definition, ...], max_chars: int
) -> str:
    """What stands between the definitions, and the definitions' signatures, in order.

    If that is too long, only what stands above the first definition and the signatures; the
    result is cut at a line.
    """
    members = _flattened(definitions)
    parts = [(d.start_line, signature(lines, language, d)) for d in members]
    covered = {line for d in definitions for line in range(d.start_line, d.end_line + 1)}
    between = [line for line in range(1, len(lines) + 1) if line not in covered]
    text = _in_order(lines, parts, between)
    if len(text) > max_chars:
        first = members[0].start_line if members else len(lines) + 1
        text = _in_order(lines, parts, [line for line in between if line < first])
    return _cut_at_line(text, max_chars)


def _flattened(definitions: tuple[Definition, ...]) -> list[Definition]:
    """Every definition, a class before its members."""
    flat, stack = [], list(reversed(definitions))
    while stack:
        flat.append(definition := stack.pop())
        stack.extend(reversed(definition.children))
    return flat


def _in_order(lines: Lines, parts: list[tuple[int, str]], plain: list[int]) -> str:
    every = parts + [(line, lines.text(line, line)) for line in plain]
    every.sort(key=lambda part: part[0])
    return re.sub(r"\n\s*\n(\s*\n)+", "\n\n", "\n".join(text for _, text in every))


def _cut_at_line(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    end = text.rfind("\n", 0, max_chars + 1)
    return text[:end] if end > 0 else text[:max_chars]


def signature(lines: Lines, language: str, definition: Definition) -> str:
    """A definition up to its body, with the first line of its documentation."""
    first = lines.number(definition.declared)
    start = lines.start(first)
    head = lines.source[start : max(definition.body_start, definition.declared)].rstrip()
    if definition.body_start >= definition.end or not head.strip():
        head = lines.text(first, first).rstrip()
    head = "\n".join(head.split("\n")[:MAX_SIGNATURE_LINES])
    if language == "python":
        doc = _docstring_line(lines, definition)
        return f"{head}\n{doc}" if doc else head
    doc = _first_sentence(lines.source[definition.start : start])
    return f"{doc}\n{head}" if doc else head


def _docstring_line(lines: Lines, definition: Definition) -> str:
    """The first line of a Python docstring as it stands in the source; "" without one."""
    line = lines.number(definition.body_start)
    if not re.match(r"[rRuUbB]{0,2}[\"']", lines.source[definition.body_start :][:3]):
        return ""
    text = lines.text(line, line)
    if text.strip(" \t\"'rRuU") or line >= definition.end_line:
        return text.rstrip()
    return f"{text.rstrip()} {lines.text(line + 1, line + 1).strip()}"


def _first_sentence(comment: str) -> str:
    """The first line of words in the comments and attributes above a definition."""
    for line in comment.split("\n"):
        words = _MARKS.sub("", line.strip())
        if any(c.isalpha() for c in words) and not _NOT_A_SENTENCE.match(words):
            return line.rstrip()
    return ""
