"""Which pairs a step trains on: a pure function of the seed and the step's number.

So a run resumes without the state of any iterator. A fixed share of a batch is long code. Some
batches are of one language or one repository: their negatives are harder.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.training.pack import VARIANTS
from indexer.training.packed import Packed, Rows
from indexer.training.records import weights_of
from models.pair_batch import PairBatch

if TYPE_CHECKING:  # loading it takes the teacher's libraries, two seconds
    from indexer.training.course import Course

LONG = 512  # tokens


@dataclass(frozen=True, slots=True)
class Mixture:
    """What batches are made of.

    Attributes:
        pairs: Of a batch.
        seed: Of the order of everything.
        long_share: Of a batch's pairs, those with code beyond `LONG` tokens.
        long_kinds: What such pairs are of; empty: every kind.
        one_language: The share of batches whose pairs are of one language,
        one_repo: … and of one repository, filled up with its language.
        most_tokens: Of a pair's code; None: whatever the encoder reads.
        variant_weights: How often each way to ask is taken.
    """

    pairs: int = 96
    seed: int = 0
    long_share: float = 0.15
    long_kinds: tuple[str, ...] = ()
    one_language: float = 0.35
    one_repo: float = 0.25
    most_tokens: int | None = None
    variant_weights: tuple[float, ...] = field(default=(0.35, 0.25, 0.25, 0.15))

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"a batch needs at least 2 pairs, got {self.pairs}")
        if not 0 <= self.long_share <= 1 or self.one_language + self.one_repo > 1:
            raise ValueError(f"shares must be in 0..1, got {self}")
        if len(self.variant_weights) != VARIANTS:
            raise ValueError(f"there are {VARIANTS} ways to ask, got {self.variant_weights}")


class Batches:
    """The batches of a run, by the number of their step."""

    def __init__(
        self,
        packed: Packed,
        mixture: Mixture,
        negatives: NDArray[np.int64] | None = None,
        course: Course | None = None,
    ) -> None:
        """Weigh the pairs that are trained on.

        Args:
            packed: The pairs.
            mixture: How they are mixed.
            negatives: (pairs, n), for each pair others that the model mistakes for it; -1: none.
            course: Its pairs, which were chosen by weight already, with their targets, and what
                else it teaches. Of other pairs only those with long code are taken, to tell it
                from others: a teacher reads little of it.

        Raises:
            UsageError: there are fewer pairs than a batch has.
        """
        self._packed, self._mixture, self._negatives = packed, mixture, negatives
        self._course = course
        records = packed.records
        is_taken = ~records["is_dev"]
        if mixture.most_tokens is not None:
            is_taken &= records["code_length"] <= mixture.most_tokens
        if mixture.long_kinds:
            is_taken &= _is_of(packed, mixture.long_kinds) | (records["code_length"] <= LONG)
        self._rows: Rows = np.flatnonzero(is_taken)
        if course is not None:
            others = ~np.isin(self._rows, course.pairs.pairs)
            is_long = records["code_length"][self._rows] > LONG
            kept = ~others | (is_long & (mixture.long_share > 0))
            self._rows, others = self._rows[kept], others[kept]
        if len(self._rows) < mixture.pairs:
            raise UsageError(
                f"{len(self._rows)} training pairs are less than a batch of {mixture.pairs}",
                "mine more repositories, or make batches smaller",
            )
        chosen = records[self._rows]
        self._weights = weights_of(chosen, packed.about["kinds"])
        if course is not None:
            share = self._weights * others / max(1e-9, self._weights[others].sum())
            self._weights = np.where(others, share * mixture.long_share * (~others).sum(), 1.0)
        self._is_long = chosen["code_length"] > LONG
        self._languages, self._repos = chosen["language"], chosen["repo"]

    def batch(self, step: int) -> PairBatch:
        """The batch of a step, counted from 0."""
        rng = np.random.default_rng((self._mixture.seed, step))
        rows = self._draw(rng)
        if self._course is not None:
            return self._taught_batch(self._course, rows, rng)
        return self._packed.batch(rows, self._ways(len(rows), rng), self._hard(rows, rng))

    def _ways(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """The way in which each of some pairs is asked for."""
        ways = np.array(self._mixture.variant_weights)
        return rng.choice(VARIANTS, count, p=ways / ways.sum())

    def _taught_batch(self, course: Course, rows: Rows, rng: np.random.Generator) -> PairBatch:
        """A batch of pairs, those that are taught first, with all that is taught beside them."""
        pairs, chunks = course.pairs, course.draw_chunks(rng)
        is_taught = np.isin(rows, pairs.pairs)
        rows, others = rows[is_taught], rows[~is_taught]
        asked, more = course.draw_questions(rows, rng)
        variants = np.concatenate([pairs.variants[asked], self._ways(len(others), rng)])
        rows = np.concatenate([rows, others])
        hard = self._hard(rows, rng)
        batch = self._packed.batch(rows, variants, hard)
        nowhere = np.zeros((len(others) + len(hard), pairs.targets.shape[1]), dtype=np.float32)
        targets = [pairs.targets[asked], nowhere[: len(others)], pairs.targets[more]]
        targets += [pairs.targets[pairs.places_of_code(rows[: len(asked)])], nowhere]
        if course.chunks is not None:
            targets.append(course.chunks.targets[chunks])
            batch = batch.with_codes(*course.chunks.beside(self._packed.records[rows], chunks))
        return replace(
            batch,
            queries=(*batch.queries, *pairs.texts(more)),
            targets=np.concatenate(targets),
        )

    def rows(self, step: int) -> Rows:
        """The pairs of a step."""
        return self._draw(np.random.default_rng((self._mixture.seed, step)))

    def _draw(self, rng: np.random.Generator) -> Rows:
        """All pairs ranked at random by weight; those of the batch's kind first."""
        ranks = rng.exponential(size=len(self._rows)) / self._weights
        priority = self._priority(rng)
        wanted = round(self._mixture.long_share * self._mixture.pairs)
        long = _first(ranks, priority, self._is_long, wanted)
        short = _first(ranks, priority, ~self._is_long, self._mixture.pairs - len(long))
        chosen = np.concatenate([long, short])
        if len(chosen) < self._mixture.pairs:  # there is hardly any short code
            left = self._is_long.copy()
            left[long] = False
            more = _first(ranks, priority, left, self._mixture.pairs - len(chosen))
            chosen = np.concatenate([chosen, more])
        return np.asarray(self._rows[chosen])

    def _priority(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """0 for the pairs that a batch is of, 1 for those that fill it up, 2 for the others."""
        kind, seed_pair = rng.random(), self._pick(rng)
        same_language = self._languages == self._languages[seed_pair]
        same_repo = self._repos == self._repos[seed_pair]
        if kind < self._mixture.one_language:
            return np.where(same_language, 0, 2)
        if kind < self._mixture.one_language + self._mixture.one_repo:
            return np.where(same_repo & same_language, 0, np.where(same_language, 1, 2))
        return np.zeros(len(self._rows), dtype=np.int64)

    def _pick(self, rng: np.random.Generator) -> int:
        totals = np.cumsum(self._weights)
        return int(np.searchsorted(totals, rng.random() * totals[-1], side="right"))

    def _hard(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """One hard negative for each pair, each taken once and none that is in the batch."""
        if self._negatives is None:
            return np.empty(0, dtype=np.int64)
        column = rng.integers(self._negatives.shape[1], size=len(rows))
        found = np.unique(self._negatives[rows, column])
        return np.setdiff1d(found[found >= 0], rows)


def _is_of(packed: Packed, kinds: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which pairs are of some kinds.

    Raises:
        UsageError: no pair is of one of them.
    """
    known = packed.about["kinds"]
    for kind in kinds:
        if kind not in known:
            raise UsageError(f"no pair is of kind {kind!r}", f"there are {', '.join(known)}")
    return np.isin(packed.records["kind"], [known.index(kind) for kind in kinds])


def _first(
    ranks: NDArray[np.float64],
    priority: NDArray[np.int64],
    mask: NDArray[np.bool_],
    count: int,
) -> NDArray[np.intp]:
    """The `count` places of a mask with the lowest priority, then rank."""
    places = np.flatnonzero(mask)
    order = np.lexsort((ranks[places], priority[places]))
    return places[order[:count]]
