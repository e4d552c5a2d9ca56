"""One run of a task: train in steps that can be resumed, then predict and score the test split."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from longtasks import formats, scores
from longtasks.formats import ANSWERS, Example
from longtasks.heads import Classifier, Matcher, Summarizer
from longtasks.inputs import LONG, TRUNCATED, Reader, long_ones, settings_of, short_ones
from models.checkpoint import Checkpoint, CheckpointError
from models.encoder import choose_device, fast_dtype
from models.metrics import mrr
from models.replacing import replacing
from models.student import Student
from models.tokenizer import Tokenizer
from models.trainer import Settings, sizes_of
from models.training_state import State, load_state, moments, restore, save_state

STATE, RESULT, DECODER = "state.safetensors", "result.json", "decoder.safetensors"
DECODER_BATCH = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does; the same plan gives the same run.

    Attributes:
        task: clone, defect, search or summarize.
        system: A pattern, or `truncate-512`.
        seed: Of the heads' weights and of the order.
        epochs: Over the training examples.
        batch: Examples of a step.
        learning_rate: Of the encoder at the end of the warm-up; it falls to 0.
        head_rate: How many times as fast what a task puts on the encoder learns.
        warmup: The share of the steps over which it rises.
        max_tokens: What is read of a function.
        full_up_to: Longer ones are read sparsely; None: as the checkpoint has it.
        decoder_examples: Functions of at most 512 tokens, which all systems read alike, that a
            summarizer's decoder learns from first, the encoder as it is; once for all systems and
            seeds.
    """

    task: str
    system: str = "sasa"
    seed: int = 0
    epochs: int = 3
    batch: int = 8
    learning_rate: float = 5e-5
    head_rate: float = 20.0
    warmup: float = 0.1
    max_tokens: int = 4096
    full_up_to: int | None = None
    decoder_examples: int = 0


