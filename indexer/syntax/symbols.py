"""What a definition is called: the name a reader would search for, parts joined by ".".

Most grammars have a `name` field. The rest is here: C declarators, receivers (Go, Kotlin), `impl`
blocks (Rust), the left side of an assignment (JavaScript, Lua, PHP), macros that define (Elixir).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.syntax.tree import Node, SyntaxTree

MAX_NAME_CHARS = 80

_GENERICS = re.compile(r"(?<=\w)<[^<>]*>")
_SEPARATORS = re.compile(r"::|\?\.|->|[:\\/]")
_OPERATOR = re.compile(r"\b(?:operator|func|static func)\s+(\S+?)\s*[(<]")
_C_NAMES = frozenset(
    {
        "destructor_name",
        "field_identifier",
        "identifier",
        "namespace_identifier",
        "nested_namespace_specifier",
        "operator_cast",
        "operator_name",
        "qualified_identifier",
        "template_function",
        "template_type",
        "type_identifier",
    }
)


def name_of(tree: SyntaxTree, node: Node) -> str:
    """The name of a definition, binding or scope; "" where it has none."""
    named = _NAMED.get(tree.language, _by_field)(tree, node)
    return _plain(named)


def _plain(name: str) -> str:
    """One line, no generics, no quotes, "." between the parts."""
    name = " ".join(name.split())
    if "operator" not in name and any(character.isalnum() for character in name):
        while (shorter := _GENERICS.sub("", name)) != name:
            name = shorter
        name = _SEPARATORS.sub(".", name)
    return name.replace("::", ".").strip("\"'`:. $")[:MAX_NAME_CHARS]


def _field(tree: SyntaxTree, node: Node, *names: str) -> str:
    """The text of the first of these fields that the node has."""
    for name in names:
        child = node.child_by_field_name(name)
        if child is not None:
            return tree.text(child)
    return ""


def _by_field(tree: SyntaxTree, node: Node) -> str:
    return _field(tree, node, "name")


def _first(node: Node, types: frozenset[str]) -> Node | None:
    """The first node of these types at or under `node`, in source order."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.type in types:
            return node
        stack.extend(reversed(node.named_children))
    return None


_TYPE_NAMES = frozenset({"type_identifier", "primitive_type"})


def _type_name(tree: SyntaxTree, node: Node | None) -> str:
    """The outermost type's own name: `&mut a::Bar<T>` is "Bar"."""
    found = None if node is None else _first(node, _TYPE_NAMES)
    return "" if found is None else tree.text(found)


def _ecmascript(tree: SyntaxTree, node: Node) -> str:
    """`exports.f`, `Type.prototype.f`, `this.f` and `["f"]` lose what is not the name."""
    if node.type == "export_statement":
        return "default"
    name = _field(tree, node, "name", "property", "key", "left")
    name = re.sub(r"\[\s*['\"]([^'\"]*)['\"]\s*\]", r".\1", name).replace(".prototype", "")
    if name in {"module.exports", "exports", "exports.default"}:
        value = node.child_by_field_name("right")
        return _by_field(tree, value) if value is not None else ""
    name = re.sub(r"^(module\.exports|exports|this|window|self|globalThis)\.", "", name)
    return name if re.fullmatch(r"['\"]?[^\s(){};,]+['\"]?", name) else ""


def _go(tree: SyntaxTree, node: Node) -> str:
    name = _by_field(tree, node)
    receiver = _type_name(tree, node.child_by_field_name("receiver"))
    return f"{receiver}.{name}" if receiver else name


def _rust(tree: SyntaxTree, node: Node) -> str:
    if node.type != "impl_item":
        return _by_field(tree, node)
    type_node = node.child_by_field_name("type")
    return _type_name(tree, type_node) or _field(tree, node, "type")


def _c(tree: SyntaxTree, node: Node) -> str:
    """Follow the declarators down to the name: `int (*f(int a))[3]` is "f"."""
    found: Node | None = node.child_by_field_name("declarator")
    if found is None:
        found = node.child_by_field_name("name")
    while found is not None and found.type not in _C_NAMES:
        inner = found.child_by_field_name("declarator")
        found = inner or next(
            (
                child
                for child in found.named_children
                if child.type in _C_NAMES or child.type.endswith("declarator")
            ),
            None,
        )
    if found is None:
        return ""
    name = _qualified(tree, found)
    return _test_name(tree, node) if _is_macro_call(node, name) else name


def _qualified(tree: SyntaxTree, node: Node) -> str:
    """`Foo<T>::bar` is "Foo.bar"; only the last part may be an operator."""
    parts: list[str] = []
    while node.type == "qualified_identifier":
        scope, name = node.child_by_field_name("scope"), node.child_by_field_name("name")
        parts += [_plain(tree.text(scope))] if scope is not None else []
        if name is None:
            break
        node = name
    last = tree.text(node)
    if node.type == "operator_cast":
        last = last.partition("(")[0]
    elif node.type != "operator_name":
        last = _plain(last.partition("<")[0])
    return ".".join([*parts, " ".join(last.split())])


