"""How much of a query stands word for word in a text: a pasted message is found where it is made.

Vectors and the text index know no order of words. Words are those of identifiers, as in
`indexer.words`, so "parse json" stands in `parse_json` and in `parseJson`.
"""

from __future__ import annotations

from indexer.words import identifiers, parts

# Of a longer text only the beginning is looked at; the functions in it are texts of their own.
_MOST_CHARS = 20_000


class Phrase:
    """The words of one query, in order."""

    def __init__(self, query: str) -> None:
        words = [word.lower() for name in identifiers(query) for word in parts(name)]
        self._length = len(words)
        self._places: dict[str, list[int]] = {}
        for place, word in enumerate(words):
            self._places.setdefault(word, []).append(place)
        self._known: dict[str, list[list[int]]] = {}  # of an identifier: where its words stand

    def share(self, text: str) -> float:
        """The part of the query's words that the text has side by side; 0 for a single word."""
        longest, known = 0, self._known
        runs: dict[int, int] = {}  # place in the query → words up to there that stand here
        for name in identifiers(text[:_MOST_CHARS]):
            found = known.get(name)
            if found is None:
                found = known[name] = self._find(name)
            if not found:
                runs = {}
            for places in found:
                runs = {place: runs.get(place - 1, 0) + 1 for place in places}
                longest = max(longest, max(runs.values(), default=0))
        return longest / self._length if longest > 1 else 0.0

    def _find(self, name: str) -> list[list[int]]:
        """Where in the query each word of an identifier stands; empty where none does."""
        found = [self._places.get(part.lower(), []) for part in parts(name)]
        return found if any(found) else []