class TaskRun:
    """A model on a task, in a folder of its own."""

    def __init__(
        self,
        plan: Plan,
        checkpoint: Checkpoint,
        folder: Path,
        device: str,
        tell: Callable[[str], None],
        is_encoder_fixed: bool = False,
    ) -> None:
        """Make the model, or go on with that of the folder.

        Raises:
            CheckpointError: the folder has another run, or the device is not there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(plan.seed)
        self.plan, self.folder, self._tell = plan, folder, tell
        settings = settings_of(checkpoint, plan.system, plan.max_tokens, plan.full_up_to)
        self._checkpoint = replace(checkpoint, sasa=settings)
        at = choose_device(device)
        self.reader = Reader(self._checkpoint)
        student = Student(self._checkpoint, at, fast_dtype(at), sizes_of(at.type)["chunk_tokens"])
        self.model = _model(plan.task, student, self._checkpoint)
        self.step = 0
        self._facts = asdict(plan) | {"model": checkpoint.fingerprint}
        # The encoder is not a part of a module: its weights are named by the student.
        encoder = {} if is_encoder_fixed else student.parameters()
        student.model.requires_grad_(not is_encoder_fixed)
        self.heads = dict(self.model.named_parameters())
        self._parameters: dict[str, nn.Parameter] = encoder | self.heads
        groups = [
            {"params": list(encoder.values()), "times": 1.0},
            {"params": list(self.heads.values()), "times": plan.head_rate},
        ]
        self._optimizer = torch.optim.AdamW([group for group in groups if group["params"]])
        self._state = folder / STATE
        if self._state.exists():
            self._resume()

    def start_with(self, path: Path) -> None:
        """Take over what is put on the encoder from a file of its weights."""
        for name, weight in load_file(path).items():
            self.heads[name].detach().copy_(weight)

    def train(self, examples: Sequence[Example], save_every: int = 50) -> None:
        """Take the steps that are left."""
        plan = self.plan
        per_epoch = max(1, len(examples) // plan.batch)
        steps = plan.epochs * per_epoch
        rate = Settings(steps, plan.learning_rate, warmup=plan.warmup).rate
        while self.step < steps:
            epoch, place = divmod(self.step, per_epoch)
            order = np.random.default_rng((plan.seed, epoch)).permutation(len(examples))
            chosen = order[place * plan.batch : (place + 1) * plan.batch]
            started = time.perf_counter()
            for group in self._optimizer.param_groups:
                group["lr"] = rate(self.step) * group["times"]
            loss = self.loss([examples[i] for i in chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(self._parameters.values(), 1.0)
            self._optimizer.step()
            self._optimizer.zero_grad()
            self.step += 1
            seconds = time.perf_counter() - started
            self._tell(f"step {self.step} of {steps}: loss {loss.item():.3f}, {seconds:.1f} s")
            if self.step % save_every == 0 or self.step == steps:
                self._save()

    def loss(self, examples: Sequence[Example]) -> torch.Tensor:
        """Of a batch."""
        inputs = self._inputs(examples)
        if isinstance(self.model, Classifier):
            return self.model.loss(inputs, [example.label for example in examples])
        if isinstance(self.model, Matcher):
            return self.model.loss([self.reader.text(e.text) for e in examples], inputs)
        tokens = Tokenizer(self._checkpoint).tokenize([example.text for example in examples])
        return self.model.loss(inputs, [item.ids.tolist() for item in tokens])

    def evaluate(self, examples: Sequence[Example]) -> dict[str, float]:
        """The official score on examples; predictions are left in the folder."""
        if isinstance(self.model, Classifier):
            return self._classify(examples)
        if isinstance(self.model, Matcher):
            return self._match(examples)
        return self._summarize(examples)

    def _classify(self, examples: Sequence[Example]) -> dict[str, float]:
        predicted: list[int] = []
        with torch.no_grad():
            for start in range(0, len(examples), self.plan.batch):
                inputs = self._inputs(examples[start : start + self.plan.batch])
                predicted += self.model.logits(inputs).argmax(1).tolist()
        labels = [example.label for example in examples]
        if self.plan.task == "clone":
            formats.write_clones(self.folder / "predictions.txt", examples, predicted)
            return scores.binary_f1(labels, predicted)
        formats.write_defects(self.folder / "predictions.txt", examples, predicted)
        return {"accuracy": scores.accuracy(labels, predicted)}

    def _match(self, examples: Sequence[Example]) -> dict[str, float]:
        student = self.model.student
        asked = student.embed([self.reader.text(example.text) for example in examples])
        found = student.embed(self._inputs(examples))
        order = np.argsort(-(asked @ found.T), axis=1, kind="stable")
        ids = [example.key[1] for example in examples]
        best = ([ids[place] for place in row[:ANSWERS]] for row in order)
        formats.write_searches(self.folder / "predictions.jsonl", examples, best)
        ranks = [int(np.flatnonzero(row == place)[0]) + 1 for place, row in enumerate(order)]
        return {"mrr": mrr([rank if rank <= ANSWERS else None for rank in ranks])}

    def _summarize(self, examples: Sequence[Example]) -> dict[str, float]:
        tokenizer = Tokenizer(self._checkpoint)
        first, last = tokenizer.tokenize([""])[0].ids.tolist()
        found = self.model.write(self._inputs(examples), first, last)
        written = [tokenizer.text(tokens) for tokens in found]
        expected = [example.text for example in examples]
        formats.write_summaries(self.folder / "test.output", examples, written)
        formats.write_summaries(self.folder / "test.gold", examples, expected)
        return {"bleu": scores.smoothed_bleu(written, expected)}

    def _inputs(self, examples: Sequence[Example]) -> list[Any]:
        is_text_asked = self.plan.task in ("search", "summarize")
        return [
            self.reader.code(code, example.language, is_text_asked)
            for example in examples
            for code in example.codes
        ]

    def _save(self) -> None:
        weights = {name: p.detach() for name, p in self._parameters.items()}
        first, second = moments(self._optimizer, self._parameters)
        save_state(self._state, State(self.step, self._facts, weights, {}, first, second))

    def _resume(self) -> None:
        state = load_state(self._state)
        if state.facts != self._facts:
            raise CheckpointError(f"{self._state} is of another run", "choose another --out")
        self.step = state.step
        restore(self._optimizer, self._parameters, state)


def _model(
    task: str, student: Student, checkpoint: Checkpoint
) -> Classifier | Matcher | Summarizer:
    if task == "search":
        return Matcher(student)
    if task == "summarize":
        return Summarizer(student, checkpoint)
    return Classifier(student, checkpoint.dimension, codes=2 if task == "clone" else 1)


def run(
    plan: Plan,
    checkpoint: Checkpoint,
    data: Path,
    out: Path,
    device: str,
    language: str | None = None,
    limits: dict[str, int | None] | None = None,
) -> dict[str, Any]:
    """Train on the long examples of a folder and score those of its test split.

    Args:
        plan: What to do.
        checkpoint: Where training starts.
        data: The task's files.
        out: The run's folder.
        device: auto, cpu or cuda.
        language: Of the functions, where the files do not say.
        limits: The most examples of a split, chosen at random; none: all.

    Returns:
        The plan, the model, how many examples there were, and the scores; of a run that has
        ended, what it left in `out`.

    Raises:
        TaskDataError: the files cannot be used.
        CheckpointError: the model cannot, or `out` has another run.
    """
    done = finished(plan, checkpoint, out, limits)
    if done is not None:
        return done
    every = {
        split: formats.read_examples(plan.task, data, split, language)
        for split in ("train", "test")
    }
    decoder = None
    if plan.task == "summarize" and plan.decoder_examples:
        decoder = learned_decoder(plan, checkpoint, every["train"], out.parent, device)
    going = TaskRun(plan, checkpoint, out, device, _tell)
    if decoder is not None and not going.step:
        going.start_with(decoder)
    found = {}
    for split, examples in every.items():
        found[split] = long_ones(examples, going.reader, (limits or {}).get(split))
        if not found[split]:
            raise formats.TaskDataError(f"{data}: no example of {split!r} is long")
    going.train(found["train"])
    result = _about(plan, checkpoint, limits) | {
        "examples": {split: len(examples) for split, examples in found.items()},
        "scores": {k: round(v, 4) for k, v in going.evaluate(found["test"]).items()},
    }
    (out / RESULT).write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return result


def folder_name(task: str, system: str, seed: int) -> str:
    """The name of a run's folder among those of other runs."""
    return f"{task}-{system}-{seed}"


