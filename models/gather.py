"""SASA attention without a compiler: for each block of queries, collect the key blocks it sees.

Every block of queries becomes a row of a batch whose keys are its blocks side by side, so that
`models.products` does the rest; gradients included, memory linear in L. The copies of key blocks
are not kept for gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from models.attention_pattern import AttentionPattern
from models.products import attention, slices

# Blocks of queries whose keys are gathered at a time on a CPU: their copies stay in its cache.
_ROWS_AT_ONCE = 8


def gather_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: AttentionPattern,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    """Attend along `pattern`; see `models.attention.attend`."""
    batch, heads, length, dim = query.shape
    if pattern.reach is not None:
        pattern = pattern.within(pattern.reach)
    picked = _picked_rows(pattern)  # (B * N, K)
    visible = _visible_keys(pattern, picked)  # (B * N, 1, 1 | S, K * S)
    of_heads = torch.arange(heads, device=picked.device)[:, None]
    copied = picked[:, None, :] * heads + of_heads  # (B * N, H, K): blocks of one head
    rows, keys, values = (_split(x, pattern.block_size) for x in (query, key, value))
    step = len(rows) if query.is_cuda else _ROWS_AT_ONCE
    parts = [
        _attend_collected(rows[part], keys, values, copied[part], visible[part], scaling, dropout)
        for part in slices(len(rows), step)
    ]
    out: Tensor = torch.cat(parts).unflatten(0, (batch, -1))  # (B, N, H, S, D)
    if pattern.reach is None and bool(pattern.is_global.any()):
        out = _with_global_rows(out, query, key, value, pattern, scaling, dropout)
    return out.transpose(1, 2).reshape(batch, heads, -1, dim)[:, :, :length]


def _attend_collected(
    rows: Tensor,
    keys: Tensor,
    values: Tensor,
    copied: Tensor,
    visible: Tensor,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    """Some rows' attention to their blocks; gradients collect and compute these once more.

    Keeping them would take three fifths of a training step's memory (docs/decisions.md).
    """

    def attend_rows(rows: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        own_keys, own_values = _collect(keys, copied), _collect(values, copied)
        return attention(rows, own_keys, own_values, visible, scaling, dropout)

    learns = any(x.requires_grad for x in (rows, keys, values))
    if not (torch.is_grad_enabled() and learns):
        return attend_rows(rows, keys, values)
    out: Tensor = checkpoint(
        attend_rows,
        *(rows, keys, values),
        use_reentrant=False,
        preserve_rng_state=dropout > 0,
    )
    return out


def _with_global_rows(
    out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: AttentionPattern,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    """Replace the rows of global blocks in `out (B, N, H, S, D)`: they attend to everything.

    The global blocks of each input are computed together, (B, G); one with fewer than another
    fills its places with blocks of its own, which keep what they had.
    """
    batch, heads, _, dim = query.shape
    is_global = pattern.is_global
    most = int(is_global.sum(1).max())
    chosen = is_global.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    items = torch.arange(batch, device=query.device)[:, None]
    rows = _split(query, pattern.block_size).unflatten(0, (batch, -1))[items, chosen]
    rows = rows.transpose(1, 2).flatten(2, 3)  # (B, H, G * S, D)
    mask = pattern.key_mask[:, None, None, :]
    wide = attention(rows, key, value, mask, scaling, dropout)
    wide = wide.reshape(batch, heads, most, -1, dim).transpose(1, 2)
    keep = is_global[items, chosen][..., None, None, None]
    return out.index_put((items, chosen), torch.where(keep, wide, out[items, chosen]))


def _picked_rows(pattern: AttentionPattern) -> Tensor:
    """The block numbers of each row, counted through the whole batch, (B * N, K)."""
    batch, blocks, _ = pattern.block_index.shape
    offsets = torch.arange(batch, device=pattern.block_index.device)[:, None, None] * blocks
    return (pattern.block_index + offsets).flatten(0, 1)


def _visible_keys(pattern: AttentionPattern, picked: Tensor) -> Tensor:
    """Which gathered keys are real and meant, (B * N, 1, 1 or S, K * S)."""
    rows, width = picked.shape
    size = pattern.block_size
    slots = torch.arange(width, device=picked.device) < pattern.block_count.reshape(rows, 1)
    tokens = pattern.padded().key_mask.reshape(rows, size)
    visible = (tokens[picked] & slots[..., None]).reshape(rows, 1, 1, -1)
    if pattern.reach is not None:
        inside = torch.arange(size, device=picked.device)
        blocks = torch.arange(rows, device=picked.device)
        apart = (picked - blocks[:, None]) * size  # (B * N, K)
        distance = apart[:, None, :, None] + inside - inside[:, None, None]  # (B * N, S, K, S)
        visible = visible & (distance.abs() <= pattern.reach).reshape(rows, 1, size, -1)
    # A query of padding sees something, so that its softmax stays finite.
    return visible | ~visible.any(-1, keepdim=True)


def _split(x: Tensor, block_size: int) -> Tensor:
    """(B, H, L, D) as blocks, (B * N, H, S, D)."""
    batch, heads, length, dim = x.shape
    padded = F.pad(x, (0, 0, 0, -length % block_size))
    return padded.view(batch, heads, -1, block_size, dim).transpose(1, 2).flatten(0, 1)


def _collect(blocks: Tensor, copied: Tensor) -> Tensor:
    """The blocks (B * N, H, S, D) that each row sees, side by side, (rows, H, K * S, D).

    A block of a head is copied as a whole, once, to where the products want it.
    """
    flat = blocks.flatten(0, 1).flatten(1).index_select(0, copied.flatten())
    return flat.reshape(*copied.shape[:2], -1, blocks.shape[-1])