def _is_macro_call(node: Node, name: str) -> bool:
    """Whether a "function" is a macro's use, like Google Test's `TEST(Suite, Case) {`."""
    return (
        node.type == "function_definition"
        and node.child_by_field_name("type") is None
        and len(name) > 1
        and name == name.upper()
        and name[0].isalpha()
    )


def _test_name(tree: SyntaxTree, node: Node) -> str:
    parameters = _first(node, frozenset({"parameter_list"}))
    names = [] if parameters is None else [tree.text(p) for p in parameters.named_children]
    return ".".join(names) or _by_field(tree, node)


def _csharp(tree: SyntaxTree, node: Node) -> str:
    if node.type == "indexer_declaration":
        return "this"
    if node.type == "destructor_declaration":
        return "~" + _by_field(tree, node)
    if node.type in {"operator_declaration", "conversion_operator_declaration"}:
        match = re.search(r"operator\s+(checked\s+)?([^\s(]+)", tree.text(node))
        return f"operator {match[2]}" if match else "operator"
    return _by_field(tree, node)


def _php(tree: SyntaxTree, node: Node) -> str:
    return _field(tree, node, "name", "left")


def _ruby(tree: SyntaxTree, node: Node) -> str:
    return _field(tree, node, "name", "left")


def _kotlin(tree: SyntaxTree, node: Node) -> str:
    """An extension is named with its receiver: `fun <T> List<T>.second()` is "List.second"."""
    if node.type == "secondary_constructor":
        return "constructor"
    children = node.named_children
    at = next(
        (
            i
            for i, child in enumerate(children)
            if child.type in {"identifier", "variable_declaration", "simple_identifier"}
        ),
        None,
    )
    if at is None:
        return ""
    name = tree.text(children[at]).partition(":")[0].strip()
    receiver = children[at - 1] if at else None
    if receiver is None or receiver.type not in {"user_type", "nullable_type"}:
        return name
    return f"{_plain(tree.text(receiver)).strip('?')}.{name}"


def _swift(tree: SyntaxTree, node: Node) -> str:
    kind = node.type.partition("_")[0]
    if kind in {"init", "deinit", "subscript"}:
        return kind
    name = node.child_by_field_name("name")
    if name is not None and (kind != "function" or name.type == "simple_identifier"):
        return tree.text(name)
    match = _OPERATOR.search(tree.text(node))
    return match[1] if match else ""


def _scala(tree: SyntaxTree, node: Node) -> str:
    return _field(tree, node, "name", "pattern", "return_type")


def _lua(tree: SyntaxTree, node: Node) -> str:
    name = _field(tree, node, "name")
    if node.type == "assignment_statement":
        name = tree.text(node.named_children[0])
    return name if re.fullmatch(r"[\w.:]+|\"\w+\"|'\w+'", name) else ""


def _haskell(tree: SyntaxTree, node: Node) -> str:
    name = _field(tree, node, "name")
    if node.type == "instance":
        return f"{name} {_field(tree, node, 'patterns')}"
    if name:
        return name.strip("()")
    found = _first(node, frozenset({"operator", "infix_id", "variable", "constructor"}))
    if node.type == "bind":  # a pattern on the left names several things
        return ""
    infix = _first(node, frozenset({"operator", "infix_id"})) if node.type == "function" else None
    return tree.text(infix or found) if found is not None else ""


def _elixir(tree: SyntaxTree, node: Node) -> str:
    """The head of `def head when guard` without its arguments; a module's or a test's name."""
    head = next((c for c in node.named_children if c.type == "arguments"), None)
    first = head.named_children[0] if head is not None and head.named_children else None
    if first is not None and first.type == "binary_operator" and b" when " in (first.text or b""):
        first = first.child_by_field_name("left") or first
    if first is None:
        return ""
    if first.type == "call":
        return _field(tree, first, "target")
    if first.type == "binary_operator":
        return _field(tree, first, "operator")
    return tree.text(first)


def _zig(tree: SyntaxTree, node: Node) -> str:
    if node.type == "function_declaration":
        return _by_field(tree, node)
    kinds = {"identifier", "string"}
    found = next((child for child in node.named_children if child.type in kinds), None)
    return "" if found is None else tree.text(found)


_NAMED: dict[str, Callable[[SyntaxTree, Node], str]] = {
    "javascript": _ecmascript,
    "typescript": _ecmascript,
    "tsx": _ecmascript,
    "go": _go,
    "rust": _rust,
    "c": _c,
    "cpp": _c,
    "csharp": _csharp,
    "php": _php,
    "ruby": _ruby,
    "kotlin": _kotlin,
    "swift": _swift,
    "scala": _scala,
    "lua": _lua,
    "haskell": _haskell,
    "elixir": _elixir,
    "zig": _zig,
}
