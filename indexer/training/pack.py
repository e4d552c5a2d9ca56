"""Shards become a packed folder: everything tokenized once, so that training only reads arrays.

    pack.json     what it was made from, and the names that records hold numbers of
    records.npy   one record per pair (`indexer.training.records`)
    codes.bin     token ids of all codes, one after another
    patterns.bin  block patterns of the codes beyond full attention
    queries.bin   token ids of the ways to ask for each code, `VARIANTS` for each pair
    queries.npy   where each of those starts, and where the last one ends

A part of the repositories is held out by a hash of their names, whatever else is packed: nothing
of them is ever trained on.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.heading import headed
from indexer.mining.shards import Pair, decoded_links, read_pairs
from indexer.training.augmented import NO_QUESTIONS, Questions, augmented, heading_of
from indexer.training.phrasing import phrase
from indexer.training.records import RECORD, key, keys_of
from models.checkpoint import PRIOR_FILE, Checkpoint
from models.inputs import encoder_input
from models.prior import load_prior
from models.replacing import replacing_folder
from models.tokenizer import Tokenizer, Tokens

FORMAT = 4  # also raised when a text is read otherwise by the same settings
VARIANTS = 4  # ways to ask: as written, twice rephrased, and all that the documentation says
MAX_QUERY_TOKENS = 96
DEV_SHARE = 0.02
HEADED = 0.75  # of the pairs; code is also encoded where nothing is known of its place
_AT_ONCE = 512
_FILES = ("codes.bin", "patterns.bin", "queries.bin")


def pack(
    shards: Path,
    folder: Path,
    checkpoint: Checkpoint,
    share: float = 1.0,
    tell: Callable[[str], None] = lambda _: None,
    dev: Collection[str] | None = None,
    questions: Questions = NO_QUESTIONS,
) -> dict[str, Any]:
    """Pack the pairs of all shards; returns what `pack.json` says.

    Args:
        shards: Holds `*.jsonl.zst`.
        folder: Is made, or replaced when all is done.
        checkpoint: Its tokenizer reads, its settings choose the patterns.
        share: The part of the pairs that is taken, chosen by hash.
        tell: Told of each shard.
        dev: The repositories that are only measured on; None: those that `held_out` chooses.
        questions: Those that were written for the code of some pairs.

    Raises:
        UsageError: there are no shards, or no pairs in them.
    """
    paths = sorted(shards.glob("*+*.jsonl.zst"))
    if not paths:
        raise UsageError(f"no shards in {shards}", "make some with scripts/mine_pairs.py")
    if dev is None:
        dev = held_out(p.name.removesuffix(".jsonl.zst").replace("+", "/", 1) for p in paths)
    with replacing_folder(folder) as beside:
        with ExitStack() as stack:
            files = [stack.enter_context(open(beside / name, "wb")) for name in _FILES]
            packer = _Packer(checkpoint, dev, *files)
            for path in paths:
                taken = (pair for pair in read_pairs(path) if is_taken(pair, share))
                packer.add(more for pair in taken for more in augmented(pair, questions))
                tell(f"{path.name}: {len(packer.records):,} pairs so far")
        return packer.finish(beside)


def held_out(repos: Iterable[str]) -> frozenset[str]:
    """The repositories that are only measured on: about `DEV_SHARE`, and one at least."""
    by_hash = {repo: key(f"dev {repo.lower()}") for repo in repos}
    low = {repo for repo, value in by_hash.items() if value < DEV_SHARE * 2**64}
    return frozenset(low or {min(by_hash, key=lambda repo: by_hash[repo])})


def is_taken(pair: Pair, share: float) -> bool:
    """Whether a pair is one to learn from, or what an index holds, and in the asked share."""
    place = f"{pair.repo} {pair.path} {pair.start_line} {pair.kind}"
    return bool(pair.query or pair.kind == "chunk") and key(place) < share * 2**64


def is_headed(pair: Pair) -> bool:
    """Whether a pair's code is read with its heading: most are, as an index reads them all."""
    return (
        pair.kind == "chunk"
        or key(f"heading {pair.repo} {pair.path} {pair.start_line}") < HEADED * 2**64
    )


