"""What `codexglue.py` and `paper.py` are both asked: how to train, and what to do about faults."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from longtasks.formats import TaskDataError
from longtasks.runs import Plan
from models.checkpoint import DEFAULT_MODEL, CheckpointError


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a run but its task, its systems and how many examples it takes."""
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a folder or a Hugging Face name")
    parser.add_argument("--max-tokens", type=int, default=4096, help="that are read of a function")
    parser.add_argument("--full-up-to", type=int, help="tokens; longer code is read sparsely")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", "--lr", type=float, default=5e-5)
    parser.add_argument("--head-rate", type=float, default=20.0, help="of the learning rate")
    parser.add_argument(
        "--decoder-examples",
        type=int,
        default=0,
        help="short functions that a summarizer's decoder learns from first, once for all runs",
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])


def plan_of(arguments: argparse.Namespace, task: str, system: str, seed: int) -> Plan:
    """One run with these options."""
    return Plan(
        task,
        system,
        seed,
        arguments.epochs,
        arguments.batch,
        arguments.learning_rate,
        arguments.head_rate,
        max_tokens=arguments.max_tokens,
        full_up_to=arguments.full_up_to,
        decoder_examples=arguments.decoder_examples if task == "summarize" else 0,
    )


@contextmanager
def told(script: str) -> Iterator[None]:
    """End with one line for whatever a user can mend."""
    try:
        yield
    except TaskDataError as error:
        sys.exit(f"error: {error} (check the folder against scripts/longtasks/formats.py)")
    except ValueError as error:  # a setting out of range
        sys.exit(f"error: {error} (see {script} --help)")
    except CheckpointError as error:
        sys.exit(f"error: {error} ({error.hint})")
