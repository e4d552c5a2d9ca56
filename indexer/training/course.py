"""What a run learns from a teacher: lessons read, and each text given its place in one space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.training.packed import Packed, Rows
from indexer.training.records import Records, not_negatives
from indexer.training.taught import ABOUT, CODE, COLUMNS, texts
from models.inputs import EncoderInput
from models.teacher import Space

Vectors = NDArray[np.float32]
KNOWN = 12_000  # texts of a side among which others choose; 74,000 take a sixth of a step's time


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the parts of a folder hold, a line for each text, by row and way.

    Attributes:
        packed: Where the texts are.
        rows: (n,), packed rows.
        variants: (n,), the way to ask, or `CODE`.
        taught: (n, T), the teacher's vectors, each as long as the share of its text that it read.
        start: (n, E), those of the model that training starts from.
    """

    packed: Packed
    rows: Rows
    variants: NDArray[np.int64]
    taught: Vectors
    start: Vectors

    @classmethod
    def read(cls, packed: Packed, *folders: Path) -> Lesson:
        """Put the parts of some folders together; what several hold is taken once.

        Raises:
            UsageError: one holds none, one is damaged, or they are about other texts.
        """
        parts = [part for folder in folders for part in _parts(packed, folder)]
        column = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        places = np.stack([column["rows"], column["variants"]], axis=1)
        _, first = np.unique(places, axis=0, return_index=True)
        rows, variants, taught, start = (column[name][first] for name in COLUMNS)
        taught = taught.astype(np.float32) * column["read"][first, None]
        return cls(packed, rows, variants, taught, start.astype(np.float32))

    @property
    def key(self) -> str:
        """Names the texts and what is said of them."""
        digest = hashlib.blake2b(digest_size=8)
        for column in (self.rows, self.variants, self.taught, self.start):
            digest.update(column.tobytes())
        return digest.hexdigest()


def _parts(packed: Packed, folder: Path) -> list[dict[str, NDArray[Any]]]:
    paths = sorted(folder.glob("part-*.npz"))
    if not paths:
        raise UsageError(f"{folder} holds no lesson", "make it with scripts/train.py teach")
    try:
        about = dict(json.loads((folder / ABOUT).read_text("utf-8")))
        most_tokens = int(about["teacher_tokens"])
        parts = [_read(path) for path in paths]
    except (OSError, KeyError, ValueError, TypeError, BadZipFile) as error:
        raise UsageError(f"{folder} is damaged: {error}", "teach into another folder") from error
    if about.get("pack") != packed.key:
        raise UsageError(
            f"{folder} is about other texts than those packed", "teach into another folder"
        )
    for part in parts:
        lengths = packed.records["code_length"][part["rows"]]
        read = np.minimum(1, most_tokens / lengths.clip(1))
        part["read"] = np.where(part["variants"] == CODE, read, 1).astype(np.float32)
    return parts


def _read(part: Path) -> dict[str, NDArray[Any]]:
    with open(part, "rb") as file:
        stored = np.load(file, allow_pickle=False)
        return {name: stored[name] for name in COLUMNS}


@dataclass(frozen=True)
class Taught:
    """Where texts of a packed folder are to lie.

    Attributes:
        packed: The folder.
        rows: (n,), packed rows, in rising order.
        variants: (n,), the way to ask, or `CODE`, in rising order for each row.
        targets: (n, E), unit vectors.
        key: Names the lesson.
    """

    packed: Packed
    rows: Rows
    variants: NDArray[np.int64]
    targets: Vectors
    key: str

    @classmethod
    def of(cls, lesson: Lesson, space: Space) -> Taught:
        """The targets that a lesson's vectors have in a space."""
        targets = space.vectors(lesson.taught, lesson.start)
        return cls(lesson.packed, lesson.rows, lesson.variants, targets, lesson.key)

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """The places of codes."""
        return np.flatnonzero(self.variants == CODE)

    @cached_property
    def questions(self) -> NDArray[np.int64]:
        """The places of questions."""
        return np.flatnonzero(self.variants != CODE)

    @cached_property
    def pairs(self) -> Rows:
        """The rows of which both sides are taught, in rising order."""
        return np.intersect1d(self.rows[self.codes], self.rows[self.questions])

    def places_of_code(self, rows: Rows) -> NDArray[np.int64]:
        """Where the codes of some of the pairs are: `CODE` is the first of a row."""
        return np.searchsorted(self.rows, rows)

    def ways_to_ask(self, row: int) -> NDArray[np.int64]:
        """The places of the questions of one of the pairs."""
        first, end = np.searchsorted(self.rows, [row, row + 1])
        return np.arange(first + 1, end)

    def texts(self, places: NDArray[np.int64]) -> tuple[EncoderInput, ...]:
        """What stands at some places."""
        return texts(self.packed, self.rows[places], self.variants[places])

    def beside(
        self, records: Records, places: NDArray[np.int64]
    ) -> tuple[tuple[EncoderInput, ...], NDArray[np.bool_]]:
        """Codes at some places, and which pairs of a batch they may answer, (pairs, codes)."""
        return self.texts(places), not_negatives(records, self.packed.records[self.rows[places]])


