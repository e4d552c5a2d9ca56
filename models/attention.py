"""SASA attention: a dense reference that defines it, a gather path that is fast uncompiled.

`attend` takes the projected `query, key, value (B, H, L, D)`, the pattern of a batch, and an
explicit path:

- `dense`: masks the full score matrix; the definition of correct, forward and backward.
- `gather`: collects for each block of queries the key blocks it attends to; O(L) memory.
- `full`: every real token sees every real token; for patterns that cover all pairs.

Padding is never attended. What a padding query returns is finite and meaningless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

AttentionPath = Literal["dense", "gather", "full"]

# Blocks of queries whose keys are gathered at a time on a CPU: their copies stay in its cache.
_ROWS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class AttentionPattern:
    """Who attends to whom in a batch of padded inputs; N = ceil(L / block_size)."""

    key_mask: Tensor  # (B, L) bool, True for real tokens
    block_index: Tensor  # (B, N, K) int
    block_count: Tensor  # (B, N) int; above K: the block attends to all, 0: a block of padding
    block_size: int

    def token_mask(self) -> Tensor:
        """The pattern between tokens, (B, 1, L, L): True where a query may attend to a key."""
        batch, blocks, width = self.block_index.shape
        length, device = self.key_mask.shape[1], self.key_mask.device
        used = torch.arange(width, device=device) < self.block_count[..., None]
        items = torch.arange(batch, device=device)[:, None, None].expand_as(self.block_index)
        rows = torch.arange(blocks, device=device)[None, :, None].expand_as(self.block_index)
        mask = torch.zeros(batch, blocks, blocks, dtype=torch.bool, device=device)
        mask[items[used], rows[used], self.block_index[used].long()] = True
        mask |= (self.block_count > width)[..., None]
        mask = mask.repeat_interleave(self.block_size, 1).repeat_interleave(self.block_size, 2)
        return (mask[:, :length, :length] & self.key_mask[:, None, :])[:, None]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: AttentionPattern,
    path: AttentionPath,
    scaling: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend along a block pattern.

    Args:
        query: (B, H, L, D), as are `key` and `value`.
        key: keys.
        value: values.
        pattern: who attends to whom.
        path: which implementation runs.
        scaling: factor of the scores, 1/sqrt(D) where None.
        dropout: probability of dropping an attention weight.

    Returns:
        (B, H, L, D)
    """
    if path == "full":
        is_padded = not bool(pattern.key_mask.all())
        mask = pattern.key_mask[:, None, None, :] if is_padded else None
        return F.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scaling)
    if path == "gather":
        return _gather(query, key, value, pattern, scaling, dropout)
    return _dense(query, key, value, pattern.token_mask(), scaling, dropout)


def _dense(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float | None, dropout: float
) -> Tensor:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query @ key.transpose(-1, -2)) * scale
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return F.dropout(scores.softmax(-1), dropout) @ value


def _gather(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: AttentionPattern,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    """Every block of queries is a row of a batch whose keys are its blocks, side by side."""
    batch, heads, length, dim = query.shape
    picked = _picked_rows(pattern)  # (B * N, K)
    visible = _visible_keys(pattern, picked)  # (B * N, 1, 1, K * S)
    rows, keys, values = (_split(x, pattern.block_size) for x in (query, key, value))
    step = len(rows) if query.is_cuda else _ROWS_AT_ONCE
    parts = [
        F.scaled_dot_product_attention(
            rows[part].transpose(1, 2),
            _collect(keys, picked[part]),
            _collect(values, picked[part]),
            visible[part],
            dropout,
            scale=scaling,
        )
        for part in (slice(start, start + step) for start in range(0, len(rows), step))
    ]
    out: Tensor = torch.cat(parts).unflatten(0, (batch, -1))  # (B, N, H, S, D)
    is_global = pattern.block_count > pattern.block_index.shape[2]
    if bool(is_global.any()):
        out = _with_global_rows(out, query, key, value, pattern, is_global, scaling, dropout)
    return out.transpose(1, 2).reshape(batch, heads, -1, dim)[:, :, :length]


def _with_global_rows(
    out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: AttentionPattern,
    is_global: Tensor,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    """Replace the rows of global blocks in `out (B, N, H, S, D)`: they attend to everything.

    The global blocks of each input are computed together, (B, G); one with fewer than another
    fills its places with blocks of its own, which keep what they had.
    """
    batch, heads, _, dim = query.shape
    most = int(is_global.sum(1).max())
    chosen = is_global.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    items = torch.arange(batch, device=query.device)[:, None]
    rows = _split(query, pattern.block_size).unflatten(0, (batch, -1))[items, chosen]
    rows = rows.flatten(1, 2).transpose(1, 2)  # (B, H, G * S, D)
    mask = pattern.key_mask[:, None, None, :]
    wide = F.scaled_dot_product_attention(rows, key, value, mask, dropout, scale=scaling)
    wide = wide.reshape(batch, heads, most, -1, dim).transpose(1, 2)
    keep = is_global[items, chosen][..., None, None, None]
    return out.index_put((items, chosen), torch.where(keep, wide, out[items, chosen]))


def _picked_rows(pattern: AttentionPattern) -> Tensor:
    """The block numbers of each row, counted through the whole batch, (B * N, K)."""
    batch, blocks, _ = pattern.block_index.shape
    offsets = torch.arange(batch, device=pattern.block_index.device)[:, None, None] * blocks
    return (pattern.block_index + offsets).flatten(0, 1)


def _visible_keys(pattern: AttentionPattern, picked: Tensor) -> Tensor:
    """Which gathered keys are real and meant, (B * N, 1, 1, K * S)."""
    rows, width = picked.shape
    slots = torch.arange(width, device=picked.device) < pattern.block_count.reshape(rows, 1)
    padding = -pattern.key_mask.shape[1] % pattern.block_size
    tokens = F.pad(pattern.key_mask, (0, padding)).reshape(rows, pattern.block_size)
    visible = (tokens[picked] & slots[..., None]).reshape(rows, 1, 1, -1)
    # A block of padding sees something, so that its softmax stays finite.
    return visible | ~visible.any(-1, keepdim=True)


def _split(x: Tensor, block_size: int) -> Tensor:
    """(B, H, L, D) as blocks in the projections' own layout, (B * N, S, H, D)."""
    rows = F.pad(x.transpose(1, 2), (0, 0, 0, 0, 0, -x.shape[2] % block_size))
    return rows.reshape(-1, block_size, *rows.shape[2:])


def _collect(blocks: Tensor, picked: Tensor) -> Tensor:
    """The picked blocks of each row side by side, (rows, H, K * S, D).

    Whole blocks are copied as they lie: 9 times faster than a gather per head.
    """
    flat = blocks.flatten(1).index_select(0, picked.flatten())
    return flat.reshape(len(picked), -1, *blocks.shape[2:]).transpose(1, 2)


def sasa_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **arguments: Any,
) -> tuple[Tensor, None]:
    """`attend` as a transformers attention function; returns (B, L, H, D) and no weights.

    The pattern arrives as forward keyword arguments of the model: `block_index`, `block_count`,
    `block_size` and `attention_path`.
    """
    batch, _, length, _ = query.shape
    if attention_mask is None:
        attention_mask = torch.ones(batch, length, dtype=torch.bool, device=query.device)
    pattern = AttentionPattern(
        attention_mask,
        arguments["block_index"],
        arguments["block_count"],
        arguments["block_size"],
    )
    out = attend(query, key, value, pattern, arguments["attention_path"], scaling, dropout)
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
