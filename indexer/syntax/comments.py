"""Where documentation stands: a docstring, the comments above a definition, a file's header.

The outline already says which lines above a declaration belong to it. In them comments are found
by their marks, so that attributes and decorators, which may stand between, are left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.syntax.definitions import Definition, outline

if TYPE_CHECKING:
    from indexer.syntax.tree import Node, SyntaxTree

_STRING = r"""(?P<string>"(?:\\.|[^"\\\n])*")"""
_NO_BLOCK = r"(?P<block>(?!))"
_SLASHES = r"(?P<block>/\*.*?\*/)|(?P<line>//[^\n]*)"
_HASH = r"(?P<line>#[^\n]*)"
_PATTERNS = {
    "python": f"{_NO_BLOCK}|{_HASH}",
    "bash": f"{_NO_BLOCK}|{_HASH}",
    "ruby": rf"(?P<block>^=begin\b.*?^=end\b[^\n]*)|{_HASH}",
    "elixir": (
        r'(?P<block>@(?:module|type)?doc\s+(?:~[sS])?(?:""".*?"""|"(?:\\.|[^"\\])*"))|' + _HASH
    ),
    "php": r"(?P<block>/\*.*?\*/)|(?P<line>(?://|#(?!\[))[^\n]*)",
    "lua": r"(?P<block>--\[(=*)\[.*?\]\2\])|(?P<line>--[^\n]*)",
    "haskell": r"(?P<block>\{-.*?-\})|(?P<line>--[^\n]*)",
}
_COMPILED = {
    language: re.compile(f"{pattern}|{_STRING}", re.DOTALL | re.MULTILINE)
    for language, pattern in _PATTERNS.items()
}
_OF_C = re.compile(f"{_SLASHES}|{_STRING}", re.DOTALL)
_DOCUMENTS = re.compile(r"/\*\*(?!/)|///|//!|/\*!|@(?:module|type)?doc\b|-- ?\||\{- ?\||---")
_OPENING = frozenset({"php_tag", "hash_bang_line", "shebang"})


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as it stands in the source, marks included; adjacent line comments are one."""

    start: int
    end: int
    text: str


def documentation(tree: SyntaxTree, definition: Definition) -> tuple[Comment, ...]:
    """What may document a definition, the likeliest first; empty where nothing does.

    A docstring comes first, then comments marked as documentation, then the nearest.
    """
    docstring = _docstring(tree, definition.body_start) if tree.language == "python" else None
    above = comments_in(tree.source, definition.start, definition.declared, tree.language)
    found = _likeliest_first(above)
    return (docstring, *found) if docstring is not None else found


def file_header(tree: SyntaxTree) -> tuple[Comment, ...]:
    """What may document a file: its docstring, then the comments above all code, in order."""
    nodes = tree.root.named_children
    first = next((node for node in nodes if not _is_leading(tree, node)), None)
    end = len(tree.source) if first is None else tree.character(first.start_byte)
    definitions = outline(tree)
    if definitions:
        end = min(end, definitions[0].start)
    comments = tuple(comments_in(tree.source, 0, end, tree.language))
    docstring = _docstring(tree, end) if tree.language == "python" and first is not None else None
    return (docstring, *comments) if docstring is not None else comments


def comments_in(source: str, start: int, end: int, language: str) -> list[Comment]:
    """The comments of `source[start:end]` in order, line comments of adjacent lines as one."""
    found: list[Comment] = []
    was_line = False
    for match in _COMPILED.get(language, _OF_C).finditer(source, start, end):
        is_line = match["line"] is not None
        if not is_line and match["block"] is None:
            continue
        last = found[-1] if found and is_line and was_line else None
        if last is not None and _follows(source[last.end : match.start()]):
            found[-1] = Comment(last.start, match.end(), source[last.start : match.end()])
        else:
            found.append(Comment(match.start(), match.end(), match[0]))
        was_line = is_line
    return found


def without_lines(source: str, comment: Comment) -> tuple[int, int]:
    """The span to cut to leave `source` without a comment: its whole lines, if all its own."""
    line_start = source.rfind("\n", 0, comment.start) + 1
    line_end = source.find("\n", comment.end)
    line_end = len(source) if line_end < 0 else line_end + 1
    around = source[line_start : comment.start] + source[comment.end : line_end]
    return (comment.start, comment.end) if around.strip() else (line_start, line_end)


def _follows(between: str) -> bool:
    """Whether two line comments with this between them are read as one."""
    return not between.strip() and between.count("\n") == 1


def _likeliest_first(comments: list[Comment]) -> tuple[Comment, ...]:
    nearest = comments[::-1]
    marked = [comment for comment in nearest if _DOCUMENTS.match(comment.text)]
    return (*marked, *(comment for comment in nearest if comment not in marked))


def _is_leading(tree: SyntaxTree, node: Node) -> bool:
    return node.type in tree.grammar.leading or node.type in _OPENING


def _docstring(tree: SyntaxTree, start: int) -> Comment | None:
    """The string that is the first statement of the Python body that starts at `start`."""
    at = tree.byte(start)
    node = tree.root.descendant_for_byte_range(at, at + 1)
    while node is not None and node.type != "string" and node.start_byte == at:
        node = node.parent
    if node is None or node.start_byte != at or node.parent is None:
        return None
    if node.parent.type != "expression_statement" or node.parent.named_child_count != 1:
        return None
    return Comment(start, tree.character(node.end_byte), tree.text(node))
