"""A sentence encoder that learns: weights in float32, vectors with gradients.

A step computes with a copy of the weights in the device's fast type, through which the gradients
flow back. There is no dropout: it costs two thirds of the speed on a CPU, and without it a second
forward pass repeats the first one, which gradient caching relies on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from models.inputs import EncoderInput

Weights = dict[str, Tensor]


class Learner(ABC):
    """A model as something to train."""

    def __init__(self, model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self.model = model.to(device).eval()  # eval: no dropout
        self._dtype = dtype

    def parameters(self) -> dict[str, nn.Parameter]:
        """The weights that are trained, by name, in float32."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def weights(self) -> Weights:
        """All weights as a forward pass wants them; their gradients reach `parameters`."""
        return {name: p.to(self._dtype) for name, p in self.model.named_parameters()}

    @abstractmethod
    def chunks(self, inputs: Sequence[EncoderInput]) -> list[list[int]]:
        """Positions of inputs that are encoded together: of like length, within the budget."""

    @abstractmethod
    def encode_chunk(self, inputs: Sequence[EncoderInput], weights: Weights) -> Tensor:
        """Unit vectors (n, E) of inputs that fit in memory together."""

    def encode(self, inputs: Sequence[EncoderInput]) -> Tensor:
        """Unit vectors (n, E) with gradients, in the order of the inputs."""
        chunks, weights = self.chunks(inputs), self.weights()
        parts = [self.encode_chunk([inputs[i] for i in chunk], weights) for chunk in chunks]
        order = torch.tensor([i for chunk in chunks for i in chunk], device=self.device)
        return torch.cat(parts)[order.argsort()]

    def embed(self, inputs: Sequence[EncoderInput]) -> NDArray[np.float32]:
        """Unit vectors (n, E) without gradients, on the CPU."""
        with torch.no_grad():
            return np.asarray(self.encode(inputs).cpu().numpy())

    def _hidden(self, weights: Weights, arguments: Mapping[str, object]) -> Tensor:
        """What the last layer says of each token, (n, L, E)."""
        output = functional_call(self.model, weights, kwargs=dict(arguments))
        hidden: Tensor = output.last_hidden_state
        return hidden
