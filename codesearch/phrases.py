"""How much of a query stands word for word in a text: a pasted message is found where it is made.

Vectors and the text index know no order of words. Names in every style are words: "parse json"
stands in `parse_json` and in `parseJson`, and each of these in the other.
"""

from __future__ import annotations

from indexer.words import identifiers, parts

# Of a longer text only the beginning is looked at; the functions in it are texts of their own.
_MOST_CHARS = 20_000
_MOST_TOGETHER = 8  # words of one name
_BETWEEN_WORDS = {code: " " for code in range(128) if not chr(code).isalnum()}


class Phrase:
    """The words of one query, in order."""

    def __init__(self, query: str) -> None:
        words = [word.lower() for name in identifiers(query) for word in parts(name)]
        self._length = len(words)
        # Words of the query, alone or written together: where they begin in it, how many they are.
        self._spans: dict[str, list[tuple[int, int]]] = {}
        for start in range(len(words)):
            written = ""
            for count, word in enumerate(words[start : start + _MOST_TOGETHER], 1):
                written += word
                self._spans.setdefault(written, []).append((start, count))

    def share(self, text: str) -> float:
        """The part of the query's words that the text has side by side; 0 for a single word."""
        longest, spans_of = 0, self._spans.get
        runs: dict[int, int] = {}  # place in the query → words before it that stand here in a row
        for word in text[:_MOST_CHARS].lower().translate(_BETWEEN_WORDS).split():
            spans = spans_of(word)
            if spans is None:
                if runs:
                    runs = {}
                continue
            runs = {start + count: runs.get(start, 0) + count for start, count in spans}
            longest = max(longest, *runs.values())
        return longest / self._length if longest > 1 else 0.0
