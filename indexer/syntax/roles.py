"""What a syntax node is to the outline: a function, a class, a scope, or nothing of its own.

The table in `indexer.syntax.grammars` decides by the type; here is what a type cannot tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from indexer.syntax import grammars

if TYPE_CHECKING:
    from indexer.syntax.tree import Node, SyntaxTree

Role = Literal["function", "class", "scope", "wrapper", "leading", "signature", "closed", "walk"]

LONG_LINES = 3

# Calls whose callback is only a frame around definitions, not a function of interest.
_FRAMES = frozenset({"define", "describe", "suite", "context"})


def role_of(tree: SyntaxTree, node: Node) -> Role:
    """What a node is to the outline."""
    grammar, kind = tree.grammar, node.type
    if kind in grammar.leading or _is_attribute(tree, node):
        return "leading"
    if tree.language == "elixir":
        return _elixir_role(tree, node)
    if kind == "signature" and tree.language == "haskell":
        return "signature"
    if kind in grammar.functions and _is_function(tree, node):
        return "class" if _makes_a_type(tree, node) else "function"
    if kind in grammar.classes and _is_class(tree, node):
        return "scope" if _is_namespace(tree, node) else "class"
    if kind in grammar.bindings:
        role = _binding_role(tree, node)
        if role != "scope" or kind not in grammar.wrappers:
            return role
    if kind in grammar.wrappers:
        return "wrapper"
    if kind in grammar.scopes:
        return "scope"
    return "closed" if kind in grammar.values and not _is_type(kind) else "walk"


def _is_type(kind: str) -> bool:
    """Whether a value's node type is a class expression rather than a function."""
    return "class" in kind or kind.endswith("_declaration")


def _rows(node: Node) -> int:
    return node.end_point[0] - node.start_point[0] + 1


def _is_function(tree: SyntaxTree, node: Node) -> bool:
    grammar = tree.grammar
    if node.type in grammar.long_only and _rows(node) < LONG_LINES:
        return False
    return not grammar.bodies or body_of(tree, node) is not None


def body_of(tree: SyntaxTree, node: Node) -> Node | None:
    """The node of a definition's body; None where it is empty or the grammar does not say."""
    if node.type in tree.grammar.bindings:
        value = _value(node)
        return None if value is None else value.child_by_field_name("body") or value
    names = tree.grammar.bodies or frozenset({"body"})
    for name in names:
        child = node.child_by_field_name(name)
        if child is not None:
            return child
    types = names | {"do_block", "class_body", "match"}
    return next((child for child in node.named_children if child.type in types), None)


def swallowed_functions(tree: SyntaxTree, body: Node | None) -> list[Node]:
    """The functions below a C function whose closing brace the parser missed."""
    if tree.language not in {"c", "cpp"} or body is None or not body.has_error:
        return []
    if body.type != "compound_statement":
        return []
    functions = [child for child in body.named_children if child.type == "function_definition"]
    if not functions:
        return []
    return [child for child in body.named_children if child.start_byte >= functions[0].start_byte]


_C_TYPES = frozenset({"struct_specifier", "union_specifier", "enum_specifier"})


def _is_class(tree: SyntaxTree, node: Node) -> bool:
    """C names a struct wherever it is used; only where it has a body is it defined."""
    if tree.language not in {"c", "cpp"}:
        return node.type != "type_alias_declaration" or _rows(node) >= LONG_LINES
    if node.type == "type_definition":
        inner = node.child_by_field_name("type")
        return inner is not None and inner.type in _C_TYPES and _is_class(tree, inner)
    return node.type == "concept_definition" or node.child_by_field_name("body") is not None


def _is_namespace(tree: SyntaxTree, node: Node) -> bool:
    """Whether a class holds nothing that is its own: only methods, or only classes."""
    grammar = tree.grammar
    if node.type in grammar.impls:
        inside = grammar.functions
    elif node.type in grammar.modules:
        inside = grammar.classes
    else:
        return False
    body = node.child_by_field_name("body")
    members = [] if body is None else body.named_children
    return all(child.type in inside or child.type in grammar.leading for child in members)


def _makes_a_type(tree: SyntaxTree, node: Node) -> bool:
    """A Zig function that returns a type is how Zig writes a generic struct."""
    if tree.language != "zig":
        return False
    returned = node.child_by_field_name("type")
    return returned is not None and tree.text(returned) == "type"


_AROUND_VALUES = frozenset(
    {"expression_list", "parenthesized_expression", "as_expression", "satisfies_expression"}
)


def _value(node: Node) -> Node | None:
    """The right side of `name = value` in any grammar; the first where there are several."""
    value = node.child_by_field_name("value") or node.child_by_field_name("right")
    if value is None and node.type != "export_statement" and node.named_children:
        value = node.named_children[-1]
    while value is not None and value.type in _AROUND_VALUES:
        value = value.named_children[0] if value.named_children else None
    return value


