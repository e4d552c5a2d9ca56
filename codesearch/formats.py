"""Results for pipes and other programs: plain text, JSON, JSON lines, vimgrep lines, file names.

Nothing is cut at a width and nothing is coloured. JSON holds text exactly; everywhere else
control characters are made visible.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from codesearch.answer import Answer
from codesearch.console import one_line, printable
from codesearch.search import Hit, SearchResult, text_of
from codesearch.snippet import (
    Passage,
    best_line,
    best_passages,
    chunk_lines,
    passages_around,
    split_lines,
)
from indexer.sources.listing import WORKING_TREE

# Lines of a unit that is shown by its best lines: three results fit on a large screen.
MOST_LINES = 16
# Other hits of a file that are named below its best one.
MORE_SHOWN = 3
# A pipe gets these units whole; classes and files are shown by their best lines there too.
_WHOLE_KINDS = ("function", "doc")


def plain_lines(
    answer: Answer, working_directory: Path, context: int | None = None, explain: bool = False
) -> Iterator[str]:
    """For people behind a pipe: a head line per result, then its code, indented."""
    for result in answer.results:
        hit = result.best
        name = one_line(hit.chunk.symbol) or hit.chunk.kind
        yield f"{place(hit, working_directory)}  {name}  {result.score:.3f}"
        if explain:
            yield f"  {explanation(result)}"
        is_whole = hit.chunk.kind in _WHOLE_KINDS
        expected = hit.chunk.start_line
        for passage in passages(hit, answer.meant, context, is_whole):
            if passage.start_line != expected:
                yield f"  ... {passage.start_line}:"
            expected = passage.end_line + 1
            yield from (f"  {line}".rstrip() for line in passage.lines)
        yield ""


def answer_json(answer: Answer, context: int | None = None, explain: bool = False) -> str:
    """The whole answer as one JSON object on one line."""
    return json.dumps(
        {
            "query": answer.query,
            "elapsed_ms": round(answer.elapsed_ms, 1),
            "stale": answer.is_stale,
            "corrected": answer.corrected,
            "waiting": answer.waiting,
            "results": list(_records(answer, context, explain)),
        },
        ensure_ascii=False,
    )


def json_lines(answer: Answer, context: int | None = None, explain: bool = False) -> Iterator[str]:
    """One JSON object per result."""
    for record in _records(answer, context, explain):
        yield json.dumps(record, ensure_ascii=False)


def _records(answer: Answer, context: int | None, explain: bool) -> Iterator[dict[str, Any]]:
    for rank, result in enumerate(answer.results, 1):
        record = result_record(result, rank)
        if context is not None:
            text = result.best.target.reader.text(result.best.chunk.file_id)
            record["passages"] = [
                {
                    "start_line": passage.start_line,
                    "end_line": passage.end_line,
                    "text": "\n".join(passage.lines),
                }
                for passage in _around(result.best, text, answer.meant, context)
            ]
        if explain:
            record["explain"] = score_parts(result)
        yield record


def result_record(result: SearchResult, rank: int) -> dict[str, Any]:
    """A result as the contract describes it."""
    hit, chunk = result.best, result.best.chunk
    return {
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
        "snippet": text_of(hit.target, chunk),
        "more": [_short_record(other) for other in result.more],
        "root": hit.target.reader.root,
    }


def _short_record(hit: Hit) -> dict[str, Any]:
    chunk = hit.chunk
    return {
        "start_line": chunk.start_line,
        "end_line": chunk.end_line,
        "kind": chunk.kind,
        "symbol": chunk.symbol,
        "score": round(hit.score, 6),
    }


def score_parts(result: SearchResult) -> dict[str, float | None]:
    """The parts of a result's score.

    The shown chunk has (vector + words) * standing + symbol + phrase, where `vector` comes from
    the rank of its cosine and `words` from that of its BM25 score; the result has strongest + what
    its file adds, see `codesearch.ranking.FileParts`. None where a signal did not find it.
    """
    hit, parts = result.best, result.best.parts
    return {
        "cosine": _rounded(hit.cosine),
        "vector": _rounded(parts.vector),
        "bm25": _rounded(hit.bm25),
        "words": _rounded(parts.words),
        "standing": _rounded(parts.standing),
        "symbol": _rounded(parts.symbol),
        "phrase": _rounded(parts.phrase),
        "strongest": _rounded(result.strongest),
        **{name: _rounded(value) for name, value in asdict(result.file).items()},
        "score": round(result.score, 6),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def explanation(result: SearchResult) -> str:
    """The parts of a result's score, in one line; a dash where a signal was silent."""
    parts = score_parts(result).items()
    return "  ".join(f"{name} {'-' if value is None else value}" for name, value in parts)


