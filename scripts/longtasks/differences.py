"""How far one system is ahead of another on the same test examples, and how sure that is.

What the runs left in their folders is read: predictions in the official evaluators' formats. The
intervals are of a paired bootstrap over test examples; each system's score is the mean over its
seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtasks.formats import ANSWERS, Example, read_examples
from longtasks.runs import folder_name
from longtasks.scores import sentence_bleu

ROUNDS = 2000


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a run got for each example, (n,): a score is the sum of gains by that of weights."""

    keys: Sequence[tuple[str, ...]]
    gains: NDArray[np.float64]
    weights: NDArray[np.float64]

    def of(self, keys: Container[tuple[str, ...]]) -> Outcomes:
        """Those of some examples."""
        kept = np.array([key in keys for key in self.keys], dtype=bool)
        some = [key for key in self.keys if key in keys]
        return Outcomes(some, self.gains[kept], self.weights[kept])

    def scores(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores (r,) of samples (r, n) that say how often they hold each example."""
        total = counts @ self.weights
        return np.divide(counts @ self.gains, total, out=np.zeros(len(counts)), where=total > 0)


def leads(
    runs: Sequence[Mapping[str, Any]],
    tasks: Path,
    folder: Path,
    ours: str,
    is_asked: Callable[[Example], bool] = lambda _: True,
) -> dict[str, dict[str, list[float]]]:
    """`difference` of one system to each other one on each task, with the seeds that both have.

    Args:
        runs: The results of runs.
        tasks: Where the tasks' data are.
        folder: Where the runs' folders are.
        ours: The system that is compared with all others.
        is_asked: Which of the test examples count.
    """
    judged: dict[str, dict[str, dict[int, Outcomes]]] = {}
    for task in dict.fromkeys(run["task"] for run in runs):
        examples = read_examples(task, tasks / task, "test")
        asked = {example.key for example in examples if is_asked(example)}
        for run in runs:
            if run["task"] == task:
                place = folder / folder_name(task, run["system"], run["seed"])
                found = outcomes(task, place, examples).of(asked)
                judged.setdefault(task, {}).setdefault(run["system"], {})[run["seed"]] = found
    ahead: dict[str, dict[str, list[float]]] = {}
    for task, systems in judged.items():
        own = systems.pop(ours, {})
        for system, other in systems.items():
            seeds = sorted(own.keys() & other.keys())
            if seeds and len(own[seeds[0]].keys):
                lead = difference([own[seed] for seed in seeds], [other[seed] for seed in seeds])
                ahead.setdefault(task, {})[system] = [round(value, 4) for value in lead]
    return ahead


def outcomes(task: str, folder: Path, examples: Sequence[Example]) -> Outcomes:
    """What a run predicted, judged.

    Args:
        task: clone, defect, search or summarize.
        folder: Of the run.
        examples: All of the test split; a run may have taken a part of them.
    """
    readers = {"clone": _clones, "defect": _defects, "search": _searches, "summarize": _summaries}
    return readers[task](folder, examples)


def difference(
    first: Sequence[Outcomes], second: Sequence[Outcomes]
) -> tuple[float, float, float]:
    """How far the first system's seeds are ahead of the second's: low, estimate, high (95 %)."""
    count = len(first[0].gains)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=ROUNDS).astype(np.float64)
    samples = np.concatenate([np.ones((1, count)), drawn])
    one, other = (
        np.mean([run.scores(samples) for run in runs], axis=0) for runs in (first, second)
    )
    estimate, *rest = (one - other).tolist()
    low, high = np.percentile(rest, [2.5, 97.5]).tolist()
    return low, estimate, high


def _clones(folder: Path, examples: Sequence[Example]) -> Outcomes:
    """F1 is twice what was rightly said to be a clone, by what was said to be one or is one."""
    labels = {example.key: example.label for example in examples}
    rows = [line.split("\t") for line in _lines(folder / "predictions.txt")]
    right = np.array([labels[first, second] for first, second, _ in rows], dtype=np.float64)
    said = np.array([int(label) for _, _, label in rows], dtype=np.float64)
    keys = [(first, second) for first, second, _ in rows]
    return Outcomes(keys, 2 * right * said, right + said)


def _defects(folder: Path, examples: Sequence[Example]) -> Outcomes:
    labels = {example.key: example.label for example in examples}
    rows = [line.split("\t") for line in _lines(folder / "predictions.txt")]
    gains = [float(labels[(key,)] == int(label)) for key, label in rows]
    return _evenly([(key,) for key, _ in rows], gains)


def _searches(folder: Path, examples: Sequence[Example]) -> Outcomes:
    ids = {example.key[0]: example.key[1] for example in examples}
    keys, gains = [], []
    for line in _lines(folder / "predictions.jsonl"):
        found = json.loads(line)
        answers = [str(answer) for answer in found["answers"][:ANSWERS]]
        wanted = ids[found["url"]]
        gains.append(1 / (answers.index(wanted) + 1) if wanted in answers else 0.0)
        keys.append((found["url"], wanted))
    return _evenly(keys, gains)


def _summaries(folder: Path, examples: Sequence[Example]) -> Outcomes:
    written, expected = (
        [line.split("\t", 1) for line in _lines(folder / name)]
        for name in ("test.output", "test.gold")
    )
    gains = [
        100 * sentence_bleu(own, right)
        for (_, own), (_, right) in zip(written, expected, strict=True)
    ]
    return _evenly([(key,) for key, _ in expected], gains)


def _evenly(keys: Sequence[tuple[str, ...]], gains: Sequence[float]) -> Outcomes:
    return Outcomes(keys, np.array(gains, dtype=np.float64), np.ones(len(gains)))


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()
