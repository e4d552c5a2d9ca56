"""What a teacher says of packed pairs, computed once: where the student is to put each text.

A larger model reads slower than a small one learns, so its vectors are kept, a part of some pairs
after another; a call that ends is gone on with by the next one.

    about.json     what the parts were made with
    part-N.npz     the teacher's and the start's vectors of `PART` pairs
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.training.development import Embed
from indexer.training.mixture import weights_of
from indexer.training.pack import VARIANTS
from indexer.training.packed import Packed, Rows
from models.replacing import replacing
from models.teacher import Space

ABOUT = "about.json"
PART = 1000  # pairs
WAYS = 2  # of asking for each code
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Syllabus:
    """Which pairs are taught.

    Attributes:
        pairs: How many, at most.
        most_tokens: Of code, in all but
        long_share: … this share of the pairs, with longer code, of which the teacher reads the
            beginning.
        seed: Of the choice.
    """

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


@dataclass(frozen=True, slots=True)
class Taught:
    """Where n pairs' questions and codes are to lie.

    Attributes:
        rows: (n,), packed pairs, each once, in rising order.
        variants: (n, WAYS), how each is asked for.
        queries: (n, WAYS, E), unit vectors.
        codes: (n, E), unit vectors; zeros where the teacher read only the beginning.
        space: What they were told from.
    """

    rows: Rows
    variants: NDArray[np.int64]
    queries: Vectors
    codes: Vectors
    space: Space

    @property
    def key(self) -> str:
        """Names the pairs and their targets."""
        digest = hashlib.blake2b(self.rows.tobytes() + self.codes.tobytes(), digest_size=8)
        return digest.hexdigest()

    @property
    def known(self) -> tuple[Vectors, Vectors]:
        """All targets: of a question for each pair, (n, E), and of codes, (m, E)."""
        return np.ascontiguousarray(self.queries[:, 0]), self.codes[self.codes.any(axis=1)]

    def draw(
        self, rows: Rows, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """One of the ways to ask for each of some rows, (B,), and the targets, (2 B, E)."""
        places = np.searchsorted(self.rows, rows)
        way = rng.integers(self.variants.shape[1], size=len(rows))
        targets = np.concatenate([self.queries[places, way], self.codes[places]])
        return self.variants[places, way], targets

    @classmethod
    def read(cls, folder: Path, packed: Packed, own: float) -> Taught:
        """Put together what the parts of a folder hold.

        Raises:
            UsageError: there are none, one is damaged, or they are of other pairs.
        """
        parts = sorted(folder.glob("part-*.npz"))
        if not parts:
            raise UsageError(f"{folder} holds no lesson", "make it with scripts/train.py teach")
        try:
            about = dict(json.loads((folder / ABOUT).read_text("utf-8")))
            read = [_read(part) for part in parts]
        except (OSError, ValueError, TypeError, BadZipFile) as error:
            raise UsageError(
                f"{folder} is damaged: {error}", "teach into another folder"
            ) from error
        if about.get("pack") != packed.key:
            raise UsageError(
                f"{folder} is about other pairs than those packed", "teach into another folder"
            )
        order = np.argsort(np.concatenate([part["rows"] for part in read]))
        column = {name: np.concatenate([part[name] for part in read])[order] for name in read[0]}
        taught_queries, queries = _flat(column["taught_queries"]), _flat(column["queries"])
        taught_codes, codes = _flat(column["taught_codes"]), _flat(column["codes"])
        read_whole = packed.records["code_length"][column["rows"]] <= about["teacher_tokens"]
        both = np.concatenate([taught_queries, taught_codes]), np.concatenate([queries, codes])
        space = Space.fit(*both, own=own)
        asked = space.vectors(taught_queries, queries).reshape(column["queries"].shape)
        found = space.vectors(taught_codes, codes) * read_whole[:, None].astype(np.float32)
        return cls(column["rows"], column["variants"], asked, found, space)


def _read(part: Path) -> dict[str, NDArray[Any]]:
    with open(part, "rb") as file:
        return dict(np.load(file, allow_pickle=False))


def _flat(vectors: NDArray[np.float16]) -> Vectors:
    """One row for each text."""
    return vectors.reshape(-1, vectors.shape[-1]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who says what of which pairs.

    Attributes:
        syllabus: The pairs.
        teacher: Encodes as the larger model.
        start: Encodes as the model that training starts from.
        facts: Names both models, as JSON, and what the first reads of a text: `teacher_tokens`.
    """

    syllabus: Syllabus
    teacher: Embed
    start: Embed
    facts: dict[str, Any]

    def part(self, packed: Packed, rows: Rows, number: int) -> dict[str, NDArray[Any]]:
        """What is stored of some pairs."""
        rng = np.random.default_rng((self.syllabus.seed, number))
        variants = np.argsort(rng.random((len(rows), VARIANTS)), axis=1)[:, :WAYS]
        queries = [
            packed.query(row, variant)
            for row, ways in zip(rows.tolist(), variants.tolist(), strict=True)
            for variant in ways
        ]
        codes = [packed.code(row) for row in rows.tolist()]
        vectors = {"taught_codes": self.teacher(codes), "codes": self.start(codes)}
        for name, embed in (("taught_queries", self.teacher), ("queries", self.start)):
            vectors[name] = embed(queries).reshape(len(rows), WAYS, -1)
        halves = {name: found.astype(np.float16) for name, found in vectors.items()}
        return {"rows": rows, "variants": variants} | halves


def teach(
    packed: Packed,
    plan: Plan,
    folder: Path,
    minutes: float | None,
    tell: Callable[[str], None],
) -> int:
    """Write the parts that are missing, as many as fit in the time; returns how many are there.

    Args:
        packed: The pairs.
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
