"""Typing errors: a word that occurs nowhere becomes the one that the user meant.

A word is an error if neither the indexes nor the model know it; what was meant is one edit away
(Damerau 1964) and occurs. Identifiers are corrected part by part: `parseJsonConfg`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from indexer.terms import stemmed
from indexer.words import parts

# Shorter words are one edit away from too many others.
SHORTEST = 4
_LONGEST = 24  # and nobody means one word of many by a longer one
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def corrected(
    text: str, count: Callable[[str], int], knows: Callable[[str], bool]
) -> tuple[str, dict[str, str]]:
    """A query without typing errors, and what was corrected in it.

    Args:
        text: What the user typed.
        count: How many chunks have a stem.
        knows: Whether the model has a token of its own for a lower-case word.
    """
    changes: dict[str, str] = {}
    for part in dict.fromkeys(p for name in _IDENTIFIER.findall(text) for p in parts(name)):
        word = part.lower()
        if SHORTEST <= len(word) <= _LONGEST and word.isascii() and word.isalpha():
            if count(stemmed(word)) or knows(word):
                continue
            meant = max(_one_edit_away(word), key=lambda w: (count(stemmed(w)), knows(w)))
            if count(stemmed(meant)):
                changes[part] = meant.capitalize() if part[0].isupper() else meant
    return _IDENTIFIER.sub(lambda name: _mended(name[0], changes), text), changes


def _mended(identifier: str, changes: Mapping[str, str]) -> str:
    """An identifier with its wrong parts replaced, each as a whole."""
    mended, rest = "", identifier
    for part in parts(identifier):
        before, _, rest = rest.partition(part)
        mended += before + changes.get(part, part)
    return mended + rest


def _one_edit_away(word: str) -> Iterator[str]:
    """Every word that one letter more, less or other makes, or two that change places."""
    for place in range(len(word) + 1):
        head, tail = word[:place], word[place:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in _LETTERS:
            yield head + letter + tail
            if tail:
                yield head + letter + tail[1:]
