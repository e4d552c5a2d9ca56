"""Source text as words for the text index: `config` finds `parseJSONConfig`.

An identifier gives its parts and, where there are several, itself: `parseJSONConfig` becomes
`parse json config parsejsonconfig`. The tokenizer of the text index stems each word afterwards.
"""

from __future__ import annotations

import re
from functools import lru_cache

_IDENTIFIER = re.compile(r"[^\W\d]\w*|\d+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+|\d+")
# Longer runs are encoded data rather than names.
_LONGEST_IDENTIFIER = 64
_STEM = 5

# Words of a question that say nothing about code.
STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "get",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "me",
        "my",
        "of",
        "on",
        "or",
        "should",
        "show",
        "that",
        "the",
        "their",
        "there",
        "this",
        "to",
        "use",
        "used",
        "using",
        "want",
        "was",
        "we",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "you",
    ]
)


def words(text: str) -> str:
    """All words of a text in order, separated by spaces."""
    return " ".join(_split(name) for name in identifiers(text) if len(name) <= _LONGEST_IDENTIFIER)


def identifiers(text: str) -> list[str]:
    """All identifiers and numbers of a text in order."""
    return _IDENTIFIER.findall(text)


def plain_name(name: str) -> str:
    """A name as it is in every style: `parseJson`, `parse_json` and `ParseJSON` are one."""
    return name.replace("_", "").lower()


def parts(identifier: str) -> list[str]:
    """The words that an identifier is made of, as they are written."""
    return _PART.findall(identifier)


def query_words(text: str) -> list[str]:
    """The distinct words of a question that are worth looking up, in order.

    Stop words are dropped unless nothing else is left.
    """
    every = list(dict.fromkeys(words(text).split()))
    return [word for word in every if word not in STOP_WORDS] or every


def stem(word: str) -> str:
    """What related words share: `parse`, `parser`, `parsing`; rough, and the same for all."""
    return word.rstrip("s")[:_STEM]


@lru_cache(maxsize=1 << 16)
def _split(identifier: str) -> str:
    pieces = [part.lower() for part in parts(identifier)]
    if len(pieces) < 2:
        return identifier.lower().strip("_")
    return " ".join([*pieces, "".join(pieces)])
