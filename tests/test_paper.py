"""The grid of the four tasks: what it runs, what it writes, and what a step takes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from models.checkpoint import DEFAULT_MODEL

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import mine_tasks
import paper
from benchmarks.processes import FRESH, in_process
from benchmarks.systems import SYSTEMS
from longtasks import footprint, tables
from provenance import write_below


def ended(task: str, system: str, seed: int, **scores: float) -> dict:
    about = {"task": task, "system": system, "seed": seed, "epochs": 2, "batch": 8}
    return about | {"examples": {"train": 40, "test": 20}, "scores": scores}


RUNS = [
    ended("clone", "sasa", 0, f1=0.9, precision=1.0),
    ended("clone", "sasa", 1, f1=0.8, precision=1.0),
    ended("clone", "truncate-512", 0, f1=0.75, precision=1.0),
    ended("summarize", "truncate-512", 0, bleu=12.345),
]


def test_scores_are_means_with_their_spread_and_the_best_is_bold():
    rows = tables.scores(RUNS, ("truncate-512", "bigbird", "sasa")).splitlines()
    assert rows[0] == "| system | clone, F1 | summarize, BLEU-4 |"
    assert rows[2:] == [
        "| truncate-512 | 0.750 | **12.35** |",
        "| sasa | **0.850** ± 0.050 |  |",
    ]


def test_a_lead_is_shown_with_its_interval():
    ahead = {"clone": {"bigbird": [-0.01, 0.0042, 0.02]}, "summarize": {"sasa-no-ast": [0, 1, 2]}}
    assert tables.leads(ahead).splitlines() == [
        "| SASA | clone, F1 | summarize, BLEU-4 |",
        "|---|---|---|",
        "| over bigbird | +0.004 (-0.010 to +0.020) |  |",
        "| over sasa-no-ast |  | +1.00 (+0.00 to +2.00) |",
    ]


def test_the_page_says_what_was_trained_on():
    assert tables.examples(RUNS).splitlines()[2] == "| clone | 40 | 20 | 2 | 8 |"


def test_a_pattern_that_ran_out_of_memory_is_shown_as_that():
    found = {"memory": {"eager": {"1": 3100, "2": None}, "sasa": {"1": 900, "2": 1400}}}
    assert tables.memory(found).splitlines()[2:] == [
        "| eager | 3.1 | out of memory |",
        "| sasa | 0.9 | 1.4 |",
    ]


def test_every_cell_comes_up_once_a_seed_after_the_other(tmp_path):
    arguments = argparse.Namespace(
        seeds=[3, 4], only=["clone", "search"], systems=["sasa", "bigbird"], out=tmp_path,
        epochs=1, batch=2, learning_rate=1e-5, head_rate=20.0, max_tokens=320, full_up_to=0,
        decoder_examples=3,
    )  # fmt: skip
    grid = list(paper.plans(arguments))
    assert [plan.seed for plan in grid] == [3] * 4 + [4] * 4
    folders = {paper.folder_of(plan, arguments).name for plan in grid}
    assert len(folders) == 8
    assert "search-bigbird-4" in folders


def test_what_people_wrote_above_the_mark_of_a_page_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nBy hand.\n\n<!-- mark -->\n\nold\n")
    for _ in range(2):
        write_below(page, "<!-- mark -->", "new\n")
    assert page.read_text() == "# Title\n\nBy hand.\n\n<!-- mark -->\n\nnew\n"


@pytest.fixture
def limits():
    return footprint.Limits(DEFAULT_MODEL, "cpu", length=256, lengths=(128, 256), rounds=1)


def test_a_step_of_every_pattern_is_timed(limits):
    found = footprint.by_length(limits)
    assert list(found) == ["128", "256"]
    assert all(set(some) == set(SYSTEMS) and min(some.values()) > 0 for some in found.values())


@pytest.mark.parametrize(("gigabytes", "fits"), [(8.0, True), (0.2, False)])
def test_a_step_fits_in_memory_or_runs_out_of_it(gigabytes, fits):
    bounded = footprint.Limits(DEFAULT_MODEL, "cpu", gigabytes, length=256)
    size = 1 if fits else 64
    peak = in_process(footprint.peak_of_step, "eager", size, bounded, context=FRESH)
    assert (peak is not None) == fits


def test_functions_of_one_name_are_paired_when_they_share_words_but_are_no_copies():
    def a_function(symbol: str, code: str) -> mine_tasks.Function:
        return mine_tasks.Function(code, "java", "a/b", "c0ffee", f"{symbol}.java", symbol, "MIT")

    one = a_function("List.addAll", "addAll items into array copy length")
    other = a_function("Tree.addAll", "addAll items into nodes copy balance")
    copy = a_function("Old.addAll", "addAll items into array copy length")
    unlike = a_function("Log.addAll", "writer flush handler")
    generic = [a_function(f"{name}.add", "items into array") for name in ("A", "B")]
    found = mine_tasks.reimplemented([one, other, *generic])
    assert list(found) == [(one, other)]
    assert list(mine_tasks.reimplemented([one, copy, unlike])) == []
    assert mine_tasks.most_similar(one, [other, *generic]) == generic[0]
