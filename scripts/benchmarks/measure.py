"""Seconds and bytes: systems compared in interleaved rounds, and the peak memory of a process."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import torch

from benchmarks.options import Patience

Work = Callable[[], object]
MEGABYTE = 1e6


def seconds_of(work: Work, device: torch.device) -> float:
    """How long a piece of work takes, on a GPU until it is done there."""
    _synchronize(device)
    start = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - start


def compare(
    works: Mapping[str, Work],
    device: torch.device,
    patience: Patience,
    once: frozenset[str] = frozenset(),
    warm_up: bool = True,
) -> dict[str, list[float]]:
    """Seconds of each system in each round; every round starts with another system.

    Args:
        works: what each system does.
        device: where it runs.
        patience: how many rounds.
        once: slow systems that take part in the first round only.
        warm_up: run everything once before, where first runs compile.
    """
    if warm_up:
        for work in works.values():
            work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in patience:
        names = [name for name in works if not number or name not in once]
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(seconds_of(works[name], device))
    return seconds


def summary(seconds: Mapping[str, list[float]], baseline: str, tokens: int) -> dict:
    """Median seconds, tokens/s and the median over rounds of the baseline's time to the own."""
    return {
        name: {
            "seconds": round(median(own), 5),
            "tokens_per_second": round(tokens / median(own)),
            "speedup": round(
                median(a / b for a, b in zip(seconds[baseline], own, strict=False)), 3
            ),
            "rounds": len(own),
        }
        for name, own in seconds.items()
    }


class PeakMemory:
    """Peak memory since its making: resident memory of this process, or what a GPU allocated."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts anew
            self.before = _status("VmRSS")

    def report(self) -> dict[str, int]:
        """The whole peak, and how much of it came since."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            peak = torch.cuda.max_memory_allocated()
        else:
            peak = _status("VmHWM")
        return {
            "peak_mb": round(peak / MEGABYTE),
            "added_mb": round((peak - self.before) / MEGABYTE),
        }


def total_memory(device: torch.device) -> int:
    """Bytes that the device has."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    return int(lines[0].split()[1]) * 1024


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _status(name: str) -> int:
    """A line of the kernel's own account of this process, in bytes."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024
