"""What the text index knows of a chunk: its stemmed words, each with a weight.

A word in a symbol says more than one in a path, and that more than one in the body: occurrences
count by field. Stems are Porter's (1980), so that `parsing` finds `parse`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import Stemmer

from indexer.words import words

SYMBOL_WEIGHT, PATH_WEIGHT, BODY_WEIGHT = 4, 2, 1
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True)
class Terms:
    """The distinct stems of a chunk.

    Attributes:
        stems: In order, separated by spaces.
        weights: uint16 (n,), how much each counts.
        words: How many words the chunk has, those of its symbol and path included.
    """

    stems: str
    weights: bytes
    words: int


def count_terms(symbol: str, path: str, body: str) -> Terms:
    """Weigh the words of a chunk's symbol, path and text."""
    total, count = Counter[str](), 0
    for text, weight in ((symbol, SYMBOL_WEIGHT), (path, PATH_WEIGHT), (body, BODY_WEIGHT)):
        found = words(text).split()
        count += len(found)
        for word, times in Counter(found).items():
            total[stemmed(word)] += weight * times
    stems = sorted(total)
    weights = np.minimum([total[stem] for stem in stems], _MOST).astype(np.uint16)
    return Terms(" ".join(stems), weights.tobytes(), count)


@lru_cache(maxsize=1 << 16)
def stemmed(word: str) -> str:
    """The stem of a lower-case word; a short word is its own: of `s` nothing would stay."""
    return str(_STEMMER.stemWord(word)) if len(word) > 2 else word


_STEMMER = Stemmer.Stemmer("porter")
