"""Names that give a function away are hidden, as AdvTest (CodeXGLUE) does in its tests.

The function is `Func`; its parameters and variables are `arg_0`, `arg_1`, … in the order in which
they are bound. What it calls, members, types, strings and comments stay: they say what it does.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from indexer.syntax.tree import SyntaxTree, parse

if TYPE_CHECKING:
    from indexer.syntax.tree import Node

FUNCTION = "Func"
_KEPT = frozenset({"self", "cls", "this", "_"})
_WORD = re.compile(r"(?<![\w.])(?<!->)(?<!::)[^\W\d]\w*")  # no member of something
_ANY = ""

# Node type → the field of it that binds names; `_ANY`: every child.
_C = {
    "declaration": "declarator",
    "parameter_declaration": "declarator",
    "optional_parameter_declaration": "declarator",
    "init_declarator": "declarator",
    "array_declarator": "declarator",
    "pointer_declarator": "declarator",
    "parenthesized_declarator": _ANY,
    "reference_declarator": _ANY,
    "structured_binding_declarator": _ANY,
    "for_range_loop": "declarator",
}
_BINDERS = {
    "c": _C,
    "cpp": _C,
    "python": {
        "parameters": _ANY,
        "lambda_parameters": _ANY,
        "default_parameter": "name",
        "typed_parameter": _ANY,
        "typed_default_parameter": "name",
        "list_splat_pattern": _ANY,
        "dictionary_splat_pattern": _ANY,
        "assignment": "left",
        "named_expression": "name",
        "for_statement": "left",
        "for_in_clause": "left",
        "as_pattern_target": _ANY,
    },
    "java": {
        "formal_parameter": "name",
        "catch_formal_parameter": "name",
        "inferred_parameters": _ANY,
        "lambda_expression": "parameters",
        "variable_declarator": "name",
        "enhanced_for_statement": "name",
        "resource": "name",
    },
    "go": {
        "parameter_declaration": "name",
        "variadic_parameter_declaration": "name",
        "short_var_declaration": "left",
        "range_clause": "left",
        "var_spec": "name",
        "const_spec": "name",
    },
    "csharp": {
        "parameter": "name",
        "implicit_parameter": _ANY,
        "variable_declarator": "name",
        "foreach_statement": "left",
        "catch_declaration": "name",
        "declaration_expression": "name",
        "declaration_pattern": "name",
    },
}
_LISTS = frozenset({"pattern_list", "tuple_pattern", "list_pattern", "expression_list"})


def without_names(code: str, language: str, name: str) -> str:
    """The code of a function with its own name, its parameters and variables hidden.

    Args:
        code: The function alone.
        language: As `indexer.syntax.languages` names it; of one that is not in the table above
            only `name` is hidden.
        name: The function's own, "" where it has none.
    """
    tree = parse(code, language)
    if tree is not None and language in _BINDERS:
        bound, opaque = _visit(tree, _BINDERS[language])
        variables = [word for word in bound if word not in _KEPT and word != name]
        hidden = {word: f"arg_{place}" for place, word in enumerate(variables)}
        code = _replaced(code, _gaps(opaque, len(code)), hidden)
    return with_name(code, name, FUNCTION)


def with_name(code: str, name: str, other: str) -> str:
    """The code of a function with another name for its own, wherever that stands as a word."""
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", other, code) if name else code


def _visit(tree: SyntaxTree, binders: dict[str, str]) -> tuple[list[str], list[tuple[int, int]]]:
    """The names that are bound, in order, and the spans of strings and comments, in characters."""
    bound: dict[str, None] = {}
    opaque: list[tuple[int, int]] = []
    stack: list[tuple[Node, bool]] = [(tree.root, False)]
    while stack:
        node, is_bound = stack.pop()
        kind = node.type
        if is_bound and kind == "identifier":
            bound.setdefault(tree.text(node))
        elif _is_opaque(node):
            opaque.append((tree.character(node.start_byte), tree.character(node.end_byte)))
        else:
            field = binders.get(kind)
            for place in reversed(range(node.child_count)):
                own = field == _ANY or (
                    field is not None and node.field_name_for_child(place) == field
                )
                stack.append((node.child(place), own or (is_bound and kind in _LISTS)))
    return list(bound), opaque


def _is_opaque(node: Node) -> bool:
    """A comment, or a string without code in it."""
    if "comment" in node.type:
        return True
    return "string" in node.type and all("interpolation" not in c.type for c in node.children)


def _gaps(spans: list[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """What lies between ascending spans, up to `end`."""
    edges = [(0, 0), *spans, (end, end)]
    return [(before[1], after[0]) for before, after in pairwise(edges)]


def _replaced(code: str, spans: list[tuple[int, int]], names: dict[str, str]) -> str:
    """The code with names replaced inside of spans, which ascend."""
    pieces, position = [], 0
    for start, end in spans:
        for word in _WORD.finditer(code, start, end):
            if word[0] in names:
                pieces += [code[position : word.start()], names[word[0]]]
                position = word.end()
    return "".join([*pieces, code[position:]])
