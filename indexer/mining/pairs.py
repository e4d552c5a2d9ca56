"""One file becomes units: code on one side, the words that describe it on the other.

A unit's code is a span of the file with some places cut out or replaced (the documentation, the
name), so that its syntax links are those of the file's own tree. Nothing here judges whether a
unit is worth learning from; that is `indexer.mining.clean`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.mining.prose import Prose, prose_of, without_name
from indexer.syntax.comments import Comment, documentation, file_header, without_lines
from indexer.syntax.definitions import Definition, all_functions, outline
from indexer.syntax.digest import file_outline
from indexer.syntax.lines import Lines
from indexer.syntax.links import no_links, relate
from indexer.syntax.tree import SyntaxTree, parse
from indexer.words import parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASK = "f"
_IDENTIFIER = re.compile(r"[^\W\d]\w*[?!]?")


@dataclass(frozen=True, slots=True)
class Edit:
    """A span of the source and what stands there instead."""

    start: int
    end: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`source[start:end]` with edits, which are in order and do not overlap."""

    start: int
    end: int
    edits: tuple[Edit, ...] = ()

    def text(self, source: str) -> str:
        """The excerpt's own text."""
        pieces, position = [], self.start
        for edit in self.edits:
            pieces += [source[position : edit.start], edit.text]
            position = edit.end
        return "".join([*pieces, source[position : self.end]])

    def links(self, tree: SyntaxTree) -> NDArray[np.int32]:
        """The syntax links inside the excerpt: (n, 2) offsets in characters of its text."""
        if self.start >= self.end:
            return no_links()
        links = relate(tree, self.start, self.end).links
        kept, moved = np.ones(len(links), dtype=bool), links.copy()
        for edit in self.edits:
            start, end = edit.start - self.start, edit.end - self.start
            inside = (links >= start) & (links < end)
            if edit.text:  # a renamed identifier is still where it was
                inside &= links > start
            kept &= ~inside.any(axis=1)
            moved[links >= end] += len(edit.text) - (end - start)
        return moved[kept]


@dataclass(frozen=True, slots=True)
class Unit:
    """A function, a file or an example, and the words that describe it.

    Attributes:
        name: Its own name; "" for what has none.
        owner: What encloses it, joined by ".".
        start_line: First line in the file, documentation included, from 1.
        end_line: Last line, included.
        prose: What its author wrote about it.
        code: It, without that.
    """

    name: str
    owner: str
    start_line: int
    end_line: int
    prose: Prose
    code: Excerpt

    @property
    def symbol(self) -> str:
        """The qualified name."""
        return f"{self.owner}.{self.name}" if self.owner else self.name


def functions(tree: SyntaxTree) -> Iterator[Unit]:
    """Every function of a file in source order, its documentation apart."""
    for definition in all_functions(tree):
        yield function_unit(tree, definition)


def function_unit(tree: SyntaxTree, definition: Definition) -> Unit:
    """A function with its documentation apart."""
    owner, _, name = definition.symbol.rpartition(".")
    comment, prose = _first_prose(documentation(tree, definition))
    start, end = definition.start, definition.end
    edits = _cut(tree.source, comment, end)
    if edits and edits[0].start <= start:
        start, edits = edits[0].end, ()
    prose = Prose(without_name(prose.summary, name), without_name(prose.full, name))
    excerpt = Excerpt(start, end, edits)
    return Unit(name, owner, definition.start_line, definition.end_line, prose, excerpt)


def file_unit(tree: SyntaxTree) -> Unit:
    """The file itself, described by its header or else by that of its only class."""
    comment, prose = _first_prose(file_header(tree))
    if comment is None:
        definitions = outline(tree)
        if len(definitions) == 1 and definitions[0].kind == "class":
            comment, prose = _first_prose(documentation(tree, definitions[0]))
    end = len(tree.source)
    excerpt = Excerpt(0, end, _cut(tree.source, comment, end))
    return Unit("", "", 1, len(Lines(tree.source)), prose, excerpt)


def masked(source: str, unit: Unit) -> Excerpt:
    """The unit's code with its name replaced wherever it stands as a word."""
    excerpt = unit.code
    pattern = re.compile(rf"(?<!\w){re.escape(unit.name)}(?!\w)")
    names = [
        Edit(match.start(), match.end(), MASK)
        for match in pattern.finditer(source, excerpt.start, excerpt.end)
        if not any(edit.start <= match.start() < edit.end for edit in excerpt.edits)
    ]
    edits = sorted([*excerpt.edits, *names], key=lambda edit: edit.start)
    return Excerpt(excerpt.start, excerpt.end, tuple(edits))


def name_words(unit: Unit) -> str:
    """A unit's name as a question: `HttpClient.fetch` is "http client fetch".

    The enclosing names are taken in only where the name alone has fewer than three words.
    """
    if not _IDENTIFIER.fullmatch(unit.name):
        return ""
    words = _words(unit.name)
    for owner in reversed(unit.owner.split(".")):
        if len(words) >= 3:
            break
        words = [word for word in _words(owner) if word not in words] + words
    return " ".join(words)


def outlined(text: str, language: str, max_chars: int) -> str:
    """What the encoder reads of a file that is longer than `max_chars`."""
    tree = parse(text, language)
    if tree is None:
        return text[:max_chars]
    return file_outline(Lines(text), language, outline(tree), max_chars)


def _cut(source: str, comment: Comment | None, limit: int) -> tuple[Edit, ...]:
    """The edit that takes a comment out."""
    if comment is None:
        return ()
    start, end = without_lines(source, comment)
    return (Edit(start, min(end, limit)),)


def _first_prose(comments: tuple[Comment, ...]) -> tuple[Comment | None, Prose]:
    """The first comment that says something, with what it says."""
    for comment in comments:
        prose = prose_of(comment.text)
        if prose.summary:
            return comment, prose
    return None, Prose()


def _words(identifier: str) -> list[str]:
    return [part.lower() for part in parts(identifier)]
