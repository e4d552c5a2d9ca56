"""The lines of a long function that are shown first."""

from codesearch.snippet import Passage, best_line, best_passages, chunk_lines


def a_function(length: int) -> list[str]:
    lines = [f"    step_{i}()" for i in range(length)]
    lines[0] = "def run():"
    lines[40] = "    config = parse_json(path)"
    return lines


def test_a_short_unit_is_shown_whole():
    assert best_passages(["a", "b"], 7, "a", 5) == [Passage(7, ("a", "b"))]


def test_a_long_unit_shows_its_head_and_its_best_lines():
    passages = best_passages(a_function(80), 100, "parsing json", 10)
    assert [(p.start_line, p.end_line) for p in passages] == [(100, 101), (138, 142)]
    assert passages[1].lines[2] == "    config = parse_json(path)"


def test_a_long_unit_without_a_fitting_line_shows_its_beginning():
    passages = best_passages(a_function(80), 1, "unrelated words", 10)
    assert [(p.start_line, p.end_line) for p in passages] == [(1, 10)]


def test_the_best_line_is_the_one_with_the_rarest_words():
    assert best_line(["x = load()", "load(parse(y))", "load()"], "load and parse") == 1
    assert best_line(["a", "b"], "zzz") == 0


def test_lines_end_at_newlines_only():
    assert chunk_lines("a\x0cb\r\nc\u2028d\n", 1, 2) == ("a\x0cb", "c\u2028d")
