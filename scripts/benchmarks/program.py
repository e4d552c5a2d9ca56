"""The program as a whole: a repository indexed from nothing, then queries, cold and warm."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.options import Options
from benchmarks.processes import in_process, run_tree
from measure_repos import run
from provenance import commit

CODESEARCH = [sys.executable, "-m", "codesearch"]
COLD_RUNS = 7
WARM_RUNS = 5
TOP_K = 10
QUERIES = (
    "read settings from a file",
    "parse command line arguments",
    "convert an object to text",
    "report an error to the caller",
    "run the tests",
    "register a handler",
    "default values of options",
)


def measure_indexing(options: Options) -> dict:
    """A whole process, a run that tells its stages, and the same batches through the encoder."""
    repository = options.repositories[0]
    whole = run_tree(_index_command(repository, options), repository)
    parts = in_process(index_here, repository, options)
    if parts is None:
        sys.exit("indexing was killed")
    tokens, files = parts["tokens"], parts["files"]
    pure = tokens / parts["pure_encoding_seconds"]
    rates = {
        name: {
            "seconds": seconds,
            "files_per_second": round(files / seconds, 1),
            "tokens_per_second": round(tokens / seconds),
            "of_pure_encoding": round(tokens / seconds / pure, 3),
        }
        for name, seconds in (("process", whole["seconds"]), ("run", parts["seconds"]))
    }
    return {
        "repository": repository.name,
        "repository_commit": commit(repository),
        **parts,
        "pure_encoding_tokens_per_second": round(pure),
        **rates,
        "process_tree_peak_mb": whole["peak_mb"],
    }


def _index_command(repository: Path, options: Options) -> list[str]:
    return [
        *CODESEARCH, "index", str(repository), "--quiet",
        "--index", str(options.home / "process"), "--device", options.device,
    ]  # fmt: skip


def index_here(repository: Path, options: Options) -> dict:
    """Index in this process; then encode the same batches again, and nothing else."""
    from indexer.build import IndexBuild
    from indexer.sources.listing import Selection
    from indexer.sources.repository import find_repository
    from indexer.storage.home import IndexHome
    from models.batching import pace_of
    from models.checkpoint import open_checkpoint

    checkpoint, started = open_checkpoint(), time.perf_counter()
    recorder = Recorder(lambda: _load(checkpoint, options.device))
    found, _ = find_repository(repository)
    build = IndexBuild(
        IndexHome(options.home / "run"),
        found,
        checkpoint,
        recorder.load,
        choose_pace=lambda: pace_of(options.device),
    )
    report = build.run(None, Selection())
    seconds = time.perf_counter() - started
    shares = {  # the encoder is loaded while files are prepared, so they may be more than 1
        "preparing": report.prepare_seconds,
        "loading the encoder": recorder.load_seconds,
        "encoding": report.encoded.model_seconds,
        "around the encoder": report.encoded.seconds - report.encoded.model_seconds,
    }
    return {
        "files": report.files,
        "chunks": report.encoded.chunks,
        "tokens": report.encoded.tokens,
        "batches": report.encoded.batches,
        "padding_share": round(report.encoded.padding_share, 4),
        "seconds": round(seconds, 2),
        "share_of_stages": {name: round(own / seconds, 4) for name, own in shares.items()},
        "pure_encoding_seconds": round(recorder.replay_seconds(), 2),
    }


def _load(checkpoint, device: str):
    from models.encoder import Encoder

    return Encoder(checkpoint, device)


class Recorder:
    """An encoder that remembers its batches."""

    def __init__(self, make: Callable) -> None:
        self._make = make
        self._batches: list[Sequence] = []
        self.load_seconds = 0.0

    def load(self) -> "Recorder":
        """Make the encoder."""
        started = time.perf_counter()
        self._encoder = self._make()
        self.load_seconds = time.perf_counter() - started
        return self

    def embed(self, inputs: Sequence) -> np.ndarray:
        """Encode one batch."""
        self._batches.append(inputs)
        return self._encoder.embed(inputs)

    def account(self) -> str:
        """What ran, as the encoder tells it."""
        return self._encoder.account()

    def replay_seconds(self) -> float:
        """How long all batches take once more."""
        started = time.perf_counter()
        for batch in self._batches:
            self._encoder.embed(batch)
        return time.perf_counter() - started


def measure_query(options: Options) -> dict:
    """Whole processes first, while this one is still small; then one that stays open."""
    repository, home = options.repositories[0], options.home / "process"
    if not home.exists():
        run_tree(_index_command(repository, options), repository)
    status = subprocess.run(
        [*CODESEARCH, "status", "--index", str(home), "--json"],
        cwd=repository, capture_output=True, check=True,
    )  # fmt: skip
    cold = [
        run([*CODESEARCH, "query", text, "--index", str(home), "--json"], repository)
        for text in QUERIES[:COLD_RUNS]
    ]
    warm = answer_here(repository, home)
    return {
        "repository": repository.name,
        "repository_commit": commit(repository),
        "chunks": json.loads(status.stdout)["chunks"],
        "queries": len(QUERIES),
        "cold_seconds_median": median(item["seconds"] for item in cold),
        "cold_seconds_most": max(item["seconds"] for item in cold),
        "cold_peak_mb": max(item["peak_mb"] for item in cold),
        "warm_ms_median": round(median(warm), 2),
        "warm_ms_most": round(max(warm), 2),
        "warm_answers": len(warm),
    }


def answer_here(repository: Path, home: Path) -> list[float]:
    """Milliseconds of each answer of an open searcher, the first round left out."""
    from codesearch.answer import Searcher
    from codesearch.candidates import Filters
    from indexer.sources.repository import find_repository
    from indexer.storage.home import IndexHome

    index_home = IndexHome(home)
    searcher = Searcher(index_home)
    searcher.add(index_home.repo(find_repository(repository)[0].root), None)
    answers = [
        [searcher.answer(text, Filters(), TOP_K).elapsed_ms for text in QUERIES]
        for _ in range(1 + WARM_RUNS)
    ]
    searcher.close()
    return [milliseconds for answered in answers[1:] for milliseconds in answered]
