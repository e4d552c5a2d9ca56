"""Results for other programs: JSON, JSON lines, vimgrep lines, file names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codesearch.answer import Answer
from codesearch.search import Hit, SearchResult
from codesearch.snippet import best_line, chunk_lines
from indexer.sources.listing import WORKING_TREE


def answer_json(answer: Answer, explain: bool = False) -> str:
    """The whole answer as one JSON object on one line."""
    return json.dumps(
        {
            "query": answer.query,
            "elapsed_ms": round(answer.elapsed_ms, 1),
            "stale": answer.is_stale,
            "results": [
                result_record(result, rank, explain)
                for rank, result in enumerate(answer.results, 1)
            ],
        },
        ensure_ascii=False,
    )


def json_lines(answer: Answer, explain: bool = False) -> Iterator[str]:
    """One JSON object per result."""
    for rank, result in enumerate(answer.results, 1):
        yield json.dumps(result_record(result, rank, explain), ensure_ascii=False)


def result_record(result: SearchResult, rank: int, explain: bool = False) -> dict[str, Any]:
    """A result as the contract describes it."""
    hit, chunk = result.best, result.best.chunk
    text = hit.target.reader.text(chunk.file_id)
    record = {
        "rank": rank,
        "score": round(result.score, 6),
        "repo": hit.target.reader.name,
        "ref": hit.target.ref.name,
        "commit": hit.target.ref.commit,
        "path": chunk.path,
        "start_line": chunk.start_line,
        "end_line": chunk.end_line,
        "language": chunk.language,
        "kind": chunk.kind,
        "symbol": chunk.symbol,
        "snippet": "\n".join(chunk_lines(text, chunk.start_line, chunk.end_line)),
        "more": [_short_record(other) for other in result.more],
    }
    if explain:
        record["explain"] = score_parts(hit)
    return record


def _short_record(hit: Hit) -> dict[str, Any]:
    chunk = hit.chunk
    return {
        "start_line": chunk.start_line,
        "end_line": chunk.end_line,
        "kind": chunk.kind,
        "symbol": chunk.symbol,
        "score": round(hit.score, 6),
    }


def score_parts(hit: Hit) -> dict[str, float | None]:
    """The signals behind a hit's score."""
    return {
        "cosine": None if hit.cosine is None else round(hit.cosine, 4),
        "bm25": None if hit.bm25 is None else round(hit.bm25, 3),
        "symbol_bonus": hit.symbol_bonus,
        "standing": round(hit.standing, 3),
        "score": round(hit.score, 6),
    }


def vimgrep_lines(answer: Answer, working_directory: Path) -> Iterator[str]:
    """`path:line:column:text` of each result's best line."""
    for result in answer.results:
        line, text = best_source_line(result.best, answer.query)
        column = len(text) - len(text.lstrip()) + 1
        yield f"{shown_path(result.best, working_directory)}:{line}:{column}:{text}"


def best_source_line(hit: Hit, query: str) -> tuple[int, str]:
    """The line of a hit that fits the query best, 1-based, and its text."""
    chunk = hit.chunk
    lines = chunk_lines(hit.target.reader.text(chunk.file_id), chunk.start_line, chunk.end_line)
    position = best_line(lines, query)
    return chunk.start_line + position, lines[position] if lines else ""


def shown_path(hit: Hit, working_directory: Path) -> str:
    """A path that works from the working directory; for other refs, `ref:path` as git shows it."""
    if hit.target.ref.name != WORKING_TREE:
        return f"{hit.target.ref.name}:{hit.chunk.path}"
    return os.path.relpath(Path(hit.target.reader.root) / hit.chunk.path, working_directory)
