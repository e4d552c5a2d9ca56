"""The four tasks: official files, official scores, and runs that can be interrupted."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import CheckpointError, open_checkpoint
from models.student import Student
from tests.small_models import save_model

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from longtasks import heads, runs, scores
from longtasks.differences import Outcomes, difference, leads, outcomes
from longtasks.formats import TaskDataError, read_examples, write_clones, write_searches
from longtasks.inputs import Reader, long_ones, settings_of, short_ones
from longtasks.runs import Plan, run
from longtasks.tables import MAIN


def body(number: int) -> str:
    lines = "".join(f"    total = total + load({number}, {i})\n" for i in range(30))
    return f"def work_{number}(path):\n    total = 0\n{lines}    return total\n"


DOCUMENTED = 'def work(path):\n    """Adds up what a path holds."""\n' + body(1).partition("\n")[2]


def write_lines(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """All four tasks in one folder each."""
    for task in ("clone", "defect", "search", "summarize"):
        (tmp_path / task).mkdir()
    functions = [{"idx": str(i), "func": body(i)} for i in range(6)]
    write_lines(tmp_path / "clone/data.jsonl", functions)
    for split in ("train", "test"):
        (tmp_path / f"clone/{split}.txt").write_text("0\t1\t1\n2\t3\t0\n4\t5\t1\n0\t5\t0\n")
        defects = [{"idx": i, "func": body(i), "target": i % 2} for i in range(4)]
        write_lines(tmp_path / f"defect/{split}.jsonl", defects)
        spoken = {"docstring_tokens": ["Add", "it", "up", "."], "code": DOCUMENTED}
        found = [spoken | {"url": f"u/{i}", "idx": 7 + i} for i in range(4)]
        write_lines(tmp_path / f"search/{split}.jsonl", found)
        with gzip.open(tmp_path / f"summarize/python_{split}_0.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(spoken) + "\n" for _ in range(4))
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return open_checkpoint(save_model("bert", tmp_path_factory.mktemp("model")))


def test_official_files_are_read(data):
    (clone, *_), (defect, *_), (search, *_), (summary, *_) = (
        read_examples(task, data / task, "test")
        for task in ("clone", "defect", "search", "summarize")
    )
    assert (clone.key, clone.label, clone.language) == (("0", "1"), 1, "java")
    assert clone.codes == (body(0), body(1))
    assert (defect.key, defect.codes, defect.label) == (("0",), (body(0),), 0)
    assert (search.key, search.text) == (("u/0", "7"), "Add it up .")
    assert (summary.key, summary.codes) == (("0",), (DOCUMENTED,))


@pytest.mark.parametrize(
    ("task", "file", "text", "message"),
    [
        ("clone", "data.jsonl", None, r"data\.jsonl is missing"),
        (
            "clone",
            "test.txt",
            "0\t1\t2\n",
            r"test\.txt, line 1: the label must be 0 or 1, got '2'",
        ),
        ("clone", "test.txt", "0\t1\t1\n0\t9\t1\n", r"line 2: .* has no function '9'"),
        ("clone", "test.txt", "0 1\n", r"line 1: expected two ids and a label, got '0 1'"),
        ("clone", "test.txt", "", r"the split 'test' has no examples"),
        ("defect", "test.jsonl", '{"idx": 1, "func": "f"}\n', r"line 1 has no 'target'"),
        ("defect", "test.jsonl", "{}\n{", r"test\.jsonl, line 1 has no 'idx'"),
        ("defect", "test.jsonl", "[1]\n", r"line 1: expected an object"),
        ("search", "test.jsonl", "{\n", r"line 1 is no JSON"),
        ("search", "test.jsonl", '{"url": "u", "idx": 1}\n', r"line 1 has no 'code'"),
        ("summarize", "python_test_0.jsonl.gz", None, r"test\.jsonl is missing"),
        ("summarize", "python_test_0.jsonl.gz", "plain", r"cannot be read"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(data, task, file, text, message):
    path = data / task / file
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(TaskDataError, match=message):
        read_examples(task, data / task, "test")


def test_predictions_are_as_the_evaluators_want_them(data, tmp_path):
    clones = read_examples("clone", data / "clone", "test")
    write_clones(tmp_path / "p.txt", clones, [1, 0, 0, 1])
    assert (tmp_path / "p.txt").read_text() == "0\t1\t1\n2\t3\t0\n4\t5\t0\n0\t5\t1\n"
    searches = read_examples("search", data / "search", "test")[:1]
    write_searches(tmp_path / "p.jsonl", searches, [["7", "x9"]])
    assert json.loads((tmp_path / "p.jsonl").read_text()) == {"url": "u/0", "answers": [7, "x9"]}


def test_f1_and_accuracy_by_hand():
    labels, predicted = [1, 1, 1, 0, 0], [1, 0, 1, 1, 0]
    assert scores.binary_f1(labels, predicted) == pytest.approx(
        {"f1": 2 / 3, "precision": 2 / 3, "recall": 2 / 3}
    )
    assert scores.binary_f1([0, 0], [0, 0])["f1"] == 0
    assert scores.binary_f1([1, 0], [1, 1]) == pytest.approx(
        {"f1": 2 / 3, "precision": 1 / 2, "recall": 1}
    )
    assert scores.accuracy(labels, predicted) == 3 / 5


@pytest.mark.parametrize(
    ("predicted", "expected", "bleu"),
    [
        ("Returns the sum.", "returns the sum .", 1.0),
        # 2 of 3 words; (1 + 1) of (2 + 1) pairs, (0 + 1) of (1 + 1) triples, 1 of 1
        ("a b c", "a b d", (2 / 3 * 2 / 3 * 1 / 2 * 1) ** (1 / 4)),
        # all right, but 2 words for 5: exp(1 - 6 / 3)
        ("a b", "a b c d e", np.exp(-1)),
        # one of two words twice counts once
        ("a a", "a b", (1 / 2 * 1 / 2) ** (1 / 4)),
        ("x", "y", 0.0),
        # nothing written: the evaluator leaves only the brevity, exp(1 - 2 / 1)
        ("", "y", np.exp(-1)),
        ("f(x, 1.5)", "f ( x , 1 . 5 )", 1.0),
    ],
)
def test_smoothed_bleu_by_hand(predicted, expected, bleu):
    assert scores.smoothed_bleu([predicted], [expected]) == pytest.approx(100 * bleu, abs=1e-6)


def test_only_long_examples_take_part(model):
    reader = Reader(model)
    assert reader.lengths([body(0)])[0] > 512
    example = runs.Example(("1", "2"), ("f()", body(0)), "python")
    short = replace(example, codes=("f()", "g()"))
    assert long_ones([short, example], reader) == [example]
    many = [replace(example, key=(str(i),)) for i in range(5)]
    some = long_ones([short, *many], reader, 3)
    assert len(some) == 3
    assert some == [one for one in many if one in some] == long_ones([short, *many], reader, 3)
    assert short_ones([short, *many], reader, 3) == [short]


def test_documentation_is_no_part_of_the_code_that_it_describes(model):
    reader = Reader(replace(model, sasa=settings_of(model, "sasa", 320)))
    whole = reader.code(DOCUMENTED, "python")
    bare = reader.code(DOCUMENTED, "python", without_documentation=True)
    other = DOCUMENTED.replace('    """Adds up what a path holds."""\n', "")
    assert bare.ids.tolist() == reader.code(other, "python").ids.tolist()
    assert whole.ids.tolist() != bare.ids.tolist()


@pytest.mark.parametrize("task", ["clone", "defect", "search", "summarize"])
@pytest.mark.parametrize("system", ["sasa", "truncate-512"])
def test_a_task_is_trained_and_scored(data, model, tmp_path, monkeypatch, task, system):
    monkeypatch.setattr(heads, "MOST_WORDS", 6)
    plan = Plan(task, system, epochs=1, batch=2, max_tokens=320)
    result = run(plan, model, data / task, tmp_path / "out", "cpu")
    assert result["examples"] == {"train": 4, "test": 4}
    assert all(0 <= score <= 100 for score in result["scores"].values())
    again = run(plan, model, data / task, tmp_path / "out", "cpu")
    assert again == result
    found = outcomes(task, tmp_path / "out", read_examples(task, data / task, "test"))
    assert found.scores(np.ones((1, 4)))[0] == pytest.approx(
        result["scores"][MAIN[task]], abs=1e-4
    )


def test_a_decoder_learns_from_short_functions_once_and_all_runs_begin_with_it(
    data, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(heads, "MOST_WORDS", 6)
    plan = Plan("summarize", epochs=1, batch=2, max_tokens=320, decoder_examples=3)
    folder = data / "summarize"
    with pytest.raises(TaskDataError, match="no example of 'train' is short"):
        run(plan, model, folder, tmp_path / "out/first", "cpu")
    brief = {"docstring_tokens": ["Add", "two", "."], "code": "def add(a, b):\n    return a + b\n"}
    write_lines(folder / "train.jsonl", [brief] * 5)
    begun = []
    start_with = runs.TaskRun.start_with

    def remembered(self, path):
        fresh = {name: weight.clone() for name, weight in self.heads.items()}
        start_with(self, path)
        changed = [name for name, weight in self.heads.items() if not fresh[name].equal(weight)]
        begun.append(
            (
                path.stat().st_mtime_ns,
                len(changed),
                self.heads["decoder.cls.predictions.bias"].clone(),
            )
        )

    monkeypatch.setattr(runs.TaskRun, "start_with", remembered)
    for seed in (0, 1):
        result = run(replace(plan, seed=seed), model, folder, tmp_path / f"out/{seed}", "cpu")
        assert result["examples"] == {"train": 4, "test": 4}
        assert result["decoder_examples"] == 3
    one, other = begun
    assert one[:2] == other[:2]
    assert one[1] > 10
    assert one[2].equal(other[2])
    more = replace(plan, decoder_examples=4)
    with pytest.raises(CheckpointError, match="another start"):
        run(more, model, folder, tmp_path / "out/2", "cpu")


def test_summaries_written_together_are_those_written_alone(model, monkeypatch):
    monkeypatch.setattr(heads, "MOST_WORDS", 6)
    reader = Reader(model)
    torch.manual_seed(0)
    student = Student(model, torch.device("cpu"))
    summarizer = heads.Summarizer(student, model)
    codes = [reader.code(f"def f{i}():\n    return {'1 + ' * i} 1\n", "python") for i in range(5)]
    alone = [summarizer.write([code], 1, 2)[0] for code in codes]
    assert summarizer.write(codes, 1, 2) == alone


def test_a_lead_is_the_difference_of_means_and_as_sure_as_the_examples_make_it():
    def gains(*values: float) -> Outcomes:
        return Outcomes(
            [(str(i),) for i in range(len(values))], np.array(values), np.ones(len(values))
        )

    low, estimate, high = difference([gains(1, 1, 1, 0)], [gains(0, 0, 0, 1)])
    assert estimate == 0.5
    assert -1 < low < 0 < estimate < high <= 1
    always = difference([gains(0.5, 1.0), gains(0.7, 1.2)], [gains(0.4, 0.9)])
    assert always == pytest.approx((0.2, 0.2, 0.2))
    # F1 of 2 right of 3 said and 2 there is 2 * 2 / 5; of nothing said 0
    keys = [("1", "2"), ("1", "3"), ("2", "3")]
    some = Outcomes(keys, 2 * np.array([1.0, 1, 0]), np.array([2.0, 2, 1]))
    none = Outcomes(keys, np.zeros(3), np.array([1.0, 1, 0]))
    assert difference([some], [none])[1] == pytest.approx(0.8)
    assert difference([some.of(keys[1:])], [none.of(keys[1:])])[1] == pytest.approx(2 / 3)


def test_leads_compare_the_seeds_that_both_systems_have(tmp_path):
    examples = [{"idx": i, "func": body(i), "target": i % 2} for i in range(4)]
    (tmp_path / "data/defect").mkdir(parents=True)
    write_lines(tmp_path / "data/defect/test.jsonl", examples)
    ended = []
    for system, seed, labels in (
        ("sasa", 0, (0, 1, 0, 1)),  # all right
        ("sasa", 1, (1, 0, 1, 0)),  # all wrong
        ("bigbird", 0, (0, 1, 1, 0)),  # half
        ("window", 2, (0, 0, 0, 0)),
    ):
        folder = tmp_path / runs.folder_name("defect", system, seed)
        folder.mkdir()
        lines = (f"{i}\t{label}\n" for i, label in enumerate(labels))
        (folder / "predictions.txt").write_text("".join(lines))
        ended.append({"task": "defect", "system": system, "seed": seed})
    found = leads(ended, tmp_path / "data", tmp_path, "sasa")
    assert list(found["defect"]) == ["bigbird"]
    assert found["defect"]["bigbird"][1] == 0.5
    last = leads(ended, tmp_path / "data", tmp_path, "sasa", lambda example: example.key == ("3",))
    assert last["defect"]["bigbird"] == [1.0, 1.0, 1.0]
    assert leads(ended, tmp_path / "data", tmp_path, "sasa", lambda _: False) == {}


def test_an_interrupted_run_ends_where_a_whole_one_ends(data, model, tmp_path, monkeypatch):
    plan = Plan("clone", epochs=2, batch=2, max_tokens=320)
    examples = read_examples("clone", data / "clone", "train")

    def a_run(name):
        return runs.TaskRun(plan, model, tmp_path / name, "cpu", lambda _: None)

    whole = a_run("whole")
    whole.train(examples)
    broken, calls = a_run("broken"), []
    original = broken.loss

    def loss(batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(batch)

    monkeypatch.setattr(broken, "loss", loss)
    with pytest.raises(KeyboardInterrupt):
        broken.train(examples, save_every=1)
    resumed = a_run("broken")
    assert resumed.step == 2
    resumed.train(examples)
    for name, weight in whole._parameters.items():
        assert np.array_equal(weight.detach(), resumed._parameters[name].detach()), name
    other = replace(plan, seed=1)
    with pytest.raises(CheckpointError, match="another run"):
        runs.TaskRun(other, model, tmp_path / "whole", "cpu", lambda _: None)


@pytest.mark.parametrize("system", ["sasa", "sasa-no-topk", "sasa-no-ast", "bigbird"])
def test_patterns_choose_as_many_far_blocks_as_published(system):
    shipped = open_checkpoint()
    found = settings_of(shipped, system, 2048)
    assert (found.pattern, found.top_k_blocks, found.frequency_weight) == (system, 3, 0.5)
    assert (found.max_tokens, found.full_up_to) == (2048, shipped.sasa.full_up_to)
