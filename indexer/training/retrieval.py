"""How well questions find the functions that they describe: ranks, and figures by length.

A question is what an author wrote above a function, the answer that function without it, and the
pool every function there is. Intervals are 95 % bootstrap intervals over questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from indexer.storage.text_index import IndexedTerms, TextIndex
from indexer.terms import count_terms, stemmed
from indexer.words import query_words

BUCKETS = (128, 256, 512, 1024, 2048, 4096)  # tokens, upper ends
RESAMPLES = 1000
Ranks = NDArray[np.int64]
Gain = tuple[float, float, float]  # of MRR, and the bounds of its interval


@dataclass(frozen=True, slots=True)
class Figures:
    """What the ranks of some questions come to; `low` and `high` bound the MRR."""

    n: int
    mrr: float
    low: float
    high: float
    recall_at_10: float


def answer_ranks(scores: NDArray[np.float32], answers: NDArray[np.int64]) -> Ranks:
    """The rank of each question's answer, (Q,); equal scores share the worst rank.

    Args:
        scores: (Q, P), higher is better.
        answers: (Q,), each question's place in the pool.
    """
    right = scores[np.arange(len(answers)), answers]
    return np.asarray((scores >= right[:, None]).sum(1))


def word_ranks(
    questions: Sequence[str], codes: Sequence[str], answers: Sequence[int]
) -> Iterator[int]:
    """The rank of each question's answer by BM25 over words; what shares none comes last."""
    index = TextIndex.empty().updated(0, np.arange(len(codes)), map(_row, count(), codes))
    every = np.ones(len(codes), dtype=bool)
    for question, answer in zip(questions, answers, strict=True):
        stems = [stemmed(word) for word in query_words(question)]
        found = np.flatnonzero(index.search(stems, len(codes), every)[0] == answer)
        yield int(found[0]) + 1 if len(found) else len(codes)


def _row(place: int, code: str) -> IndexedTerms:
    return IndexedTerms(place, place, "function", **asdict(count_terms("", "", code)))


def by_length(ranks: Ranks, lengths: NDArray[np.int64]) -> dict[str, Figures]:
    """The figures of all, of those above 512 and 1,024 tokens, and of each bucket in use."""
    return {name: figures(ranks[inside]) for name, inside in _groups(lengths).items()}


def gains_by_length(before: Ranks, after: Ranks, lengths: NDArray[np.int64]) -> dict[str, Gain]:
    """The `gain` of the same groups."""
    return {name: gain(before[inside], after[inside]) for name, inside in _groups(lengths).items()}


def _groups(lengths: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    groups = {"all": lengths > 0, ">512": lengths > 512, ">1024": lengths > 1024}
    groups |= {
        f"<={most}": (lengths > least) & (lengths <= most)
        for least, most in zip((0, *BUCKETS), BUCKETS, strict=False)
    }
    return {name: inside for name, inside in groups.items() if inside.any()}


def figures(ranks: Ranks) -> Figures:
    """MRR with its interval, and recall at 10, of at least one rank."""
    low, high = _interval(1 / ranks)
    return Figures(
        n=len(ranks),
        mrr=round(float((1 / ranks).mean()), 4),
        low=low,
        high=high,
        recall_at_10=round(float((ranks <= 10).mean()), 4),
    )


def gain(before: Ranks, after: Ranks) -> Gain:
    """How much the MRR of the same questions rose, with the interval of that difference."""
    difference = 1 / after - 1 / before
    return (round(float(difference.mean()), 4), *_interval(difference))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The bootstrap interval of a mean; always the same for the same values."""
    samples = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[samples].mean(1), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)
