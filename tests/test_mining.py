"""What one file gives: functions apart from their documentation, names, files, examples."""

from __future__ import annotations

import pytest

from indexer.mining.candidates import Finder
from indexer.mining.dedupe import Excluded
from indexer.mining.pairs import file_unit, functions, masked, name_words
from indexer.mining.prose import prose_of
from indexer.mining.sections import examples
from indexer.syntax.links import relate
from indexer.syntax.tree import parse

SOURCES = {
    "python": (
        "@cache\ndef load(path):\n"
        '    """Load the settings of a project.\n\n    Missing files give none.\n\n'
        '    Args:\n        path: Where.\n    """\n'
        "    text = read(path)\n    return parse(text)\n",
        "Load the settings of a project.",
        "Load the settings of a project. Missing files give none.",
        "@cache\ndef load(path):\n    text = read(path)\n    return parse(text)",
    ),
    "java": (
        "class Table {\n"
        "  /**\n   * Returns the {@link Row#first() first row} of this <b>table</b>.\n   * <p>\n"
        "   * Rows start at zero.\n   * @param at where\n   */\n"
        "  @Override\n  public Row row(int at) {\n    check(at);\n    return rows[at];\n  }\n}\n",
        "Returns the first row of this table.",
        "Returns the first row of this table. Rows start at zero.",
        "  @Override\n  public Row row(int at) {\n    check(at);\n    return rows[at];\n  }",
    ),
    "go": (
        "package a\n\n// Walk visits every file\n// below the root.\n"
        "func Walk(root string) error {\n\tx := open(root)\n\treturn x\n}\n",
        "Walk visits every file below the root.",
        "Walk visits every file below the root.",
        "func Walk(root string) error {\n\tx := open(root)\n\treturn x\n}",
    ),
    "javascript": (
        "/**\n * Sorts the items in place.\n *\n * @param {Array} items\n * @returns {A}\n */\n"
        "export const sorted = (items) => {\n  items.sort();\n  return items;\n};\n",
        "Sorts the items in place.",
        "Sorts the items in place.",
        "export const sorted = (items) => {\n  items.sort();\n  return items;\n};",
    ),
    "rust": (
        "/// Counts the [`Word`]s of a `text`.\n///\n/// # Examples\n///\n/// ```\n/// count();\n"
        "/// ```\n#[inline]\npub fn count(text: &str) -> usize {\n"
        "    let words = split(text);\n    words.len()\n}\n",
        "Counts the Words of a text.",
        "Counts the Words of a text.",
        "#[inline]\npub fn count(text: &str) -> usize {\n"
        "    let words = split(text);\n    words.len()\n}",
    ),
    "c": (
        "/*\n * list_add - append a node to the list\n *\n * The list is locked.\n */\n"
        "static int list_add(struct list *l)\n{\n\tlock(l);\n\treturn push(l);\n}\n",
        "append a node to the list",
        "append a node to the list The list is locked.",
        "static int list_add(struct list *l)\n{\n\tlock(l);\n\treturn push(l);\n}",
    ),
    "ruby": (
        "module A\n  # Greets a +person+ politely.\n  #\n  # @param person [String]\n"
        "  def greet(person)\n    say(person)\n    bow\n  end\nend\n",
        "Greets a person politely.",
        "Greets a person politely.",
        "  def greet(person)\n    say(person)\n    bow\n  end",
    ),
    "php": (
        "<?php\nclass A {\n    /**\n     * Sends the mail to all readers.\n     *\n"
        "     * @return bool\n     */\n    #[Pure]\n    public function send()\n    {\n"
        "        open();\n        return true;\n    }\n}\n",
        "Sends the mail to all readers.",
        "Sends the mail to all readers.",
        "    #[Pure]\n    public function send()\n    {\n"
        "        open();\n        return true;\n    }",
    ),
    "csharp": (
        'class A {\n    /// <summary>\n    /// Opens the <see cref="T:A.Door"/> of <paramref '
        'name="house"/>.\n    /// </summary>\n    /// <param name="house">It.</param>\n'
        "    public void Open(House house)\n    {\n        Turn();\n        Push();\n    }\n}\n",
        "Opens the A.Door of house.",
        "Opens the A.Door of house.",
        "    public void Open(House house)\n    {\n        Turn();\n        Push();\n    }",
    ),
}


def only_function(source: str, language: str):
    tree = parse(source, language)
    assert tree is not None
    (unit,) = functions(tree)
    return tree, unit


@pytest.mark.parametrize("language", SOURCES)
def test_a_documented_function_becomes_its_first_paragraph_and_its_code_alone(language):
    source, summary, full, code = SOURCES[language]
    tree, unit = only_function(source, language)
    assert unit.prose.summary == summary
    assert unit.prose.full == full
    assert unit.code.text(tree.source) == code


def test_links_of_code_without_its_documentation_name_the_same_words():
    body = "".join(f"    value_{i} = compute(value_{i - 1}, path)\n" for i in range(1, 9))
    source = f'def load(path):\n    """Load the é of it."""\n{body}    return value_8\n'
    tree, unit = only_function(source, "python")
    code = unit.code.text(source)
    shown = {tuple(code[i : i + 9] for i in pair) for pair in unit.code.links(tree).tolist()}
    whole = relate(tree, 0, len(source)).links.tolist()
    expected = {tuple(source[i : i + 9] for i in pair) for pair in whole}
    documented = {pair for pair in expected if '"""Load t' in pair}
    assert documented
    assert shown == expected - documented


