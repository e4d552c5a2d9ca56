"""How much each token of a text counts in its vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What follows a head that is read by itself (docs/decisions.md, 2026-11-30).
TAIL = 2.0


def token_weights(length: int, head_tokens: int, head: int = 0) -> NDArray[np.float32]:
    """The weights (length,) of a mean.

    Args:
        length: tokens of the text.
        head_tokens: as `models.config.SasaConfig` has it.
        head: so many tokens at the beginning are read by themselves; those behind them count
            twice, since they saw these as well.
    """
    if not head_tokens:
        return np.ones(length, dtype=np.float32)
    weights = head_tokens / (head_tokens + np.arange(length))
    if head:
        weights[head:] *= TAIL
    return weights.astype(np.float32)
