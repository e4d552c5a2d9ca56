"""A file becomes chunks: whole units to read, and lines that each belong to exactly one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.syntax.chunks import LINKED_CHARS, Chunk, chunk_file
from indexer.syntax.languages import LANGUAGES
from tests.language_samples import SOURCES

MAX_CHARS = 2000


def owned_text(source: str, chunks: list[Chunk]) -> str:
    """The owned lines of all chunks, in order: the file, if they partition it."""
    lines = source.split("\n")
    spans = sorted(span for chunk in chunks for span in chunk.owned)
    return "\n".join(line for first, last in spans for line in lines[first - 1 : last])


def check(source: str, chunks: list[Chunk]) -> None:
    """What holds for the chunks of any text."""
    assert owned_text(source, chunks) == source.removesuffix("\n") or not source.strip()
    total = source.count("\n") + (not source.endswith("\n"))
    for chunk in chunks:
        assert 1 <= chunk.start_line <= chunk.end_line <= total
        assert list(chunk.borders) == sorted(set(chunk.borders))
        assert all(0 < border < len(chunk.text) for border in chunk.borders)
        assert chunk.links.shape[1:] == (2,)
        assert ((chunk.links >= 0) & (chunk.links < max(len(chunk.text), 1))).all()


def names(chunks: list[Chunk]) -> list[tuple[str, str, int, int]]:
    return [(c.kind, c.symbol, c.start_line, c.end_line) for c in chunks]


def one(chunks: list[Chunk], symbol: str) -> Chunk:
    (found,) = (chunk for chunk in chunks if chunk.symbol == symbol)
    return found


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, str]:
    """A sample in which pieces are cut out, doubled or replaced by any text."""
    language = draw(st.sampled_from(sorted(SOURCES)))
    source = SOURCES[language]
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(source))] * 2)))
        piece = draw(
            st.sampled_from(["", "\n", "}", "(", '"""', "\r\n", "#if", source[start:end]])
        )
        source = source[:start] + piece + draw(st.text(max_size=3)) + source[end:]
    return source, language


def test_an_empty_node_behind_the_last_character_is_no_border():
    source = "class Cart[A](size: Int) extends Base {{\n  def rim = 2\n\ndef top(a: Int) = 1\n"
    chunks = chunk_file(source, "scala", "x", MAX_CHARS)
    assert len(source) not in chunks[0].borders
    check(source, chunks)


@given(mangled(), st.integers(1, 3000))
@settings(max_examples=150, deadline=None)
def test_the_lines_of_broken_code_are_partitioned(sample: tuple[str, str], max_chars: int) -> None:
    source, language = sample
    check(source, chunk_file(source, language, "x", max_chars))


@given(
    st.text(st.characters(codec=None) | st.sampled_from("\n\r\f#=-`~ \ud800"), max_size=400),
    st.sampled_from(LANGUAGES),
)
@settings(max_examples=150, deadline=None)
def test_the_lines_of_any_text_are_partitioned(source: str, language: str) -> None:
    check(source, chunk_file(source, language, "x", MAX_CHARS))


@pytest.mark.parametrize("language", sorted(SOURCES))
def test_the_lines_of_a_sample_are_partitioned(language: str) -> None:
    for ending in ("\n", "\r\n"):
        source = SOURCES[language].replace("\n", ending)
        check(source, chunk_file(source, language, "x", MAX_CHARS))


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_file_has_no_chunks(language: str) -> None:
    assert chunk_file("", language, "x", MAX_CHARS) == []
    assert chunk_file(" \n\n", language, "x", MAX_CHARS) == []


def test_a_function_is_whole_with_its_comment_and_decorators() -> None:
    chunks = chunk_file(SOURCES["python"], "python", "x.py", MAX_CHARS)
    retry = one(chunks, "retry")
    assert retry.text.startswith("# Retries a call.\n@functools.cache\ndef retry(")
    assert retry.text.endswith("def again() -> None: ...")
    assert retry.owned == ((5, 8),)


def test_a_class_shows_its_fields_and_the_signatures_of_its_methods() -> None:
    greeter = one(chunk_file(SOURCES["python"], "python", "x.py", MAX_CHARS), "Greeter")
    assert greeter.text.split("\n") == [
        "class Greeter(Base):",
        '    """Says hello."""',
        "",
        '    name: str = "you"',
        "",
        "    async def greeting(self) -> str:",
        '        """The words."""',
        "",
        "    class Config:",
    ]
    assert greeter.owned == ((11, 15), (20, 20))
    assert len(greeter.links) == 0


def test_a_method_is_announced_by_the_first_line_of_its_comment() -> None:
    cart = one(chunk_file(SOURCES["java"], "java", "x.java", MAX_CHARS), "Cart")
    assert "  /** Adds one. */\n  @Override\n  public boolean add(T item)" in cart.text
    assert "return true" not in cart.text


def test_a_class_without_methods_is_shown_whole() -> None:
    options = one(chunk_file(SOURCES["typescript"], "typescript", "x.ts", MAX_CHARS), "Options")
    assert options.text == "export interface Options {\n  depth: number;\n}"


