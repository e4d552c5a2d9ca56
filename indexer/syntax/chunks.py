"""A file becomes chunks: whole functions, classes, the file itself, sections of documentation.

Two things that differ on purpose. The lines a chunk *owns* partition the file, so that every line
belongs to exactly one chunk. The *text* is what the encoder reads: a class shows its methods'
signatures, a file shows everything, or its outline when it is too long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from indexer.syntax.definitions import Definition, outline
from indexer.syntax.digest import class_text, file_outline
from indexer.syntax.documents import groups, sections
from indexer.syntax.lines import Lines
from indexer.syntax.links import no_links, relate
from indexer.syntax.tree import SyntaxTree, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ChunkKind = Literal["function", "class", "file", "doc"]

LINKED_CHARS = 1000  # shorter texts are attended to in full
DOCUMENTS = frozenset({"markdown", "rst"})


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A unit of search.

    Attributes:
        kind: "function" (methods too), "class", "file" or "doc".
        symbol: The qualified name; of a doc its headings, "Install > From source"; else "".
        start_line: The first line shown to the user, from 1.
        end_line: The last line shown, included.
        text: What the encoder reads.
        links: (n, 2) offsets in characters of `text`: what the syntax tree relates.
        borders: Offsets in characters of `text`, ascending, where it may be split if it is too
            long for the model.
        owned: The line ranges (from 1, both included) that belong to this chunk alone.
    """

    kind: ChunkKind
    symbol: str
    start_line: int
    end_line: int
    text: str
    links: NDArray[np.int32]
    borders: tuple[int, ...]
    owned: tuple[tuple[int, int], ...]

    @property
    def is_code(self) -> bool:
        """Whether it is called by its place, and says what it is at its head; prose does not."""
        return self.kind != "doc"


def chunk_file(source: str, language: str, path: str, max_chars: int) -> list[Chunk]:
    """Cut a file into chunks whose owned lines partition it.

    Args:
        source: The whole text; any string will do, broken code included.
        language: As `language_of` names it.
        path: Where the file is, relative to the repository; not read.
        max_chars: A code file longer than this is encoded as its outline.

    Returns:
        The chunks in the order of their lines, a code file's own chunk first; none for a file of
        white space.
    """
    if not source.strip():
        return []
    tree = parse(source, language)
    if tree is not None:
        return _code_chunks(tree, max_chars)
    lines = Lines(source)
    if language in DOCUMENTS:
        return list(_document_chunks(lines, language))
    return [_line_chunk(lines, "file", "", start, end) for start, end in groups(_all_lines(lines))]


def _all_lines(lines: Lines) -> list[str]:
    return [lines.text(line, line) for line in range(1, len(lines) + 1)]


def _document_chunks(lines: Lines, language: str) -> Iterator[Chunk]:
    for section in sections(_all_lines(lines), language):
        symbol = " > ".join(section.headings)
        yield _line_chunk(lines, "doc", symbol, section.start_line, section.end_line)


def _line_chunk(lines: Lines, kind: ChunkKind, symbol: str, start: int, end: int) -> Chunk:
    """A chunk of plain lines, which may be split at any of them."""
    text = lines.text(start, end)
    return Chunk(kind, symbol, start, end, text, no_links(), line_borders(text), ((start, end),))


def line_borders(text: str) -> tuple[int, ...]:
    """The offsets where the second and later lines of a text start."""
    starts, position = [], text.find("\n")
    while -1 < position < len(text) - 1:
        starts.append(position + 1)
        position = text.find("\n", position + 1)
    return tuple(starts)


def _code_chunks(tree: SyntaxTree, max_chars: int) -> list[Chunk]:
    lines = Lines(tree.source)
    definitions = outline(tree)
    owners = _Owners(len(lines))
    owners.give(definitions, lines)
    owned = owners.ranges()
    chunks = [_file_chunk(tree, lines, definitions, max_chars, owned.get(-1, ()))]
    for index, definition in enumerate(owners.kept):
        if index not in owned:  # its members took all its lines
            continue
        make = _class_chunk if definition.kind == "class" else _function_chunk
        chunks.append(make(tree, lines, definition, owned[index]))
    return chunks


