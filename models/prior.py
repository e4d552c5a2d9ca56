"""The frequency prior: which tokens attend to which in general, whatever the text.

Made once per base model by `scripts/count_attention.py`: over a corpus of code, the attention from
one token to another that is out of the window's reach, relative to attending to all alike. Kept
sparse, as rows of token ids (CSR), and only where the tokens attend to each other clearly more
than average; so frequent punctuation, which meets everything, does not win. Source: SASA (Liu et
al., SIGIR 2022), "top-k frequency"; the released code keeps a dense matrix of raw counts.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import PRIOR_FILE, CheckpointError

_REMEDY = "restore it, or make it anew with scripts/count_attention.py"


@dataclass(frozen=True, slots=True)
class FrequencyPrior:
    """For some pairs of token ids, how much more than average the one attends to the other."""

    row_starts: NDArray[np.int64]  # (V + 1,) where the entries of each token begin
    columns: NDArray[np.uint16]  # (n,) the tokens that it attends to, ascending within a row
    values: NDArray[np.float32]  # (n,) above 0

    def block_scores(self, ids: NDArray[np.int32], block_size: int) -> NDArray[np.float32]:
        """The mean over the pairs of tokens of two blocks, in both directions, (N, N)."""
        distinct, position = np.unique(ids, return_inverse=True)
        blocks = -(-len(ids) // block_size)
        counts = np.zeros((blocks, len(distinct)), dtype=np.float32)
        np.add.at(counts, (np.arange(len(ids)) // block_size, position), 1.0)
        counts /= counts.sum(1, keepdims=True)
        scores = counts @ self._between(distinct) @ counts.T
        return np.asarray(scores + scores.T, dtype=np.float32)

    def _between(self, tokens: NDArray[np.int32]) -> NDArray[np.float32]:
        """The prior restricted to ascending token ids, (U, U); 0 for unknown pairs."""
        vocabulary = len(self.row_starts) - 1
        known = tokens[tokens < vocabulary]
        place_of = np.full(vocabulary, -1, dtype=np.int32)
        place_of[known] = np.arange(len(known))
        first, last = self.row_starts[known], self.row_starts[known + 1]
        sizes = last - first
        rows = np.repeat(np.arange(len(known)), sizes)
        entries = np.arange(sizes.sum()) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)
        columns = place_of[self.columns[entries]]
        here = columns >= 0
        table = np.zeros((len(tokens), len(tokens)), dtype=np.float32)
        table[rows[here], columns[here]] = self.values[entries[here]]
        return table


def save_prior(prior: FrequencyPrior, provenance: dict[str, Any], folder: Path) -> Path:
    """Write the prior beside the weights of a checkpoint, values in 256 steps of their logarithm.

    Args:
        prior: at most 65,536 token ids.
        provenance: what it was made from and how, kept inside the file.
        folder: the checkpoint.
    """
    top = float(prior.values.max(initial=1.0))
    steps = np.round(255 * np.log1p(prior.values) / np.log1p(top)).astype(np.uint8)
    path = folder / PRIOR_FILE
    sizes = np.diff(prior.row_starts).astype(np.uint16)
    text = np.frombuffer(json.dumps(provenance, sort_keys=True).encode(), dtype=np.uint8)
    np.savez_compressed(
        path, sizes=sizes, columns=prior.columns, steps=steps, top=np.float32(top), made=text
    )
    return path


def load_prior(folder: Path) -> FrequencyPrior | None:
    """The prior of a checkpoint folder; None where it has none.

    Raises:
        CheckpointError: the file cannot be read or its parts do not fit together.
    """
    path = folder / PRIOR_FILE
    if not path.is_file():
        return None
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            row_starts = np.concatenate([[0], np.cumsum(stored["sizes"].astype(np.int64))])
            columns, steps, top = stored["columns"], stored["steps"], stored["top"]
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", _REMEDY) from error
    if not row_starts[-1] == len(columns) == len(steps):
        raise CheckpointError(f"{path} is damaged: its parts do not fit together", _REMEDY)
    values = np.expm1(steps / np.float32(255) * np.log1p(top))
    return FrequencyPrior(row_starts, columns, values.astype(np.float32))
