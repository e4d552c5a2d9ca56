"""SASA attention as a compiled kernel: FlexAttention with a block mask made of block indices.

On CUDA and, where a C++ compiler is present, on a CPU (forward only). Compiling takes seconds,
once per machine: the code is cached between runs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask

from models.attention_pattern import AttentionPattern

# The lengths that a compiled mask reads have a fixed size: a captured tensor of dynamic size
# breaks the C++ code that torch 2.13 generates.
MAX_BATCH = 4096


def can_compile(device: torch.device) -> bool:
    """Whether FlexAttention can be compiled for a device of this machine."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (7, 0)
    return _compiler() is not None and torch.cpu._is_avx2_supported()


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: AttentionPattern,
    scaling: float | None,
    block_mask: BlockMask | None = None,
) -> Tensor:
    """Attend along `pattern`, whose real tokens come before the padding.

    Args:
        query: (B, H, L, D), as are `key` and `value`; B at most `MAX_BATCH`.
        key: keys.
        value: values.
        pattern: who attends to whom.
        scaling: factor of the scores, 1/sqrt(D) where None.
        block_mask: `block_mask_of(pattern)`, where several layers share it.

    Returns:
        (B, H, L, D)
    """
    length = query.shape[2]
    short = -length % pattern.block_size
    if short:
        query, key, value = (F.pad(x, (0, 0, 0, short)) for x in (query, key, value))
    mask = block_mask_of(pattern) if block_mask is None else block_mask
    out: Tensor = _kernel()(
        query, key, value, block_mask=mask, scale=scaling, kernel_options=_options(query, pattern)
    )
    return out[:, :, :length]


def block_mask_of(pattern: AttentionPattern) -> BlockMask:
    """FlexAttention's form of a pattern; shared by all layers of a forward pass."""
    if pattern.reach is not None:
        pattern = pattern.within(pattern.reach)
    lengths = pattern.key_mask.sum(1)
    ends = (torch.arange(1, pattern.block_index.shape[1] + 1, device=lengths.device)) * (
        pattern.block_size
    )
    seen = pattern.block_mask()
    whole = (ends <= lengths[:, None])[:, None, :]  # (B, 1, N) blocks without padding
    if pattern.reach is not None:
        whole = torch.zeros_like(whole)  # every block is cut by the reach
    size = pattern.block_size
    return BlockMask.from_kv_blocks(
        *_listed(seen & ~whole),
        *_listed(seen & whole),
        BLOCK_SIZE=size,
        mask_mod=_visible(lengths, pattern.reach),
        compute_q_blocks=False,
    )


def _listed(mask: Tensor) -> tuple[Tensor, Tensor]:
    """How many columns each row has, (B, 1, N), and which, (B, 1, N, N)."""
    order = mask.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    return mask.sum(-1, dtype=torch.int32)[:, None], order.int()[:, None]


def _visible(lengths: Tensor, reach: int | None) -> Callable[..., Tensor]:
    """FlexAttention's `mask_mod` of inputs of these lengths."""
    fixed = torch.zeros(MAX_BATCH, dtype=torch.int64, device=lengths.device)
    fixed[: len(lengths)] = lengths
    torch._dynamo.mark_static(fixed)

    def inside(item: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return column < fixed[item]

    def near(item: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return (column < fixed[item]) & ((row - column).abs() <= (reach or 0))

    return inside if reach is None else near


def _options(query: Tensor, pattern: AttentionPattern) -> dict[str, int]:
    """A GPU kernel's own tiles must divide the blocks of the pattern."""
    if not query.is_cuda:
        return {}
    return {"BLOCK_M": min(128, pattern.block_size), "BLOCK_N": min(64, pattern.block_size)}


@cache
def _kernel() -> Callable[..., Any]:
    cache_folder = Path(platformdirs.user_cache_dir("codesearch")) / "kernels"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder))
    from torch.nn.attention.flex_attention import flex_attention

    compiled: Callable[..., Any] = torch.compile(flex_attention, dynamic=True)
    return compiled


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
