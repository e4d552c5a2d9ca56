"""How the signals of a chunk become one score, and the chunks of a file one result.

Signals are fused by rank (reciprocal rank fusion, Cormack et al., SIGIR 2009), so that cosines
and BM25 scores need no common scale. A chunk whose symbol was asked for comes before all others.
Tests and prose stand back unless the query asks for them, and a file with several good chunks is
more likely about the topic than one with a single one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Each signal gives this many candidates, whatever `-k` asks for, so that `-k` never changes order.
POOL = 1000
# The constant of the paper: how slowly a lower rank loses weight.
RANK_OFFSET = 60
# A symbol that is the whole query outweighs the best sum of both ranks, which is 1.
EXACT_SYMBOL = 1.0
# An identifier inside a longer question is a hint rather than the answer.
MENTIONED_SYMBOL = 0.25

# Chosen together on 13 repositories (docs/decisions.md, 2026-11-22): coarse steps, no optimum.
# The whole file says best what a file is about, so its chunk counts a little more.
WHOLE_FILE = 1.2
# Tests, examples and benchmarks use what was asked for; prose talks about it.
SECOND_HAND = 0.7
PROSE = 0.6
# What each of the next hits of a file adds to its best one.
COHERENCE = 0.1
COHERENT_HITS = 3

_SECOND_HAND_PATH = re.compile(
    r"(^|/)(tests?|testing|testdata|__tests__|specs?|fixtures?|mocks?|examples?|samples?"
    r"|bench(marks?)?|vendor|third_party|deprecated)/"
    r"|(^|/)(test_[^/]*|[^/]*([._-](test|spec|bench)|Tests?|Spec))\.[^/.]+$"
)
_SECOND_HAND_WORDS = re.compile(
    r"(?i)\b(tests?|testing|specs?|fixtures?|mocks?|examples?|samples?|bench|benchmarks?"
    r"|vendor(ed)?|deprecated)\b"
)
_PROSE_WORDS = re.compile(r"(?i)\b(docs?|documentation|readme|guide|tutorial|changelog|manual)\b")
_TOKEN = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|->|#)[A-Za-z_$][\w$]*)*")
_SEPARATOR = re.compile(r"::|->|#|\.")


def ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rank of each score from 1, higher scores first; equal scores share a rank."""
    ascending = np.sort(-scores)
    return np.asarray(np.searchsorted(ascending, -scores, side="left") + 1)


def fuse(vector_ranks: NDArray[np.int64], word_ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Fuse two ranks (n,) to scores in (0, 1]; a rank of 0 says that the signal is silent."""
    total = np.zeros(len(vector_ranks))
    for signal in (vector_ranks, word_ranks):
        heard = signal > 0
        total[heard] += (RANK_OFFSET + 1) / (RANK_OFFSET + signal[heard])
    return total / 2


def standing(path: str, kind: str, query: str) -> float:
    """The factor of a chunk's score for what it is, unless the query asks for just that."""
    factor = WHOLE_FILE if kind == "file" else 1.0
    if kind == "doc" and not _PROSE_WORDS.search(query):
        factor *= PROSE
    if _SECOND_HAND_PATH.search(path) and not _SECOND_HAND_WORDS.search(query):
        factor *= SECOND_HAND
    return factor


def file_score(chunk_scores: Sequence[float]) -> float:
    """The score of a file from those of its chunks, best first."""
    return chunk_scores[0] + COHERENCE * sum(chunk_scores[1 : 1 + COHERENT_HITS])


def asked_symbols(query: str) -> tuple[str | None, list[str]]:
    """The symbol that a query is, if it is one, and those that it mentions.

    Returned with dots between their parts: `Store::open`, `Store#open` and `Store.open` are one.
    """
    tokens = [_SEPARATOR.sub(".", token) for token in _TOKEN.findall(query)]
    bare = query.strip().removesuffix("()").strip()
    if len(tokens) == 1 and _SEPARATOR.sub(".", bare) == tokens[0]:
        return tokens[0], tokens
    return None, [token for token in tokens if _looks_like_code(token)]


def symbol_bonus(symbol: str, whole: str | None, mentioned: Sequence[str]) -> float:
    """What a chunk gains because the query names its symbol; exact case counts a little more."""
    if whole is not None and _names(symbol, whole):
        return EXACT_SYMBOL + (0.1 if whole in (symbol, symbol.rsplit(".", 1)[-1]) else 0.0)
    return MENTIONED_SYMBOL if any(_names(symbol, name) for name in mentioned) else 0.0


def _names(symbol: str, asked: str) -> bool:
    symbol, asked = symbol.lower(), asked.lower()
    return symbol == asked or symbol.endswith(f".{asked}")


def _looks_like_code(token: str) -> bool:
    inner_capital = any(char.isupper() for char in token[1:]) and not token.isupper()
    return "_" in token.strip("_") or "." in token or inner_capital
