"""The encoder in torch: a transformers model whose attention is SASA, mean-pooled, normalised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.architecture import load_model
from models.attention import AttentionPath, AttentionPattern
from models.checkpoint import Checkpoint, CheckpointError
from models.inputs import EncoderInput, query_input
from models.tokenizer import Tokenizer

# Batches have hundreds of shapes, and oneDNN keeps buffers of each of the last 1,024: several GB.
_CPU_KERNEL_CACHE = "16"


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one; raises CheckpointError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("no CUDA device is visible to torch", "use --device cpu")
    if name not in ("cpu", "cuda"):
        raise CheckpointError(f"unknown device {name!r}", "use auto, cpu or cuda")
    return torch.device(name)


class Encoder:
    """A checkpoint ready to turn inputs into vectors."""

    def __init__(
        self, checkpoint: Checkpoint, device: str = "auto", dtype: torch.dtype | None = None
    ) -> None:
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _CPU_KERNEL_CACHE)
        self.config = checkpoint.sasa
        self.device = choose_device(device)
        self.dtype = _fast_dtype(self.device) if dtype is None else dtype
        model: nn.Module = load_model(checkpoint)
        self.model = model.to(self.device, self.dtype).eval()
        self._tokenizer = Tokenizer(checkpoint)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector (E,) of a text; beyond `SasaConfig.max_tokens` it is cut."""
        item = query_input(self._tokenizer, text, self.config.max_tokens, self.config)
        return np.asarray(self.embed([item])[0])

    def embed(
        self, inputs: Sequence[EncoderInput], path: AttentionPath | None = None
    ) -> NDArray[np.float32]:
        """Encode one batch to unit vectors, (B, E); `path` None takes the fast one that fits."""
        batch = collate(inputs, self.config.block_size, path).arguments(self.device)
        with torch.inference_mode():
            hidden = self.model(**batch).last_hidden_state
            vectors = F.normalize(mean_pool(hidden.float(), batch["attention_mask"]), dim=-1)
        rows: NDArray[np.float32] = vectors.cpu().numpy()
        return rows


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded inputs: padding has id 0 and a False key mask, blocks of padding a count of 0."""

    input_ids: Tensor  # (B, L)
    pattern: AttentionPattern
    path: AttentionPath

    def arguments(self, device: torch.device) -> dict[str, Any]:
        """The forward keyword arguments of a model on a device whose attention is SASA."""
        return {
            "input_ids": self.input_ids.to(device),
            "attention_mask": self.pattern.key_mask.to(device),
            "block_index": self.pattern.block_index.to(device),
            "block_count": self.pattern.block_count.to(device),
            "block_size": self.pattern.block_size,
            "attention_path": self.path,
        }


def collate(
    inputs: Sequence[EncoderInput], block_size: int, path: AttentionPath | None = None
) -> Batch:
    """Pad inputs to one batch; `path` None is full attention where all patterns allow it."""
    longest = max(len(item) for item in inputs)
    width = max(item.pattern.block_index.shape[1] for item in inputs)
    blocks = -(-longest // block_size)
    ids = torch.zeros(len(inputs), longest, dtype=torch.long)
    mask = torch.zeros(len(inputs), longest, dtype=torch.bool)
    index = torch.zeros(len(inputs), blocks, width, dtype=torch.int32)
    count = torch.zeros(len(inputs), blocks, dtype=torch.int32)
    for row, item in enumerate(inputs):
        rows, columns = item.pattern.block_index.shape
        ids[row, : len(item)] = torch.tensor(item.ids)
        mask[row, : len(item)] = True
        index[row, :rows, :columns] = torch.tensor(item.pattern.block_index)
        count[row, :rows] = torch.tensor(item.pattern.block_count)
    if path is None:
        path = "full" if all(item.pattern.covers_all_pairs for item in inputs) else "gather"
    return Batch(ids, AttentionPattern(mask, index, count, block_size), path)


def mean_pool(hidden: Tensor, key_mask: Tensor) -> Tensor:
    """The mean of the real tokens of `hidden (B, L, E)`, (B, E)."""
    weights = key_mask[..., None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def _fast_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32
