"""Where a run stands, as one safetensors file: weights, their average, optimizer, facts.

Nothing is pickled. The file is written beside its place and moved there, so a run that is killed
while saving keeps its last state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models.checkpoint import CheckpointError
from models.replacing import replacing

_PARTS = ("weights", "average", "first", "second")


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the next step depends on, by the names of the weights."""

    step: int
    facts: dict[str, Any]
    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    first: dict[str, Tensor]  # AdamW's moments; empty before the first step
    second: dict[str, Tensor]


def save_state(path: Path, state: State) -> None:
    """Write a state."""
    tensors = {
        f"{part}/{name}": tensor.contiguous().cpu()
        for part in _PARTS
        for name, tensor in getattr(state, part).items()
    }
    facts = {"step": str(state.step), "facts": json.dumps(state.facts)}
    with replacing(path, durable=True) as beside:
        save_file(tensors, beside, metadata=facts)


def load_state(path: Path) -> State:
    """Read a state.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in _PARTS}
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata()
            for key in file.keys():  # noqa: SIM118 - no mapping
                part, _, name = key.partition("/")
                parts[part][name] = file.get_tensor(key)
        return State(int(about["step"]), dict(json.loads(about["facts"])), **parts)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no {path}", "start the run first") from error
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{path} cannot be read: {reason}", "delete it; the run starts anew"
        ) from error


def moments(
    optimizer: torch.optim.AdamW, parameters: Mapping[str, nn.Parameter]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """AdamW's first and second moments by name; empty for what it has not moved yet."""
    by_name = {name: optimizer.state[parameter] for name, parameter in parameters.items()}
    first = {name: state["exp_avg"] for name, state in by_name.items() if state}
    second = {name: state["exp_avg_sq"] for name, state in by_name.items() if state}
    return first, second


def restore(
    optimizer: torch.optim.AdamW, parameters: Mapping[str, nn.Parameter], state: State
) -> None:
    """Put a state's weights and moments where they were.

    Raises:
        KeyError: it lacks a weight or a moment.
        RuntimeError: one has another shape.
    """
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state.weights[name])
            if state.first:  # else before the first step
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(state.step), device=parameter.device),
                    "exp_avg": state.first[name].to(parameter.device),
                    "exp_avg_sq": state.second[name].to(parameter.device),
                }
