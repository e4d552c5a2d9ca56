"""SASA and its rivals on the long examples of four CodeXGLUE tasks: train, predict, score.

    python scripts/codexglue.py {clone,defect,search,summarize} DATA_DIR --out FOLDER
        [--pattern sasa … --model FOLDER_OR_NAME --seeds 0 1 2]

DATA_DIR holds the task's official files (`scripts/longtasks/formats.py` names them). Only examples
with a function of more than 512 tokens take part. Each run, a pattern and a seed, has a folder in
FOLDER with its state, its predictions in the official evaluators' format and `result.json`; a run
that was interrupted goes on. The last line printed is JSON.
"""

import argparse
import json
from itertools import product
from pathlib import Path

from longtasks.formats import LANGUAGES
from longtasks.inputs import SYSTEMS
from longtasks.options import add_options, plan_of, told
from longtasks.runs import folder_name, run
from longtasks.tables import summary
from models.checkpoint import open_checkpoint


def main() -> None:
    arguments = read_arguments()
    results: dict[str, list[dict]] = {}
    limits = {"train": arguments.train_examples, "test": arguments.test_examples}
    with told("scripts/codexglue.py"):
        checkpoint = open_checkpoint(arguments.model)
        for system, seed in product(arguments.pattern, arguments.seeds):
            plan = plan_of(arguments, arguments.task, system, seed)
            out = arguments.out / folder_name(arguments.task, system, seed)
            where = (arguments.data, out, arguments.device, arguments.language)
            result = run(plan, checkpoint, *where, limits)
            results.setdefault(system, []).append(result["scores"])
    scores = {system: summary(some) for system, some in results.items()}
    print(json.dumps({"task": arguments.task, "scores": scores}))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=list(LANGUAGES))
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pattern", nargs="+", choices=SYSTEMS, default=["sasa"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--language", help="of the functions, where the files do not say")
    parser.add_argument("--train-examples", type=int, help="take so many at most")
    parser.add_argument("--test-examples", type=int)
    add_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
