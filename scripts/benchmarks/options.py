"""What a benchmark run is asked to do. Light to import: the main process stays small."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to repeat: at most `rounds` times, stopping before `seconds` are over."""

    rounds: int
    seconds: float

    def over(self, parts: int) -> "Patience":
        """The same for each of so many parts."""
        return Patience(self.rounds, self.seconds / parts)

    def __iter__(self) -> Iterator[int]:
        """Round numbers; at least one."""
        started = time.perf_counter()
        for number in range(self.rounds):
            spent = time.perf_counter() - started
            if number and spent * (number + 1) / number > self.seconds:
                return
            yield number


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of a section."""

    device: str  # auto, cpu or cuda
    lengths: tuple[int, ...]  # tokens of an input
    memory_lengths: tuple[int, ...]  # … where memory is measured, in a process each
    patience: Patience
    memory_gb: float  # what the largest batch must fit in
    sample_tokens: int  # real texts that are encoded in a round
    repositories: tuple[Path, ...]
    home: Path  # where an index is built; empty at first
    seed: int
