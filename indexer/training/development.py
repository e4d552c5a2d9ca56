"""How well a model finds the code of pairs that it never sees in training.

MRR over the codes of about a thousand pairs from held-out repositories, once for questions as they
were written and once as people type them; and by the length of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.training.packed import Packed, Rows
from indexer.training.records import not_negatives
from indexer.training.retrieval import answer_ranks
from models.inputs import EncoderInput
from models.metrics import mrr

Embed = Callable[[Sequence[EncoderInput]], NDArray[np.float32]]
LENGTHS = (128, 512, 1024, 4096)  # tokens, upper ends
LONG_SHARE = 0.2
_TYPED = 1  # a variant that is rephrased


def dev_rows(packed: Packed, count: int) -> Rows:
    """The pairs that are measured on: always the same, a fifth of them long where there are."""
    records = packed.records
    rows = np.flatnonzero(records["is_dev"])
    shuffled = rows[np.argsort(records["code_key"][rows], kind="stable")]  # hashes: at random
    is_long = records["code_length"][shuffled] > LENGTHS[1]
    long = shuffled[is_long][: round(LONG_SHARE * count)]
    short = shuffled[~is_long][: count - len(long)]
    return np.asarray(np.sort(np.concatenate([long, short])))


def measure(packed: Packed, rows: Rows, embed: Embed) -> dict[str, float]:
    """MRR: `mrr` as written, `mrr_typed`, and `mrr_LENGTH` for codes of up to that length."""
    codes = embed([packed.code(row) for row in rows.tolist()])
    records = packed.records[rows]
    twins = not_negatives(records, records)
    found = {}
    for name, variant in (("mrr", 0), ("mrr_typed", _TYPED)):
        queries = embed([packed.query(row, variant) for row in rows.tolist()])
        ranks = ranks_of(queries @ codes.T, twins)
        found[name] = _rounded(ranks)
        if variant == 0:
            found |= _by_length(ranks, records["code_length"])
    return found


def ranks_of(scores: NDArray[np.float32], twins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The rank of each right answer, on the diagonal; its twins do not count, ties are lost."""
    others = twins & ~np.eye(len(scores), dtype=bool)
    return answer_ranks(np.where(others, -np.inf, scores), np.arange(len(scores)))


def _by_length(ranks: NDArray[np.int64], lengths: NDArray[np.int32]) -> dict[str, float]:
    bucket = np.searchsorted(LENGTHS, lengths)
    return {
        f"mrr_{length}": _rounded(ranks[bucket == place])
        for place, length in enumerate(LENGTHS)
        if (bucket == place).any()
    }


def _rounded(ranks: NDArray[np.int64]) -> float:
    return round(mrr(ranks.tolist()), 4)
