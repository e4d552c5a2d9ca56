"""A file's language is told by its name, its suffix, then its first line."""

import subprocess
import sys

import pytest

from indexer.errors import UnknownLanguage
from indexer.syntax.languages import LANGUAGES, SUFFIXES, language_named, language_of

BY_NAME = [
    ("src/app.py", "python"),
    ("stubs/app.pyi", "python"),
    ("lib/index.mjs", "javascript"),
    ("web/Button.jsx", "javascript"),
    ("types/index.d.ts", "typescript"),
    ("web/Page.TSX", "tsx"),
    ("build.gradle.kts", "kotlin"),
    ("Rakefile", "ruby"),
    ("deploy/Gemfile", "ruby"),
    ("codesearch.gemspec", "ruby"),
    ("build.sbt", "scala"),
    ("mix.exs", "elixir"),
    ("build.zig.zon", "zig"),
    ("test/run.bats", "bash"),
    ("docs/page.mdx", "markdown"),
    ("docs/index.rst", "rst"),
    ("include/list.inl", "cpp"),
    ("script.csx", "csharp"),
    ("view.phtml", "php"),
    ("Main.lhs", "haskell"),
    ("Cargo.toml", "text"),
    ("Dockerfile", "text"),
    ("LICENSE", "text"),
    (".py", "text"),
    ("archive.tar.gz", "text"),
]


@pytest.mark.parametrize(("path", "language"), BY_NAME)
def test_a_name_or_suffix_tells_the_language(path: str, language: str) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("head", "language"),
    [
        (b"#!/bin/sh\n", "bash"),
        (b"#!/usr/bin/env python3\nimport os\n", "python"),
        (b"#!/usr/bin/env -S node --harmony\n", "javascript"),
        (b"#! /usr/local/bin/lua5.4\n", "lua"),
        (b"#!/usr/bin/env\n", "text"),
        (b"#!\n", "text"),
        (b"no shebang", "text"),
    ],
)
def test_a_script_without_a_suffix_is_told_by_its_first_line(head: bytes, language: str) -> None:
    assert language_of("bin/tool", head) == language


def test_a_header_is_c_unless_it_looks_like_cpp() -> None:
    assert language_of("list.h", b"#include <stdio.h>\nstruct list { int n; };\n") == "c"
    assert language_of("list.h", b"namespace a {\n") == "cpp"
    assert language_of("list.h", b"template <class T>\nstruct list;\n") == "cpp"
    assert language_of("list.h", b"void f(std::string s);\n") == "cpp"


@pytest.mark.parametrize(
    ("name", "language"),
    [("py", "python"), ("C++", "cpp"), ("c#", "csharp"), (" Shell ", "bash"), ("golang", "go")],
)
def test_users_name_languages_as_they_like(name: str, language: str) -> None:
    assert language_named(name) == language


def test_every_language_answers_to_its_own_name() -> None:
    assert [language_named(name) for name in LANGUAGES] == list(LANGUAGES)
    assert set(SUFFIXES) == set(LANGUAGES) - {"text"}


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownLanguage, match="'pyhton'") as caught:
        language_named("pyhton")
    assert "did you mean python?" in caught.value.hint


def test_languages_imports_nothing_heavy() -> None:
    code = "import sys, indexer.syntax.languages; print([m for m in sys.modules if m in {heavy}])"
    heavy = {"numpy", "torch", "tree_sitter", "pygments", "sqlalchemy"}
    command = [sys.executable, "-c", code.replace("{heavy}", repr(heavy))]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