@dataclass(frozen=True)
class Course:
    """All that is taught in a run.

    Attributes:
        pairs: Of pairs, and of more questions.
        chunks: Of what an index holds; None: of none.
        more_questions: How many a batch has beside those of its pairs.
        chunks_per_batch: How many.
    """

    pairs: Taught
    chunks: Taught | None = None
    more_questions: int = 0
    chunks_per_batch: int = 0

    @classmethod
    def of(
        cls,
        pairs: Lesson,
        chunks: Lesson | None,
        own: float,
        more_questions: int = 0,
        chunks_per_batch: int = 0,
    ) -> Course:
        """Give each text its target, in the space of all of them; `own` is that of `Space`.

        Raises:
            UsageError: there are fewer chunks than a batch has.
        """
        if chunks is not None and len(chunks.rows) < chunks_per_batch:
            raise UsageError(
                f"{len(chunks.rows)} taught chunks are less than {chunks_per_batch} for a batch",
                "teach more, or make batches smaller",
            )
        lessons = [pairs] if chunks is None else [pairs, chunks]
        space = Space.fit(
            np.concatenate([lesson.taught for lesson in lessons]),
            np.concatenate([lesson.start for lesson in lessons]),
            own,
        )
        taught = [Taught.of(lesson, space) for lesson in lessons]
        return cls(taught[0], (*taught, None)[1], more_questions, chunks_per_batch)

    @property
    def key(self) -> str:
        """Names the lessons and how much of them a batch has."""
        lessons = " ".join(taught.key for taught in self._taught)
        return f"{lessons} {self.more_questions} {self.chunks_per_batch}"

    @property
    def known(self) -> tuple[Vectors, Vectors]:
        """Targets of one question a row, (n, E), and of codes, (m, E), each at most `KNOWN`."""
        pairs = self.pairs
        _, first = np.unique(pairs.rows[pairs.questions], return_index=True)
        codes = [taught.targets[taught.codes] for taught in self._taught]
        return _some(pairs.targets[pairs.questions[first]]), _some(np.concatenate(codes))

    @property
    def _taught(self) -> Sequence[Taught]:
        return [taught for taught in (self.pairs, self.chunks) if taught is not None]

    def draw_chunks(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """The places of a batch's chunks, likelier the shorter: four times the tokens, half."""
        if self.chunks is None:
            return np.empty(0, dtype=np.int64)
        codes = self.chunks.codes
        lengths = self.chunks.packed.records["code_length"][self.chunks.rows[codes]]
        shares = 1 / np.sqrt(lengths.clip(1))
        return rng.choice(codes, self.chunks_per_batch, replace=False, p=shares / shares.sum())

    def draw_questions(
        self, rows: Rows, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of a question for each of some pairs, and of a batch's other ones."""
        ways = [rng.permutation(self.pairs.ways_to_ask(row)) for row in rows.tolist()]
        asked = np.array([places[0] for places in ways], dtype=np.int64)
        others = rng.choice(self.pairs.questions, self.more_questions)
        rest = np.concatenate([*(places[1:] for places in ways), others])
        return asked, np.setdiff1d(rest, asked)


def _some(vectors: Vectors) -> Vectors:
    """`KNOWN` of them, evenly spread, or all of fewer."""
    return vectors[np.linspace(0, len(vectors) - 1, min(KNOWN, len(vectors)), dtype=np.int64)]
