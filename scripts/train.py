"""Train the encoder on mined pairs, a question and the code that answers it.

    python scripts/train.py run NAME --minutes 60          a slice on a CPU; again: the next slice
    python scripts/train.py run NAME --pairs-per-step 1024 on a GPU, which `--device auto` finds
    python scripts/train.py export NAME --average 0.5 --out FOLDER

`run` reads `data/packed`, which it makes from the shards in `data/mined` where it is missing
(`pack` makes it anew), and keeps state, log and plot in `data/runs/NAME`. `export` mixes the
trained weights with those of the start and writes a folder that `--model` takes. For a second
round `mine-negatives` looks for wrong answers that a model likes: `--hard-negatives FILE` of a new
run takes them. `teach FOLDER` asks a larger encoder where questions and codes are to lie:
`run NAME --taught data/taught` learns that, with chunks of repositories (`mine_pairs.py --chunks`,
`pack`, `teach --of codes`) also how an index is read. A teacher learns what code is in the same
way, before it teaches: `run NAME --teacher FOLDER`, `export NAME --teacher FOLDER --average 1`.
The last line printed is JSON.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from indexer.errors import CodesearchError, UsageError
from indexer.training.augmented import Questions
from indexer.training.course import Course, Lesson
from indexer.training.mixture import Batches, Mixture
from indexer.training.negatives import load_negatives, mine_negatives, save_negatives
from indexer.training.pack import pack
from indexer.training.packed import Packed
from indexer.training.run import STATE, Run, Slice
from indexer.training.taught import Plan, Syllabus, teach
from models.checkpoint import DEFAULT_MODEL, Checkpoint, CheckpointError, open_checkpoint
from models.threads import share_cores

QUESTIONS = Path(__file__).parent / "written_questions.jsonl"


def main() -> None:
    share_cores()
    arguments = read_arguments()
    commands = {
        "pack": pack_shards,
        "run": run,
        "export": export_run,
        "mix": mix,
        "mine-negatives": find_negatives,
        "teach": ask_teacher,
    }
    try:
        result = commands[arguments.command](arguments)
    except (CodesearchError, CheckpointError) as error:
        sys.exit(f"error: {error} ({error.hint})")
    print(json.dumps(result))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    add_run(commands.add_parser("run", help="train, or go on training"))
    packing = commands.add_parser("pack", help="tokenize the shards anew")
    exporting = commands.add_parser("export", help="write a checkpoint folder")
    exporting.add_argument("name")
    exporting.add_argument("--average", type=float, default=0.5, help="share of the trained model")
    exporting.add_argument("--weights", choices=["average", "last"], default="average")
    exporting.add_argument("--out", type=Path, required=True)
    exporting.add_argument("--teacher", type=Path, help="whose weights were trained")
    mixing = commands.add_parser("mix", help="write what lies between --model and another one")
    mixing.add_argument("other", help="a checkpoint of the same shape")
    mixing.add_argument("--average", type=float, default=0.5, help="share of the other one")
    mixing.add_argument("--out", type=Path, required=True)
    mining = commands.add_parser("mine-negatives", help="look for hard negatives")
    mining.add_argument("--out", type=Path, required=True)
    mining.add_argument("--sample", type=int, default=20_000, help="pairs")
    mining.add_argument("--seed", type=int, default=0)
    teaching = commands.add_parser("teach", help="encode pairs with a larger encoder")
    teaching.add_argument("teacher", type=Path, help="its folder")
    teaching.add_argument("--out", type=Path, default=Path("data/taught"))
    teaching.add_argument("--minutes", type=float, help="end this slice in time")
    teaching.add_argument("--of", choices=["pairs", "questions", "codes"], default="pairs")
    teaching.add_argument("--pairs", type=int, default=30_000)
    teaching.add_argument("--most-tokens", type=int, default=160, help="of code")
    teaching.add_argument("--long-share", type=float, default=0.08, help="of longer code")
    teaching.add_argument(
        "--teacher-tokens", type=int, default=256, help="that it reads of a text"
    )
    teaching.add_argument("--seed", type=int, default=0)
    for command in commands.choices.values():
        command.add_argument("--model", default=DEFAULT_MODEL, help="where training starts")
        command.add_argument("--packed", type=Path, default=Path("data/packed"))
        command.add_argument("--shards", type=Path, default=Path("data/mined"))
        command.add_argument("--questions", type=Path, default=QUESTIONS, help="written for code")
        command.add_argument("--share", type=float, default=1.0, help="of the pairs, to pack")
        command.add_argument("--runs", type=Path, default=Path("data/runs"))
        command.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
        command.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    packing.set_defaults(again=True)
    return parser.parse_args()


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("--minutes", type=float, help="end this slice in time")
    parser.add_argument("--steps", type=int, default=1000, help="where the schedule ends")
    parser.add_argument("--pairs-per-step", type=int, default=96)
    parser.add_argument("--learning-rate", "--lr", type=float, default=3e-5)
    parser.add_argument("--schedule", choices=["linear", "cosine", "constant"], default="linear")
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--contrast", type=float, default=1.0, help="weight of right and wrong")
    parser.add_argument("--distillation", type=float, default=1.0, help="weight of nearness")
    parser.add_argument("--agreement", type=float, default=0.0, help="weight of like scores")
    parser.add_argument("--taught", type=Path, nargs="+", help="what `teach` wrote of --packed")
    parser.add_argument("--more-questions", type=int, default=0, help="of it, beside the pairs'")
    parser.add_argument("--taught-chunks", type=Path, help="what it wrote of --packed-chunks")
    parser.add_argument("--packed-chunks", type=Path, default=Path("data/packed-chunks"))
    parser.add_argument("--chunks-per-step", type=int, default=24)
    parser.add_argument("--own", type=float, default=1.0, help="what the start says beside it")
    parser.add_argument("--long-share", type=float, default=0.15)
    parser.add_argument("--long-kinds", nargs="+", default=[], help="of pairs with long code")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hard-negatives", type=Path)
    parser.add_argument("--save-every", type=int, default=50)
    parser.add_argument("--dev-every", type=int, default=100)
    parser.add_argument("--dev-pairs", type=int, default=1000)
    parser.add_argument("--chunk-tokens", type=int, help="encoded at once")
    parser.add_argument("--cache-above", type=int, help="tokens of a step: cache its gradients")
    parser.add_argument("--quiet", action="store_true", help="no line for each step")
    parser.add_argument("--teacher", type=Path, help="a larger encoder's folder: trains that")
    parser.add_argument("--frozen-layers", type=int, help="of the teacher, the first")
    parser.add_argument("--most-tokens", type=int, help="of a pair's code")


def pack_shards(arguments: argparse.Namespace) -> dict[str, Any]:
    checkpoint = open_checkpoint(arguments.model)
    questions = Questions.read(arguments.questions)
    about = pack(
        arguments.shards, arguments.packed, checkpoint, arguments.share, tell, questions=questions
    )
    return {name: value for name, value in about.items() if name != "repos"}


def packed_pairs(arguments: argparse.Namespace, checkpoint: Checkpoint) -> Packed:
    """The packed folder, made first where there is none."""
    if not (arguments.packed / "pack.json").exists():
        pack_shards(arguments)
    return Packed(arguments.packed, checkpoint)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    from models.trainer import Trainer, sizes_of

    checkpoint = open_checkpoint(arguments.model)
    packed = packed_pairs(arguments, checkpoint)
    device, _ = on = device_and_type(arguments)
    sizes = sizes_of(device.type)
    sizes |= {name: getattr(arguments, name) for name in sizes if getattr(arguments, name)}
    settings, mixture = settings_of(arguments)
    negatives, negatives_key = None, ""
    if arguments.hard_negatives is not None:
        negatives = load_negatives(arguments.hard_negatives, packed)
        negatives_key = hashlib.blake2b(negatives.tobytes(), digest_size=8).hexdigest()
    facts = {"pack": packed.key, "start": checkpoint.fingerprint, "hard_negatives": negatives_key}
    facts |= asdict(mixture)
    if arguments.teacher is not None:
        facts |= {"teacher": arguments.teacher.name, "frozen_layers": arguments.frozen_layers}
    course = course_of(arguments, packed, checkpoint)
    if course is not None:
        facts |= {"taught": course.key, "own": arguments.own}
    make = partial(learner, arguments, checkpoint, *on, sizes["chunk_tokens"])
    trainer = Trainer(make, settings, sizes["cache_above"])
    if course is not None:
        trainer.know(*course.known)
    batches = Batches(packed, mixture, negatives, course)
    folder = arguments.runs / arguments.name
    report = (lambda _: None) if arguments.quiet else tell
    going = Run(folder, trainer, batches, packed, facts, report)
    tell(f"{trainer.step} steps are done; training in {on[1]} on {device}".replace("torch.", ""))
    part = Slice(arguments.minutes, arguments.save_every, arguments.dev_every, arguments.dev_pairs)
    steps = going.go_on(part)
    if going.plot() is None:
        tell("no plot: matplotlib is not installed (pip install -e '.[train]')")
    return {"run": str(folder), "step": steps, "steps": settings.steps}


def learner(arguments: argparse.Namespace, checkpoint: Checkpoint, *on: Any) -> Any:
    """What is trained, as it is at first: the encoder, or a teacher."""
    from models.student import Student
    from models.teacher import Teacher

    if arguments.teacher is None:
        return Student(checkpoint, *on)
    return Teacher(arguments.teacher, checkpoint, *on, frozen_layers=arguments.frozen_layers)


def course_of(
    arguments: argparse.Namespace, packed: Packed, checkpoint: Checkpoint
) -> Course | None:
    """What a teacher said, where the run is to learn that."""
    if arguments.taught is None:
        return None
    pairs, chunks = Lesson.read(packed, *arguments.taught), None
    if arguments.taught_chunks is not None:
        chunks = Lesson.read(Packed(arguments.packed_chunks, checkpoint), arguments.taught_chunks)
    return Course.of(
        pairs, chunks, arguments.own, arguments.more_questions, arguments.chunks_per_step
    )


def settings_of(arguments: argparse.Namespace) -> tuple[Any, Mixture]:
    """What stays the same through a run."""
    from models.trainer import Settings

    try:
        settings = Settings(
            steps=arguments.steps,
            learning_rate=arguments.learning_rate,
            schedule=arguments.schedule,
            temperature=arguments.temperature,
            contrast=arguments.contrast,
            agreement=arguments.agreement,
            distillation=arguments.distillation,
        )
        mixture = Mixture(
            pairs=arguments.pairs_per_step,
            seed=arguments.seed,
            long_share=arguments.long_share,
            long_kinds=tuple(arguments.long_kinds),
            most_tokens=arguments.most_tokens,
        )
    except ValueError as error:
        raise UsageError(str(error), "see scripts/train.py run --help") from error
    return settings, mixture


def device_and_type(arguments: argparse.Namespace) -> tuple[Any, Any]:
    import torch

    from models.encoder import choose_device, fast_dtype

    device = choose_device(arguments.device)
    if arguments.dtype == "auto":
        return device, fast_dtype(device)
    return device, getattr(torch, arguments.dtype)


def export_run(arguments: argparse.Namespace) -> dict[str, Any]:
    from models.interpolation import export
    from models.teacher import export_teacher
    from models.training_state import load_state

    start = open_checkpoint(arguments.model)
    state = load_state(arguments.runs / arguments.name / STATE)
    if state.facts["start"] != start.fingerprint:
        raise UsageError(f"{arguments.name} did not start from {start.name}", "give its --model")
    trained = state.average if arguments.weights == "average" else state.weights
    if arguments.teacher is not None:
        export_teacher(arguments.teacher, trained, share_of(arguments), arguments.out)
        return {"teacher": str(arguments.out), "step": state.step}
    fingerprint = export(start, trained, share_of(arguments), arguments.out)
    return {"model": str(arguments.out), "fingerprint": fingerprint, "step": state.step}


def mix(arguments: argparse.Namespace) -> dict[str, Any]:
    from models.architecture import load_model
    from models.interpolation import export

    start, other = open_checkpoint(arguments.model), open_checkpoint(arguments.other)
    weights = dict(load_model(other).named_parameters())
    mine = dict(load_model(start).named_parameters())
    shapes = [{name: tuple(w.shape) for name, w in both.items()} for both in (mine, weights)]
    if shapes[0] != shapes[1]:
        raise UsageError(f"{other.name} has not the shape of {start.name}", "give its --model")
    fingerprint = export(start, weights, share_of(arguments), arguments.out)
    return {"model": str(arguments.out), "fingerprint": fingerprint}


def share_of(arguments: argparse.Namespace) -> float:
    """Of the weights that are mixed in."""
    share = float(arguments.average)
    if not 0 <= share <= 1:
        raise UsageError(f"--average {share} is not in 0..1", "0.5 is a good start")
    return share


def find_negatives(arguments: argparse.Namespace) -> dict[str, Any]:
    from models.student import Student
    from models.trainer import sizes_of

    checkpoint = open_checkpoint(arguments.model)
    packed = packed_pairs(arguments, checkpoint)
    device, dtype = device_and_type(arguments)
    student = Student(checkpoint, device, dtype, sizes_of(device.type)["chunk_tokens"])
    rows = np.flatnonzero(~packed.records["is_dev"])
    rng = np.random.default_rng(arguments.seed)
    chosen = np.sort(rng.permutation(rows)[: arguments.sample])
    negatives = mine_negatives(packed, chosen, student.embed)
    save_negatives(arguments.out, packed, negatives)
    return {"pairs": len(chosen), "negatives": int((negatives >= 0).sum())}


def ask_teacher(arguments: argparse.Namespace) -> dict[str, Any]:
    from models.student import Student
    from models.teacher import Teacher
    from models.trainer import sizes_of

    checkpoint = open_checkpoint(arguments.model)
    packed = packed_pairs(arguments, checkpoint)
    device, dtype = device_and_type(arguments)
    size = sizes_of(device.type)["chunk_tokens"]
    teacher = Teacher(arguments.teacher, checkpoint, device, dtype, size, arguments.teacher_tokens)
    start = Student(checkpoint, device, dtype, size)
    syllabus = Syllabus(
        arguments.of, arguments.pairs, arguments.most_tokens, arguments.long_share, arguments.seed
    )
    facts = {"teacher": arguments.teacher.name, "teacher_tokens": teacher.max_tokens}
    facts["start"] = checkpoint.fingerprint
    plan = Plan(syllabus, teacher.embed, start.embed, facts)
    parts = teach(packed, plan, arguments.out, arguments.minutes, tell)
    return {"taught": str(arguments.out), "parts": parts}


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
