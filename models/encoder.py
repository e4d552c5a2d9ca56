"""The encoder in torch: a transformers model whose attention is SASA, pooled and normalised."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.architecture import load_model
from models.attention import AttentionPath
from models.attention_pattern import AttentionPattern
from models.batching import by_attention, input_batches, pace_of
from models.checkpoint import Checkpoint, CheckpointError, Pooling
from models.flex import block_mask_of
from models.inputs import EncoderInput, query_input
from models.packed_linear import pack_linears
from models.paths import rule_for
from models.pooling import token_weights
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
        self._pad_id = checkpoint.pad_id
        self._pooling = checkpoint.pooling
        self._dimension = checkpoint.dimension
        self.device = choose_device(device)
        self.dtype = fast_dtype(self.device) if dtype is None else dtype
        model: nn.Module = load_model(checkpoint)
        self.model = model.to(self.device, self.dtype).eval()
        if self.device.type == "cpu":
            pack_linears(self.model)
        self.paths = rule_for(self.device)
        self._tokenizer = Tokenizer(checkpoint)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector (E,) of a text; beyond `SasaConfig.max_tokens` it is cut."""
        item = query_input(self._tokenizer, text, self.config.max_tokens, self.config)
        return np.asarray(self.embed([item])[0])

    def embed(
        self, inputs: Sequence[EncoderInput], path: AttentionPath | None = None
    ) -> NDArray[np.float32]:
        """Encode one batch to unit vectors, (B, E), those with sparse attention apart.

        Args:
            inputs: Of like length.
            path: How all of them are; None leaves it to `paths`.
        """
        kinds = [list(range(len(inputs)))] if path is not None else by_attention(inputs)
        vectors = np.empty((len(inputs), self._dimension), dtype=np.float32)
        for places in kinds:
            vectors[places] = self._embed([inputs[place] for place in places], path)
        return vectors

    def _embed(
        self, inputs: Sequence[EncoderInput], path: AttentionPath | None
    ) -> NDArray[np.float32]:
        started = perf_counter()
        path = self.paths.choose(inputs) if path is None else path
        batch = collate(inputs, self.config.block_size, path, self._pad_id)
        vectors = self._encode(batch).cpu().numpy()
        self.paths.record(path, sum(map(len, inputs)), perf_counter() - started)
        return np.asarray(vectors)

    def embed_all(
        self, inputs: Sequence[EncoderInput], advance: Callable[[int], None] = lambda _: None
    ) -> NDArray[np.float32]:
        """Encode any number of inputs to unit vectors, (n, E), in batches of like length.

        Args:
            inputs: In any order; the vectors keep it.
            advance: Told of the tokens of each batch that is done.
        """
        vectors = np.zeros((len(inputs), self._dimension), dtype=np.float32)
        for group in input_batches(inputs, pace_of(self.device.type).batch_tokens):
            batch = [inputs[place] for place in group]
            vectors[group] = self.embed(batch)
            advance(sum(map(len, batch)))
        return vectors

    def knows(self, word: str) -> bool:
        """Whether a word is a token of its own."""
        return self._tokenizer.knows(word)

    def account(self) -> str:
        """On what and by which attention paths it has encoded so far."""
        name = str(self.dtype).removeprefix("torch.")
        return f"{self.device.type} {name}, attention {self.paths.account()}"

    def _encode(self, batch: Batch) -> Tensor:
        with torch.inference_mode():
            hidden = self.model(**batch.arguments(self.device)).last_hidden_state
            return batch.vectors(hidden, self._pooling, self.config.head_tokens)


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded inputs: padding has a False key mask, blocks of padding a count of 0."""

    input_ids: Tensor  # (B, L)
    pattern: AttentionPattern
    path: AttentionPath
    heads: tuple[int, ...]  # B, how many tokens of each are read by themselves

    def vectors(self, hidden: Tensor, pooling: Pooling, head_tokens: int) -> Tensor:
        """The texts' unit vectors (B, E), of what the last layer says of tokens, (B, L, E)."""
        weights = self._token_weights(head_tokens).to(hidden.device)
        return F.normalize(pool(hidden.float(), weights, pooling), dim=-1)

    def _token_weights(self, head_tokens: int) -> Tensor:
        """How much each token counts in its text's vector, (B, L); padding does not."""
        length = self.input_ids.shape[1]
        of_head = {head: token_weights(length, head_tokens, head) for head in set(self.heads)}
        weights = torch.from_numpy(np.stack([of_head[head] for head in self.heads]))
        return weights * self.pattern.key_mask

    def arguments(self, device: torch.device) -> dict[str, Any]:
        """The forward keyword arguments of a model on a device whose attention is SASA."""
        key_mask = self.pattern.key_mask
        is_padded = not bool(key_mask.all())  # before it moves: asking a GPU would wait for it
        arguments: dict[str, Any] = {
            "input_ids": self.input_ids.to(device),
            "attention_mask": key_mask.to(device) if is_padded else None,
            "attention_path": self.path,
        }
        if self.path == "full":
            return arguments
        pattern = replace(
            self.pattern,
            key_mask=key_mask.to(device),
            block_index=self.pattern.block_index.to(device),
            block_count=self.pattern.block_count.to(device),
        )
        arguments |= {
            "block_index": pattern.block_index,
            "block_count": pattern.block_count,
            "block_size": pattern.block_size,
        }
        if self.path == "flex":
            arguments["block_mask"] = block_mask_of(pattern)
        return arguments


def collate(
    inputs: Sequence[EncoderInput], block_size: int, path: AttentionPath, pad_id: int = 0
) -> Batch:
    """Pad inputs to one batch; for the sparse paths to whole blocks."""
    lengths = np.array([len(item) for item in inputs])
    blocks = -(-int(lengths.max()) // block_size)
    longest = int(lengths.max()) if path == "full" else blocks * block_size
    mask = np.arange(longest) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate([item.ids for item in inputs])
    width = max(item.pattern.block_index.shape[1] for item in inputs)
    index = np.zeros((len(inputs), blocks, width), dtype=np.int32)
    count = np.zeros((len(inputs), blocks), dtype=np.int32)
    for row, item in enumerate(inputs):
        rows, columns = item.pattern.block_index.shape
        index[row, :rows, :columns] = item.pattern.block_index
        own = item.pattern.block_count
        count[row, :rows] = np.where(own > columns, blocks + 1, own)  # global, whatever the width
    key_mask, block_index, block_count = map(torch.from_numpy, (mask, index, count))
    pattern = AttentionPattern(key_mask, block_index, block_count, block_size)
    heads = tuple(item.pattern.head_blocks * block_size for item in inputs)
    return Batch(torch.from_numpy(ids), pattern, path, heads)


def pool(hidden: Tensor, weights: Tensor, pooling: Pooling) -> Tensor:
    """One vector for each text, (B, E): the first token's or the mean of the real tokens'.

    Args:
        hidden: (B, L, E)
        weights: (B, L), how much each token counts in the mean; 0: it is padding.
        pooling: which of the two.
    """
    if pooling == "cls":
        return hidden[:, 0]
    return (hidden * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)


def gpu_names() -> list[str]:
    """The GPUs that torch can use."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes with it, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32
