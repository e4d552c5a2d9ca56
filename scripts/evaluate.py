"""Measure search quality through the same code that the command line runs.

    python scripts/evaluate.py repo-search DIR --checkouts FOLDER [--only NAME …]
    python scripts/evaluate.py cosqa DIR

`repo-search DIR` holds `repos.json`, `published.json` and `annotations/`; FOLDER has one checkout
per repository name, at the commit that `repos.json` names. Figures go to `results/`; the last line
printed is JSON.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from codesearch.answer import Searcher
from codesearch.candidates import Filters
from codesearch.indexing import Wish, index_location
from codesearch.search import SearchResult
from codesearch.similar import nearest
from codesearch.watching import ProgressBars
from indexer.prepare import Preparer
from indexer.sources.listing import Selection
from indexer.sources.repository import find_repository
from indexer.storage.home import IndexHome
from indexer.storage.reader import ChunkRow
from indexer.syntax.chunks import chunk_file
from models.checkpoint import DEFAULT_MODEL, open_checkpoint
from models.light_encoder import LightEncoder
from models.metrics import mrr, ndcg_at_k, recall_at_k
from models.threads import share_cores
from provenance import provenance, save

TOP_K = 10


def main() -> None:
    share_cores()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="benchmark", required=True)
    repo_search = commands.add_parser("repo-search")
    repo_search.add_argument("--checkouts", type=Path, required=True)
    repo_search.add_argument("--only", nargs="*")
    repo_search.add_argument("--every-chunk", action="store_true")
    repo_search.add_argument("--vectors-only", action="store_true", help="chunks by cosine alone")
    cosqa = commands.add_parser("cosqa")
    for command in (repo_search, cosqa):
        command.add_argument("folder", type=Path)
        command.add_argument("--model", default=DEFAULT_MODEL)
        command.add_argument("--index", type=Path, default=Path("data/evaluate"))
        command.add_argument("--device", default="auto")
        command.add_argument("--no-save", action="store_true")
    arguments = parser.parse_args()
    run = {"repo-search": evaluate_repo_search, "cosqa": evaluate_cosqa}[arguments.benchmark]
    name, command = arguments.benchmark, f"python scripts/evaluate.py {arguments.benchmark}"
    if name == "repo-search" and arguments.vectors_only:
        name, command = f"{name}-vectors", f"{command} --vectors-only"
    elif name == "repo-search" and arguments.every_chunk:
        name, command = f"{name}-chunks", f"{command} --every-chunk"
    report = provenance(name, command)
    report["model"] = open_checkpoint(arguments.model).fingerprint
    report |= run(arguments)
    if not arguments.no_save:
        save(report)
    print(json.dumps({key: value for key, value in report.items() if key != "per_repo"}))


def evaluate_repo_search(arguments: argparse.Namespace) -> dict:
    repos = json.loads((arguments.folder / "repos.json").read_text())
    published = json.loads((arguments.folder / "published.json").read_text())["per_repo"]
    home = IndexHome(arguments.index.resolve())
    per_repo, categories = {}, {}
    for repo in repos:
        name = repo["name"]
        checkout = arguments.checkouts / name
        if (arguments.only and name not in arguments.only) or not checkout.is_dir():
            continue
        searcher, index_seconds = indexed(home, checkout, repo["root"], arguments)
        queries = json.loads((arguments.folder / "annotations" / f"{name}.json").read_text())
        scores, latencies = [], []
        for query in queries:
            start = time.perf_counter()
            if arguments.vectors_only:
                results = nearest_results(searcher, query["query"])
            else:
                results = searcher.answer(
                    query["query"], Filters(), TOP_K, arguments.every_chunk
                ).results
            latencies.append((time.perf_counter() - start) * 1000)
            targets = [as_target(target) for target in query["relevant"] + query["secondary"]]
            score = ndcg_at_k([target_rank(target, results) for target in targets], TOP_K)
            scores.append(score)
            categories.setdefault(query["category"], []).append(score)
        searcher.close()
        per_repo[name] = {
            "ndcg_at_10": round(statistics.mean(scores), 4),
            "language": repo["language"],
            "queries": len(queries),
            "query_ms_median": round(statistics.median(latencies), 1),
            "index_seconds": round(index_seconds, 1),
            "published": {
                tool: round(figures[name], 4)
                for tool, figures in published.items()
                if name in figures
            },
        }
        print(f"{name:20} {per_repo[name]['ndcg_at_10']:.3f}", file=sys.stderr)
    return {
        "ndcg_at_10": mean_of(per_repo.values(), "ndcg_at_10"),
        "repositories": len(per_repo),
        "queries": sum(repo["queries"] for repo in per_repo.values()),
        "by_category": {
            name: round(statistics.mean(scores), 4) for name, scores in categories.items()
        },
        "by_language": by_language(per_repo),
        "published_on_the_same": published_means(per_repo),
        "per_repo": per_repo,
    }


def indexed(
    home: IndexHome, checkout: Path, root: str, arguments: argparse.Namespace
) -> tuple[Searcher, float]:
    """A searcher over the benchmark's part of a repository, and the seconds to index it."""
    start = time.perf_counter()
    selection = Selection() if root in ("", ".") else Selection((f"/{root.strip('/')}/",))
    with ProgressBars(Console(stderr=True)) as progress:
        wish = Wish(None, selection, arguments.model, arguments.device)
        index_location(home, str(checkout), wish, progress)
    seconds = time.perf_counter() - start
    repository, _ = find_repository(checkout)
    searcher = Searcher(home)
    searcher.add(home.repo(repository.root), None)
    return searcher, seconds


