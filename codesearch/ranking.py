"""How the signals of a chunk become one score, and the chunks of a file one result.

Signals are fused by rank (reciprocal rank fusion, Cormack et al., SIGIR 2009), so that cosines
and BM25 scores need no common scale. A chunk whose symbol was asked for comes before all others.
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
