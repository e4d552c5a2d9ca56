"""`docs/bench.png`, drawn from the results of `encoding` and `memory`."""

import json
import sys
from pathlib import Path

from provenance import ROOT

TARGET = ROOT / "docs" / "bench.png"
STYLES = {
    "full": ("full attention (SDPA)", "#444444", "-"),
    "eager": ("full attention (eager)", "#999999", "--"),
    "longformer": ("Longformer pattern", "#4c9ed9", "-"),
    "bigbird": ("BigBird pattern", "#e39c37", "-"),
    "sasa": ("SASA", "#c0392b", "-"),
}


def newest() -> list[Path]:
    """The latest results of both sections."""
    found = []
    for section in ("encoding", "memory"):
        results = list((ROOT / "results").glob(f"bench-{section}-*.json"))
        if not results:
            sys.exit(f"results/ has no bench-{section}: run `python scripts/bench.py {section}`")
        found.append(max(results, key=lambda path: path.stat().st_mtime))
    return found


def draw(encoding: Path, memory: Path) -> None:
    """A row for each model: tokens/s and peak memory against the length of an input."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    speeds, peaks = (json.loads(path.read_text("utf-8"))["models"] for path in (encoding, memory))
    figure, rows = pyplot.subplots(len(speeds), 2, figsize=(11, 4 * len(speeds)), squeeze=False)
    for (model, figures), (left, right) in zip(speeds.items(), rows, strict=True):
        rates = {
            length: {name: one["tokens_per_second"] for name, one in at["systems"].items()}
            for length, at in figures["lengths"].items()
        }
        memories = {
            length: {name: one["peak_mb"] / 1000 for name, one in at["systems"].items() if one}
            for length, at in peaks[model].items()
        }
        _panel(left, rates, f"{model} model: tokens/s")
        _panel(right, memories, f"{model} model: peak memory of the process, GB")
    rows[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, dpi=110)
    print(TARGET.relative_to(ROOT), file=sys.stderr)


def _panel(axes, figures: dict[str, dict[str, float]], title: str) -> None:
    for name, (label, color, line) in STYLES.items():
        points = [(int(length), at[name]) for length, at in figures.items() if name in at]
        if points:
            axes.plot(*zip(*points, strict=True), line, color=color, label=label, marker="o", ms=3)
    ticks = sorted(map(int, figures))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tokens of an input")
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
