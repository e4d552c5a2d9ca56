"""Vectors in large numbers: what is found, how fast, in how much memory.

    python scripts/measure_scale.py VECTORS_DB … --questions FILE … [--counts 1000000 10000000]

Real vectors come from `vectors.db` files of index homes, questions from JSON files of the
benchmarks (`query` or `doc` of each entry). Recall@10 is against comparing all real vectors.
Larger numbers are made of noisy copies, for time and memory alone; each is built as an index is,
written, then opened and asked by a process of its own. The last line printed is JSON.
"""

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from codesearch.ranking import POOL
from indexer.storage.faiss_cache import VectorIndex, empty_index, probed_lists
from models.checkpoint import DEFAULT_MODEL, open_checkpoint
from models.light_encoder import LightEncoder
from provenance import provenance, save

TOP_K = 10
AT_ONCE = 100_000
ADDED = 1_000
NOISE = 0.03  # of each number; a vector's numbers are 0.05 in the mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", nargs="*", type=Path)
    parser.add_argument("--questions", nargs="+", type=Path)
    parser.add_argument("--counts", nargs="*", type=int, default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path, help="for the index files; else a temporary one")
    parser.add_argument("--no-save", action="store_true")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        print(json.dumps(ask(arguments.ask, np.load(arguments.questions[0]))))
        return
    real, asked = real_vectors(arguments.vectors), embedded(arguments.questions)
    report = provenance("scale", "python scripts/measure_scale.py VECTORS_DB --questions FILE")
    report |= {"seed": 0, "questions": len(asked), "recall": recalls(real, asked)}
    print(json.dumps(report["recall"]), file=sys.stderr)
    report["at_scale"] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        np.save(Path(folder) / "asked.npy", asked)
        for count in arguments.counts:
            report["at_scale"].append(measured(real, count, Path(folder)))
            print(json.dumps(report["at_scale"][-1]), file=sys.stderr)
    if not arguments.no_save:
        save(report)
    print(json.dumps(report))


def real_vectors(databases: list[Path]) -> np.ndarray:
    """The distinct vectors (n, E) of all databases, in a fixed random order, float16."""
    found: set[bytes] = set()
    for path in databases:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            found |= {vector for (vector,) in database.execute("SELECT vector FROM vectors")}
    rows = np.stack([np.frombuffer(vector, dtype=np.float16) for vector in sorted(found)])
    return rows[np.random.default_rng(0).permutation(len(rows))]


def embedded(files: list[Path]) -> np.ndarray:
    """The questions' vectors (q, E)."""
    texts = []
    for file in files:
        texts += [entry.get("query", entry.get("doc")) for entry in json.loads(file.read_text())]
    encoder = LightEncoder(open_checkpoint(DEFAULT_MODEL))
    return np.stack([encoder.embed_query(text) for text in dict.fromkeys(texts)])


def recalls(real: np.ndarray, asked: np.ndarray) -> dict:
    """Recall@10, and of the whole pool of candidates, against exact search."""
    exact = nearest(real, asked, POOL)
    index = built(real, len(real))
    found = [index.search(vector, POOL)[0] for vector in asked]
    return {
        "vectors": len(real),
        "lists": index.lists,
        "probed": probed_lists(index.lists),
        "recall_at_10": overlap(found, exact, TOP_K),
        f"recall_at_{POOL}": overlap(found, exact, POOL),
    }


def nearest(real: np.ndarray, asked: np.ndarray, depth: int) -> np.ndarray:
    """The positions (q, depth) of the nearest vectors, by comparing all."""
    places = np.empty((len(asked), depth), dtype=np.int64)
    vectors = real.astype(np.float32)
    for row, vector in enumerate(asked):
        scores = vectors @ vector
        best = np.argpartition(-scores, depth)[:depth]
        places[row] = best[np.argsort(-scores[best], kind="stable")]
    return places


def overlap(found: list[np.ndarray], exact: np.ndarray, depth: int) -> float:
    shares = [
        len(np.intersect1d(ids[:depth], right[:depth])) / depth
        for ids, right in zip(found, exact, strict=True)
    ]
    return round(statistics.mean(shares), 4)


def built(real: np.ndarray, count: int) -> VectorIndex:
    """An index of so many vectors: the real ones, then noisy copies of them."""
    index = empty_index(
        count, real.shape[1], lambda wanted: np.concatenate(list(rows(real, min(count, wanted))))
    )
    at = 0
    for some in rows(real, count):
        index.add(np.arange(at, at + len(some)), some)
        at += len(some)
    return index


def rows(real: np.ndarray, count: int):
    """So many vectors in parts (≤ AT_ONCE, E), the same at each call."""
    rng = np.random.default_rng(1)
    for start in range(0, count, AT_ONCE):
        places = np.arange(start, min(start + AT_ONCE, count))
        some = real[places % len(real)].astype(np.float32)
        copies = places >= len(real)
        some[copies] += NOISE * rng.standard_normal(
            (copies.sum(), real.shape[1]), dtype=np.float32
        )
        yield some / np.linalg.norm(some, axis=1, keepdims=True)


def measured(real: np.ndarray, count: int, folder: Path) -> dict:
    """Build, write, add a little; then ask in another process."""
    path = folder / f"{count}.faiss"
    started = time.perf_counter()
    index = built(real, count)
    index.save(path)
    build_seconds = time.perf_counter() - started
    lists = index.lists
    del index
    started = time.perf_counter()
    opened = VectorIndex.open(path, real.shape[1], to_change=True)
    opened.add(np.arange(count, count + ADDED), next(rows(real, ADDED)))
    opened.save(path)
    add_seconds = time.perf_counter() - started
    del opened
    command = [sys.executable, __file__, "--ask", path, "--questions", folder / "asked.npy"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    size = path.stat().st_size
    path.unlink()
    return {
        "vectors": count,
        "lists": lists,
        "probed": probed_lists(lists) if lists else 0,
        "file_gb": round(size / 1e9, 3),
        "build_seconds": round(build_seconds, 1),
        f"add_{ADDED}_and_write_seconds": round(add_seconds, 2),
    } | json.loads(done.stdout)


def ask(path: Path, asked: np.ndarray) -> dict:
    """Open an index and ask all questions twice: from the disk's cache, as a server does."""
    before = resident_mb()
    started = time.perf_counter()
    index = VectorIndex.open(path, asked.shape[1])
    index.search(asked[0], POOL)
    first = time.perf_counter() - started
    times: dict[int, list[float]] = {TOP_K: [], POOL: []}
    for depth, spent in times.items():
        for vector in asked:
            started = time.perf_counter()
            index.search(vector, depth)
            spent.append((time.perf_counter() - started) * 1000)
    return {
        "open_and_first_ms": round(first * 1000, 1),
        "p50_ms": round(statistics.median(times[TOP_K]), 2),
        "p95_ms": round(float(np.percentile(times[TOP_K], 95)), 2),
        f"p50_ms_of_{POOL}": round(statistics.median(times[POOL]), 2),
        "resident_mb": round(resident_mb() - before),
    }


def resident_mb() -> float:
    """Memory of this process now, pages of mapped files included (Linux)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
