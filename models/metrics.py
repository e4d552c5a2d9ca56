"""Retrieval metrics, as the field defines them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mrr(ranks: Sequence[int | None]) -> float:
    """Mean reciprocal rank; None: the right item was not found. 0 without queries."""
    return sum(1 / rank for rank in ranks if rank is not None) / max(1, len(ranks))


def ndcg_at_k(ranks: Sequence[int | None], k: int) -> float:
    """NDCG of one query with gain 1 at the rank of each found target, (None: not found).

    The ideal has all targets at the top. Two targets may share a rank: one result can hold both.
    """
    gain = sum(1 / math.log2(rank + 1) for rank in ranks if rank is not None and rank <= k)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(len(ranks), k) + 1))
    return gain / ideal if ideal else 0.0


def recall_at_k(ranks: Sequence[int | None], k: int) -> float:
    """The share of targets among the first k."""
    return sum(rank is not None and rank <= k for rank in ranks) / max(1, len(ranks))
