"""The grid as Markdown: scores of systems on tasks, and where training runs out of memory."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MAIN = {"clone": "f1", "defect": "accuracy", "search": "mrr", "summarize": "bleu"}
HEADINGS = {
    "clone": "clone, F1",
    "defect": "defect, accuracy",
    "search": "search, MRR",
    "summarize": "summarize, BLEU-4",
}
RIVALS = ("truncate-512", "full", "window", "longformer", "bigbird", "sasa")
ABLATION = ("sasa", "sasa-no-topk", "sasa-no-ast", "longformer")


def summary(results: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and spread (standard deviation) over the seeds of each score, and their number."""
    every = list(results)
    return {
        name: {
            "mean": round(statistics.mean(one[name] for one in every), 4),
            "spread": round(statistics.pstdev(one[name] for one in every), 4),
            "seeds": len(every),
        }
        for name in every[0]
    }


def summaries(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict]]:
    """The summary of each task and system that ran."""
    cells: dict[str, dict[str, list[Mapping[str, float]]]] = {}
    for run in runs:
        cells.setdefault(run["task"], {}).setdefault(run["system"], []).append(run["scores"])
    return {
        task: {system: summary(some) for system, some in systems.items()}
        for task, systems in cells.items()
    }


def scores(runs: Sequence[Mapping[str, Any]], systems: Sequence[str]) -> str:
    """A row for each system that ran, a column for each task; the best of a column is bold."""
    found = summaries(runs)
    tasks = [task for task in MAIN if task in found]
    cells = {
        (system, task): found[task][system][MAIN[task]]
        for system in systems
        for task in tasks
        if system in found[task]
    }
    rows = []
    for system in systems:
        shown = [_cell(cells, system, task) for task in tasks]
        if any(shown):
            rows.append([system, *shown])
    return table(["system", *(HEADINGS[task] for task in tasks)], rows)


def leads(ahead: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """A row for each rival, a column for each task: low, estimate and high of a difference."""
    systems = [
        name for name in (*RIVALS, *ABLATION) if any(name in some for some in ahead.values())
    ]
    rows = [
        [f"over {system}", *(_lead(task, ahead[task].get(system)) for task in ahead)]
        for system in dict.fromkeys(systems)
    ]
    return table(["SASA", *(HEADINGS[task] for task in ahead)], rows)


def examples(runs: Sequence[Mapping[str, Any]]) -> str:
    """How many examples each task was trained and tested on, and how."""
    rows = []
    for task in MAIN:
        run = next((run for run in runs if run["task"] == task), None)
        if run is not None:
            split = run["examples"]
            rows.append([task, split["train"], split["test"], run["epochs"], run["batch"]])
    return table(["task", "training examples", "test examples", "epochs", "batch"], rows)


def memory(footprint: Mapping[str, Any]) -> str:
    """Peak GB of a training step by batch size; where it ran out, and what is not tried then."""
    sizes = sorted({int(size) for found in footprint["memory"].values() for size in found})
    rows = [
        [name, *(_peak(found, size) for size in sizes)]
        for name, found in footprint["memory"].items()
    ]
    return table(["batch", *map(str, sizes)], rows)


def seconds(footprint: Mapping[str, Any]) -> str:
    """Seconds of a training step on one input, by its length."""
    lengths = list(footprint["seconds"])
    names = list(footprint["seconds"][lengths[0]])
    rows = [[name, *(f"{footprint['seconds'][at][name]:.2f}" for at in lengths)] for name in names]
    return table(["tokens", *(f"{int(at):,}" for at in lengths)], rows)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def _cell(cells: Mapping[tuple[str, str], Mapping[str, float]], system: str, task: str) -> str:
    own = cells.get((system, task))
    if own is None:
        return ""
    best = max(cell["mean"] for (_, other), cell in cells.items() if other == task)
    digits = 2 if task == "summarize" else 3
    shown = f"{own['mean']:.{digits}f}"
    shown = f"**{shown}**" if own["mean"] == best else shown
    return f"{shown} ± {own['spread']:.{digits}f}" if own["seeds"] > 1 else shown


def _lead(task: str, lead: Sequence[float] | None) -> str:
    if lead is None:
        return ""
    digits = 2 if task == "summarize" else 3
    low, estimate, high = (f"{value:+.{digits}f}" for value in lead)
    return f"{estimate} ({low} to {high})"


def _peak(found: Mapping[str, int | None], size: int) -> str:
    if str(size) not in found:
        return ""
    peak = found[str(size)]
    return "out of memory" if peak is None else f"{peak / 1000:.1f}"
