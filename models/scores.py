"""How much the blocks of an input have to do with each other: what top-k and AST choose by.

Two matrices (N, N) over blocks, made without one over tokens: how often the syntax tree connects
two blocks (SASA's AST pattern), and how much their tokens attend to each other in general (SASA's
top-k pattern, by the frequency prior). Unlike the released code, both are means over the tokens of
a block, not sums, so that a short last block is not at a disadvantage and no k goes to padding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.config import SasaConfig
from models.prior import FrequencyPrior

Scores = NDArray[np.float32]


def block_scores(
    ids: NDArray[np.int32],
    links: NDArray[np.int32],
    config: SasaConfig,
    prior: FrequencyPrior | None = None,
) -> Scores | None:
    """The scores that a pattern chooses blocks by, (N, N); None where it has nothing to go by.

    Args:
        ids: (L,) token ids.
        links: (n, 2) token positions of places that the syntax tree connects.
        config: says which parts count, and how much.
        prior: the checkpoint's frequency prior, if it has one.
    """
    if config.uses("random"):
        blocks = config.block_count(len(ids))
        return np.random.default_rng(blocks).random((blocks, blocks), dtype=np.float32)
    parts: list[tuple[float, Scores]] = []
    if config.uses("syntax") and len(links):
        parts.append(
            (1 - config.frequency_weight, link_scores(links, len(ids), config.block_size))
        )
    if config.uses("frequency") and config.frequency_weight and prior is not None:
        parts.append((config.frequency_weight, prior.block_scores(ids, config.block_size)))
    if not parts:
        return None
    return np.asarray(np.sum([weight * _scaled(part) for weight, part in parts], axis=0))


def link_scores(links: NDArray[np.int32], length: int, block_size: int) -> Scores:
    """Pool related pairs of tokens to a symmetric score between blocks, (N, N).

    Args:
        links: (n, 2) token positions of related pairs; positions outside the input are ignored.
        length: tokens of the input.
        block_size: tokens of a block.

    Returns:
        For each pair of blocks the number of related pairs over the tokens that they hold.
    """
    blocks = -(-length // block_size)
    inside = links[((links >= 0) & (links < length)).all(axis=1)] // block_size
    pairs = np.bincount(inside[:, 0] * blocks + inside[:, 1], minlength=blocks * blocks)
    scores = pairs.reshape(blocks, blocks).astype(np.float32)
    tokens = np.full(blocks, block_size, dtype=np.float32)
    tokens[-1:] = length - block_size * (blocks - 1)
    return (scores + scores.T) / (tokens[:, None] + tokens[None, :])


def _scaled(scores: Scores) -> Scores:
    """Scores whose mean is 1, so that a weight means the same for every part."""
    mean = scores.mean()
    return scores / mean if mean > 0 else scores
