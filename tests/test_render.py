"""Panels on a terminal."""

import re

import pytest

from tests.git_repositories import write

TERMINAL = {"FORCE_COLOR": "1", "COLUMNS": "100", "TERM": "xterm-256color"}
ESCAPES = re.compile(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;]*m")


def panel(place, *arguments, **env):
    return place.run("query", *arguments, "-k", "1", env={**TERMINAL, **env}).out


def seen(text):
    """What a person reads, without colours and links."""
    return ESCAPES.sub("", text).splitlines()


def test_a_panel_has_the_place_the_symbol_the_score_and_the_code(library):
    lines = seen(panel(library, "read the json configuration"))
    assert re.fullmatch(r"╭─+  1 app/config\.py:4-6  load_config  function +─+╮", lines[0])
    assert [line.strip("│ ") for line in lines[1:4]] == [
        "4 def load_config(path):",
        '5     """Read the JSON configuration."""',
        "6     return json.load(open(path))",
    ]
    assert lines[4].strip("│ ").startswith("also ")
    assert re.fullmatch(r"╰─+ +\d\.\d{3} +─+╯", lines[-1])
    assert {len(line) for line in lines} == {100}


def test_code_is_highlighted_and_the_path_is_a_link(library):
    text = panel(library, "load_config")
    assert "\x1b[94;49mdef" in text
    assert f"file://{library.root}/app/config.py#L4" in text


def test_a_title_that_is_too_long_keeps_the_file_and_the_lines(own):
    place = "src/main/java/com/example/enterprise/platform/serialization/AdapterFactory.java"
    write(own.root, {place: "class AdapterFactory {\n  int adapters;\n}\n"})
    for width, ends in ((60, "AdapterFactory.java:1-3"), (40, "actory.java:1-3")):
        title = seen(panel(own, "AdapterFactory", COLUMNS=str(width)))[0]
        assert len(title) == width
        assert re.search(rf" 1 src/.*…\S*{re.escape(ends)} ", title)
    title = seen(panel(own, "AdapterFactory", COLUMNS="110"))[0]
    assert f"{place}:1-3  AdapterFactory " in title
    assert "class" not in title


def test_php_is_highlighted_where_a_passage_begins_inside_the_file(own):
    write(own.root, {"Mailer.php": "<?php\n\nfunction sendMail($to) {\n  return mail($to);\n}\n"})
    assert "\x1b[94;49mfunction" in panel(own, "sendMail")


def test_no_color_is_respected(library):
    text = panel(library, "load_config", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*(3|4|9)[0-7]", text)
    assert "load_config" in text


@pytest.fixture
def long_function(own):
    steps = [f"    step_{i} = advance(source, {i})" for i in range(80)]
    steps[60] = "    config = parse_json(source)"
    steps[30:32] = ['    """A text', '    of two lines."""']
    write(own.root, {"app/long.py": "\n".join(["def long_function(source):", *steps]) + "\n"})
    return own


def test_a_long_function_shows_its_head_and_its_best_lines(long_function):
    lines = seen(panel(long_function, "long_function parse json"))
    code = [line.strip("│ ") for line in lines]
    assert "1 def long_function(source):" in code
    assert "62     config = parse_json(source)" in code
    assert any(re.fullmatch(r"⋯ \d+ lines", line) for line in code)
    assert len(lines) < 24


def test_a_folded_string_does_not_colour_what_follows(long_function):
    text = panel(long_function, "long_function", "--kind", "function", "-C", "0")
    assert "\x1b[94;49mdef" in text
    text = panel(long_function, "long_function parse json", "-C", "1")
    after = next(line for line in text.splitlines() if "parse_json" in line)
    assert "\x1b[33" not in after


def test_a_terminal_that_is_narrow_wraps_and_does_not_cut(library):
    words = " ".join(seen(panel(library, "retry until it succeeds", COLUMNS="40")))
    for word in ("Retry", "calls", "until", "succeeds."):
        assert word in words