def reading_key(checkpoint: Checkpoint) -> str:
    """Names how a checkpoint reads: tokenizer, settings of its patterns, frequency prior."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update((checkpoint.folder / "tokenizer.json").read_bytes())
    digest.update(json.dumps(checkpoint.sasa.to_mapping(), sort_keys=True).encode())
    prior = checkpoint.folder / PRIOR_FILE
    if prior.is_file():
        digest.update(prior.read_bytes())
    return digest.hexdigest()


class _Packer:
    """Appends pairs to the open files of a folder."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        dev: Collection[str],
        codes: BinaryIO,
        patterns: BinaryIO,
        queries: BinaryIO,
    ) -> None:
        self._checkpoint = checkpoint
        self._dev = dev
        self._tokenizer = Tokenizer(checkpoint)
        self._prior = load_prior(checkpoint.folder)
        self._codes = _Column(codes, token_type(checkpoint))
        self._patterns = _Column(patterns, np.dtype("<i2"))
        self._queries = _Column(queries, token_type(checkpoint))
        self._names: dict[str, list[str]] = {"kind": [], "language": [], "repo": []}
        self.records: list[tuple[Any, ...]] = []
        self._query_starts: list[int] = [0]

    def add(self, pairs: Iterator[Pair]) -> None:
        limit = self._checkpoint.sasa.max_tokens
        while some := list(islice(pairs, _AT_ONCE)):
            codes = headed(
                self._tokenizer,
                self._tokenizer.tokenize([pair.code for pair in some]),
                [heading_of(pair) if is_headed(pair) else "" for pair in some],
            )
            asked = [text for pair in some for text in variants(pair)]
            queries = self._tokenizer.tokenize(asked)
            for number, (pair, tokens) in enumerate(zip(some, codes, strict=True)):
                if len(tokens) <= limit:
                    ways = queries[number * VARIANTS : (number + 1) * VARIANTS]
                    self._add_one(pair, tokens, ways)

    def _add_one(self, pair: Pair, tokens: Tokens, ways: Sequence[Tokens]) -> None:
        values: dict[str, Any] = keys_of(pair) | {
            name: self._number(name, getattr(pair, name)) for name in self._names
        }
        values["is_dev"] = pair.repo in self._dev
        values["code_start"] = self._codes.append(tokens.ids)
        values["code_length"] = len(tokens)
        pattern = self._pattern(pair, tokens)
        values["pattern_start"] = self._patterns.append(pattern)
        values["pattern_length"] = len(pattern)
        for way in ways:
            self._queries.append(way.cut(MAX_QUERY_TOKENS).ids)
            self._query_starts.append(self._queries.size)
        self.records.append(tuple(values[name] for name in RECORD.fields or ()))

    def _pattern(self, pair: Pair, tokens: Tokens) -> NDArray[np.int32]:
        """A row of `block_index (N, K)`, then `block_count (N,)`; empty for full attention."""
        config, links = self._checkpoint.sasa, decoded_links(pair.links)
        pattern = encoder_input(tokens, links, config, self._prior, pair.is_code).pattern
        if pattern.covers_all_pairs:
            return np.empty(0, dtype=np.int32)
        return np.concatenate([pattern.block_index.ravel(), pattern.block_count])

    def _number(self, name: str, value: str) -> int:
        known = self._names[name]
        if value not in known:
            known.append(value)
        return known.index(value)

    def finish(self, folder: Path) -> dict[str, Any]:
        if not self.records:
            raise UsageError("the shards hold no pairs", "mine more repositories")
        records = np.array(self.records, dtype=RECORD)
        np.save(folder / "records.npy", records)
        np.save(folder / "queries.npy", np.array(self._query_starts, dtype=np.int64))
        reading = reading_key(self._checkpoint)
        digest = hashlib.blake2b(reading.encode() + records.tobytes(), digest_size=12).hexdigest()
        about = {
            "format": FORMAT,
            "pack": digest,
            "reading": reading,
            "pairs": len(records),
            "dev_pairs": int(records["is_dev"].sum()),
            "tokens": self._codes.size,
            "token_type": self._codes.dtype.str,
        } | {f"{name}s": names for name, names in self._names.items()}
        (folder / "pack.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        return about


class _Column:
    """A file of numbers that grows at its end."""

    def __init__(self, file: BinaryIO, dtype: np.dtype[Any]) -> None:
        self._file = file
        self.dtype = dtype
        self.size = 0

    def append(self, values: NDArray[Any]) -> int:
        """Returns where the values start."""
        start = self.size
        self._file.write(values.astype(self.dtype).tobytes())
        self.size += len(values)
        return start


def variants(pair: Pair) -> list[str]:
    """`VARIANTS` ways to ask for a pair's code; the first one is as its author wrote it."""
    if pair.kind == "chunk":
        return [""] * VARIANTS
    if pair.kind == "written":
        return list(islice(cycle(pair.query.split("\n")), VARIANTS))
    rng = random.Random(key(f"{pair.repo} {pair.path} {pair.start_line} {pair.query}"))
    typed = [phrase(pair.query, pair.language, rng) for _ in range(VARIANTS - 2)]
    last = pair.long_query or phrase(pair.query, pair.language, rng)
    return [pair.query, *typed, last]


def token_type(checkpoint: Checkpoint) -> np.dtype[Any]:
    """The smallest type that holds every token id."""
    return np.dtype("<u2" if checkpoint.config["vocab_size"] <= 2**16 else "<i4")