def test_a_masked_name_is_gone_everywhere_and_links_move_with_it():
    body = "    total = first_value + second_value + third_value + fourth_value\n" * 3
    source = f"def compute_total_sum(n):\n{body}    return compute_total_sum(n) + total\n"
    tree, unit = only_function(source, "python")
    hidden = masked(source, unit)
    code = hidden.text(source)
    assert code == f"def f(n):\n{body}    return f(n) + total"
    shown = {tuple(source[i : i + 5] for i in pair) for pair in unit.code.links(tree).tolist()}
    moved = {tuple(code[i : i + 5] for i in pair) for pair in hidden.links(tree).tolist()}
    assert ("total", "total") in shown & moved
    assert len(hidden.links(tree)) == len(unit.code.links(tree))


@pytest.mark.parametrize(
    ("source", "language", "words"),
    [
        ("def parseJSONConfig(a):\n    return a\n", "python", "parse json config"),
        (
            "class HttpClient:\n    def fetch(self):\n        return 1\n",
            "python",
            "http client fetch",
        ),
        ("class Cache:\n    def drop_old(self):\n        x()\n", "python", "cache drop old"),
        ("package a\nfunc (c *TokenCache) evict() {\n\tx()\n}\n", "go", "token cache evict"),
    ],
)
def test_a_name_is_read_as_words_with_its_owner_where_it_is_short(source, language, words):
    _, unit = only_function(source, language)
    assert name_words(unit) == words


def test_a_file_is_described_by_its_header_and_not_by_its_licence():
    source = (
        "// Copyright 2020 Somebody. All rights reserved.\n\n"
        "// Package cache keeps what was computed.\npackage cache\n\n"
        "func Get() int {\n\treturn 1\n}\n"
    )
    tree = parse(source, "go")
    assert tree is not None
    unit = file_unit(tree)
    assert unit.prose.summary == "Package cache keeps what was computed."
    assert "keeps what" not in unit.code.text(source)
    assert "func Get()" in unit.code.text(source)


def test_a_comment_above_the_first_function_is_not_the_files():
    source = "// Adds up all the numbers.\nfunction add(a) {\n  return sum(a);\n}\n"
    tree = parse(source, "javascript")
    assert tree is not None
    assert file_unit(tree).prose.summary == ""


def test_a_file_without_a_header_is_described_by_its_only_class():
    source = "package a;\n\n/** Keeps all open connections. */\npublic class Pool {\n  int n;\n}\n"
    tree = parse(source, "java")
    assert tree is not None
    assert file_unit(tree).prose.summary == "Keeps all open connections."


@pytest.mark.parametrize(
    ("comment", "summary"),
    [
        ("/** {@inheritDoc} */", ""),
        ("/**\n * \\brief Find the page.\n * \\param n x\n */", "Find the page."),
        ("// eslint-disable-next-line no-console", ""),
        ("// Copyright (c) 2020 A. All rights reserved.", ""),
        ("/*----------\n * Find the free page.\n *----------\n */", "Find the free page."),
        ("-- | Fold from the left.", "Fold from the left."),
        ('@doc """\nFetches all entries.\n\n## Examples\n\n    a\n"""', "Fetches all entries."),
        ("r'''Solve it.\n\nParameters\n----------\nx : int\n'''", "Solve it."),
        ("# frozen_string_literal: true\n# Parse the file.", "Parse the file."),
        ('"""Build a :class:`~a.Tree` of ``x``."""', "Build a a.Tree of x."),
        ("/** Use *this* or [that](http://x.y). */", "Use this or that."),
    ],
)
def test_marks_markup_and_tags_are_no_prose(comment, summary):
    assert prose_of(comment).summary == summary


def test_a_markdown_section_gives_its_heading_its_prose_and_its_code():
    filler = "More words about it, so that the section stands alone.\n" * 4
    text = f"# Guide\n\n{filler}\n## Reading files\n\nOpen a file [safely](x).\n\n" \
        f"```python\nwith open(p) as f:\n    read(f)\n```\n\n{filler}"  # fmt: skip
    (example,) = examples(text, "markdown")
    assert example.query == "Reading files. Open a file safely."
    assert example.code == "with open(p) as f:\n    read(f)"
    assert (example.language, example.start_line, example.end_line) == ("python", 13, 14)


def test_an_rst_section_gives_its_directive_without_options_and_indent():
    text = (
        "Queries\n=======\n\nSelect rows by their keys.\n\n"
        ".. code-block:: python\n   :linenos:\n\n   a = 1\n   b = 2\n\nAfter.\n"
    )
    (example,) = examples(text, "rst")
    assert example.query == "Queries. Select rows by their keys."
    assert example.code == "a = 1\nb = 2"


def test_blocks_of_shell_or_of_no_language_are_no_examples():
    text = "# Install\n\nRun it.\n\n```sh\npip install a\n```\n\n```\nout\n```\n"
    assert list(examples(text, "markdown")) == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01" * 100,
        b"def f(:\n  '''" * 500,
        b"/*" * 20_000,
        b"{" * 30_000,
        b"\xff\xfe" + b"class A:\n" * 50,
        b"x" * 2_000_000,
        ("def f():\n    '''" + "é" * 9_000 + "'''\n").encode(),
    ],
)
@pytest.mark.parametrize("path", ["a.py", "a.c", "a.php", "a.rb", "a.hs", "a.md", "a.rst"])
def test_no_content_breaks_it(data, path):
    finder = Finder(Excluded(), offer="pairs", max_chars=10_000)
    assert isinstance(finder.of_file(path, data, "0" * 40), list)
