"""What one step of training reads: queries, codes, and which of them are no negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.inputs import EncoderInput


@dataclass(frozen=True, slots=True)
class PairBatch:
    """B queries and B + H codes: code `i` answers query `i`, the last H are wrong on purpose."""

    queries: tuple[EncoderInput, ...]
    codes: tuple[EncoderInput, ...]
    not_negative: NDArray[np.bool_]  # (B, B + H) True: the code may answer the query too
    alike: NDArray[np.bool_]  # (B, B + H) True: … where the codes' vectors are nearly the same
    targets: NDArray[np.float32] | None = None  # (2 B, E) where queries and codes are to lie

    def __post_init__(self) -> None:
        shape = (len(self.queries), len(self.codes))
        if not 0 < shape[0] <= shape[1]:
            raise ValueError(f"{shape[0]} queries need as many codes or more, got {shape[1]}")
        if not self.not_negative.shape == self.alike.shape == shape:
            raise ValueError(f"masks must have shape {shape}, got {self.not_negative.shape}")
        if self.targets is not None and len(self.targets) != 2 * shape[0]:
            raise ValueError(f"{shape[0]} pairs need {2 * shape[0]} targets")

    @property
    def tokens(self) -> int:
        """All tokens to be read, without padding."""
        return sum(map(len, self.queries)) + sum(map(len, self.codes))
