"""`eval` and `train` on a user's own repository: what is asked, learned and claimed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from codesearch import tuning
from codesearch.reports import print_tuning
from codesearch.tuning import Evaluation, Lesson, Tuning, sources_of, tune
from indexer.errors import UsageError
from indexer.mining.shards import read_pairs
from indexer.progress import SILENCE
from indexer.storage.home import IndexHome
from indexer.training.exam import Exam, is_held_out, make_exam, write_lessons
from indexer.training.retrieval import (
    answer_ranks,
    by_length,
    figures,
    gain,
    gains_by_length,
    word_ranks,
)
from models.checkpoint import open_checkpoint
from models.tokenizer import Tokenizer
from tests.command_line import codesearch
from tests.git_repositories import git, make_repository
from tests.small_models import SASA, save_model

_NOUNS = "file path user list price order cache token queue event route image table index"
NOUNS = _NOUNS.split()
_VERBS = "open read write close find sort load save print merge split count parse check"
VERBS = _VERBS.split()


def function(number: int, rng: random.Random) -> str:
    verb, noun, other = rng.choice(VERBS), rng.choice(NOUNS), rng.choice(NOUNS)
    body = "".join(f"    {rng.choice(NOUNS)} = {rng.choice(VERBS)}({n})\n" for n in range(9))
    name = f"{verb}_{noun}_{number}"
    return f'def {name}(a):\n    """{verb.title()} the {noun} of the {other} {number}."""\n{body}'


def sources(files: int = 40) -> dict[str, str | bytes]:
    rng = random.Random(5)
    return {
        f"app/part{n}.py": "\n\n".join(function(3 * n + i, rng) for i in range(3))
        for n in range(files)
    }


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = sources()
    held_out = next(path for path in files if is_held_out(path))
    taken = next(path for path in files if not is_held_out(path))
    files[taken.replace("part", "copy")] = files[held_out]  # learning it would be cheating
    assert not is_held_out(taken.replace("part", "copy"))
    root = make_repository(tmp_path_factory.mktemp("own") / "shop", files)
    (root / "LICENSE").write_text("All rights reserved. Nobody else may read this.")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Forbid everything to everybody")
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model("bert", tmp_path_factory.mktemp("model") / "small", sasa=SASA)


@pytest.fixture(scope="module")
def exam(repository: Path, model: Path) -> Exam:
    tokenizer = Tokenizer(open_checkpoint(str(model)))
    return make_exam(sources_of([str(repository)]), tokenizer, SILENCE)


def test_only_documented_functions_of_held_out_files_are_asked_for(exam):
    asked = [exam.pool[place] for place in exam.answers]
    assert len(asked) > 10
    assert all(is_held_out(pair.path) and pair.query for pair in asked)
    assert {pair.path for pair in exam.pool} > {pair.path for pair in asked}
    assert not any(pair.query in pair.code for pair in asked)


def test_nothing_that_is_asked_for_is_learned(repository, model, exam, tmp_path):
    tokenizer = Tokenizer(open_checkpoint(str(model)))
    own = sources_of([str(repository)])
    count = write_lessons(own, exam, tokenizer, tmp_path, SILENCE)
    learned = [pair for shard in tmp_path.glob("*.zst") for pair in read_pairs(shard)]
    assert len(learned) == count > 50
    assert not any(is_held_out(pair.path) for pair in learned)
    asked = {exam.pool[place].code for place in exam.answers}
    assert not any(code in pair.code for pair in learned for code in asked)


def test_eval_tells_mrr_and_recall_by_length(repository, tmp_path):
    found = codesearch("eval", str(repository), "--json", home=tmp_path / "home", cwd=tmp_path)
    assert found.code == 0, found
    report = found.json
    assert report["model"] == "sasa-small"
    assert report["vectors"]["all"]["n"] == report["questions"]
    assert 0.1 < report["vectors"]["all"]["mrr"] <= 1
    assert report["words"]["all"]["recall_at_10"] > 0.5
    lines = codesearch("eval", str(repository), "-q", home=tmp_path / "home", cwd=tmp_path).lines
    assert lines[1].split()[:3] == ["tokens", "questions", "MRR"]
    assert [line.split()[0] for line in lines[2:-1]] == list(report["vectors"])
    assert lines[-1] == "fewer than 30 questions: these figures say little"


def test_a_subfolder_is_asked_alone(repository, model):
    tokenizer = Tokenizer(open_checkpoint(str(model)))
    whole = sources_of([str(repository)])
    part = sources_of([str(repository / "app")])
    assert len(make_exam(whole, tokenizer, SILENCE).pool) == len(
        make_exam(part, tokenizer, SILENCE).pool
    )
    (repository / "empty").mkdir(exist_ok=True)
    with pytest.raises(UsageError, match="none of 0 functions"):
        make_exam(sources_of([str(repository / "empty")]), tokenizer, SILENCE)


def test_training_writes_a_model_that_the_program_takes(repository, model, tmp_path):
    out, home = tmp_path / "models" / "tuned", tmp_path / "home"
    arguments = (
        "train",
        str(repository),
        "--out",
        str(out),
        "--model",
        str(model),
        "--steps",
        "3",
    )
    found = codesearch(*arguments, home=home, cwd=tmp_path)
    assert found.code in (0, 1), found
    verdict = "a gain of" if found.code == 0 else "no gain is shown"
    assert verdict in found.out
    assert open_checkpoint(str(out)).fingerprint != open_checkpoint(str(model)).fingerprint
    assert not list((home / "training").iterdir())
    indexed = codesearch(
        "index", str(repository), "--model", str(out), "-q", home=home, cwd=tmp_path
    )
    assert indexed.code == 0, indexed


def test_training_that_was_cut_off_goes_on_from_its_state(
    repository, model, tmp_path, monkeypatch
):
    lesson = Lesson(tmp_path / "tuned", str(model), "cpu", steps=4)
    home, mined = IndexHome(tmp_path / "home"), []
    go_on, write = tuning.Run.go_on, tuning.write_lessons

    def cut_off(run, part):
        monkeypatch.setattr(tuning.Run, "go_on", go_on)
        for batch in run._ahead():
            run._learn(batch)
            if run._trainer.step == 2:
                break
        run._save()
        run.was_stopped = True
        return 2

    monkeypatch.setattr(tuning.Run, "go_on", cut_off)
    monkeypatch.setattr(tuning, "write_lessons", lambda *a: mined.append(1) or write(*a))
    with pytest.raises(KeyboardInterrupt):
        tune(home, [str(repository)], lesson, SILENCE)
    assert not lesson.out.exists()
    done = tune(home, [str(repository)], lesson, SILENCE)
    assert done.steps == 4
    assert len(mined) == 1
    straight = Lesson(tmp_path / "straight", str(model), "cpu", steps=4)
    tune(IndexHome(tmp_path / "other"), [str(repository)], straight, SILENCE)
    one, other = (open_checkpoint(str(item.out)).fingerprint for item in (lesson, straight))
    assert one == other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--steps", "0"), "--steps 0 is not above 0"),
        (("--minutes", "-1"), "--minutes -1 is not above 0"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--out", "."), "exists and is no model"),
        (("--model", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_trained_is_said_at_once(repository, tmp_path, arguments, said):
    options = ("train", str(repository), "--out", "tuned", *arguments)
    assert said in codesearch(*options, home=tmp_path / "home", cwd=tmp_path).fault()


def test_too_little_to_learn_from_is_refused_and_leaves_nothing(tmp_path, model):
    small = make_repository(tmp_path / "small", sources(12))
    options = ("train", str(small), "--out", "tuned", "--model", str(model), "-q")
    fault = codesearch(*options, home=tmp_path / "home", cwd=tmp_path).fault()
    assert "too few to learn from" in fault
    assert not list((tmp_path / "home" / "training").iterdir())


def test_missing_packages_are_named(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "_NEEDED", ("rensa", "no_such_package"))
    fault = codesearch("eval", str(repository), home=tmp_path, cwd=tmp_path).fault()
    assert fault.startswith("no_such_package must be installed")
    assert "pip install -e '.[train]'" in fault


def test_a_gain_is_claimed_only_beyond_doubt(tmp_path, capsys):
    from rich.console import Console

    before = np.array([1, 2, 4, 3, 8, 2, 5, 10] * 8)
    for after, claimed in ((np.maximum(1, before // 2), True), (before[::-1].copy(), False)):
        lengths = np.full(len(before), 100)
        old, new = (
            Evaluation("m", 9, 64, by_length(ranks, lengths), {}) for ranks in (before, after)
        )
        made = Tuning(tmp_path, 100, 20, old, new, gain(before, after))
        assert made.shows_gain == claimed
        print_tuning(Console(markup=False, highlight=False), made)
        assert ("a gain of" in capsys.readouterr().out) == claimed


def test_equal_scores_share_the_worst_rank():
    scores = np.array([[0.5, 0.5, 0.1], [0.2, 0.9, 0.3]], dtype=np.float32)
    assert answer_ranks(scores, np.array([0, 1])).tolist() == [2, 1]


def test_figures_by_hand():
    found = figures(np.array([1, 2, 20, 1]))
    assert (found.n, found.mrr, found.recall_at_10) == (4, 0.6375, 0.75)
    assert found.low <= found.mrr <= found.high
    groups = by_length(np.array([1, 2, 4]), np.array([100, 600, 2000]))
    assert {name: group.n for name, group in groups.items()} == {
        "all": 3,
        ">512": 2,
        ">1024": 1,
        "<=128": 1,
        "<=1024": 1,
        "<=2048": 1,
    }
    assert gain(np.array([2, 2]), np.array([1, 1])) == (0.5, 0.5, 0.5)


def test_a_gain_is_told_for_each_length():
    before, after = np.array([1, 2, 4]), np.array([1, 1, 8])
    gains = gains_by_length(before, after, np.array([100, 600, 2000]))
    assert gains["<=128"] == (0, 0, 0)
    assert gains["<=1024"] == (0.5, 0.5, 0.5)
    assert gains["<=2048"] == (-0.125, -0.125, -0.125)
    assert gains[">512"] == gain(before[1:], after[1:])


def test_words_rank_what_shares_none_last():
    codes = ["def open_file(path): pass", "def parse_json(text): pass", "x = 1"]
    assert list(word_ranks(["parse some json", "zebra"], codes, [1, 0])) == [1, 3]


def test_the_report_of_eval_is_json_alone(repository, tmp_path, model):
    options = ("eval", str(repository), "--model", str(model), "--json")
    assert json.loads(codesearch(*options, home=tmp_path, cwd=tmp_path).out)["questions"] > 10
