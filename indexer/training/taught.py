"""What a teacher says of packed texts, computed once: where the student is to put each.

A larger model reads slower than a small one learns, so its vectors are kept, a part after another;
a call that ends is gone on with by the next one. There are lessons about pairs, about questions
alone, which are short and so cost little, and about codes alone: the chunks of repositories as an
index reads them, files and classes and documents among them.

    about.json     what the parts were made with
    part-N.npz     the teacher's and the start's vectors of the texts of `PART` packed rows
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.training.development import Embed
from indexer.training.pack import VARIANTS
from indexer.training.packed import Packed, Rows
from indexer.training.records import weights_of
from models.inputs import EncoderInput
from models.replacing import replacing

ABOUT = "about.json"
PART = 1000  # packed rows
WAYS = 2  # of asking for each code
CODE = -1  # in the place of a way to ask
Subject = Literal["pairs", "questions", "codes"]
COLUMNS = ("rows", "variants", "taught", "start")


@dataclass(frozen=True, slots=True)
class Syllabus:
    """Which texts are taught.

    Attributes:
        subject: Both sides of the pairs, or one.
        pairs: How many, at most.
        most_tokens: Of code, in all but
        long_share: … this share of the pairs.
        seed: Of the choice.
    """

    subject: Subject = "pairs"
    pairs: int = 30_000
    most_tokens: int = 160
    long_share: float = 0.08
    seed: int = 0

    def rows(self, packed: Packed) -> Rows:
        """The pairs in the order in which they are taught, each once, likelier by weight."""
        records = packed.records
        rng = np.random.default_rng(self.seed)
        weights = weights_of(records, packed.about["kinds"])
        ranks = rng.exponential(size=len(records)) / weights
        ranks[records["is_dev"]] = np.inf
        order = np.argsort(ranks, kind="stable")
        order = order[np.isfinite(ranks[order])]
        lengths = records["code_length"][order]
        long = order[lengths > self.most_tokens][: round(self.long_share * self.pairs)]
        short = order[lengths <= self.most_tokens][: self.pairs - len(long)]
        chosen = np.concatenate([short, long])
        return np.asarray(chosen[rng.permutation(len(chosen))])

    def variants(self, rows: Rows, part: int) -> NDArray[np.int64]:
        """Of each row of a part which ways to ask are taught, and the code, (n, ways)."""
        codes = np.full((len(rows), 1), CODE)
        if self.subject == "codes":
            return codes
        rng = np.random.default_rng((self.seed, part))
        ways = np.argsort(rng.random((len(rows), VARIANTS)), axis=1)[:, :WAYS]
        return ways if self.subject == "questions" else np.hstack([ways, codes])


@dataclass(frozen=True, slots=True)
class Plan:
    """Who says what of which texts.

    Attributes:
        syllabus: The texts.
        teacher: Encodes as the larger model.
        start: Encodes as the model that training starts from.
        facts: Names both models, as JSON, and what the first reads of a text: `teacher_tokens`.
    """

    syllabus: Syllabus
    teacher: Embed
    start: Embed
    facts: dict[str, Any]

    def part(self, packed: Packed, rows: Rows, number: int) -> dict[str, NDArray[Any]]:
        """What is stored of some rows: a line for each text, (n,) and (n, T) and (n, E)."""
        ways = self.syllabus.variants(rows, number)
        places, variants = np.repeat(rows, ways.shape[1]), ways.ravel()
        said = texts(packed, places, variants)
        taught, start = (embed(said).astype(np.float16) for embed in (self.teacher, self.start))
        return dict(zip(COLUMNS, (places, variants, taught, start), strict=True))


def texts(packed: Packed, rows: Rows, variants: NDArray[np.int64]) -> tuple[EncoderInput, ...]:
    """Of each row one of the ways to ask for its code, or the code."""
    return tuple(
        packed.code(row) if variant == CODE else packed.query(row, variant)
        for row, variant in zip(rows.tolist(), variants.tolist(), strict=True)
    )


def teach(
    packed: Packed,
    plan: Plan,
    folder: Path,
    minutes: float | None,
    tell: Callable[[str], None],
) -> int:
    """Write the parts that are missing, as many as fit in the time; returns how many are there.

    Args:
        packed: The texts.
        plan: What is said of them.
        folder: Is made where there is none.
        minutes: After so many no part is begun; None: all are written.
        tell: Told of each part.

    Raises:
        UsageError: the folder was made with another plan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = json.loads(json.dumps(plan.facts | asdict(plan.syllabus) | {"pack": packed.key}))
    stored = folder / ABOUT
    if stored.exists() and json.loads(stored.read_text("utf-8")) != about:
        raise UsageError(f"{folder} was made otherwise", "teach into another folder")
    stored.write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    rows = plan.syllabus.rows(packed)
    until = monotonic() + 60 * (float("inf") if minutes is None else minutes)
    starts = range(0, len(rows), PART)
    for number, first in enumerate(starts):
        path = folder / f"part-{number:05}.npz"
        if path.exists():
            continue
        if monotonic() > until:
            return number
        part = plan.part(packed, rows[first : first + PART], number)
        with replacing(path) as beside, open(beside, "wb") as file:
            np.savez(file, allow_pickle=False, **part)
        tell(f"part {number + 1} of {len(starts)}")
    return len(starts)
