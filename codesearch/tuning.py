"""`eval` and `train`: how well a model answers the user's own repositories, and a better one.

Training never claims more than the questions show that it has not learned from: the gain counts
only where its whole 95 % interval is above 0.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from codesearch.indexing import within
from indexer.errors import UsageError
from indexer.progress import Progress
from indexer.sources.listing import Selection
from indexer.sources.repository import find_repository, resolve_ref
from indexer.storage.home import IndexHome
from indexer.training.exam import Exam, Examiner, Source, make_exam, write_lessons
from indexer.training.mixture import Batches, Mixture
from indexer.training.pack import pack
from indexer.training.packed import Packed
from indexer.training.retrieval import Figures, Ranks, by_length, gain
from indexer.training.run import STATE, Run, Slice
from models.checkpoint import DEFAULT_MODEL, Checkpoint, open_checkpoint
from models.encoder import choose_device, fast_dtype
from models.interpolation import export
from models.student import Student
from models.tokenizer import Tokenizer
from models.trainer import Settings, Trainer, sizes_of
from models.training_state import load_state

PASSES = 2  # over the pairs, within these many steps
LEAST_STEPS, MOST_STEPS = 20, 300
LEAST_PAIRS = 100
PAIRS_PER_STEP = 96
_NEEDED = ("rensa", "zstandard")  # beyond what a search needs
SHARE = 0.5  # of the trained weights; the rest is where training began


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well questions find their functions: `all`, then by the function's tokens."""

    model: str
    functions: int
    questions: int
    vectors: dict[str, Figures]
    words: dict[str, Figures] = field(default_factory=dict)  # BM25 alone, for `eval`


@dataclass(frozen=True, slots=True)
class Tuning:
    """What training came to, on the same questions before and after."""

    folder: Path
    pairs: int
    steps: int
    before: Evaluation
    after: Evaluation
    gain: tuple[float, float, float]  # in MRR, with its 95 % interval

    @property
    def shows_gain(self) -> bool:
        """Whether the trained model is better beyond doubt."""
        return self.gain[1] > 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """How to train.

    Attributes:
        out: The folder to write; a model that lies there is replaced.
        model: Where training begins.
        device: auto, cpu or cuda.
        steps: Where the schedule ends; None: by the number of pairs.
        minutes: Ends training earlier; None: only the schedule does.
    """

    out: Path
    model: str = DEFAULT_MODEL
    device: str = "auto"
    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        choose_device(self.device)
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"--steps {self.steps} is not above 0", "leave it out, or give 100")
        if self.minutes is not None and self.minutes <= 0:
            raise UsageError(f"--minutes {self.minutes:g} is not above 0", "leave it out")
        if self.out.exists() and not (self.out / "config.json").is_file():
            raise UsageError(f"{self.out} exists and is no model", "name a new folder with --out")


def sources_of(locations: Sequence[str]) -> list[Source]:
    """The repositories, or parts of them, that paths name."""
    found = []
    for location in locations:
        repository, subfolder = find_repository(Path(location).expanduser())
        selection = within(Selection(), subfolder) if subfolder else Selection()
        found.append(Source(repository, selection))
    return found


def evaluate(locations: Sequence[str], model: str, device: str, progress: Progress) -> Evaluation:
    """Ask for the documented functions of the held-out files."""
    _check_installed()
    checkpoint = open_checkpoint(model)
    exam = make_exam(sources_of(locations), Tokenizer(checkpoint), progress)
    ranks = Examiner(exam, device, progress).ranks(checkpoint)
    words = by_length(exam.word_ranks(), exam.lengths)
    return replace(_evaluation(exam, checkpoint, ranks), words=words)


