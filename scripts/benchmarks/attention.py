"""The attention operation alone, as one layer calls it: no projections, no padding."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import Work, compare, summary
from benchmarks.options import Options
from benchmarks.systems import batch_size, fits, pattern_for, settled
from models.attention import AttentionPath, attend
from models.attention_pattern import AttentionPattern
from models.config import SasaConfig
from models.encoder import choose_device
from models.flex import block_mask_of, can_compile

HEADS = 12
DIMENSIONS = (32, 64)
TOKENS = {"cpu": 8192, "cuda": 131_072}
PATTERNS = ("longformer", "bigbird", "sasa")


def measure(options: Options) -> dict:
    """Seconds of one call for each shape and length."""
    device = choose_device(options.device)
    tokens = TOKENS[device.type]
    patience = options.patience.over(len(DIMENSIONS) * len(options.lengths))
    shapes = {}
    for dimension in DIMENSIONS:
        shapes[f"{HEADS} x {dimension}"] = lengths = {}
        for length in options.lengths:
            batch = batch_size(length, tokens)
            works = operations(length, batch, dimension, device, options.seed)
            with torch.inference_mode():
                seconds = compare(works, device, patience, frozenset({"eager"}))
            lengths[str(length)] = {
                "batch": batch,
                "systems": summary(seconds, "sdpa", batch * length),
            }
    return {"dtype": "bfloat16", "shapes": shapes}


def operations(
    length: int, batch: int, dimension: int, device: torch.device, seed: int
) -> dict[str, Work]:
    """What each system does with the same queries, keys and values."""
    generator = torch.Generator().manual_seed(seed)
    # Projections come as (B, L, H, D); every layer sees them transposed.
    shape = (3, batch, length, HEADS, dimension)
    data = torch.randn(shape, generator=generator, dtype=torch.bfloat16).to(device)
    query, key, value = data.transpose(2, 3)
    works: dict[str, Work] = {"sdpa": lambda: F.scaled_dot_product_attention(query, key, value)}
    if fits("eager", HEADS, length, batch, device):
        works["eager"] = lambda: eager(query, key, value)
    works |= {name: sparse(name, length, device, (query, key, value), seed) for name in PATTERNS}
    other = other_path(length, device)
    if other is not None:
        works[f"sasa-{other}"] = sparse("sasa", length, device, (query, key, value), seed, other)
    return works


def eager(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention as the formula says, every score in memory."""
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    return scores.softmax(-1) @ value


def sparse(
    name: str,
    length: int,
    device: torch.device,
    projections: tuple[Tensor, Tensor, Tensor],
    seed: int,
    path: AttentionPath | None = None,
) -> Callable[[], Tensor]:
    """Attention along a pattern, by a path or by the rule; a mask of blocks is made before."""
    pattern = pattern_of(name, length, len(projections[0]), device, seed)
    path = sparse_path(length, device) if path is None else path
    block_mask = block_mask_of(pattern) if path == "flex" else None
    return lambda: attend(*projections, pattern, path, block_mask=block_mask)


def pattern_of(
    name: str, length: int, batch: int, device: torch.device, seed: int
) -> AttentionPattern:
    config, chosen = SasaConfig(), np.random.default_rng(seed)
    rows = [pattern_for(length, config, name, chosen) for _ in range(batch)]
    key_mask = torch.ones(batch, length, dtype=torch.bool, device=device)
    index, count = (
        torch.from_numpy(np.stack([getattr(row, part) for row in rows])).to(device)
        for part in ("block_index", "block_count")
    )
    return AttentionPattern(key_mask, index, count, config.block_size)


def sparse_path(length: int, device: torch.device) -> AttentionPath:
    """The path of the rule `auto` once it has settled."""
    if length <= SasaConfig().full_tokens:
        return "full"
    return "flex" if settled(device).compiles else "gather"


def other_path(length: int, device: torch.device) -> AttentionPath | None:
    """The path that the rule does not take here, though it could."""
    if length <= SasaConfig().full_tokens or not can_compile(device):
        return None
    return "gather" if sparse_path(length, device) == "flex" else "flex"
