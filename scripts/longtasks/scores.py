"""The scores of the four tasks as their official evaluators compute them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

ORDER = 4
_TINY = 2.2250738585072014e-308  # keeps a logarithm finite, as the evaluator does
_SPACED = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),  # marks but ' , - .
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_ENTITIES = {"&quot;": '"', "&lt;": "<", "&gt;": ">", "&amp;": "&"}


def binary_f1(labels: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Precision, recall and F1 of label 1; 0 where they are not defined."""
    pairs = Counter(zip(labels, predicted, strict=True))
    right = pairs[1, 1]
    precision = right / found if (found := right + pairs[0, 1]) else 0.0
    recall = right / there if (there := right + pairs[1, 0]) else 0.0
    f1 = 2 * right / (found + there) if right else 0.0
    return {"f1": f1, "precision": precision, "recall": recall}


def accuracy(labels: Sequence[int], predicted: Sequence[int]) -> float:
    """The share of labels that were predicted."""
    return sum(a == b for a, b in zip(labels, predicted, strict=True)) / len(labels)


def smoothed_bleu(predicted: Sequence[str], expected: Sequence[str]) -> float:
    """The mean of `sentence_bleu` in percent."""
    scores = [sentence_bleu(*pair) for pair in zip(predicted, expected, strict=True)]
    return 100 * sum(scores) / len(scores)


def sentence_bleu(predicted: str, expected: str) -> float:
    """BLEU-4 of one text, smoothed as by Lin & Och (COLING 2004).

    Both texts are lower-cased and stripped, their marks set apart, then tokenized as mteval does.
    """
    found, right = _tokens(predicted), _tokens(expected)
    total = 0.0
    for size in range(1, ORDER + 1):
        have, want = _ngrams(found, size), _ngrams(right, size)
        correct = sum(min(count, want[ngram]) for ngram, count in have.items())
        smooth = 1 if size > 1 else 0
        total += math.log(correct + smooth + _TINY)
        total -= math.log(max(0, len(found) - size + 1) + smooth + _TINY)
    brevity = min(0.0, 1 - (len(right) + 1) / (len(found) + 1))
    return math.exp(total / ORDER + brevity)


def _ngrams(tokens: list[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def _tokens(text: str) -> list[str]:
    text = " ".join(re.findall(r"[\w]+|[^\s\w]", text.strip().lower()))
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, mark in _ENTITIES.items():
        text = text.replace(entity, mark)
    text = f" {text} "
    for pattern, spaced in _SPACED:
        text = pattern.sub(spaced, text)
    return text.split()
