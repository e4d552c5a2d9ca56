"""Docstring → function over held-out repositories, by length of the function: SASA and its rivals.

    python scripts/evaluate_longcode.py POOL.jsonl.zst [--systems NAME …] [--model FOLDER]

The pool holds every function of repositories that nothing is trained on (`scripts/mine_pairs.py
--held-out`), the documented ones with their question. Each system ranks the whole pool for each
question. Systems are the encoder with any pattern of `models.config` (`sasa`, `full`, …), then

    truncate-512   the encoder with full attention on the first 512 tokens
    chunk-max      windows of 512 tokens, each a vector; a function scores as its best (as in SEA)
    chunk-mean     the same, its vector the mean of theirs
    start-512      the encoder that training started from (`--start`), cut like that; its vectors
                   were plain means: `head_tokens` is 0 in its `config.json`
    bm25           the text index of the program, of code alone

`pattern:name=value,…` changes settings, as in `sasa:block_size=32,full_up_to=0`; so do three
ablations, which are of SASA as published. Vectors are kept by content, so systems share what they
agree on. How much more `sasa` has than each other one is told with the interval of that
difference, question by question. With `--inside` the questions are comments that stand beyond the
first 512 tokens of a function, which is searched without that comment. Figures go to `results/`;
the last line is JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.systems import with_settings
from indexer.mining.inside import asked_inside
from indexer.mining.shards import Pair, read_pairs
from indexer.storage.vectors import VectorStore
from indexer.syntax.links import no_links
from indexer.training.augmented import beyond_head
from indexer.training.exam import code_inputs
from indexer.training.retrieval import (
    Ranks,
    answer_ranks,
    by_length,
    gains_by_length,
    word_ranks,
)
from models.batching import input_batches
from models.checkpoint import DEFAULT_MODEL, Checkpoint, open_checkpoint
from models.config import PUBLISHED, SasaConfig
from models.encoder import Encoder
from models.inputs import EncoderInput, encoder_input, query_input
from models.prior import load_prior
from models.tokenizer import Tokenizer, Tokens
from provenance import provenance, save

PAPER = f"top_k_blocks={PUBLISHED.top_k_blocks},frequency_weight={PUBLISHED.frequency_weight}"
SYSTEMS = ("bm25", "start-512", "truncate-512", "chunk-max", "chunk-mean", "full", "longformer")
SYSTEMS += ("bigbird", f"sasa:{PAPER}", f"sasa-no-topk:{PAPER}", f"sasa-no-ast:{PAPER}", "sasa")
WINDOW = 512
AT_ONCE = 1000  # questions whose scores are in memory
Scorer = Callable[[np.ndarray], np.ndarray]  # vectors of questions (Q, E) → scores (Q, P)
stderr = Console(stderr=True)


def main() -> None:
    arguments = read_arguments()
    pool = chosen_pool(arguments)
    asked = [place for place, pair in enumerate(pool) if pair.query]
    if not asked:
        sys.exit(f"{arguments.pool}: no function with a question in this selection")
    checkpoint = open_checkpoint(arguments.model)
    start = open_checkpoint(arguments.start) if "start-512" in arguments.systems else None
    bench = Bench(checkpoint, pool, asked, arguments.vectors)
    ranks = {}
    for system in arguments.systems:
        if start is not None and system == "start-512":
            before = Bench(start, pool, asked, arguments.vectors)
            ranks[system] = before.ranks("truncate-512")
        else:
            ranks[system] = bench.ranks(system)
    lengths = np.array([pool[place].tokens for place in asked])
    command = " ".join(["python scripts/evaluate_longcode.py", *sys.argv[1:]])
    report = provenance(report_name(arguments), command)
    report |= {
        "model": checkpoint.name,
        "fingerprint": checkpoint.fingerprint,
        "pool": len(pool),
        "queries": len(asked),
        "languages": len({pair.language for pair in pool}),
        "min_tokens": arguments.min_tokens,
        "systems": {
            name: {group: asdict(found) for group, found in by_length(places, lengths).items()}
            for name, places in ranks.items()
        },
        "gain_of_sasa": {
            name: gains_by_length(places, ranks["sasa"], lengths)
            for name, places in ranks.items()
            if name != "sasa" and "sasa" in ranks
        },
        "cosine_with_full": bench.agreement("full"),
    }
    show(report)
    if not arguments.no_save:
        save(report)
    print(json.dumps(report))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", type=Path)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), metavar="NAME")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--start", default="data/models/start", help="for `start-512`")
    parser.add_argument("--min-tokens", type=int, default=0, help="only functions this long")
    parser.add_argument("--inside", action="store_true", help="ask for what is done far inside")
    parser.add_argument("--queries", type=int, help="a sample of so many questions")
    parser.add_argument("--functions", type=int, help="a sample of so many others to tell apart")
    parser.add_argument("--vectors", type=Path, default=Path("data/longcode/vectors.db"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-save", action="store_true")
    return parser.parse_args()


def report_name(arguments: argparse.Namespace) -> str:
    """`longcode`, with what was narrowed and another model."""
    longer = f"-above-{arguments.min_tokens - 1}" if arguments.min_tokens else ""
    other = "" if arguments.model == DEFAULT_MODEL else f"-{Path(arguments.model).name}"
    return f"longcode{'-inside' if arguments.inside else ''}{longer}{other}"


def chosen_pool(arguments: argparse.Namespace) -> list[Pair]:
    """The functions that are asked for, then others; of these only the former have a question."""
    pool = [pair for pair in read_pairs(arguments.pool) if pair.tokens >= arguments.min_tokens]
    if arguments.inside:
        pool = [from_inside(pair) for pair in pool]
    documented = [place for place, pair in enumerate(pool) if pair.query]
    asked = [documented[i] for i in sampled(len(documented), arguments.queries, arguments.seed)]
    rest = sorted(set(range(len(pool))).difference(asked))
    others = [rest[i] for i in sampled(len(rest), arguments.functions, arguments.seed)]
    return [pool[place] for place in asked] + [replace(pool[i], query="") for i in others]


def from_inside(pair: Pair) -> Pair:
    """The function with its first comment beyond the head as the question, if there is one."""
    found = asked_inside(pair.code, pair.language, beyond_head(pair)) if pair.links else []
    query, code = found[0] if found else ("", pair.code)
    return replace(pair, query=query, code=code)


def sampled(size: int, count: int | None, seed: int) -> list[int]:
    """So many of the places below a size, in order; all of them where it has no more."""
    if count is None or count >= size:
        return list(range(size))
    return sorted(np.random.default_rng(seed).choice(size, count, replace=False).tolist())


@dataclass
class Bench:
    """Ranks the pool for each question with any system."""

    checkpoint: Checkpoint
    pool: list[Pair]
    asked: list[int]
    vectors_path: Path

    def __post_init__(self) -> None:
        self.vectors_path.parent.mkdir(parents=True, exist_ok=True)
        self.store = VectorStore(self.vectors_path)
        self.encoder = Encoder(self.checkpoint)
        self.prior = load_prior(self.checkpoint.folder)
        self.vectors: dict[str, np.ndarray] = {}
        tokenizer = Tokenizer(self.checkpoint)
        self.tokens = tokenizer.tokenize([pair.code for pair in self.pool])
        config = self.checkpoint.sasa
        questions = [self.pool[place].query for place in self.asked]
        self.queries = self.embed(
            [query_input(tokenizer, text, WINDOW, config) for text in questions]
        )

    def ranks(self, system: str) -> Ranks:
        """The rank of the right function for each question."""
        if system == "bm25":
            questions = [self.pool[place].query for place in self.asked]
            found = word_ranks(questions, [pair.code for pair in self.pool], self.asked)
            shown = track(found, "bm25", total=len(self.asked), console=stderr)
            return np.array(list(shown))
        score, answers = self._scorer(system), np.array(self.asked)
        parts = [slice(first, first + AT_ONCE) for first in range(0, len(answers), AT_ONCE)]
        return np.concatenate(
            [answer_ranks(score(self.queries[part]), answers[part]) for part in parts]
        )

    def _scorer(self, system: str) -> Scorer:
        config = self.checkpoint.sasa
        if system.startswith("chunk-"):
            return self._chunk_scorer(system, config)
        if system == "truncate-512":
            vectors = self.embed([plain(cut(t, 0), config) for t in self.tokens])
        else:
            self.encoder.config = with_settings(config, system)  # sizes may differ
            inputs = list(code_inputs(self.pool, self.tokens, self.encoder.config, self.prior))
            vectors = self.vectors[system] = self.embed(inputs)
        return lambda queries: queries @ vectors.T

    def agreement(self, other: str) -> dict[str, float]:
        """The mean cosine of each pattern's vectors with those of another, over the pool."""
        if other not in self.vectors:
            return {}
        means = {
            name: float((rows * self.vectors[other]).sum(1).mean())
            for name, rows in self.vectors.items()
        }
        return {name: round(mean, 5) for name, mean in means.items()}

    def _chunk_scorer(self, system: str, config: SasaConfig) -> Scorer:
        inputs, owners = [], []
        for place, tokens in enumerate(self.tokens):
            for start in range(0, max(1, len(tokens) - 2), WINDOW - 2):
                inputs.append(plain(cut(tokens, start), config))
                owners.append(place)
        vectors, firsts = self.embed(inputs), np.unique(owners, return_index=True)[1]
        if system == "chunk-max":
            return lambda queries: np.maximum.reduceat(queries @ vectors.T, firsts, axis=1)
        mean = np.add.reduceat(vectors, firsts, axis=0)
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        return lambda queries: queries @ mean.T

    def embed(self, inputs: Sequence[EncoderInput]) -> np.ndarray:
        """Unit vectors (n, E), from the store where it has them."""
        keys = [item.key(self.checkpoint.fingerprint) for item in inputs]
        known = self.store.known(keys)
        new = list(
            {key: item for key, item in zip(keys, inputs, strict=True) if key not in known}.items()
        )
        groups = list(input_batches([item for _, item in new]))
        for group in track(groups, "encoding", console=stderr, disable=not groups):
            vectors = self.encoder.embed([new[place][1] for place in group])
            self.store.put([new[place][0] for place in group], vectors)
        found = self.store.get(keys)
        return np.stack([found[key] for key in keys]).astype(np.float32)


