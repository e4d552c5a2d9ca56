"""What a run writes down: a line of JSON for each step and each measurement, and a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.replacing import replacing

_SMOOTHED = 20  # steps


class Journal:
    """The log of a run, `log.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log.jsonl"
        self._plot_path = folder / "loss.png"

    def write(self, record: dict[str, Any]) -> None:
        """Append a line; figures are cut to six digits."""
        short = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in record.items()}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(short) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All lines; one that was cut off by a kill is left out."""
        found = []
        for line in self.path.read_text("utf-8").splitlines() if self.path.exists() else []:
            try:
                found.append(dict(json.loads(line)))
            except ValueError:
                continue
        return found

    def forget_after(self, step: int) -> None:
        """Drop what came after the saved state from which the run goes on."""
        kept = [record for record in self.records() if record["step"] <= step]
        with replacing(self.path) as beside:
            beside.write_text("".join(f"{json.dumps(record)}\n" for record in kept), "utf-8")

    def measured(self, step: int) -> bool:
        """Whether there is a measurement of a step."""
        return any(record["step"] == step and "mrr" in record for record in self.records())

    def plot(self) -> Path | None:
        """Draw loss and MRR over the steps; None where matplotlib is not installed."""
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError:
            return None
        records = self.records()
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        loss_axes = figure.subplots()
        steps = [record for record in records if "contrast" in record]
        loss_axes.plot(*_smoothed(steps, "contrast"), color="tab:blue", label="contrastive loss")
        loss_axes.plot(*_smoothed(steps, "distillation"), color="tab:green", label="drift")
        loss_axes.set_xlabel("step")
        loss_axes.set_ylabel("loss")
        measured = [record for record in records if "mrr" in record]
        mrr_axes = loss_axes.twinx()
        for name, style in (("mrr", "-o"), ("mrr_typed", "--o")):
            places = [record["step"] for record in measured]
            values = [record[name] for record in measured]
            mrr_axes.plot(places, values, style, color="tab:red", markersize=3, label=name)
        mrr_axes.set_ylabel("MRR, held-out repositories")
        figure.legend(loc="outside upper center", ncols=4)
        figure.savefig(self._plot_path, dpi=120)
        return self._plot_path


def _smoothed(records: list[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Means over the last steps."""
    values = [float(record[name]) for record in records]
    windows = [values[max(0, end - _SMOOTHED) : end] for end in range(1, len(values) + 1)]
    return [record["step"] for record in records], [sum(w) / len(w) for w in windows]
