"""A run: steps until the schedule or the time ends, saved and measured on the way.

A slice of a run ends in time for its last measurement and its state. Started again, the run goes
on from the state, step for step as if it had not been interrupted.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from indexer.training.development import dev_rows, measure
from indexer.training.journal import Journal
from indexer.training.mixture import Batches
from indexer.training.packed import Packed
from models.pair_batch import PairBatch
from models.trainer import Trainer

STATE = "state.safetensors"


@dataclass(frozen=True, slots=True)
class Slice:
    """How long a run goes on, and how often it looks at itself.

    Attributes:
        minutes: Ends the slice; None: only the schedule does.
        save_every: Steps.
        dev_every: Steps.
        dev_pairs: How many held-out pairs are measured on; 0: none.
    """

    minutes: float | None = None
    save_every: int = 50
    dev_every: int = 100
    dev_pairs: int = 1000


class Run:
    """A trainer, its batches and the folder where it keeps its state and its log."""

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        batches: Batches,
        packed: Packed,
        facts: dict[str, Any],
        tell: Callable[[str], None],
    ) -> None:
        """Go on from the folder's state, or begin.

        Args:
            folder: Is made where there is none.
            trainer: Holds the weights.
            batches: What is learned.
            packed: Where the held-out pairs are.
            facts: What must be the same for the whole run.
            tell: Told of every step, in a line.

        Raises:
            CheckpointError: the state is damaged or was made with other facts.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._trainer, self._batches, self._packed = trainer, batches, packed
        self._facts, self._tell = facts, tell
        self._state = folder / STATE
        self._journal = Journal(folder)
        self._reserve = 0.0  # seconds that the last measurement and the last save took
        self.was_stopped = False  # by the user, in the last slice
        if self._state.exists():
            trainer.resume(self._state, facts)
        self._journal.forget_after(trainer.step)

    def go_on(self, part: Slice) -> int:
        """Train until the slice ends; returns at how many steps the run stands."""
        started, trainer = perf_counter(), self._trainer
        seconds = float("inf") if part.minutes is None else 60 * part.minutes
        with _stoppable() as stopped:
            self._measure(part)
            for batch in self._ahead():
                before = perf_counter()
                self._learn(batch)
                is_last = trainer.step == trainer.settings.steps
                spent = perf_counter() - started + (perf_counter() - before) + self._reserve
                if is_last or stopped() or spent > seconds:
                    break
                if trainer.step % part.dev_every == 0:
                    self._measure(part)
                if trainer.step % part.save_every == 0:
                    self._save()
            self.was_stopped = stopped()
        self._save()
        self._measure(part)
        return trainer.step

    def plot(self) -> Path | None:
        """Draw the log; see `Journal.plot`."""
        return self._journal.plot()

    def _ahead(self) -> Iterator[PairBatch]:
        """The batches from the next step on, each made while the one before it is learned."""
        first, last = self._trainer.step, self._trainer.settings.steps
        if first >= last:
            return
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(self._batches.batch, first)
            for step in range(first + 1, last + 1):
                batch = following.result()
                following = pool.submit(self._batches.batch, step)
                yield batch

    def _learn(self, batch: PairBatch) -> None:
        started = perf_counter()
        report = asdict(self._trainer.learn(batch))
        seconds = perf_counter() - started
        speed = batch.tokens / seconds
        self._journal.write(
            report | {"tokens": batch.tokens, "seconds": seconds, "tokens_per_second": speed}
        )
        self._tell(
            f"step {report['step']} of {self._trainer.settings.steps}: "
            f"loss {report['loss']:.3f}, contrast {report['contrast']:.3f}, "
            f"drift {report['distillation']:.4f}, {speed:,.0f} tokens/s"
        )

    def _measure(self, part: Slice) -> None:
        step = self._trainer.step
        if not part.dev_pairs or self._journal.measured(step):
            return
        started = perf_counter()
        rows = dev_rows(self._packed, part.dev_pairs)
        found = measure(self._packed, rows, self._trainer.student.embed)
        seconds = perf_counter() - started
        self._reserve = max(self._reserve, seconds)
        self._journal.write({"step": step} | found | {"pairs": len(rows), "dev_seconds": seconds})
        self._tell(f"step {step}: " + ", ".join(f"{k} {v:.4f}" for k, v in found.items()))

    def _save(self) -> None:
        self._trainer.save(self._state, self._facts)


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and a polite kill end the slice after the step that is under way."""
    asked: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: asked.append(1)) for number in signals]
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
