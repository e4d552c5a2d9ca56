"""One step of training after another: encode the pairs, take the loss, move the weights.

A step is a pure function of the state and the batch, so a run that is saved and loaded goes on as
if it had never stopped. A batch whose activations would not fit in memory takes GradCache (Gao et
al. 2021, arXiv 2101.06983): all vectors without a graph, the loss's gradient with respect to them,
then a second forward pass for each chunk, through which that gradient flows on. The result is
that of the direct form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.checkpoint import CheckpointError
from models.contrastive import Loss, LossWeights, nearly_same, pair_loss
from models.learner import Learner
from models.pair_batch import PairBatch
from models.training_state import State, load_state, moments, restore, save_state

Schedule = Literal["linear", "cosine", "constant"]
# Activations take about 0.1 MB a token; beyond `cache_above` of them gradients are cached.
_ON_CPU = {"chunk_tokens": 4096, "cache_above": 40_000}
_ON_CUDA = {"chunk_tokens": 65_536, "cache_above": 300_000}


def sizes_of(device_type: str) -> dict[str, int]:
    """How much a `Trainer` takes at once on a device: `chunk_tokens` and `cache_above`."""
    return dict(_ON_CUDA if device_type == "cuda" else _ON_CPU)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a step does with a batch; a run keeps them from its first step to its last.

    Attributes:
        steps: Where the schedule ends.
        learning_rate: At the end of the warm-up.
        schedule: How it falls from there to 0, or not.
        warmup: The share of the steps over which it rises.
        weight_decay: Of matrices; vectors have none.
        max_norm: Longer gradients are shortened to this.
        temperature: Divides the cosines.
        contrast: The weight of telling a query's code from the others.
        distillation: The weight of keeping texts where a batch's targets are, or without such
            queries where the starting model put them.
        agreement: The weight of scoring as the targets do.
        average_decay: Of the running average of the weights.
    """

    steps: int = 1000
    learning_rate: float = 3e-5
    schedule: Schedule = "linear"
    warmup: float = 0.05
    weight_decay: float = 0.01
    max_norm: float = 1.0
    temperature: float = 0.05
    contrast: float = 1.0
    distillation: float = 1.0
    agreement: float = 0.0
    average_decay: float = 0.98

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0 or self.temperature <= 0:
            raise ValueError(f"steps, learning_rate and temperature must be above 0, got {self}")
        if not (0 <= self.warmup < 1 and 0 <= self.average_decay < 1):
            raise ValueError(f"warmup and average_decay must be in 0..1, got {self}")

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        warmup = math.ceil(self.warmup * self.steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        if self.schedule == "constant":
            return self.learning_rate
        done = min(1.0, (step - warmup) / max(1, self.steps - warmup))
        left = 1 - done if self.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * left


@dataclass(frozen=True, slots=True)
class Report:
    """What a step saw."""

    step: int  # how many steps are done
    loss: float
    contrast: float
    distillation: float
    agreement: float
    recall: float
    gradient_norm: float
    learning_rate: float


class Trainer:
    """Weights, optimizer and running average, and the step that moves them."""

    def __init__(
        self, make: Callable[[], Learner], settings: Settings, cache_above: int = 40_000
    ) -> None:
        """Begin.

        Args:
            make: Makes the model as it is at first; called again where that is asked for.
            settings: What a step does.
            cache_above: The tokens of a batch beyond which gradients are cached.
        """
        self.settings = settings
        self.step = 0
        self.student = make()
        self._known: tuple[Tensor, Tensor] | None = None
        self._weights = LossWeights(settings.contrast, settings.distillation, settings.agreement)
        self._start = make
        self._cache_above = cache_above
        self._parameters = self.student.parameters()
        self._average = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._optimizer = _optimizer(self._parameters, settings.weight_decay)

    def know(self, queries: NDArray[np.float32], codes: NDArray[np.float32]) -> None:
        """Let texts learn to choose among these, (n, E) and (m, E), as their targets do."""
        device = self.student.device
        self._known = torch.from_numpy(queries).to(device), torch.from_numpy(codes).to(device)

    def learn(self, batch: PairBatch) -> Report:
        """Take one step.

        Raises:
            CheckpointError: the gradient is not a number; the weights are as they were.
        """
        rate = self.settings.rate(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = self.add_gradients(batch)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), self.settings.max_norm)
        if not bool(norm.isfinite()):
            raise CheckpointError(
                f"the gradient of step {self.step} is {norm.item()}", "lower the learning rate"
            )
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        self._update_average()
        return Report(
            step=self.step,
            loss=loss.total.item(),
            contrast=loss.contrast.item(),
            distillation=loss.distillation.item(),
            agreement=loss.agreement.item(),
            recall=loss.recall.item(),
            gradient_norm=norm.item(),
            learning_rate=rate,
        )

    def add_gradients(self, batch: PairBatch, cached: bool | None = None) -> Loss:
        """Add the gradients of a batch to those of the weights; `cached` None: by its size."""
        inputs = (*batch.queries, *batch.codes)
        if cached is None:
            cached = batch.tokens > self._cache_above
        if not cached:
            loss = self._loss(self.student.encode(inputs), batch)
            loss.total.backward()
            return loss
        with torch.no_grad():
            vectors = self.student.encode(inputs)
        loss = self._loss(vectors.requires_grad_(), batch)
        loss.total.backward()
        assert vectors.grad is not None
        for chunk in self.student.chunks(inputs):
            weights = self.student.weights()
            again = self.student.encode_chunk([inputs[i] for i in chunk], weights)
            again.backward(vectors.grad[chunk])
        return loss

    def _loss(self, vectors: Tensor, batch: PairBatch) -> Loss:
        queries, codes = vectors.tensor_split([len(batch.queries)])
        device = vectors.device
        excluded = torch.from_numpy(batch.not_negative).to(device)
        excluded = excluded | nearly_same(codes, torch.from_numpy(batch.alike).to(device))
        targets = self._targets(batch)
        temperature = self.settings.temperature
        return pair_loss(
            queries, codes, excluded, targets, temperature, self._weights, self._known
        )

    def _targets(self, batch: PairBatch) -> Tensor | None:
        if batch.targets is not None:
            return torch.from_numpy(batch.targets).to(self.student.device)
        if not self.settings.distillation:
            return None
        with torch.no_grad():
            return self._keeper.encode(batch.queries)

    @cached_property
    def _keeper(self) -> Learner:
        """The starting model, which keeps its weights."""
        return self._start()

    def _update_average(self) -> None:
        """Early averages are over fewer steps: the start soon leaves them."""
        decay = min(self.settings.average_decay, self.step / (self.step + 9))
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                self._average[name].lerp_(parameter, 1 - decay)

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Store everything that the next step depends on; the file appears whole or not at all.

        Args:
            path: where.
            facts: what the run is made of, as JSON; `resume` compares it.
        """
        first, second = moments(self._optimizer, self._parameters)
        weights = {name: p.detach() for name, p in self._parameters.items()}
        state = State(self.step, self._facts(facts), weights, self._average, first, second)
        save_state(path, state)

    def resume(self, path: Path, facts: dict[str, Any]) -> None:
        """Go on from a saved state.

        Raises:
            CheckpointError: the file is damaged, or is that of a run with other settings.
        """
        state = load_state(path)
        _check_same(path, state.facts, self._facts(facts))
        self.step = state.step
        try:
            restore(self._optimizer, self._parameters, state)
            for name, average in self._average.items():
                average.copy_(state.average[name])
        except (KeyError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise CheckpointError(
                f"{path} does not fit the model: {reason}", "start a run with another name"
            ) from error

    def _facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        facts = json.loads(json.dumps(asdict(self.settings) | facts))  # as they are stored
        return dict(facts)


def _optimizer(parameters: dict[str, torch.nn.Parameter], decay: float) -> torch.optim.AdamW:
    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)


def _check_same(path: Path, stored: dict[str, Any], given: dict[str, Any]) -> None:
    changed = [
        f"{name} {stored.get(name)!r}, not {given.get(name)!r}"
        for name in sorted(stored.keys() | given.keys())
        if stored.get(name) != given.get(name)
    ]
    if changed:
        raise CheckpointError(
            f"{path} was made with {'; '.join(changed)}",
            "give the run's own settings, or start a run with another name",
        )
