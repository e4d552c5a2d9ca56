"""What one step of training reads: queries, codes, and which of them are no negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.inputs import EncoderInput


@dataclass(frozen=True, slots=True)
class PairBatch:
    """B pairs, whose code `i` answers query `i`, and other texts behind them.

    G more queries ask for none of the codes, H more codes answer none of the queries.
    """

    queries: tuple[EncoderInput, ...]  # B + G
    codes: tuple[EncoderInput, ...]  # B + H
    not_negative: NDArray[np.bool_]  # (B, B + H) True: the code may answer the query too
    alike: NDArray[np.bool_]  # (B, B + H) True: … where the codes' vectors are nearly the same
    # (B + G + B + H, E) where queries and codes are to lie; a row of zeros is nowhere
    targets: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        pairs, texts = len(self.not_negative), (len(self.queries), len(self.codes))
        if not 0 < pairs <= min(texts):
            raise ValueError(f"{pairs} pairs need as many queries and codes or more, got {texts}")
        if not self.not_negative.shape == self.alike.shape == (pairs, texts[1]):
            raise ValueError(
                f"masks must have shape {(pairs, texts[1])}, got {self.not_negative.shape}"
            )
        if self.targets is not None and len(self.targets) != sum(texts):
            raise ValueError(f"{sum(texts)} texts need as many targets, got {len(self.targets)}")

    def with_codes(
        self, codes: tuple[EncoderInput, ...], not_negative: NDArray[np.bool_]
    ) -> PairBatch:
        """The same with more codes that answer none of the queries, masked by (B, more)."""
        return PairBatch(
            self.queries,
            (*self.codes, *codes),
            np.hstack([self.not_negative, not_negative]),
            np.hstack([self.alike, np.zeros_like(not_negative)]),
        )

    @property
    def tokens(self) -> int:
        """All tokens to be read, without padding."""
        return sum(map(len, self.queries)) + sum(map(len, self.codes))
