"""What the syntax tree relates: four relations, as pairs of offsets."""

import numpy as np
import pytest

from indexer.syntax.links import ALL_RELATIONS, MAX_OCCURRENCES, NEAR_CHARS, links
from indexer.syntax.tree import SyntaxTree, parse

FILLER = "".join(f"    step_{i} = {i}\n" for i in range(8))
SOURCE = f"import os\n\n\ndef f(count):\n    if count:\n        a = 1\n{FILLER}    return count\n"


def tree_of(source: str, language: str = "python") -> SyntaxTree:
    tree = parse(source, language)
    assert tree is not None
    return tree


def related(source: str, *relations: str, start: int = 0) -> set[tuple[str, str]]:
    """The words that stand where the links point."""
    pairs = links(tree_of(source), start, len(source), frozenset(relations) or ALL_RELATIONS)
    text = source[start:]
    return {(text[a:].split()[0], text[b:].split()[0]) for a, b in pairs.tolist()}


def test_an_identifier_is_linked_to_its_first_occurrence() -> None:
    assert related(SOURCE, "definition-use") == {("count):", "count")}


def test_a_statement_is_linked_to_the_headers_around_it() -> None:
    pairs = related(SOURCE, "header")
    assert ("def", "return") in pairs
    assert ("def", "step_7") in pairs
    assert not any(first == "if" and second == "return" for first, second in pairs)


def test_a_node_is_linked_to_the_node_around_it() -> None:
    assert ("def", "if") not in related(SOURCE, "parent")  # too near to need a link
    assert ("if", "return") in related(SOURCE, "parent")  # the block starts with its `if`


def test_a_sibling_is_linked_when_something_long_stands_between() -> None:
    source = f"def f(a):\n{FILLER}\n\ndef g(b):\n    pass\n"
    assert related(source, "sibling") == {("def", "def")}


def test_offsets_are_relative_to_the_span_and_inside_it() -> None:
    start = SOURCE.index("def")
    assert related(SOURCE, start=start) == {
        pair for pair in related(SOURCE) if "import" not in pair
    }
    pairs = links(tree_of(SOURCE), start, len(SOURCE))
    assert pairs.min() >= 0
    assert pairs.max() < len(SOURCE) - start


def test_pairs_are_ordered_far_apart_and_listed_once() -> None:
    pairs = links(tree_of(SOURCE), 0, len(SOURCE))
    assert pairs.dtype == np.int32
    assert (pairs[:, 1] - pairs[:, 0] > NEAR_CHARS).all()
    listed = [tuple(pair) for pair in pairs.tolist()]
    assert listed == sorted(set(listed))


def test_offsets_are_characters_not_bytes() -> None:
    wide = SOURCE.replace("import os", "ä = 'ßß'")
    assert related(wide, "definition-use") == {("count):", "count")}


def test_an_identifier_that_is_everywhere_relates_nothing() -> None:
    body = "".join("    total += 1  # and so on, and on\n" for _ in range(MAX_OCCURRENCES + 1))
    assert related(f"def f():\n{body}", "definition-use") == set()


def test_all_relations_together_are_the_union_of_each() -> None:
    tree = tree_of(SOURCE)
    every = [links(tree, 0, len(SOURCE), frozenset({name})).tolist() for name in ALL_RELATIONS]
    union = {tuple(pair) for pairs in every for pair in pairs}
    assert {tuple(pair) for pair in links(tree, 0, len(SOURCE)).tolist()} == union


def test_nothing_is_related_in_nothing() -> None:
    assert links(tree_of(SOURCE), 5, 5).shape == (0, 2)
    assert links(tree_of(SOURCE), 0, len(SOURCE), frozenset()).shape == (0, 2)


def test_an_unknown_relation_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="cousin"):
        links(tree_of(SOURCE), 0, 1, frozenset({"cousin"}))


def test_a_deep_expression_does_not_reach_the_recursion_limit() -> None:
    deep = "x = " + "f(" * 5000 + "y" + ", z)" * 5000
    assert len(links(tree_of(deep), 0, len(deep))) > 4000
