"""Attention of queries to the keys that they see, by what is fastest where it runs.

On GPUs and in float32 that is `scaled_dot_product_attention`. In bfloat16 on a CPU plain products
of matrices take half to two thirds of its time, gradients included, as long as their scores stay
in the cache: so they are computed in pieces. With matrix units (AMX) that was seen only for
gradients, so without them SDPA stays there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Scores of a piece, all heads together: 6 MB, and as much for what the softmax makes of them.
_SCORES_AT_ONCE = 3 << 20
_FEWEST_ROWS = 64  # of a piece; products of fewer rows are slow themselves
# Scores of a head that gradients need are kept. Of more than these SDPA, which computes them anew,
# is as fast, and takes less memory.
_MOST_KEPT = 512 * 512


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """The softmax of the scores of visible keys, times the values.

    Args:
        query: (B, H, S, D)
        key: (B, H, K, D), as is `value`.
        value: values.
        visible: (1 or B, 1, 1 or S, K), True where a query sees a key; None: everywhere.
        scaling: factor of the scores, 1/sqrt(D) where None.
        dropout: probability of dropping an attention weight.

    Returns:
        (B, H, S, D)
    """
    if not _are_products_faster(query, key):
        return F.scaled_dot_product_attention(query, key, value, visible, dropout, scale=scaling)
    batch, heads, rows, dim = query.shape
    query = query * (dim**-0.5 if scaling is None else scaling)
    cells = _SCORES_AT_ONCE // heads
    items = max(1, cells // (rows * key.shape[2]))
    step = rows if items > 1 else max(_FEWEST_ROWS, cells // key.shape[2])
    wholes = []
    for at in slices(batch, items):
        added = None if visible is None else _added(visible.expand(batch, -1, -1, -1)[at], query)
        parts = [
            _piece(query[at, :, part], key[at], value[at], _rows(added, part), dropout)
            for part in slices(rows, step)
        ]
        wholes.append(torch.cat(parts, dim=2))
    return torch.cat(wholes)


def _piece(
    query: Tensor, key: Tensor, value: Tensor, added: Tensor | None, dropout: float
) -> Tensor:
    scores = query @ key.transpose(-1, -2)
    if added is not None:
        scores = scores + added
    return F.dropout(scores.softmax(-1), dropout) @ value


def _added(visible: Tensor, query: Tensor) -> Tensor | None:
    """What is added to the scores, so that next to nothing is left of what is not visible."""
    if bool(visible.all()):
        return None
    return torch.zeros_like(visible, dtype=query.dtype).masked_fill_(
        ~visible, torch.finfo(query.dtype).min
    )


def _rows(added: Tensor | None, part: slice) -> Tensor | None:
    """Those of some queries; a mask of one row is every query's."""
    return added if added is None or added.shape[2] == 1 else added[:, :, part]


def slices(length: int, step: int) -> list[slice]:
    """A length in parts of `step`; the last may be shorter, as far as it goes."""
    return [slice(start, start + step) for start in range(0, length, step)]


def _are_products_faster(query: Tensor, key: Tensor) -> bool:
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return False
    if query.requires_grad and torch.is_grad_enabled():
        return query.shape[2] * key.shape[2] <= _MOST_KEPT
    return not torch.cpu._is_amx_tile_supported()