def _binding_role(tree: SyntaxTree, node: Node) -> Role:
    """A function or class when that is what the name is bound to."""
    value = _value(node)
    if value is None or (node.type in tree.grammar.long_only and _rows(node) < LONG_LINES):
        return "scope"
    if value.type in tree.grammar.values:
        return "class" if _is_type(value.type) else "function"
    if value.type == "call_expression" and node.type == "variable_declarator":
        return "function" if _takes_long_function(tree, value) else "scope"
    if tree.language == "ruby" and value.type == "call" and value.child_by_field_name("block"):
        left = node.child_by_field_name("left")
        return "class" if left is not None and left.type == "constant" else "scope"
    return "wrapper" if value.type in tree.grammar.bindings else "scope"


def _takes_long_function(tree: SyntaxTree, call: Node) -> bool:
    """`const Page = memo(() => {...})`: the name stands for the function handed over."""
    if _frame_functions(tree, call):
        return False
    arguments = call.child_by_field_name("arguments")
    return arguments is not None and any(
        child.type in tree.grammar.values and _rows(child) >= LONG_LINES
        for child in arguments.named_children
    )


def inner_nodes(tree: SyntaxTree, node: Node) -> list[Node]:
    """The children to visit; those of a frame's callback or of a macro's braces too."""
    children = node.named_children
    if node.type == "call_expression" and tree.language in {"javascript", "typescript", "tsx"}:
        bodies = [f.child_by_field_name("body") for f in _frame_functions(tree, node)]
        return children + [body for body in bodies if body is not None]
    if node.type == "macro_invocation" and tree.language == "rust":
        return _macro_items(tree, node)
    return children


def _frame_functions(tree: SyntaxTree, call: Node) -> list[Node]:
    """The functions that a call only wraps around definitions: `(function () {...})()`."""
    callee, arguments = call.child_by_field_name("function"), call.child_by_field_name("arguments")
    if callee is None or arguments is None:
        return []
    while callee.type == "parenthesized_expression" and callee.named_children:
        callee = callee.named_children[0]
    functions = [callee, *arguments.named_children]
    if callee.type == "member_expression":  # (function () {...}).call(this)
        inner = callee.child_by_field_name("object")
        while inner is not None and inner.type == "parenthesized_expression":
            inner = inner.named_children[0] if inner.named_children else None
        if inner is not None and inner.type in tree.grammar.values:
            functions.append(inner)
            callee = inner
    name = tree.text(callee).partition(".")[0] if callee.end_byte - callee.start_byte < 40 else ""
    if callee.type not in tree.grammar.values and name not in _FRAMES:
        return []
    return [function for function in functions if function.type in tree.grammar.values]


def _macro_items(tree: SyntaxTree, node: Node) -> list[Node]:
    """The items in `cfg_net! { ... }`, which Rust's grammar leaves as bare tokens."""
    tokens = next((child for child in node.named_children if child.type == "token_tree"), None)
    if tokens is None or _rows(tokens) < LONG_LINES:
        return []
    start, end = tokens.start_byte + 1, tokens.end_byte - 1
    if b"fn " not in tree.data[start:end]:
        return []
    return tree.parse_within(start, end).named_children


def _is_attribute(tree: SyntaxTree, node: Node) -> bool:
    """Elixir's `@doc` and `@spec`."""
    if tree.language != "elixir" or node.type != "unary_operator":
        return False
    operand = node.child_by_field_name("operand")
    return operand is not None and _target(tree, operand) in grammars.ELIXIR_ATTRIBUTES


def _target(tree: SyntaxTree, node: Node) -> str:
    target = node.child_by_field_name("target")
    return "" if target is None else tree.text(target)


def _elixir_role(tree: SyntaxTree, node: Node) -> Role:
    if node.type != "call":
        return "walk"
    target = _target(tree, node)
    if target in grammars.ELIXIR_FUNCTIONS:
        return "function"
    return "class" if target in grammars.ELIXIR_CLASSES else "walk"


def clause_key(tree: SyntaxTree, node: Node, name: str) -> str:
    """What adjacent clauses of one function share; "" where a definition stands alone."""
    if tree.language == "haskell" and node.type in tree.grammar.functions:
        return name
    if tree.language != "elixir" or _target(tree, node) not in grammars.ELIXIR_FUNCTIONS:
        return ""
    head = next((c for c in node.named_children if c.type == "arguments"), node)
    while head.type in {"arguments", "binary_operator"} and head.named_children:
        head = head.named_children[0]
    arguments = next((c for c in head.named_children if c.type == "arguments"), None)
    return f"{name}/{0 if arguments is None else len(arguments.named_children)}"
