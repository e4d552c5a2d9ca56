"""Who attends to whom in a batch of padded inputs: the patterns of `models.blocks` as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class AttentionPattern:
    """The blocks that each block of each input attends to; N = ceil(L / block_size)."""

    key_mask: Tensor  # (B, L) bool, True for real tokens
    block_index: Tensor  # (B, N, K) int
    block_count: Tensor  # (B, N) int; above K: the block attends to all, 0: a block of padding
    block_size: int
    reach: int | None = None  # tokens further apart than this do not attend to each other

    @property
    def is_global(self) -> Tensor:
        """The blocks that attend to everything, (B, N) bool."""
        return self.block_count > self.block_index.shape[2]

    def block_mask(self) -> Tensor:
        """The pattern between blocks, (B, N, N): True where a row may attend to a column."""
        batch, blocks, width = self.block_index.shape
        device = self.block_index.device
        used = torch.arange(width, device=device) < self.block_count[..., None]
        mask = torch.zeros(batch, blocks, blocks, dtype=torch.int8, device=device)
        mask.scatter_reduce_(2, self.block_index.long(), used.to(torch.int8), "amax")
        return mask.bool() | self.is_global[..., None]

    def token_mask(self) -> Tensor:
        """The pattern between tokens, (B, 1, L, L): True where a query may attend to a key."""
        length = self.key_mask.shape[1]
        mask = self.block_mask()
        mask = mask.repeat_interleave(self.block_size, 1).repeat_interleave(self.block_size, 2)
        mask = mask[:, :length, :length] & self.key_mask[:, None, :]
        if self.reach is not None:
            mask &= near(length, self.reach, mask.device)
        return mask[:, None]

    def within(self, reach: int) -> AttentionPattern:
        """The same pattern for a local layer, without the blocks that are out of its reach."""
        batch, blocks, _ = self.block_index.shape
        apart = -(-reach // self.block_size)
        mask = self.block_mask() & near(blocks, apart, self.block_index.device)
        width = min(blocks, 2 * apart + 1)
        order = mask.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
        return replace(
            self, block_index=order[..., :width].int(), block_count=mask.sum(-1), reach=reach
        )

    def padded(self) -> AttentionPattern:
        """The same pattern over whole blocks: the key mask grows to N * block_size tokens."""
        short = -self.key_mask.shape[1] % self.block_size
        return replace(self, key_mask=F.pad(self.key_mask, (0, short))) if short else self


def near(count: int, apart: int, device: torch.device) -> Tensor:
    """Which of `count` places in a row are at most so far apart, (count, count) bool."""
    position = torch.arange(count, device=device)
    return (position[:, None] - position).abs() <= apart
