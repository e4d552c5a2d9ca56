"""The functions and classes of a file, as a tree of line ranges.

One walk with an explicit stack over the nodes that can hold definitions: what is inside a
function belongs to that function and is not visited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from indexer.syntax.lines import Lines
from indexer.syntax.roles import (
    Role,
    body_of,
    clause_key,
    inner_nodes,
    role_of,
    swallowed_functions,
)
from indexer.syntax.symbols import name_of

if TYPE_CHECKING:
    from indexer.syntax.tree import Node, SyntaxTree

Kind = Literal["function", "class"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class of a file.

    Attributes:
        kind: "function" or "class".
        name: Its own name.
        symbol: Its name within what encloses it, joined by ".": "JSONDecoder.decode".
        start: Offset of its first line, decorators and the comment above included.
        end: Offset behind its last line, the newline left out.
        start_line: The line of `start`, from 1.
        end_line: Its last line, included.
        declared: Offset where the declaration itself starts, below comment and attributes.
        body_start: Offset where the body begins, that is, where the signature ends.
        children: The definitions inside a class, in source order; none inside a function.
    """

    kind: Kind
    name: str
    symbol: str
    start: int
    end: int
    start_line: int
    end_line: int
    declared: int
    body_start: int
    children: tuple[Definition, ...] = ()


def outline(tree: SyntaxTree) -> tuple[Definition, ...]:
    """The definitions of a file in source order, those of a class as its children."""
    walk = _Walk(tree)
    walk.run()
    return _assembled(walk)


def all_functions(tree: SyntaxTree) -> Iterator[Definition]:
    """Every function of a file in source order, also those inside classes."""
    stack = list(reversed(outline(tree)))
    while stack:
        definition = stack.pop()
        stack.extend(reversed(definition.children))
        if definition.kind == "function":
            yield definition


@dataclass(slots=True)
class _Found:
    """A definition while the walk goes on; offsets in bytes."""

    kind: Kind
    name: str
    symbol: str
    start: int
    declared: int
    body_start: int
    end: int
    parent: int
    key: str = ""
    only_signature: bool = False


@dataclass(frozen=True, slots=True)
class _Frame:
    """A node still to visit, and what holds it."""

    node: Node
    parent: int = -1  # index of the enclosing class among those found
    scope: str = ""  # what qualifies the names inside
    start: int = -1  # where the wrapper around the node starts, -1 for none


@dataclass(slots=True)
class _Walk:
    tree: SyntaxTree
    found: list[_Found] = field(default_factory=list)
    leading: dict[int, int] = field(default_factory=dict)  # last row -> first row, from 0
    stack: list[_Frame] = field(default_factory=list)
    can_merge: bool = False  # nothing stood between the last definition and here

    def run(self) -> None:
        self.stack = [_Frame(self.tree.root)]
        while self.stack:
            self.visit(self.stack.pop())

    def visit(self, frame: _Frame) -> None:
        node = frame.node
        role = role_of(self.tree, node)
        if role == "leading":
            self.note_leading(node)
        elif role in ("function", "class", "signature"):
            self.add(frame, role)
        elif role == "closed":
            self.can_merge = False
        else:
            self.can_merge = False
            self.enter(frame, role)

    def enter(self, frame: _Frame, role: Role) -> None:
        """Put what is inside a node that is no definition on the stack."""
        scope, start = frame.scope, -1
        if role == "scope":
            scope = _joined(scope, name_of(self.tree, frame.node))
        elif role == "wrapper":
            start = frame.start if frame.start >= 0 else frame.node.start_byte
        self.push(inner_nodes(self.tree, frame.node), frame.parent, scope, start)

    def push(self, nodes: list[Node], parent: int, scope: str, start: int = -1) -> None:
        self.stack.extend(_Frame(node, parent, scope, start) for node in reversed(nodes))

    def note_leading(self, node: Node) -> None:
        """Remember a comment or attribute that has its lines to itself."""
        data, start = self.tree.data, node.start_byte
        if data[data.rfind(b"\n", 0, start) + 1 : start].strip():
            return
        first, last = node.start_point[0], node.end_point[0]
        if node.end_point[1] == 0 and last > first:
            last -= 1
        self.leading[last] = first

    def add(self, frame: _Frame, role: Role) -> None:
        """A definition: a new one, or one more clause of the last (Haskell, Elixir)."""
        node, tree = frame.node, self.tree
        name = name_of(tree, node)
        if not name:
            self.enter(frame, "walk")
            return
        key = clause_key(tree, node, name)
        if key and self.can_merge and self.found[-1].key == key:
            self.extend_last(node, role)
            return
        kind: Kind = "class" if role == "class" else "function"
        symbol = _joined(frame.scope, name)
        body = body_of(tree, node)
        self.found.append(
            _Found(
                kind,
                name,
                symbol,
                frame.start if frame.start >= 0 else node.start_byte,
                node.start_byte,
                _end(tree, node) if body is None else body.start_byte,
                _end(tree, node),
                frame.parent,
                key,
                role == "signature",
            )
        )
        self.can_merge = bool(key)
        swallowed = swallowed_functions(tree, body)
        if swallowed:
            self.found[-1].end = swallowed[0].start_byte
            self.push(swallowed, frame.parent, frame.scope)
        elif kind == "class" and node.type not in tree.grammar.opaque:
            self.push(inner_nodes(tree, node), len(self.found) - 1, symbol)

    def extend_last(self, node: Node, role: Role) -> None:
        last = self.found[-1]
        if last.only_signature and role == "function":
            body = body_of(self.tree, node)
            last.only_signature = False
            last.body_start = last.end if body is None else body.start_byte
        last.end = _end(self.tree, node)


def _joined(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope and name else scope or name


def _end(tree: SyntaxTree, node: Node) -> int:
    """The byte behind a node's last character that is no white space."""
    return node.start_byte + len(tree.data[node.start_byte : node.end_byte].rstrip())


def _assembled(walk: _Walk) -> tuple[Definition, ...]:
    """Turn what was found into definitions, from the last to the first, so children come first."""
    tree, lines = walk.tree, Lines(walk.tree.source)
    children: dict[int, list[Definition]] = {}
    for index in range(len(walk.found) - 1, -1, -1):
        found = walk.found[index]
        if found.only_signature:
            continue
        inside = tuple(reversed(children.pop(index, [])))
        definition = _definition(tree, lines, walk.leading, found, inside)
        children.setdefault(found.parent, []).append(definition)
    return tuple(reversed(children.get(-1, [])))


def _definition(
    tree: SyntaxTree,
    lines: Lines,
    leading: dict[int, int],
    found: _Found,
    children: tuple[Definition, ...],
) -> Definition:
    row = lines.number(tree.character(found.start)) - 1
    while row - 1 in leading:
        row = leading[row - 1]
    end_line = lines.number(max(tree.character(found.end) - 1, 0))
    return Definition(
        kind=found.kind,
        name=found.name,
        symbol=found.symbol,
        start=lines.start(row + 1),
        end=lines.end(end_line),
        start_line=row + 1,
        end_line=end_line,
        declared=tree.character(found.declared),
        body_start=tree.character(found.body_start),
        children=children,
    )
