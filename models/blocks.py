"""Which blocks of an input attend to which: the sparsity pattern as two small arrays.

A pattern of one input is `block_index (N, K)` and `block_count (N,)`: block `i` attends to the
blocks `block_index[i, :block_count[i]]`. A count above K says that the block is global and attends
to every block. Source: SASA (Liu et al., SIGIR 2022); unlike the released code, the last global
block is the last one with text, and ties between scores go to the earlier block. Rows of the
rivals (Longformer, BigBird, a plain window) are chosen in the same way from their parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.config import SasaConfig


@dataclass(frozen=True, slots=True)
class BlockPattern:
    """The blocks that each block of one input attends to, ascending within a row."""

    block_index: NDArray[np.int32]  # (N, K), unused slots hold 0
    block_count: NDArray[np.int32]  # (N,)

    @property
    def covers_all_pairs(self) -> bool:
        """Whether the pattern is full attention."""
        return bool((self.block_count >= len(self.block_count)).all())

    @property
    def head_blocks(self) -> int:
        """How many blocks at the beginning see each other alone; 0: there are none."""
        head, blocks = int(self.block_count[0]), len(self.block_count)
        if head >= blocks or not (self.block_count[:head] == head).all():
            return 0
        alone = (self.block_index[:head, :head] == np.arange(head)).all()
        return head if alone else 0

    def dense(self) -> NDArray[np.bool_]:
        """The pattern as `block_mask (N, N)`: True where a row attends to a column."""
        count, width = self.block_index.shape
        mask = np.zeros((count, count), dtype=bool)
        used = np.arange(width) < self.block_count[:, None]
        rows = np.nonzero(used)[0]
        mask[rows, self.block_index[used]] = True
        mask[self.block_count > width] = True
        return mask

    def digest_bytes(self) -> bytes:
        """The pattern's part of a vector's content key; nothing for full attention.

        What is read by itself at the beginning also says how much the rest counts.
        """
        if self.covers_all_pairs:
            return b""
        pooled = b"twice" if self.head_blocks else b""
        return self.block_count.tobytes() + self.block_index.tobytes() + pooled


def select_blocks(
    length: int,
    config: SasaConfig,
    scores: NDArray[np.float32] | None = None,
    has_head: bool = False,
) -> BlockPattern:
    """Choose the blocks of every row: window, global, then the best scored of the rest.

    A row has room for `config.row_blocks`; where the window or the global blocks are cut off by
    an edge or overlap, their room goes to scored blocks. Where `config.is_sparse` says no, all
    blocks see each other.

    Args:
        length: tokens of the input.
        config: the pattern's parts and sizes.
        scores: (N, N), how much blocks have to do with each other (`models.scores`); a row takes
            only blocks that score above 0.
        has_head: the first `config.head_blocks` are the head of code, and see themselves alone.
    """
    blocks = config.block_count(length)
    head = min(blocks, config.head_blocks) if has_head else 0
    width = min(blocks, max(config.row_blocks, head))
    if not config.is_sparse(length, has_head):
        return BlockPattern(
            np.tile(np.arange(width, dtype=np.int32), (blocks, 1)),
            np.full(blocks, blocks, dtype=np.int32),
        )
    allowed = window_mask(blocks, config)
    if config.uses("global"):
        allowed |= global_mask(blocks, config)
    index = np.zeros((blocks, width), dtype=np.int32)
    count = np.zeros(blocks, dtype=np.int32)
    index[:head, :head], count[:head] = np.arange(head), head
    for row in range(head, blocks):
        row_scores = None if scores is None else scores[row]
        chosen = _fill_row(allowed[row], row_scores, config.row_blocks)
        count[row] = len(chosen)
        index[row, : min(len(chosen), width)] = chosen[:width]
    return BlockPattern(index, count)


def window_mask(blocks: int, config: SasaConfig) -> NDArray[np.bool_]:
    """Each block sees its neighbours, (N, N)."""
    position = np.arange(blocks)
    distance = np.abs(position[:, None] - position[None, :])
    return np.asarray(distance <= config.window_blocks // 2)


def global_mask(blocks: int, config: SasaConfig) -> NDArray[np.bool_]:
    """The first and last blocks with text see and are seen by all, (N, N)."""
    position = np.arange(blocks)
    first = -(-config.global_blocks // 2)
    last = config.global_blocks // 2
    is_global = (position < first) | (position >= blocks - last)
    return np.asarray(is_global[:, None] | is_global[None, :])


def _fill_row(
    allowed: NDArray[np.bool_], scores: NDArray[np.float32] | None, width: int
) -> NDArray[np.intp]:
    """The blocks of one row, ascending."""
    fixed = np.flatnonzero(allowed)
    if scores is None or len(fixed) >= width:
        return fixed
    candidates = np.where(allowed, 0.0, scores)
    best = np.argsort(-candidates, kind="stable")[: width - len(fixed)]
    return np.sort(np.concatenate([fixed, best[candidates[best] > 0]]))
