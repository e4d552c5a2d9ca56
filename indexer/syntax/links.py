"""The relations of a syntax tree between places of a text: what SASA's AST pattern attends along.

Four relations, each of which can be switched off (see `shared/method.md`, "AST adjacency"):

- `parent`: a node and the node around it.
- `sibling`: a statement, argument or member and the one after it.
- `definition-use`: an identifier and where it occurs first.
- `header`: a statement and the `if`, `for`, function or class around it, the nearest three.

Every relation is a pair of character offsets, where the two nodes start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from indexer.syntax.grammars import BLOCKS, HEADERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.syntax.tree import Node, SyntaxTree

ALL_RELATIONS = frozenset({"parent", "sibling", "definition-use", "header"})

NEAR_CHARS = 64  # pairs this close are inside the sliding window anyway
MAX_HEADERS = 3
MAX_OCCURRENCES = 64  # an identifier that is everywhere relates nothing

_NAME_TYPES = frozenset({"name", "constant", "variable", "word", "alias", "simple_symbol"})


@dataclass(frozen=True, slots=True)
class Spanned:
    """What the syntax tree says about a span of text; offsets in characters from its start."""

    links: NDArray[np.int32]  # (n, 2) the smaller offset first, each pair once, ordered
    statements: tuple[int, ...]  # where statements at any depth start, ascending


def links(
    tree: SyntaxTree, start: int, end: int, relations: frozenset[str] = ALL_RELATIONS
) -> NDArray[np.int32]:
    """The relations between the nodes inside `source[start:end]`, as in `Spanned.links`."""
    return relate(tree, start, end, relations).links


def relate(
    tree: SyntaxTree, start: int, end: int, relations: frozenset[str] = ALL_RELATIONS
) -> Spanned:
    """The relations and the statements inside `source[start:end]`, in one visit of its nodes.

    Args:
        tree: The parsed file.
        start: First character of the span.
        end: The character behind the span.
        relations: The names of those that count.
    """
    unknown = relations - ALL_RELATIONS
    if unknown:
        raise ValueError(f"no such relations: {sorted(unknown)}; known: {sorted(ALL_RELATIONS)}")
    visit = _Visit(tree, relations)
    visit.run(_outermost(tree, tree.byte(start), tree.byte(end)))
    far = _far_pairs(tree, visit.pairs(), start)
    related = np.unique(far, axis=0).astype(np.int32) if len(far) else no_links()
    statements = (tree.character(byte) - start for byte in visit.statements)
    return Spanned(related, tuple(sorted(statements)))


def no_links() -> NDArray[np.int32]:
    """The links of a text that is attended to in full: (0, 2)."""
    return np.empty((0, 2), dtype=np.int32)


def _outermost(tree: SyntaxTree, start: int, end: int) -> list[Node]:
    """The largest nodes that lie inside the bytes start..end, in order."""
    root = tree.root.named_descendant_for_byte_range(start, max(start, end - 1)) or tree.root
    found: list[Node] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if node.start_byte >= start and node.end_byte <= end:
            found.append(node)
        elif node.start_byte < end and node.end_byte > start:
            stack.extend(reversed(node.named_children))
    return found


@dataclass(slots=True)
class _Visit:
    """One walk over the nodes of a span; what it collects is in bytes."""

    tree: SyntaxTree
    relations: frozenset[str]
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    names: dict[bytes, list[int]] = field(default_factory=dict)
    statements: set[int] = field(default_factory=set)

    def run(self, nodes: list[Node]) -> None:
        """Visit `nodes` and all below them."""
        starts = [node.start_byte for node in nodes]
        self.statements.update(starts)
        self.chain(starts)
        stack: list[tuple[Node, int, tuple[int, ...]]] = []
        stack.extend((node, start, ()) for node, start in zip(nodes, starts, strict=True))
        while stack:
            node, place, headers = stack.pop()
            kind = node.type
            if not node.named_child_count:
                if _is_name(kind):
                    self.names.setdefault(self.tree.data[place : node.end_byte], []).append(place)
                continue
            children = node.named_children
            starts = [child.start_byte for child in children]
            self.relate(place, starts)
            if kind in BLOCKS:
                self.head(headers, starts)
            elif _is_header(kind):
                headers = (place, *headers[: MAX_HEADERS - 1])
            for child, start in zip(children, starts, strict=True):
                stack.append((child, start, headers))

    def relate(self, place: int, starts: list[int]) -> None:
        """`parent` and `sibling` of the children of the node at `place`."""
        last = starts[-1]
        if last - place <= NEAR_CHARS:  # all of them are near
            return
        if "parent" in self.relations:
            self.left += [place] * len(starts)
            self.right += starts
        self.chain(starts)

    def chain(self, starts: list[int]) -> None:
        """`sibling`: each of a row and the one after it."""
        if "sibling" in self.relations:
            self.left += starts[:-1]
            self.right += starts[1:]

    def head(self, headers: tuple[int, ...], starts: list[int]) -> None:
        """`header` of the statements of a block."""
        self.statements.update(starts)
        if "header" in self.relations:
            for header in headers:
                self.left += [header] * len(starts)
                self.right += starts

    def pairs(self) -> NDArray[np.int64]:
        """Every pair, those of `definition-use` included: (n, 2)."""
        if "definition-use" in self.relations:
            for places in self.names.values():
                if 1 < len(places) <= MAX_OCCURRENCES:
                    first = min(places)
                    self.left += [first] * len(places)
                    self.right += places
        return np.array([self.left, self.right], dtype=np.int64).T


def _far_pairs(tree: SyntaxTree, pairs: NDArray[np.int64], start: int) -> NDArray[np.int64]:
    """In characters from `start`, sorted within a pair; near ones dropped."""
    if not len(pairs):
        return pairs
    offsets = np.sort(tree.characters(pairs) - start, axis=1)
    return offsets[offsets[:, 1] - offsets[:, 0] > NEAR_CHARS]


@cache
def _is_header(kind: str) -> bool:
    return not HEADERS.isdisjoint(kind.split("_")) and not kind.endswith("_type")


@cache
def _is_name(kind: str) -> bool:
    return kind.endswith("identifier") or kind in _NAME_TYPES
