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
import sys
from pathlib import Path

from longtasks.formats import LANGUAGES, TaskDataError
from longtasks.inputs import SYSTEMS
from longtasks.runs import Plan, run
from longtasks.tables import summary
from models.checkpoint import DEFAULT_MODEL, CheckpointError, open_checkpoint


def main() -> None:
    arguments = read_arguments()
    results: dict[str, list[dict]] = {}
    try:
        checkpoint = open_checkpoint(arguments.model)
        for system in arguments.pattern:
            for seed in arguments.seeds:
                plan = Plan(
                    arguments.task,
                    system,
                    seed,
                    arguments.epochs,
                    arguments.batch,
                    arguments.learning_rate,
                    max_tokens=arguments.max_tokens,
                    full_up_to=arguments.full_up_to,
                )
                out = arguments.out / f"{arguments.task}-{system}-{seed}"
                where = (arguments.data, out, arguments.device, arguments.language)
                limits = {"train": arguments.train_examples, "test": arguments.test_examples}
                result = run(plan, checkpoint, *where, limits)
                results.setdefault(system, []).append(result["scores"])
    except TaskDataError as error:
        sys.exit(f"error: {error} (check the folder against scripts/longtasks/formats.py)")
    except ValueError as error:  # a setting out of range
        sys.exit(f"error: {error} (see scripts/codexglue.py --help)")
    except CheckpointError as error:
        sys.exit(f"error: {error} ({error.hint})")
    print(
        json.dumps({"task": arguments.task, "scores": {k: summary(v) for k, v in results.items()}})
    )


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=list(LANGUAGES))
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pattern", nargs="+", choices=SYSTEMS, default=["sasa"])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--max-tokens", type=int, default=4096)
    parser.add_argument("--full-up-to", type=int, help="tokens; longer code is read sparsely")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", "--lr", type=float, default=5e-5)
    parser.add_argument("--language", help="of the functions, where the files do not say")
    parser.add_argument("--train-examples", type=int, help="take so many at most")
    parser.add_argument("--test-examples", type=int)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