def other_hits(result: SearchResult) -> str:
    """The first of a file's other hits, and how many there are beyond."""
    names = [
        f"{one_line(hit.chunk.symbol) or hit.chunk.kind}:{hit.chunk.start_line}"
        for hit in result.more[:MORE_SHOWN]
    ]
    rest = len(result.more) - len(names)
    return ", ".join(names) + (f", {rest} more" if rest else "")


def vimgrep_lines(answer: Answer, working_directory: Path) -> Iterator[str]:
    """`path:line:column:text` of each result's best line."""
    for result in answer.results:
        line, text = best_source_line(result.best, answer.meant)
        column = len(text) - len(text.lstrip()) + 1
        path = shown_path(result.best, working_directory)
        yield f"{path}:{line}:{column}:{printable(text)}"


def file_names(answer: Answer, working_directory: Path) -> Iterator[str]:
    """The path of each file that was found, each once, in the order of results."""
    yield from dict.fromkeys(shown_path(item.best, working_directory) for item in answer.results)


def best_source_line(hit: Hit, query: str) -> tuple[int, str]:
    """The line of a hit that fits the query best, 1-based, and its text."""
    chunk = hit.chunk
    lines = chunk_lines(hit.target.reader.text(chunk.file_id), chunk.start_line, chunk.end_line)
    position = best_line(lines, query)
    return chunk.start_line + position, lines[position] if lines else ""


def passages(hit: Hit, query: str, context: int | None, is_whole: bool) -> list[Passage]:
    """The lines of a hit that are shown: all, the best with their context, or about a panelful."""
    chunk = hit.chunk
    text = printable(hit.target.reader.text(chunk.file_id).replace("\r\n", "\n"))
    if context is not None:
        return _around(hit, text, query, context)
    lines = chunk_lines(text, chunk.start_line, chunk.end_line)
    return best_passages(lines, chunk.start_line, query, len(lines) if is_whole else MOST_LINES)


def _around(hit: Hit, text: str, query: str, context: int) -> list[Passage]:
    unit = range(hit.chunk.start_line - 1, hit.chunk.end_line)
    return passages_around(split_lines(text), unit, query, context)


def place(hit: Hit, working_directory: Path) -> str:
    """Where a hit is, for people: from the working directory, or after its repository's label."""
    chunk, path = hit.chunk, shown_path(hit, working_directory)
    if hit.target.ref.name == WORKING_TREE and not _is_inside(hit, working_directory):
        path = one_line(f"{hit.target.label}/{chunk.path}")
    return f"{path}:{chunk.start_line}-{chunk.end_line}"


def shown_path(hit: Hit, working_directory: Path) -> str:
    """A path that works from the working directory; for other refs, `ref:path` as git shows it.

    Outside its repository that has the repository's label in front.
    """
    root, ref = Path(hit.target.reader.root), hit.target.ref.name
    if ref == WORKING_TREE:
        return one_line(os.path.relpath(root / hit.chunk.path, working_directory))
    name = "" if _is_inside(hit, working_directory) else f"{hit.target.label}@"
    return one_line(f"{name}{ref}:{hit.chunk.path}")


def _is_inside(hit: Hit, working_directory: Path) -> bool:
    return working_directory.is_relative_to(hit.target.reader.root)
