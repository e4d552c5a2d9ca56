"""Progress where there is no terminal: a line for each stage."""

import io

import pytest
from rich.console import Console

from codesearch.watching import ProgressBars


@pytest.mark.parametrize(
    ("total", "line"),
    [(1, "reading 1 file"), (2, "reading 2 files"), (12_345, "reading 12,345 files"), (0, "")],
)
def test_a_stage_is_a_line_in_a_pipe(total, line):
    screen = io.StringIO()
    with ProgressBars(Console(file=screen)) as progress:
        progress.start("reading", total, "files")
        progress.advance(total)
    assert screen.getvalue().strip() == line


def test_quiet_says_nothing():
    screen = io.StringIO()
    with ProgressBars(Console(file=screen), quiet=True) as progress:
        progress.start("reading", 2, "files")
        progress.say("something")
    assert screen.getvalue() == ""
