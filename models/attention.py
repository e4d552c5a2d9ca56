"""SASA attention: a dense reference that defines it, a gather path that is fast uncompiled.

`attend` takes the projected `query, key, value (B, H, L, D)`, the key mask and the pattern of a
batch, and an explicit path:

- `dense`: masks the full score matrix; the definition of correct, forward and backward.
- `gather`: collects for each block of queries the key blocks it attends to; O(L) memory.
- `full`: every real token sees every real token; for patterns that cover all pairs.

Padding is never attended. What a padding query returns is finite and meaningless.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

AttentionPath = Literal["dense", "gather", "full"]

# Blocks of queries whose keys are gathered at a time on a CPU: their copies stay in its cache.
_ROWS_AT_ONCE = 8


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_mask: Tensor,
    block_index: Tensor,
    block_count: Tensor,
    block_size: int,
    path: AttentionPath,
    scaling: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend along a block pattern.

    Args:
        query: (B, H, L, D), as are `key` and `value`.
        key: keys.
        value: values.
        key_mask: (B, L) bool, True for real tokens.
        block_index: (B, N, K), N = ceil(L / block_size).
        block_count: (B, N); above K: the block attends to all, 0: a block of padding.
        block_size: tokens of a block.
        path: which implementation runs.
        scaling: factor of the scores, 1/sqrt(D) where None.
        dropout: probability of dropping an attention weight.

    Returns:
        (B, H, L, D)
    """
    if path == "full":
        mask = None if bool(key_mask.all()) else key_mask[:, None, None, :]
        return F.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scaling)
    if path == "gather":
        return _gather(
            query, key, value, key_mask, block_index, block_count, block_size, scaling, dropout
        )
    mask = token_mask(key_mask, block_index, block_count, block_size)
    return _dense(query, key, value, mask, scaling, dropout)


def token_mask(
    key_mask: Tensor, block_index: Tensor, block_count: Tensor, block_size: int
) -> Tensor:
    """The pattern between tokens, (B, 1, L, L): True where a query may attend to a key."""
    batch, blocks, width = block_index.shape
    length = key_mask.shape[1]
    used = torch.arange(width, device=block_index.device) < block_count[..., None]
    block_mask = torch.zeros(batch, blocks, blocks, dtype=torch.bool, device=key_mask.device)
    rows = torch.arange(blocks, device=key_mask.device)[None, :, None].expand_as(block_index)
    items = torch.arange(batch, device=key_mask.device)[:, None, None].expand_as(block_index)
    block_mask[items[used], rows[used], block_index[used].long()] = True
    block_mask |= (block_count > width)[..., None]
    mask = block_mask.repeat_interleave(block_size, 1).repeat_interleave(block_size, 2)
    return (mask[:, :length, :length] & key_mask[:, None, :])[:, None]


def _dense(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float | None, dropout: float
) -> Tensor:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query @ key.transpose(-1, -2)) * scale
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = F.dropout(scores.softmax(-1), dropout)
    return weights @ value


def _gather(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_mask: Tensor,
    block_index: Tensor,
    block_count: Tensor,
    block_size: int,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    """Every block of queries is one row of a batch whose keys are its blocks, side by side."""
    batch, heads, length, dim = query.shape
    blocks, width = block_index.shape[1:]
    padding = blocks * block_size - length
    offsets = torch.arange(batch, device=query.device)[:, None, None] * blocks
    picked = (block_index + offsets).reshape(batch * blocks, width)

    def split(x: Tensor) -> Tensor:
        rows = F.pad(x.transpose(1, 2), (0, 0, 0, 0, 0, padding))
        return rows.reshape(batch * blocks, block_size, heads, dim)

    def collect(rows: Tensor, which: Tensor) -> Tensor:
        # Whole blocks in the projections' own layout: 9 times faster than a gather per head.
        flat = rows.reshape(batch * blocks, -1).index_select(0, which.reshape(-1))
        return flat.reshape(len(which), width * block_size, heads, dim).transpose(1, 2)

    slots = torch.arange(width, device=query.device) < block_count[..., None]
    tokens = F.pad(key_mask, (0, padding)).reshape(batch * blocks, block_size)
    visible = tokens[picked] & slots.reshape(batch * blocks, width, 1)
    visible = visible.reshape(batch * blocks, 1, 1, width * block_size)
    # A block of padding sees something, so that its softmax stays finite.
    visible = visible | ~visible.any(-1, keepdim=True)

    rows, keys, values = split(query), split(key), split(value)
    step = len(rows) if query.is_cuda else _ROWS_AT_ONCE
    parts = [
        F.scaled_dot_product_attention(
            rows[part].transpose(1, 2),
            collect(keys, picked[part]),
            collect(values, picked[part]),
            visible[part],
            dropout,
            scale=scaling,
        )
        for part in (slice(start, start + step) for start in range(0, len(rows), step))
    ]
    shape = (batch, blocks, heads, block_size, dim)
    out = _fill_global_rows(
        torch.cat(parts).reshape(shape),
        rows.transpose(1, 2).reshape(shape),
        key,
        value,
        key_mask,
        block_count > width,
        scaling,
        dropout,
    )
    return out.transpose(1, 2).reshape(batch, heads, -1, dim)[:, :, :length]


def _fill_global_rows(
    out: Tensor,
    rows: Tensor,
    key: Tensor,
    value: Tensor,
    key_mask: Tensor,
    is_global: Tensor,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    """Replace the rows of global blocks in `out (B, N, H, S, D)`: they attend to everything."""
    most = int(is_global.sum(1).max())
    if most == 0:
        return out
    batch, _, heads, block_size, dim = rows.shape
    # The global blocks come first; an input with fewer keeps its own row in the spare places.
    order = is_global.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    items = torch.arange(batch, device=rows.device)[:, None]
    queries = rows[items, order].transpose(1, 2).reshape(batch, heads, most * block_size, dim)
    mask = key_mask[:, None, None, :]
    wide = F.scaled_dot_product_attention(queries, key, value, mask, dropout, scale=scaling)
    wide = wide.reshape(batch, heads, most, block_size, dim).transpose(1, 2)
    keep = is_global[items, order][..., None, None, None]
    wide = torch.where(keep, wide, out[items, order])
    return out.index_put((items, order), wide)


def sasa_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **pattern: Any,
) -> tuple[Tensor, None]:
    """`attend` as a transformers attention function; returns (B, L, H, D) and no weights.

    The pattern arrives as forward keyword arguments of the model: `block_index`, `block_count`,
    `block_size` and `attention_path`.
    """
    batch, _, length, _ = query.shape
    if attention_mask is None:
        attention_mask = torch.ones(batch, length, dtype=torch.bool, device=query.device)
    out = attend(
        query,
        key,
        value,
        attention_mask,
        pattern["block_index"],
        pattern["block_count"],
        pattern["block_size"],
        pattern["attention_path"],
        scaling,
        dropout,
    )
    return out.transpose(1, 2).contiguous(), None


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
