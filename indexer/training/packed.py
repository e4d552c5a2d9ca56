"""A packed folder, read: inputs of the encoder by the number of a pair, straight from the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.training.pack import FORMAT, VARIANTS, reading_key
from indexer.training.records import RECORD, Records, alike, not_negatives
from models.blocks import BlockPattern, select_blocks
from models.checkpoint import Checkpoint
from models.inputs import EncoderInput
from models.pair_batch import PairBatch

Rows = NDArray[np.int64]


class Packed:
    """The pairs of a packed folder, memory-mapped.

    Raises:
        UsageError: there is none, it is damaged, or another kind of model reads it.
    """

    def __init__(self, folder: Path, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.sasa
        try:
            self.about: dict[str, Any] = json.loads((folder / "pack.json").read_text("utf-8"))
            self.records: Records = np.load(folder / "records.npy")
            self._query_starts = np.load(folder / "queries.npy", mmap_mode="r")
            tokens = np.dtype(self.about["token_type"])
            self._codes = _mapped(folder / "codes.bin", tokens)
            self._queries = _mapped(folder / "queries.bin", tokens)
            self._patterns = _mapped(folder / "patterns.bin", np.dtype("<i2"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{folder} holds no packed pairs: {error}", "make it with scripts/train.py pack"
            ) from error
        self._check(folder, reading_key(checkpoint))

    def _check(self, folder: Path, reading: str) -> None:
        ends = self.records["code_start"] + self.records["code_length"]
        is_whole = (
            self.about.get("format") == FORMAT
            and self.records.dtype == RECORD
            and len(self._query_starts) == VARIANTS * len(self.records) + 1
            and len(self._codes) == ends.max(initial=0)
            and len(self._queries) == self._query_starts[-1]
        )
        if not is_whole:
            raise UsageError(f"{folder} is damaged", "make it anew with scripts/train.py pack")
        if self.about["reading"] != reading:
            raise UsageError(
                f"{folder} was packed for a model that reads otherwise",
                "pack again for this model, into another folder",
            )

    @property
    def key(self) -> str:
        """Names the content."""
        return str(self.about["pack"])

    def query(self, row: int, variant: int) -> EncoderInput:
        """One of the ways to ask for a pair's code; variant 0 is as it was written."""
        place = row * VARIANTS + variant
        start, end = self._query_starts[place], self._query_starts[place + 1]
        ids = np.asarray(self._queries[start:end], dtype=np.int32)
        return EncoderInput(ids, select_blocks(len(ids), self._config))

    def code(self, row: int) -> EncoderInput:
        """A pair's code."""
        record = self.records[row]
        start, length = int(record["code_start"]), int(record["code_length"])
        ids = np.asarray(self._codes[start : start + length], dtype=np.int32)
        if not record["pattern_length"]:
            return EncoderInput(ids, select_blocks(length, self._config))
        first = int(record["pattern_start"])
        row_of = np.asarray(self._patterns[first : first + int(record["pattern_length"])], "i4")
        index, count = np.split(row_of, [len(row_of) - self._config.block_count(length)])
        return EncoderInput(ids, BlockPattern(index.reshape(len(count), -1), count))

    def batch(self, rows: Rows, variants: NDArray[np.int64], extra: Rows) -> PairBatch:
        """Pairs as a step reads them; `extra` are pairs whose codes are only wrong answers."""
        queries, codes = self.records[rows], self.records[np.concatenate([rows, extra])]
        places = [*rows.tolist(), *extra.tolist()]
        asked = zip(rows.tolist(), variants.tolist(), strict=True)
        return PairBatch(
            queries=tuple(self.query(row, variant) for row, variant in asked),
            codes=tuple(self.code(row) for row in places),
            not_negative=not_negatives(queries, codes),
            alike=alike(queries, codes),
        )


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The numbers of a file; an empty file cannot be mapped."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r")
