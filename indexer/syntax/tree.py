"""Source text becomes a syntax tree. The one module that imports tree-sitter and its grammars.

A grammar is imported when the first file of its language is parsed. Tree-sitter reads UTF-8 and
answers in bytes; `SyntaxTree` answers in characters of the text that was given.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from indexer.syntax.grammars import GRAMMARS, Grammar
from indexer.syntax.preprocess import preprocessed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tree_sitter import Node as Node
    from tree_sitter import Parser, Tree


class SyntaxTree:
    """A parsed text: its tree, the table of its grammar, and the way from bytes to characters."""

    __slots__ = ("_characters", "_tree", "data", "grammar", "language", "root", "source")

    def __init__(self, source: str, language: str) -> None:
        self.source = source
        self.language = language
        self.grammar: Grammar = GRAMMARS[language]
        self.data = source.encode("utf-8", errors="surrogatepass")
        self._tree: Tree = _parser(language).parse(preprocessed(self.data, language))
        self.root: Node = self._tree.root_node
        self._characters = None if len(self.data) == len(source) else _characters(self.data)

    @property
    def has_errors(self) -> bool:
        """Whether the text broke its grammar anywhere; the tree is then the best repair."""
        return self.root.has_error

    def character(self, byte: int) -> int:
        """The character offset of a byte offset (equal in ASCII)."""
        return byte if self._characters is None else int(self._characters[byte])

    def characters(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """`character` for an array of any shape."""
        return positions if self._characters is None else self._characters[positions]

    def byte(self, character: int) -> int:
        """The byte offset of a character offset: the inverse of `character`."""
        if self._characters is None:
            return character
        return int(np.searchsorted(self._characters, character, side="left"))

    def text(self, node: Node) -> str:
        """The source of a node."""
        return self.data[node.start_byte : node.end_byte].decode("utf-8", errors="replace")

    def parse_within(self, start_byte: int, end_byte: int) -> Node:
        """Parse only these bytes as a file of their own; its nodes keep this tree's offsets.

        For code that the grammar leaves as tokens: the items in a Rust macro's braces.
        """
        return _parse_range(self.language, self.data, start_byte, end_byte).root_node


def parse(source: str, language: str) -> SyntaxTree | None:
    """Parse `source`; None for a language without a grammar (markdown, rst, text).

    Never raises for what the text contains: tree-sitter repairs broken code.
    """
    return SyntaxTree(source, language) if language in GRAMMARS else None


@cache
def _parser(language: str) -> Parser:
    """The parser of a language, its grammar imported on first use."""
    from tree_sitter import Language, Parser

    grammar = GRAMMARS[language]
    return Parser(Language(getattr(import_module(grammar.module), grammar.entry)()))


def _parse_range(language: str, data: bytes, start_byte: int, end_byte: int) -> Tree:
    from tree_sitter import Point, Range

    start, end = (
        Point(data.count(b"\n", 0, at), at - data.rfind(b"\n", 0, at) - 1)
        for at in (start_byte, end_byte)
    )
    parser = _parser(language)
    parser.included_ranges = [Range(start, end, start_byte, end_byte)]
    try:
        return parser.parse(data)
    finally:
        parser.included_ranges = []


def _characters(data: bytes) -> NDArray[np.int64]:
    """The character offset of every byte offset of `data`, its end included: (len + 1,)."""
    octets = np.frombuffer(data, dtype=np.uint8)
    starts = (octets & 0xC0) != 0x80  # a UTF-8 continuation byte is 10xxxxxx
    offsets = np.empty(len(data) + 1, dtype=np.int64)
    np.cumsum(starts, out=offsets[1:])
    offsets[:-1] = np.maximum(offsets[1:] - 1, 0)
    return offsets