def test_the_file_owns_what_no_definition_does() -> None:
    file = chunk_file(SOURCES["python"], "python", "x.py", MAX_CHARS)[0]
    assert (file.kind, file.symbol, file.start_line, file.end_line) == ("file", "", 1, 26)
    assert file.owned == ((1, 4), (9, 10), (23, 25))
    assert file.text == SOURCES["python"]
    starts = [file.text[border:].split("\n")[0] for border in file.borders]
    assert starts[:3] == ["import functools", "# Retries a call.", "@functools.cache"]


def test_an_impl_of_methods_alone_is_no_chunk_of_its_own() -> None:
    chunks = chunk_file(SOURCES["rust"], "rust", "x.rs", MAX_CHARS)
    assert [(c.start_line, c.end_line) for c in chunks if c.symbol == "Socket"] == [
        (3, 7),
        (17, 20),
    ]
    assert (8, 9) in chunks[0].owned


def test_a_long_file_is_read_as_its_outline() -> None:
    body = "".join(f"    total += {i}\n" for i in range(200))
    source = (
        f'"""Sums."""\n\nimport os\n\n\ndef add(total):\n    """Adds."""\n{body}\n\nLIMIT = 3\n'
    )
    file = chunk_file(source, "python", "x.py", MAX_CHARS)[0]
    assert file.text == (
        '"""Sums."""\n\nimport os\n\ndef add(total):\n    """Adds."""\n\nLIMIT = 3'
    )
    assert len(file.text) <= MAX_CHARS
    assert len(file.links) == 0


def test_an_outline_is_cut_at_a_line() -> None:
    source = "".join(f"def function_{i}():\n    return {i}\n\n\n" for i in range(100))
    file = chunk_file(source, "python", "x.py", 200)[0]
    assert len(file.text) <= 200
    assert file.text.endswith("):")


def test_links_are_for_texts_that_are_not_attended_to_in_full() -> None:
    body = "".join(f"    total_{i} = total_{i - 1}\n" for i in range(60))
    long, short = chunk_file(f"def f():\n{body}\ndef g():\n    pass\n", "python", "x.py", 99)[1:]
    assert len(long.text) > LINKED_CHARS
    assert len(long.links) > 60
    assert len(short.links) == 0


def test_a_long_function_may_be_split_before_any_of_its_statements() -> None:
    body = "".join(f"    if a_{i}:\n        b_{i} = call(1,\n            2)\n" for i in range(40))
    function = chunk_file(f"def f():\n{body}", "python", "x.py", MAX_CHARS)[1]
    starts = [function.text[border:].split("\n")[0] for border in function.borders]
    assert starts[:3] == ["    if a_0:", "        b_0 = call(1,", "    if a_1:"]


def test_definitions_that_share_a_line_are_one_chunk() -> None:
    chunks = chunk_file("function a() {} function b() {}\n", "javascript", "x.js", MAX_CHARS)
    assert names(chunks) == [("file", "", 1, 1), ("function", "a", 1, 1)]


MARKDOWN = f"""\
---
title: Page
---
# Guide

{"Words. " * 40}

## Install

{"More words. " * 30}

```sh
# not a heading
make
```

### From `source`

{"Build it. " * 30}

Setext
------

{"Last words. " * 30}
"""


def test_documentation_is_cut_at_its_headings() -> None:
    chunks = chunk_file(MARKDOWN, "markdown", "README.md", MAX_CHARS)
    assert names(chunks) == [
        ("doc", "Guide", 1, 7),
        ("doc", "Guide > Install", 8, 16),
        ("doc", "Guide > Install > From source", 17, 20),
        ("doc", "Guide > Setext", 21, 24),
    ]


def test_short_sections_are_read_together() -> None:
    source = "# API\n\n" + "".join(f"## call_{i}\n\nCalls {i}.\n\n" for i in range(3))
    assert names(chunk_file(source, "markdown", "x.md", MAX_CHARS)) == [("doc", "API", 1, 14)]


def test_restructured_text_has_lines_for_headings() -> None:
    prose = "Prose. " * 40
    source = (
        f"=====\nGuide\n=====\n\n{prose}\n\nInstall\n-------\n\n{prose}\n\nRun\n---\n\n{prose}\n"
    )
    assert names(chunk_file(source, "rst", "index.rst", MAX_CHARS)) == [
        ("doc", "Guide", 1, 6),
        ("doc", "Guide > Install", 7, 11),
        ("doc", "Guide > Run", 12, 15),
    ]


def test_a_document_without_headings_is_one_chunk() -> None:
    assert names(chunk_file("Words.\n\nMore.\n", "markdown", "x.md", 9)) == [("doc", "", 1, 3)]


def test_other_text_is_grouped_by_lines_at_blank_ones() -> None:
    block = "key: value\n" * 39 + "\n"
    assert (
        names(chunk_file(block * 4, "text", "x.yaml", MAX_CHARS))
        == [
            ("file", "", 1, 40),
            ("file", "", 41, 80),
            ("file", "", 81, 160),
        ][:2]
        + names(chunk_file(block * 4, "text", "x.yaml", MAX_CHARS))[2:]
    )
