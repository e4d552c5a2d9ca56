"""What a training step takes of each pattern: memory by the size of a batch, seconds by length."""

from __future__ import annotations

import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

from benchmarks.measure import PeakMemory, compare
from benchmarks.options import Patience
from benchmarks.processes import FRESH, in_process
from benchmarks.systems import SYSTEMS, random_inputs
from models.checkpoint import open_checkpoint
from models.encoder import Batch, choose_device, collate, fast_dtype
from models.inputs import EncoderInput
from models.student import Student

_NO_MEMORY = re.compile(r"(?i)out of memory|can't allocate memory|not enough memory")


@dataclass(frozen=True, slots=True)
class Limits:
    """What is tried.

    Attributes:
        model: A checkpoint's folder or name.
        device: auto, cpu or cuda.
        memory_gb: What a process may take besides its programs.
        length: Tokens of each input of the batches.
        largest_batch: No more inputs are tried.
        lengths: Of one input, for the seconds.
        rounds: How often each length is repeated.
    """

    model: str
    device: str
    memory_gb: float = 8.0
    length: int = 4096
    largest_batch: int = 32
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096)
    rounds: int = 3


class _EagerStudent(Student):
    """Scores of all pairs are stored, as attention without a fused kernel does it."""

    def _collate(self, inputs: Sequence[EncoderInput]) -> Batch:
        return collate(inputs, self._config.block_size, "dense", self._pad_id)


def measure(limits: Limits) -> dict:
    """Both, for each system of the benchmarks."""
    return {
        "memory_gb": limits.memory_gb,
        "length": limits.length,
        "memory": {name: by_batch(name, limits) for name in SYSTEMS},
        "seconds": in_process(by_length, limits),
    }


def by_batch(name: str, limits: Limits) -> dict[str, int | None]:
    """Peak MB by batch size, doubled until it runs out: None."""
    found: dict[str, int | None] = {}
    size = 1
    while size <= limits.largest_batch:
        found[str(size)] = peak = in_process(peak_of_step, name, size, limits, context=FRESH)
        if peak is None:
            break
        size *= 2
    return found


def peak_of_step(name: str, size: int, limits: Limits) -> int | None:
    """Peak MB of this process over one step; None where the memory does not suffice."""
    device = choose_device(limits.device)
    student = _student(name, limits, device)
    inputs = _inputs(name, limits, limits.length, size)
    bound = int(limits.memory_gb * 1e9)
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, bound / total), device)
    else:
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    memory = PeakMemory(device)
    try:
        _step(student, inputs)
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if _NO_MEMORY.search(str(error)):
            return None
        raise
    return memory.report()["peak_mb"]


def by_length(limits: Limits) -> dict[str, dict[str, float]]:
    """Median seconds of a step on one input, by length and system; systems take turns."""
    device = choose_device(limits.device)
    students = {name: _student(name, limits, device) for name in SYSTEMS}
    found = {}
    for length in limits.lengths:
        works = {
            name: partial(_step, student, _inputs(name, limits, length, 1))
            for name, student in students.items()
        }
        seconds = compare(works, device, Patience(limits.rounds, float("inf")))
        found[str(length)] = {name: round(median(some), 4) for name, some in seconds.items()}
    return found


def _student(name: str, limits: Limits, device: torch.device) -> Student:
    kind = _EagerStudent if name == "eager" else Student
    return kind(open_checkpoint(limits.model), device, fast_dtype(device))


def _inputs(name: str, limits: Limits, length: int, size: int) -> list[EncoderInput]:
    return random_inputs(SYSTEMS[name], open_checkpoint(limits.model).sasa, length, size, seed=0)


def _step(student: Student, inputs: Sequence[EncoderInput]) -> None:
    """Forward and backward, the whole batch at once."""
    student.encode_chunk(inputs, student.weights()).sum().backward()
    student.model.zero_grad()