def nearest_results(searcher: Searcher, query: str) -> tuple[SearchResult, ...]:
    """The chunks whose vectors are nearest, each a result."""
    (item,) = searcher.indexes
    hits = nearest(item, searcher.embed(item.checkpoint, query), Filters())
    return tuple(SearchResult(hit, strongest=hit.score) for hit in hits[:TOP_K])


def as_target(target: str | dict) -> tuple[str, int | None, int | None]:
    if isinstance(target, str):
        return target, None, None
    return target["path"], target.get("start_line"), target.get("end_line")


def target_rank(
    target: tuple[str, int | None, int | None], results: tuple[SearchResult, ...]
) -> int | None:
    for rank, result in enumerate(results, 1):
        if answers_with(result.best.chunk, target):
            return rank
    return None


def answers_with(chunk: ChunkRow, target: tuple[str, int | None, int | None]) -> bool:
    """Whether a chunk is at a target."""
    path, start, end = target
    if chunk.path != path and not chunk.path.endswith(f"/{path}"):
        return False
    return start is None or (chunk.start_line <= (end or start) and start <= chunk.end_line)


def evaluate_cosqa(arguments: argparse.Namespace) -> dict:
    """MRR over all functions, by vectors alone: each function is one chunk."""
    functions = json.loads((arguments.folder / "code_idx_map.txt").read_text())
    queries = json.loads((arguments.folder / "cosqa-retrieval-dev-500.json").read_text())
    checkpoint = open_checkpoint(arguments.model)
    vectors = embed_functions(list(functions), checkpoint, arguments.device)
    positions = np.array(list(functions.values()))
    encoder = LightEncoder(checkpoint)
    ranks = []
    for query in queries:
        scores = vectors @ encoder.embed_query(query["doc"])
        right = scores[np.flatnonzero(positions == query["retrieval_idx"])[0]]
        ranks.append(int((scores > right).sum()) + 1)
    return {
        "mrr": round(mrr(ranks), 4),
        "recall_at_10": round(recall_at_k(ranks, 10), 4),
        "queries": len(queries),
        "functions": len(functions),
    }


def embed_functions(sources: list[str], checkpoint, device: str) -> np.ndarray:
    from models.encoder import Encoder

    preparer = Preparer(checkpoint)
    inputs = []
    for source in sources:
        whole = next(c for c in chunk_file(source, "python", "f.py", 10**9) if c.kind == "file")
        inputs.append(next(preparer.prepare_chunks([whole], "")).input)
    return Encoder(checkpoint, device).embed_all(inputs)


def by_language(per_repo: dict) -> dict:
    languages = sorted({repo["language"] for repo in per_repo.values()})
    return {
        language: mean_of(
            [repo for repo in per_repo.values() if repo["language"] == language], "ndcg_at_10"
        )
        for language in languages
    }


def published_means(per_repo: dict) -> dict:
    tools = {tool for repo in per_repo.values() for tool in repo["published"]}
    return {
        tool: round(
            statistics.mean(
                repo["published"][tool] for repo in per_repo.values() if tool in repo["published"]
            ),
            4,
        )
        for tool in sorted(tools)
    }


def mean_of(records, key: str) -> float:
    values = [record[key] for record in records]
    return round(statistics.mean(values), 4) if values else 0.0


if __name__ == "__main__":
    main()