def cut(tokens: Tokens, start: int) -> np.ndarray:
    """The ids of a window of the text between the special tokens."""
    body = tokens.ids[1:-1][start : start + WINDOW - 2]
    return np.concatenate([tokens.ids[:1], body, tokens.ids[-1:]])


def plain(ids: np.ndarray, config: SasaConfig) -> EncoderInput:
    return encoder_input(Tokens(ids, np.zeros(len(ids), dtype=np.int32)), no_links(), config)


def show(report: dict) -> None:
    groups = list(next(iter(report["systems"].values())))
    table = Table("system", *groups, title="MRR by tokens of the function")
    for name, found in report["systems"].items():
        cells = (found[group] for group in groups)
        table.add_row(
            name, *(f"{x['mrr']:.3f} [dim]({x['low']:.3f}–{x['high']:.3f})" for x in cells)
        )
    counts = next(iter(report["systems"].values()))
    for name, cosine in report["cosine_with_full"].items():
        stderr.print(f"{name}: cosine with full {cosine:.4f}")
    table.add_row("questions", *(str(counts[group]["n"]) for group in groups))
    stderr.print(table)
    if not report["gain_of_sasa"]:
        return
    table = Table("than", *groups, title="How much more MRR sasa has")
    for name, gains in report["gain_of_sasa"].items():
        cells = (gains[group] for group in groups)
        table.add_row(name, *(f"{x:+.3f} [dim]({low:+.3f}–{high:+.3f})" for x, low, high in cells))
    stderr.print(table)


if __name__ == "__main__":
    main()
