"""Definitions of every language: found, named, and given the right lines."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from indexer.syntax.definitions import Definition, outline
from indexer.syntax.grammars import GRAMMARS
from indexer.syntax.tree import SyntaxTree, parse
from tests.language_samples import DEFINITIONS, SOURCES


def tree_of(source: str, language: str) -> SyntaxTree:
    tree = parse(source, language)
    assert tree is not None
    return tree


def flat(definitions: tuple[Definition, ...]) -> Iterator[Definition]:
    for definition in definitions:
        yield definition
        yield from flat(definition.children)


def symbols(source: str, language: str) -> list[str]:
    return [definition.symbol for definition in flat(outline(tree_of(source, language)))]


@pytest.mark.parametrize("language", GRAMMARS)
def test_definitions_of_a_language(language: str) -> None:
    tree = tree_of(SOURCES[language], language)
    found = [(d.kind, d.symbol, d.start_line, d.end_line) for d in flat(outline(tree))]
    assert found == DEFINITIONS[language]


@pytest.mark.parametrize("language", sorted(set(GRAMMARS) - {"c", "cpp", "rust"}))
def test_the_samples_are_correct_code(language: str) -> None:
    assert not tree_of(SOURCES[language], language).has_errors


def test_languages_without_a_grammar_have_no_tree() -> None:
    assert [parse("# Title\n", name) for name in ("markdown", "rst", "text")] == [None] * 3


def test_offsets_are_characters_even_where_bytes_are_more() -> None:
    source = "α = 'ß𝄞'\n\n\ndef größe(x):  # Maß\n    return x\n"
    (found,) = outline(tree_of(source, "python"))
    assert source[found.start : found.end] == "def größe(x):  # Maß\n    return x"
    assert source[found.body_start :] == "return x\n"
    assert found.symbol == "größe"


def test_byte_is_the_inverse_of_character() -> None:
    tree = tree_of("aß𝄞\ud800b", "python")
    assert [tree.character(tree.byte(i)) for i in range(6)] == [0, 1, 2, 3, 4, 5]
    assert tree.byte(5) == len(tree.data)


def test_the_signature_ends_where_the_body_begins() -> None:
    source = "// Adds.\nfunc add(a int) int {\n\treturn a\n}\n"
    (found,) = outline(tree_of("package a\n" + source, "go"))
    text = "package a\n" + source
    assert text[found.start : found.declared] == "// Adds.\n"
    assert text[found.declared : found.body_start] == "func add(a int) int "


def test_broken_code_keeps_the_functions_that_are_whole() -> None:
    source = "def a():\n    return (\n\n\ndef b():\n    pass\n\n)))\n\n\ndef c():\n    pass\n"
    assert tree_of(source, "python").has_errors
    assert "c" in symbols(source, "python")


def test_a_comment_after_code_belongs_to_that_code() -> None:
    source = "int a; // a count\nint f(void) {\n  return 0;\n}\n"
    assert outline(tree_of(source, "c"))[0].start_line == 2


def test_a_comment_with_a_gap_below_belongs_to_the_file() -> None:
    source = "// License.\n\n// Adds.\n// Twice.\nfunction f() {}\n"
    assert outline(tree_of(source, "javascript"))[0].start_line == 3


def test_a_function_inside_a_function_is_a_part_of_it() -> None:
    assert symbols("def f():\n    def g():\n        pass\n", "python") == ["f"]


def test_five_thousand_nested_expressions_and_classes_are_no_problem() -> None:
    deep = "x = " + "(" * 5000 + "1" + ")" * 5000 + "\n\n\ndef f():\n    pass\n"
    assert symbols(deep, "python") == ["f"]
    nested = "".join("class A {\n" for _ in range(1500)) + "}\n" * 1500
    assert outline(tree_of(nested, "java"))[0].end_line == 3000


def test_macros_do_not_hide_what_they_stand_before() -> None:
    source = (
        "LIB_NAMESPACE_BEGIN\nnamespace lib {\nclass LIB_API(1) Pool {\n  void run() {}\n};\n"
        "LIB_INLINE bool is_empty(int* p LIB_LIFETIME_BOUND) {\n"
        "  return x ? A_B :\n    C_D;\n}\n}\n"
    )
    assert symbols(source, "cpp") == ["lib.Pool", "lib.Pool.run", "lib.is_empty"]


def test_a_branch_of_the_preprocessor_does_not_open_a_second_brace() -> None:
    branch = "#if A\n  if (a) {\n#elif B\n  if (b) {\n#else\n  if (c) {\n#endif\n  }\n"
    source = f"void f() {{\n{branch}}}\n\nvoid g() {{}}\n"
    tree = tree_of(source, "c")
    assert not tree.has_errors
    assert [d.symbol for d in outline(tree)] == ["f", "g"]


def test_both_branches_of_a_whole_function_are_found() -> None:
    source = (
        "#ifdef WIN\nint win(void) { return 1; }\n#else\nint posix(void) { return 2; }\n#endif\n"
    )
    assert symbols(source, "c") == ["win", "posix"]


def test_no_grammar_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, indexer.syntax.chunks\n"
        "names = lambda: sorted(m for m in sys.modules if m.startswith('tree_sitter'))\n"
        "assert names() == [], names()\n"
        "indexer.syntax.chunks.chunk_file('x = 1', 'python', 'x.py', 100)\n"
        "assert 'tree_sitter_python' in names() and 'tree_sitter_go' not in names(), names()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
