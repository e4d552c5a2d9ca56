"""SASA and its rivals on the four long-code tasks mined here: the grid, its tables and figures.

    python scripts/paper.py TASKS [--minutes 60] [--seeds 0 1 2] [--device cuda]

TASKS is what `mine_tasks.py` wrote. Every system is trained and scored on every task with every
seed, a seed after the other; what is finished is kept in --out, so a run that ends (`--minutes`)
is gone on with by the same command. Then, unless --no-save, a training step's memory and time are
measured, and `results/paper-<commit>.json`, `docs/paper.md` and `docs/paper.png` are written from
all that is there. The last line printed is JSON: the scores by task and system.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from longtasks import figures, footprint, tables
from longtasks.differences import leads
from longtasks.formats import LANGUAGES, Example
from longtasks.inputs import SYSTEMS, Reader
from longtasks.options import add_options, plan_of, told
from longtasks.runs import STATE, Plan, finished, folder_name, run
from models.checkpoint import Checkpoint, open_checkpoint
from provenance import ROOT, provenance, save, write_below

PAGE, FIGURE = ROOT / "docs" / "paper.md", ROOT / "docs" / "paper.png"
MARK = "<!-- written by scripts/paper.py -->"
OURS = "sasa"
LONGER = 1024  # tokens: where most of the function is beyond what truncation reads
GRID = tuple(name for name in SYSTEMS if name not in ("window", "full"))


def main() -> None:
    arguments = read_arguments()
    until = time.monotonic() + 60 * (arguments.minutes or float("inf"))
    with told("scripts/paper.py"):
        checkpoint = open_checkpoint(arguments.model)
        for plan in plans(arguments):
            if time.monotonic() > until:
                break
            cell(plan, checkpoint, arguments)
    runs = ended(checkpoint, arguments)
    scores = tables.summaries(runs)
    if not arguments.no_save:
        limits = footprint.Limits(arguments.model, arguments.device, arguments.memory_gb)
        report = provenance("paper", f"python scripts/paper.py {' '.join(sys.argv[1:])}")
        report |= {"scores": scores, "runs": runs, "ahead": ahead(runs, checkpoint, arguments)}
        report["footprint"] = footprint.measure(limits)
        save(report)
        publish(report)
    print(json.dumps({"task scores": scores}))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--out", type=Path, default=Path("data/paper"))
    parser.add_argument("--only", nargs="+", choices=list(LANGUAGES), default=list(LANGUAGES))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(GRID))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, help="begin no run after so many")
    parser.add_argument("--train-examples", type=int, default=2000, help="of a task, at most")
    parser.add_argument("--test-examples", type=int, default=500)
    parser.add_argument("--pool", type=int, default=1000, help="functions that a search is among")
    parser.add_argument("--memory-gb", type=float, default=8.0, help="that a step may take")
    parser.add_argument("--no-save", action="store_true", help="only train and score")
    add_options(parser)
    parser.set_defaults(full_up_to=0, epochs=2, decoder_examples=20_000)
    return parser.parse_args()


def plans(arguments: argparse.Namespace) -> Iterator[Plan]:
    """The runs of the grid in their order: all tasks and systems with a seed, then the next."""
    for seed, task, system in product(arguments.seeds, arguments.only, arguments.systems):
        yield plan_of(arguments, task, system, seed)


def folder_of(plan: Plan, arguments: argparse.Namespace) -> Path:
    """Where a run of the grid is kept."""
    return Path(arguments.out / folder_name(plan.task, plan.system, plan.seed))


def limits_of(plan: Plan, arguments: argparse.Namespace) -> dict:
    """The most examples of each split; a search among few finds everything."""
    tested = arguments.pool if plan.task == "search" else arguments.test_examples
    return {"train": arguments.train_examples, "test": tested}


def cell(plan: Plan, checkpoint: Checkpoint, arguments: argparse.Namespace) -> None:
    """One run; its weights are not kept when it is done."""
    out, limits = folder_of(plan, arguments), limits_of(plan, arguments)
    found = run(plan, checkpoint, arguments.tasks / plan.task, out, arguments.device, None, limits)
    (out / STATE).unlink(missing_ok=True)
    print(f"{out.name}: {found['scores']}", file=sys.stderr, flush=True)


def ended(checkpoint: Checkpoint, arguments: argparse.Namespace) -> list[dict]:
    """The results of the runs that have ended."""
    every = (
        finished(plan, checkpoint, folder_of(plan, arguments), limits_of(plan, arguments))
        for plan in plans(arguments)
    )
    return [found for found in every if found is not None]


def ahead(runs: list[dict], checkpoint: Checkpoint, arguments: argparse.Namespace) -> dict:
    """How far SASA is ahead on all test examples, and on the longest of them."""
    reader, where = Reader(checkpoint), (runs, arguments.tasks, arguments.out, OURS)

    def is_longer(example: Example) -> bool:
        return max(reader.lengths(example.codes)) > LONGER

    return {"all": leads(*where), f"above {LONGER:,} tokens": leads(*where, is_longer)}


def publish(report: dict) -> None:
    """The page and its figure."""
    runs, found = report["runs"], report["footprint"]
    parts = [
        "## Systems on tasks",
        tables.scores(runs, tables.RIVALS),
        "## What SASA's parts give",
        tables.scores(runs, tables.ABLATION),
        "## How far SASA is ahead",
        "The difference of the seeds' means; in brackets its 95 % interval, by a paired bootstrap "
        "over the test examples.",
        *(f"Test examples, {some}:\n\n{tables.leads(of)}" for some, of in report["ahead"].items()),
        "## Examples",
        tables.examples(runs),
        "## A training step",
        f"Peak memory in GB, inputs of {found['length']:,} tokens, {found['memory_gb']:g} GB at "
        "most:",
        tables.memory(found),
        "Seconds, one input:",
        tables.seconds(found),
        f"![memory and time]({FIGURE.name})",
    ]
    write_below(PAGE, MARK, "\n\n".join(parts) + "\n")
    figures.draw(found, FIGURE)


if __name__ == "__main__":
    main()
