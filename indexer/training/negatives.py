"""Hard negatives: for each question the wrong codes that the model likes best.

A wrong code that scores almost as high as the right one often is right too, so only those below a
share of its score are taken (Moreira et al. 2024, arXiv 2407.15831: 95 %).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.training.development import Embed
from indexer.training.packed import Packed, Rows
from indexer.training.records import not_negatives

PER_PAIR = 4
_BELOW = 0.95
_AT_ONCE = 512


def mine_negatives(packed: Packed, rows: Rows, embed: Embed) -> NDArray[np.int64]:
    """For every packed pair `PER_PAIR` others, (pairs, PER_PAIR); -1 where there are fewer.

    Args:
        packed: The pairs.
        rows: Those that get negatives, from among each other.
        embed: The model.
    """
    codes = embed([packed.code(row) for row in rows.tolist()])
    queries = embed([packed.query(row, 0) for row in rows.tolist()])
    found = np.full((len(packed.records), PER_PAIR), -1, dtype=np.int64)
    records = packed.records[rows]
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        scores = queries[part] @ codes.T
        right = scores[np.arange(len(scores)), np.arange(start, start + len(scores))]
        allowed = ~not_negatives(records[part], records) & (scores < _BELOW * right[:, None])
        scores = np.where(allowed, scores, -np.inf)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :PER_PAIR]
        is_found = np.take_along_axis(allowed, best, axis=1)
        found[rows[part], : best.shape[1]] = np.where(is_found, rows[best], -1)
    return found


def save_negatives(path: Path, packed: Packed, negatives: NDArray[np.int64]) -> None:
    """Store negatives with the name of the pack whose pairs they number."""
    with open(path, "wb") as file:
        np.savez_compressed(file, pack=np.array(packed.key), negatives=negatives)


def load_negatives(path: Path, packed: Packed) -> NDArray[np.int64]:
    """The negatives of a pack.

    Raises:
        UsageError: the file is missing, damaged or that of other pairs.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            pack, negatives = str(file["pack"]), np.asarray(file["negatives"], dtype=np.int64)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", "make it with scripts/train.py mine-negatives"
        ) from error
    if pack != packed.key or negatives.shape != (len(packed.records), PER_PAIR):
        raise UsageError(f"{path} numbers other pairs", "mine negatives of this pack")
    return negatives
