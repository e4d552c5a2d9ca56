"""An encoder that learns: the same model and pooling as `models.encoder`, with gradients.

Weights are kept in float32; a step computes with a copy of them in the device's fast type, through
which the gradients flow back. There is no dropout: it costs two thirds of the speed on a CPU, and
without it a second forward pass repeats the first one, which gradient caching relies on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from models.architecture import load_model
from models.batching import input_batches
from models.checkpoint import Checkpoint
from models.encoder import Batch, collate
from models.inputs import EncoderInput

Weights = dict[str, Tensor]


class Student:
    """A checkpoint's model as something to train."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        chunk_tokens: int = 4096,
    ) -> None:
        self.device = device
        self._dtype = dtype
        self._chunk_tokens = chunk_tokens
        self._config = checkpoint.sasa
        self._pad_id = checkpoint.pad_id
        self._pooling = checkpoint.pooling
        model: nn.Module = load_model(checkpoint)
        self.model = model.to(device).eval()  # eval: no dropout

    def parameters(self) -> dict[str, nn.Parameter]:
        """The weights by name, in float32."""
        return dict(self.model.named_parameters())

    def weights(self) -> Weights:
        """The weights as a forward pass wants them; their gradients reach `parameters`."""
        return {name: weight.to(self._dtype) for name, weight in self.parameters().items()}

    def chunks(self, inputs: Sequence[EncoderInput]) -> list[list[int]]:
        """Positions of inputs that are encoded together: of like length, within the budget."""
        return list(input_batches(inputs, self._chunk_tokens))

    def encode(self, inputs: Sequence[EncoderInput]) -> Tensor:
        """Unit vectors (n, E) with gradients, in the order of the inputs."""
        chunks, weights = self.chunks(inputs), self.weights()
        parts = [self.encode_chunk([inputs[i] for i in chunk], weights) for chunk in chunks]
        order = torch.tensor([i for chunk in chunks for i in chunk], device=self.device)
        return torch.cat(parts)[order.argsort()]

    def encode_chunk(self, inputs: Sequence[EncoderInput], weights: Weights) -> Tensor:
        """Unit vectors (n, E) of inputs that fit in memory together."""
        batch = self._collate(inputs)
        return batch.vectors(self._hidden(batch, weights), self._pooling, self._config.head_tokens)

    def hidden_chunk(
        self, inputs: Sequence[EncoderInput], weights: Weights
    ) -> tuple[Tensor, Tensor]:
        """What the last layer says of each token (n, L, E), and which are real, (n, L)."""
        batch = self._collate(inputs)
        return self._hidden(batch, weights), batch.pattern.key_mask.to(self.device)

    def embed(self, inputs: Sequence[EncoderInput]) -> NDArray[np.float32]:
        """Unit vectors (n, E) without gradients, on the CPU."""
        with torch.no_grad():
            return np.asarray(self.encode(inputs).cpu().numpy())

    def _hidden(self, batch: Batch, weights: Weights) -> Tensor:
        arguments = batch.arguments(self.device)
        hidden: Tensor = functional_call(self.model, weights, kwargs=arguments).last_hidden_state
        return hidden

    def _collate(self, inputs: Sequence[EncoderInput]) -> Batch:
        covers_all = all(item.pattern.covers_all_pairs for item in inputs)
        return collate(
            inputs, self._config.block_size, "full" if covers_all else "gather", self._pad_id
        )
