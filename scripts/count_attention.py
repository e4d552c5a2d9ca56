"""Make a checkpoint's frequency prior: how much tokens attend to each other over a corpus of code.

    python scripts/count_attention.py REPOSITORY… --out FOLDER [--files 2500] [--model MODEL]

Runs the model with full attention over windows of real source files, as many of each repository,
and sums for each pair of tokens that is further apart than a block the attention over all layers
and heads, relative to attending to all tokens alike. Kept are the pairs that were seen often and
attend to each other clearly more than average. What it was made from is stored in the file.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from indexer.errors import CodesearchError
from indexer.sources.listing import Selection
from indexer.sources.repository import Repository, find_repository
from indexer.sources.skip import content_reason, decode
from indexer.sources.walk import BlobReader, list_files
from indexer.syntax.languages import language_of
from models.architecture import load_model
from models.checkpoint import DEFAULT_MODEL, PRETRAINED, open_checkpoint, write_fingerprint
from models.prior import FrequencyPrior, save_prior
from models.tokenizer import Tokenizer

WINDOW = 512  # tokens that are read at once: what the base model was trained for
LEAST = 128  # tokens of a file that is worth reading
BATCH = 4  # windows
APART = 64  # nearer tokens are inside the sliding window anyway
PLAIN = {"", "text", "markdown", "rst", "json", "yaml", "toml", "xml", "html", "css"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=2500)
    parser.add_argument("--tokens", type=int, default=8192, help="most frequent tokens counted")
    parser.add_argument("--seen", type=int, default=30, help="pairs seen less often are dropped")
    parser.add_argument("--lift", type=float, default=1.5, help="… and those attended less")
    parser.add_argument("--entries", type=int, default=700_000, help="the strongest are kept")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    checkpoint = open_checkpoint(arguments.model)
    windows, corpus = read_windows(arguments, Tokenizer(checkpoint))
    frequent = frequent_tokens(windows, arguments.tokens)
    counter = AttentionCounter(frequent, checkpoint.config["vocab_size"])
    counter.run(load_model(checkpoint).eval().to(torch.bfloat16), windows)
    prior = counter.prior(arguments.seen, arguments.lift, arguments.entries)
    settings = ("files", "tokens", "seen", "lift", "seed")
    made = corpus | {name: getattr(arguments, name) for name in settings}
    made |= {"model": checkpoint.name, "fingerprint": checkpoint.fingerprint, "window": WINDOW}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = save_prior(prior, made, arguments.out)
    if arguments.out.parent == PRETRAINED:
        write_fingerprint(arguments.out)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    print(json.dumps(made | {"entries": len(prior.values)}))


def read_windows(
    arguments: argparse.Namespace, tokenizer: Tokenizer
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """A random window of each file, as many of each repository; and where from."""
    chosen = random.Random(arguments.seed)
    windows: list[np.ndarray] = []
    languages: Counter[str] = Counter()
    commits: dict[str, str | None] = {}
    quota = -(-arguments.files // len(arguments.repositories))
    for location in arguments.repositories:
        repository, _ = find_repository(location)
        taken = 0
        name = location.name.replace("+", "/", 1)
        for language, text in source_files(repository, chosen, commits, name):
            ids = tokenizer.tokenize([text])[0].ids[1:-1]
            if len(ids) < LEAST:
                continue
            languages[language] += 1
            start = chosen.randrange(max(1, len(ids) - WINDOW + 1))
            windows += [ids[start : start + WINDOW]]
            taken += 1
            if taken == quota:
                break
        print(f"{name}: {taken} files", file=sys.stderr)
    return windows, {"read": languages.total(), "languages": languages, "repositories": commits}


def source_files(
    repository: Repository, chosen: random.Random, commits: dict[str, str | None], name: str
) -> Iterator[tuple[str, str]]:
    """Source files of HEAD in a random order, as (language, text)."""
    try:
        listing = list_files(repository, "HEAD", Selection())
    except CodesearchError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return
    commits[name] = listing.commit
    paths = sorted(listing.files)
    chosen.shuffle(paths)
    with BlobReader(repository) as reader:
        for path in paths:
            try:
                data = reader.read(path, listing.files[path], listing.ref)
            except OSError:  # not in a partial clone
                continue
            language = language_of(path, data)
            if language not in PLAIN and content_reason(path, data) is None:
                yield language, decode(data)


def frequent_tokens(windows: list[np.ndarray], count: int) -> np.ndarray:
    """The ids of the most frequent tokens, ascending."""
    ids, seen = np.unique(np.concatenate(windows), return_counts=True)
    return np.sort(ids[np.argsort(-seen, kind="stable")[:count]])


class AttentionCounter:
    """Sums attention between frequent tokens: total and number of times for each pair."""

    def __init__(self, frequent: np.ndarray, vocabulary: int) -> None:
        self.frequent = frequent
        self.vocabulary = vocabulary
        self.place = torch.full((vocabulary,), len(frequent), dtype=torch.long)
        self.place[torch.from_numpy(frequent).long()] = torch.arange(len(frequent))
        size = (len(frequent) + 1) ** 2  # the last place is for all other tokens
        self.total, self.seen = torch.zeros(size), torch.zeros(size)
        self.layers: list[Tensor] = []

    def run(self, model: nn.Module, windows: list[np.ndarray]) -> None:
        """Read windows of like length in batches."""
        from transformers import AttentionInterface, AttentionMaskInterface

        AttentionInterface.register("counting", self._attention)
        AttentionMaskInterface.register("counting", lambda *_, **__: None)
        model.config._attn_implementation = "counting"
        windows = sorted(windows, key=len)
        started = time.perf_counter()
        for start in range(0, len(windows), BATCH):
            batch = windows[start : start + BATCH]
            length = len(batch[0])  # the shortest: the others lose a few tokens
            ids = torch.from_numpy(np.stack([window[:length] for window in batch])).long()
            self.layers.clear()
            with torch.inference_mode():
                model(input_ids=ids)
                self._count(ids, torch.stack(self.layers).mean(0) * length)
            if start % (50 * BATCH) == 0:
                spent = time.perf_counter() - started
                print(f"{start} of {len(windows)} windows, {spent:.0f} s", file=sys.stderr)

    def _attention(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float,
        **_: Any,
    ) -> tuple[Tensor, None]:
        weights = (query @ key.transpose(-1, -2) * scaling).softmax(-1)
        self.layers.append(weights.float().mean(1))  # (B, L, L)
        return (weights @ value).transpose(1, 2).contiguous(), None

    def _count(self, ids: Tensor, attention: Tensor) -> None:
        position = torch.arange(ids.shape[1])
        far = (position[:, None] - position).abs() > APART
        places = self.place[ids]  # (B, L)
        pairs = (places[:, :, None] * (len(self.frequent) + 1) + places[:, None, :])[:, far]
        flat = pairs.flatten()
        self.total.index_add_(0, flat, attention[:, far].flatten())
        self.seen.index_add_(0, flat, torch.ones(()).expand(len(flat)))

    def prior(self, seen: int, lift: float, entries: int) -> FrequencyPrior:
        """The strongest pairs: log of the attention relative to average, less for rare pairs."""
        side = len(self.frequent) + 1
        count = self.seen.reshape(side, side)[:-1, :-1]
        mean = self.total.reshape(side, side)[:-1, :-1] / count.clamp(min=1)
        mean /= (mean * count).sum() / count.sum()
        value = ((mean - 1) * count / (count + seen)).clamp(min=0).log1p()
        value[(count < seen) | (mean < lift)] = 0
        floor = value.flatten().sort(descending=True).values[min(entries, value.numel() - 1)]
        rows, columns = (value > floor.clamp(min=0)).nonzero(as_tuple=True)
        ids = self.frequent[rows.numpy()]
        starts = np.searchsorted(ids, np.arange(self.vocabulary + 1))
        picked = value[rows, columns].numpy().astype(np.float32)
        return FrequencyPrior(
            starts.astype(np.int64), self.frequent[columns.numpy()].astype(np.uint16), picked
        )


if __name__ == "__main__":
    main()