def tune(home: IndexHome, locations: Sequence[str], lesson: Lesson, progress: Progress) -> Tuning:
    """Train on what is not held out, write the model, and measure both.

    What is under way is kept in the index home: the same call goes on from there.

    Raises:
        KeyboardInterrupt: the user has had enough; the state is saved.
        UsageError: there is too little to learn from.
    """
    _check_installed()
    sources, checkpoint = sources_of(locations), open_checkpoint(lesson.model)
    exam = make_exam(sources, Tokenizer(checkpoint), progress)
    folder = home.training / _key(sources, checkpoint, lesson)
    packed = _packed(sources, exam, checkpoint, folder, progress)
    steps = _train(packed, checkpoint, lesson, folder, progress)
    trained = load_state(folder / STATE).average
    lesson.out.parent.mkdir(parents=True, exist_ok=True)
    export(checkpoint, trained, SHARE, lesson.out)
    examiner = Examiner(exam, lesson.device, progress)
    tuned = open_checkpoint(str(lesson.out))
    before, after = examiner.ranks(checkpoint), examiner.ranks(tuned)
    shutil.rmtree(folder)
    return Tuning(
        lesson.out,
        len(packed.records),
        steps,
        _evaluation(exam, checkpoint, before),
        _evaluation(exam, tuned, after),
        gain(before, after),
    )


def _check_installed() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} must be installed to read functions as questions",
            "run `pip install -e '.[train]'` where codesearch was installed from",
        )


def _evaluation(exam: Exam, checkpoint: Checkpoint, ranks: Ranks) -> Evaluation:
    by_vectors = by_length(ranks, exam.lengths)
    return Evaluation(checkpoint.name, len(exam.pool), len(exam.answers), by_vectors)


def _packed(
    sources: Sequence[Source],
    exam: Exam,
    checkpoint: Checkpoint,
    folder: Path,
    progress: Progress,
) -> Packed:
    """The pairs to learn from, mined unless that was done before."""
    if not (folder / "packed" / "pack.json").exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        count = write_lessons(sources, exam, Tokenizer(checkpoint), folder / "shards", progress)
        if count < LEAST_PAIRS:
            shutil.rmtree(folder)
            raise UsageError(
                f"{count} pairs of a question and its code are too few to learn from",
                f"name repositories that have {LEAST_PAIRS} or more documented functions",
            )
        pack(folder / "shards", folder / "packed", checkpoint, dev=())
    return Packed(folder / "packed", checkpoint)


def _train(
    packed: Packed, checkpoint: Checkpoint, lesson: Lesson, folder: Path, progress: Progress
) -> int:
    """Train to the end of the schedule or the time; returns the steps that were taken."""
    mixture = Mixture(pairs=min(PAIRS_PER_STEP, len(packed.records) // 2))
    planned = round(PASSES * len(packed.records) / mixture.pairs)
    steps = lesson.steps or min(MOST_STEPS, max(LEAST_STEPS, planned))
    device = choose_device(lesson.device)
    sizes = sizes_of(device.type)
    make = partial(Student, checkpoint, device, fast_dtype(device), sizes["chunk_tokens"])
    trainer = Trainer(make, Settings(steps=steps), sizes["cache_above"])
    facts = {"pack": packed.key, "start": checkpoint.fingerprint} | asdict(mixture)
    run = Run(
        folder, trainer, Batches(packed, mixture), packed, facts, lambda _: progress.advance(1)
    )
    progress.start("training", steps, "steps")
    progress.advance(trainer.step)
    done = run.go_on(Slice(lesson.minutes, dev_pairs=0))
    if run.was_stopped:
        raise KeyboardInterrupt
    return done


def _key(sources: Sequence[Source], checkpoint: Checkpoint, lesson: Lesson) -> str:
    """Names a training by all that decides what comes out of it."""
    places = [
        (str(s.repository.root), s.selection.paths, resolve_ref(s.repository, "HEAD"))
        for s in sources
        if s.repository.git_dir is not None
    ]
    plain = [str(s.repository.root) for s in sources if s.repository.git_dir is None]
    text = repr((places, plain, checkpoint.fingerprint, lesson.steps))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
