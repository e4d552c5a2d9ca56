"""Memory against batch size and time against length, as PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.plot import STYLES


def draw(footprint: Mapping[str, Any], target: Path) -> None:
    """Draw both; where a pattern ran out of memory its line ends in a cross."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for name, found in footprint["memory"].items():
        label, color, line = STYLES[name]
        fitting = [(int(size), peak / 1000) for size, peak in found.items() if peak is not None]
        if fitting:
            left.plot(
                *zip(*fitting, strict=True), line, color=color, label=label, marker="o", ms=3
            )
        for size in (size for size, peak in found.items() if peak is None):
            left.plot(int(size), footprint["memory_gb"], "x", color=color)
    left.axhline(footprint["memory_gb"], color="#bbbbbb", lw=1)
    left.set_title(f"training step, {footprint['length']:,} tokens: peak GB; x: ran out")
    left.set_xlabel("inputs of a batch")
    left.legend(frameon=False, fontsize=8)
    for name, (_, color, line) in STYLES.items():
        points = [(int(at), some[name]) for at, some in footprint["seconds"].items()]
        right.plot(*zip(*points, strict=True), line, color=color, marker="o", ms=3)
    right.set_title("training step on one input: seconds")
    right.set_xlabel("tokens of the input")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.25)
    figure.tight_layout()
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=110)
