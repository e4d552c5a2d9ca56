"""The rule `auto`: which attention path encodes a batch, and a record of what ran.

Where every pattern of a batch covers all pairs, `full`. Else `gather`, until it has run for as
long as compiling would take; from then on `flex`, on devices where the compiled kernel is the
faster one. So a small repository never waits for a compiler, and a large one loses at most as much
again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from models.attention import AttentionPath
from models.flex import can_compile
from models.inputs import EncoderInput

# What compiling takes on a CPU or a GPU when nothing is cached.
COMPILE_SECONDS = 15.0


@dataclass(slots=True)
class PathRule:
    """Chooses the path of each batch for one device."""

    compiles: bool  # whether a compiled kernel can be had here and is faster
    sparse_seconds: float = 0.0
    tokens: Counter[AttentionPath] = field(default_factory=Counter)  # encoded by each path

    def choose(self, inputs: Sequence[EncoderInput]) -> AttentionPath:
        """The path for a batch."""
        if all(item.pattern.covers_all_pairs for item in inputs):
            return "full"
        pays = self.compiles and self.sparse_seconds >= COMPILE_SECONDS
        return "flex" if pays else "gather"

    def account(self) -> str:
        """The share of each path, the largest first."""
        total = self.tokens.total() or 1
        return ", ".join(f"{path} {n / total:.0%}" for path, n in self.tokens.most_common())

    def record(self, path: AttentionPath, tokens: int, seconds: float) -> None:
        """Take note of an encoded batch."""
        self.tokens[path] += tokens
        if path == "gather":
            self.sparse_seconds += seconds


def rule_for(device: torch.device) -> PathRule:
    """The rule of a device: see `docs/decisions.md` for where compiled code was measured faster.

    A CPU without matrix units (AMX) does not profit: gather is as fast there.
    """
    profits = device.type == "cuda" or torch.cpu._is_amx_tile_supported()
    return PathRule(compiles=profits and can_compile(device))
