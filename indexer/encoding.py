"""Waiting inputs become vectors: read ahead in a thread, encoded in the caller's, written in one.

The table `pending` is the queue between preparing and encoding: however far the one is ahead, its
backlog is on disk, and here are only a window of keys, the batches that are read ahead and the one
that is being written. The next batch is handed over when that one is stored, so that a kill loses
the vectors of one at most.

What fails in a thread is raised in the caller's, which asks for every result; leaving the loop, by
Ctrl-C too, waits for the batch that is being written.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.interrupts import check_interrupted
from indexer.progress import Progress
from indexer.storage.vectors import VectorStore
from models.batching import Pace, batches, by_attention
from models.inputs import EncoderInput
from models.memory import release_free_memory

if TYPE_CHECKING:
    from indexer.storage.store import Store  # imports the ORM, which a query has no need of

# The most inputs that are ordered by length at once.
_WINDOW = 20_000
_BATCHES_AHEAD = 2
# Releasing memory takes about 20 ms, and what was released must be had again: 4 % of a second.
_SECONDS_BETWEEN_RELEASES = 4.0
_POLL_SECONDS = 0.05


class BatchEncoder(Protocol):
    """Whatever turns a batch of inputs into unit vectors (B, E)."""

    def embed(self, inputs: Sequence[EncoderInput]) -> NDArray[np.float32]:
        """Encode one batch."""

    def account(self) -> str:
        """On what and by which attention paths it has encoded so far."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What was encoded, and where the time went."""

    batches: int = 0
    chunks: int = 0
    tokens: int = 0
    padded_tokens: int = 0  # padding included
    model_seconds: float = 0.0  # inside the encoder
    seconds: float = 0.0  # from the first batch to the last, waiting and writing included

    def __add__(self, other: Encoded) -> Encoded:
        """Both together."""
        return Encoded(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def pace(self) -> str:
        """How much, and how fast with waiting and writing included; for people."""
        rate = self.tokens / self.seconds if self.seconds else 0.0
        return f"{self.tokens:,} tokens at {rate:,.0f} tokens/s"

    @property
    def padding_share(self) -> float:
        """The part of what the encoder computed that is padding."""
        return 1 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0


class Backlog:
    """The inputs that wait, handed out in batches; more may come while `preparing` runs."""

    def __init__(self, store: Store, pace: Pace, preparing: Future[Any]) -> None:
        self._store = store
        self._pace = pace
        self._preparing = preparing
        self._batches: deque[list[bytes]] = deque()
        self._taken: dict[bytes, int] = {}  # tokens of what is handed out, and not stored yet
        self._closed = threading.Event()

    @property
    def is_complete(self) -> bool:
        """Whether nothing more will come; raises what preparing raised."""
        if not self._preparing.done():
            return False
        self._preparing.result()
        return True

    def wait_for_work(self) -> bool:
        """Return when something waits, or nothing ever will: then False."""
        while True:
            is_last = self.is_complete  # before the look: what comes later is seen next time
            if self._store.pending_tokens():
                return True
            if is_last:
                return False
            wait([self._preparing], _POLL_SECONDS)

    def take(self) -> dict[bytes, EncoderInput] | None:
        """The next batch by content key; None when all are handed out, or it was closed."""
        while self._batches or self._refill():
            found = self._store.inputs(self._batches.popleft())
            if found:  # a ref that moved on forgets inputs
                return found
        return None

    def finish(self, keys: Sequence[bytes]) -> None:
        """A batch is stored: take it off the waiting list."""
        self._store.finish(keys)
        for key in keys:
            del self._taken[key]

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed.set()
        self._batches.clear()

    def _refill(self) -> bool:
        """Form batches of what waits now; False when there will be none."""
        while not self._closed.is_set():
            is_last = self.is_complete
            # What is stored leaves the table first and `_taken` then: a copy from before the look
            # names all that the look may still see.
            taken = self._taken.copy()
            new_tokens = self._store.pending_tokens() - sum(taken.values())
            if is_last or new_tokens >= self._pace.pool_tokens:
                longest = self._store.longest_pending(_WINDOW + len(taken))
                waiting = [(key, tokens) for key, tokens in longest if key not in taken]
                self._form_batches(waiting, is_last and len(longest) < _WINDOW)
                return bool(self._batches)
            wait([self._preparing], _POLL_SECONDS)
        return False

    def _form_batches(self, waiting: list[tuple[bytes, int]], is_all: bool) -> None:
        """Cut what waits into batches; the last one is left to grow, unless that is all."""
        lengths = [tokens for _, tokens in waiting]
        formed = list(batches(lengths, self._pace.batch_tokens))
        if len(formed) > 1 and not is_all:
            formed.pop()
        for positions in formed:
            batch = [waiting[i] for i in positions]
            self._batches.append([key for key, _ in batch])
            self._taken.update(batch)


def settle_known(store: Store, vectors: VectorStore) -> None:
    """Take off what another repository or a killed run has made vectors of."""
    for page in store.pending_keys():
        known = vectors.known(page)
        if known:
            store.finish(list(known))


def encode_backlog(
    backlog: Backlog, store: Store, vectors: VectorStore, encoder: BatchEncoder, watch: Progress
) -> Encoded:
    """Encode until nothing waits and nothing more will come.

    Only the writing thread uses `vectors`, until this returns.
    """
    done, shown, started = Encoded(), False, time.perf_counter()
    released = started
    written: Future[None] | None = None
    with ThreadPoolExecutor(1, "reading") as reading, ThreadPoolExecutor(1, "writing") as writing:
        try:
            ahead = deque(reading.submit(backlog.take) for _ in range(_BATCHES_AHEAD))
            while (batch := ahead.popleft().result()) is not None:
                check_interrupted()
                ahead.append(reading.submit(backlog.take))
                if not shown and backlog.is_complete:
                    watch.start("encoding", store.pending_tokens(), "tokens")
                    shown = True
                rows, cost = _embed(encoder, list(batch.values()))
                if written is not None:
                    written.result()
                written = writing.submit(_write, backlog, vectors, list(batch), rows)
                if time.perf_counter() > released + _SECONDS_BETWEEN_RELEASES:
                    writing.submit(release_free_memory)
                    released = time.perf_counter()
                done += cost
                watch.advance(cost.tokens if shown else 0)
            if written is not None:
                written.result()
        finally:
            backlog.close()
    return done + Encoded(seconds=time.perf_counter() - started)


def _embed(
    encoder: BatchEncoder, inputs: list[EncoderInput]
) -> tuple[NDArray[np.float32], Encoded]:
    lengths = [len(item) for item in inputs]
    started = time.perf_counter()
    rows = encoder.embed(inputs)
    seconds = time.perf_counter() - started
    parts = by_attention(inputs)  # each is padded by itself
    padded = sum(len(places) * max(lengths[place] for place in places) for places in parts)
    return rows, Encoded(1, len(inputs), sum(lengths), padded, seconds)


def _write(
    backlog: Backlog, vectors: VectorStore, keys: list[bytes], rows: NDArray[np.float32]
) -> None:
    vectors.put(keys, rows)
    backlog.finish(keys)
