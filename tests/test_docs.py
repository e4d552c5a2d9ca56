"""The README is true: its files exist, its commands run, its figures have a source."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from codesearch.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
FOLDERS = (
    "codesearch",
    "indexer",
    "indexer/sources",
    "indexer/syntax",
    "indexer/mining",
    "indexer/training",
    "indexer/storage",
    "models",
    "scripts",
    "scripts/benchmarks",
    "scripts/longtasks",
)


def listed_files(folder: str) -> list[str]:
    section = README.split(f"### {folder}/:", 1)[1].split("\n#", 1)[0]
    return re.findall(r"^- `([^`]+)`: \S", section, re.MULTILINE)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_file_list_has_one_line_for_each_file(folder):
    ignored = {"__init__.py", "__main__.py", "py.typed"}
    present = {file.name for file in (ROOT / folder).iterdir() if file.is_file()} - ignored
    assert sorted(listed_files(folder)) == sorted(present)


@pytest.mark.parametrize("line", re.findall(r"^codesearch .+", README, re.MULTILINE))
def test_every_command_line_of_the_readme_is_understood(line):
    words = shlex.split(re.split(r"\s{3,}| \| ", line)[0].replace("[PATH]", "."))
    command = COMMANDS[words[1]]
    command.make_context(words[1], words[2:])  # raises on an unknown option or argument


def test_every_command_has_help_and_is_in_the_readme():
    for name, command in COMMANDS.items():
        assert command.help, name
        assert f"codesearch {name}" in README, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_every_make_target_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b(?! install)", README)) - {"install"} <= targets


def test_every_result_that_is_quoted_exists():
    for path in re.findall(r"\((results/[^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_continuous_integration_runs_the_readmes_test_command():
    assert "exec make test" in (ROOT / ".ci/run").read_text("utf-8")