class _Owners:
    """Which definition owns each line; -1 is the file.

    A definition takes the lines that its parent still owns. One that finds none left, because it
    shares its only line with another, is not kept: it stays a part of that other one.
    """

    def __init__(self, total: int) -> None:
        self.kept: list[Definition] = []
        self._owner = [-1] * total

    def give(self, definitions: tuple[Definition, ...], lines: Lines) -> None:
        """Hand out the lines, enclosing definitions first."""
        stack = [(definition, -1, 0) for definition in reversed(definitions)]
        while stack:
            definition, parent, header_end = stack.pop()
            index = self._take(definition, parent, header_end)
            if index != parent:
                header_end = lines.number(definition.declared)
            stack.extend((child, index, header_end) for child in reversed(definition.children))

    def _take(self, definition: Definition, parent: int, header_end: int) -> int:
        """The owner of what is inside: the definition, or its parent if it got no line."""
        first = max(definition.start_line, header_end + 1)
        mine = [
            line - 1
            for line in range(first, definition.end_line + 1)
            if self._owner[line - 1] == parent
        ]
        if not mine:
            return parent
        self.kept.append(definition)
        for line in mine:
            self._owner[line] = len(self.kept) - 1
        return len(self.kept) - 1

    def ranges(self) -> dict[int, tuple[tuple[int, int], ...]]:
        """The line ranges of every owner, from 1, both ends included."""
        found: dict[int, list[tuple[int, int]]] = {}
        line = 1
        for owner, run in groupby(self._owner):
            length = sum(1 for _ in run)
            found.setdefault(owner, []).append((line, line + length - 1))
            line += length
        return {owner: tuple(spans) for owner, spans in found.items()}


Ranges = tuple[tuple[int, int], ...]


def _function_chunk(
    tree: SyntaxTree, lines: Lines, definition: Definition, owned: Ranges
) -> Chunk:
    return _source_chunk(tree, lines, "function", definition, owned)


def _class_chunk(tree: SyntaxTree, lines: Lines, definition: Definition, owned: Ranges) -> Chunk:
    """The whole class if it has no methods, else its own lines and its methods' signatures."""
    if owned == ((definition.start_line, definition.end_line),):
        return _source_chunk(tree, lines, "class", definition, owned)
    text = class_text(lines, tree.language, definition, owned)
    first, last = definition.start_line, definition.end_line
    borders = line_borders(text)
    return Chunk("class", definition.symbol, first, last, text, no_links(), borders, owned)


def _source_chunk(
    tree: SyntaxTree, lines: Lines, kind: ChunkKind, definition: Definition, owned: Ranges
) -> Chunk:
    """A chunk whose text is the source of its lines."""
    first, last = definition.start_line, definition.end_line
    text = tree.source[definition.start : definition.end]
    links, borders = _structure(tree, lines, definition.start, definition.end)
    return Chunk(kind, definition.symbol, first, last, text, links, borders, owned)


def _file_chunk(
    tree: SyntaxTree,
    lines: Lines,
    definitions: tuple[Definition, ...],
    max_chars: int,
    owned: Ranges,
) -> Chunk:
    """The whole file, or its outline if it is longer than `max_chars`."""
    text, total = tree.source, len(lines)
    if len(text) > max_chars:
        text = file_outline(lines, tree.language, definitions, max_chars)
        return Chunk("file", "", 1, total, text, no_links(), line_borders(text), owned)
    links, _ = _structure(tree, lines, 0, len(text))
    tops = (tree.character(node.start_byte) for node in tree.root.named_children)
    borders = _at_line_starts(lines, 0, len(text), tops)
    return Chunk("file", "", 1, total, text, links, borders, owned)


def _structure(
    tree: SyntaxTree, lines: Lines, start: int, end: int
) -> tuple[NDArray[np.int32], tuple[int, ...]]:
    """The links and borders of `source[start:end]`; a short text is never split nor sparse."""
    if end - start <= LINKED_CHARS:
        return no_links(), line_borders(tree.source[start:end])
    spanned = relate(tree, start, end)
    return spanned.links, _at_line_starts(lines, start, end, spanned.statements)


def _at_line_starts(lines: Lines, start: int, end: int, offsets: Iterable[int]) -> tuple[int, ...]:
    """Offsets from `start`, moved to their line's start over the indentation before them.

    Those at either end are dropped: broken code has empty nodes behind its last character.
    """
    borders = set()
    for offset in offsets:
        line_start = lines.start(lines.number(start + offset))
        is_indented = not lines.source[line_start : start + offset].strip()
        borders.add(line_start - start if is_indented else offset)
    return tuple(sorted(border for border in borders if 0 < border < end - start))
