"""How much each token of a text counts in its vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def token_weights(length: int, head_tokens: int) -> NDArray[np.float32]:
    """The weights (length,) of a mean; `head_tokens` as `models.config.SasaConfig` has it."""
    if not head_tokens:
        return np.ones(length, dtype=np.float32)
    weights = head_tokens / (head_tokens + np.arange(length))
    return weights.astype(np.float32)
