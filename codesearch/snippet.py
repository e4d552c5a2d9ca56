"""Which lines of a chunk answer the query: a long function is shown by its best lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.words import query_words, stem, words

# With a context of so many lines, this many best lines are shown.
BEST_LINES = 3


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of a file, 1-based."""

    start_line: int
    lines: tuple[str, ...]

    @property
    def end_line(self) -> int:
        """The last line, inclusive."""
        return self.start_line + len(self.lines) - 1


def split_lines(text: str) -> tuple[str, ...]:
    """All lines of a text, without line ends."""
    return _without_ends(text.removesuffix("\n").split("\n"))


def chunk_lines(text: str, start_line: int, end_line: int) -> tuple[str, ...]:
    """Lines of a file's text, without line ends."""
    return _without_ends(text.removesuffix("\n").split("\n")[start_line - 1 : end_line])


def _without_ends(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.removesuffix("\r") for line in lines)


def line_scores(lines: Sequence[str], query: str) -> list[float]:
    """How well each line fits the query; rarer words of the chunk count more."""
    wanted = {stem(word) for word in query_words(query)}
    found = [{stem(word) for word in words(line).split()} & wanted for line in lines]
    frequency = {word: sum(word in line for line in found) for word in wanted}
    return [sum(1.0 / frequency[word] for word in line) for line in found]


def best_line(lines: Sequence[str], query: str) -> int:
    """Position of the line that fits best; the first where none fits."""
    scores = line_scores(lines, query)
    return max(range(len(scores)), key=lambda i: (scores[i], -i), default=0)


def best_passages(
    lines: Sequence[str], start_line: int, query: str, max_lines: int, context: int = 2
) -> list[Passage]:
    """At most about `max_lines` lines: the head of the unit, then around its best lines, in order.

    Everything where it fits. Between passages lines are folded.
    """
    if len(lines) <= max_lines:
        return [Passage(start_line, tuple(lines))]
    scores = line_scores(lines, query)
    chosen = {0, 1}
    for position in sorted(range(len(lines)), key=lambda i: (-scores[i], i)):
        around = range(max(0, position - context), min(len(lines), position + context + 1))
        if scores[position] == 0 or len(chosen | set(around)) > max_lines:
            break
        chosen.update(around)
    if len(chosen) <= 2:  # nothing fits: the beginning says most
        chosen = set(range(max_lines))
    return _passages(lines, start_line, sorted(chosen))


def passages_around(lines: Sequence[str], unit: range, query: str, context: int) -> list[Passage]:
    """The best lines of a unit with `context` lines around each, also beyond the unit's borders.

    Args:
        lines: the whole file.
        unit: positions of the unit's lines in the file.
        query: what was asked.
        context: lines before and after each best line.
    """
    scores = line_scores([lines[i] for i in unit], query)
    ranked = sorted(range(len(unit)), key=lambda i: (-scores[i], i))
    fitting = [i for i in ranked[:BEST_LINES] if scores[i] > 0] or ranked[:1]
    chosen: set[int] = set()
    for position in (unit[i] for i in fitting):
        chosen.update(range(max(0, position - context), min(len(lines), position + context + 1)))
    return _passages(lines, 1, sorted(chosen))


def _passages(lines: Sequence[str], start_line: int, chosen: Sequence[int]) -> list[Passage]:
    passages, first = [], 0
    for place in range(1, len(chosen) + 1):
        if place == len(chosen) or chosen[place] > chosen[place - 1] + 1:
            block = chosen[first:place]
            picked = tuple(lines[i] for i in block)
            passages.append(Passage(start_line + block[0], picked))
            first = place
    return passages