def learned_decoder(
    plan: Plan, checkpoint: Checkpoint, examples: Sequence[Example], folder: Path, device: str
) -> Path:
    """The decoder that has learned from short functions, in `folder`; made where it is not there.

    Raises:
        TaskDataError: no example is short.
        CheckpointError: `folder` has another one.
    """
    alike = {"system": TRUNCATED, "seed": 0, "max_tokens": LONG, "full_up_to": None}
    first = replace(plan, epochs=1, batch=DECODER_BATCH, **alike)
    inside = folder / "decoder"
    path, about = inside / DECODER, inside / RESULT
    facts = _about(first, checkpoint, None)
    if not path.exists():
        going = TaskRun(first, checkpoint, inside, device, _tell, is_encoder_fixed=True)
        chosen = short_ones(examples, going.reader, plan.decoder_examples)
        if not chosen:
            raise formats.TaskDataError("no example of 'train' is short: use no decoder examples")
        going.train(chosen)
        about.write_text(json.dumps(facts | {"examples": len(chosen)}, indent=1) + "\n", "utf-8")
        with replacing(path) as beside:
            save_file({name: p.detach().cpu() for name, p in going.heads.items()}, beside)
        (inside / STATE).unlink()
    if not facts.items() <= json.loads(about.read_text("utf-8")).items():
        raise CheckpointError(f"{path} is of another start", "choose another --out")
    return path


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def finished(
    plan: Plan, checkpoint: Checkpoint, out: Path, limits: dict[str, int | None] | None = None
) -> dict[str, Any] | None:
    """What a run left in its folder; None where it has not ended, or another run was there."""
    try:
        result = dict(json.loads((out / RESULT).read_text("utf-8")))
    except FileNotFoundError:
        return None
    return result if _about(plan, checkpoint, limits).items() <= result.items() else None


def _about(
    plan: Plan, checkpoint: Checkpoint, limits: dict[str, int | None] | None
) -> dict[str, Any]:
    """What tells a run from others."""
    about = {"model": checkpoint.name, "fingerprint": checkpoint.fingerprint}
    return asdict(plan) | about | {"limits": limits or {}}
