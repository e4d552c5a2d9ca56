"""An encoder that learns: the same model and pooling as `models.encoder`, with gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.architecture import load_model
from models.batching import input_batches
from models.checkpoint import Checkpoint
from models.encoder import Batch, collate
from models.inputs import EncoderInput
from models.learner import Learner, Weights


class Student(Learner):
    """A checkpoint's model as something to train."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        chunk_tokens: int = 4096,
    ) -> None:
        super().__init__(load_model(checkpoint), device, dtype)
        self._chunk_tokens = chunk_tokens
        self._config = checkpoint.sasa
        self._pad_id = checkpoint.pad_id
        self._pooling = checkpoint.pooling

    def chunks(self, inputs: Sequence[EncoderInput]) -> list[list[int]]:
        """As `Learner` says; inputs of one kind of attention."""
        return list(input_batches(inputs, self._chunk_tokens))

    def encode_chunk(self, inputs: Sequence[EncoderInput], weights: Weights) -> Tensor:
        """Unit vectors (n, E) of inputs that fit in memory together."""
        batch = self._collate(inputs)
        hidden = self._hidden(weights, batch.arguments(self.device))
        return batch.vectors(hidden, self._pooling, self._config.head_tokens)

    def hidden_chunk(
        self, inputs: Sequence[EncoderInput], weights: Weights
    ) -> tuple[Tensor, Tensor]:
        """What the last layer says of each token (n, L, E), and which are real, (n, L)."""
        batch = self._collate(inputs)
        hidden = self._hidden(weights, batch.arguments(self.device))
        return hidden, batch.pattern.key_mask.to(self.device)

    def _collate(self, inputs: Sequence[EncoderInput]) -> Batch:
        covers_all = all(item.pattern.covers_all_pairs for item in inputs)
        return collate(
            inputs, self._config.block_size, "full" if covers_all else "gather", self._pad_id
        )
