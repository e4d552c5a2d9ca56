"""SASA attention: a dense reference that defines it, and the paths that compute it fast.

`attend` takes the projected `query, key, value (B, H, L, D)`, the pattern of a batch, and an
explicit path:

- `dense`: masks the full score matrix; the definition of correct, forward and backward.
- `full`: every real token sees every real token; for patterns that cover all pairs.
- `gather`: collects for each block of queries the key blocks it attends to (`models.gather`).
- `flex`: compiled FlexAttention (`models.flex`); without dropout, on a CPU without gradients.

Padding is never attended. What a padding query returns is finite and meaningless.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from models.attention_pattern import AttentionPattern, near
from models.blocks import select_blocks
from models.config import SasaConfig
from models.gather import gather_attention
from models.products import attention

AttentionPath = Literal["dense", "full", "gather", "flex"]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: AttentionPattern,
    path: AttentionPath,
    scaling: float | None = None,
    dropout: float = 0.0,
    block_mask: Any = None,
) -> Tensor:
    """Attend along a block pattern.

    Args:
        query: (B, H, L, D), as are `key` and `value`.
        key: keys.
        value: values.
        pattern: who attends to whom.
        path: which implementation runs.
        scaling: factor of the scores, 1/sqrt(D) where None.
        dropout: probability of dropping an attention weight; not with `flex`.
        block_mask: the pattern as `models.flex` wants it, where several layers share it.

    Returns:
        (B, H, L, D)
    """
    if path == "full":
        return _full(query, key, value, pattern.key_mask, pattern.reach, scaling, dropout)
    if path == "gather":
        return gather_attention(query, key, value, pattern, scaling, dropout)
    if path == "flex":
        if dropout:
            raise ValueError("compiled attention has no dropout: use gather")
        from models.flex import flex_attention

        return flex_attention(query, key, value, pattern, scaling, block_mask)
    return _dense(query, key, value, pattern.token_mask(), scaling, dropout)


def _full(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_mask: Tensor | None,
    reach: int | None,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    mask = None if key_mask is None else key_mask[:, None, None, :]
    if reach is not None:
        local = near(key.shape[2], reach, key.device)
        mask = local if mask is None else mask & local
        mask = mask | ~mask.any(-1, keepdim=True)  # padding out of reach of all: stay finite
    return attention(query, key, value, mask, scaling, dropout)


def _dense(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float | None, dropout: float
) -> Tensor:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query @ key.transpose(-1, -2)) * scale
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return F.dropout(scores.softmax(-1), dropout) @ value


def sasa_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **arguments: Any,
) -> tuple[Tensor, None]:
    """`attend` as a transformers attention function; returns (B, L, H, D) and no weights.

    The pattern arrives as forward keyword arguments of the model: `block_index (B, N, K)`,
    `block_count (B, N)`, `block_size`, and which `attention_path` runs. A model called without
    them attends along window and global blocks. `sliding_window` is what ModernBERT hands its
    local layers: tokens that far apart, or further, do not attend to each other.
    """
    reach = None if sliding_window is None else sliding_window - 1
    path = arguments.get("attention_path", "gather")
    if path == "full":
        out = _full(query, key, value, attention_mask, reach, scaling, dropout)
    else:
        if attention_mask is None:
            batch, _, length, _ = query.shape
            attention_mask = torch.ones(batch, length, dtype=torch.bool, device=query.device)
        pattern = _pattern_of(attention_mask, reach, arguments)
        block_mask = arguments.get("block_mask") if reach is None else None
        out = attend(query, key, value, pattern, path, scaling, dropout, block_mask)
    return out.transpose(1, 2).contiguous(), None


def _pattern_of(
    key_mask: Tensor, reach: int | None, arguments: Mapping[str, Any]
) -> AttentionPattern:
    """The pattern that a caller handed to the model's forward; window and global without one."""
    if "block_index" in arguments:
        size = arguments.get("block_size", SasaConfig().block_size)
        return AttentionPattern(
            key_mask, arguments["block_index"], arguments["block_count"], size, reach
        )
    warnings.warn(
        "SASA attention without block_index and block_count: window and global blocks only",
        stacklevel=3,
    )
    config = SasaConfig(pattern="longformer")
    batch, length = key_mask.shape
    plain = select_blocks(length, config)
    index, count = (
        torch.from_numpy(array).to(key_mask.device).expand(batch, *array.shape)
        for array in (plain.block_index, plain.block_count)
    )
    return AttentionPattern(key_mask, index, count, config.block_size, reach)


def key_padding_mask(
    batch_size: int, kv_length: int, attention_mask: Tensor | None = None, **_: Any
) -> Tensor | None:
    """A transformers mask function that hands the key mask (B, L) through as it is."""
    return None if attention_mask is None else attention_mask.bool()


def register() -> None:
    """Make `attn_implementation="sasa"` known to transformers."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register("sasa", sasa_attention)
    AttentionMaskInterface.register("sasa", key_padding_mask)
