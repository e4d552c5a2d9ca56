"""The ranking as arrays, so that thousands of settings of its constants can be tried in minutes.

What a constant weighs is asked of the ranking's own functions, each alone: they are called with
that constant at 1 and the others at 0. Only how it all adds up is written here once more, and
`tune_ranking.py` checks that it gives the shipped ranking's figure for every question.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codesearch import ranking
from codesearch.candidates import Found
from codesearch.phrases import Phrase
from codesearch.ranking import QueryTerms, path_score, prior, standing, symbol_score
from codesearch.search import text_of
from models.metrics import ndcg_at_k

Settings = dict[str, float]
Values = NDArray[np.float64]

EXACT = "exact symbols"  # a setting of its own: 0 takes away what their several constants give
_STANDING = ("SECOND_HAND", "PROSE", "DECLARATIONS")
_OF_PATHS = ("FILE_NAME", "FOLDER_NAME", "SIZE", "DEPTH")
_SYMBOL_GAINS = ("MENTIONED_SYMBOL", "SYMBOL_WORDS")
_SYMBOLS = ("EXACT_SYMBOL", "OTHER_STYLE", "EXACT_CASE", "OWN_FILE", "CONSTRUCTOR", "LATER_PART")


@contextmanager
def changed(settings: Settings) -> Iterator[None]:
    """Rank with other constants; a kind of query stands for the weight of its vectors."""
    weights = ranking.SIGNAL_WEIGHTS
    before = {name: getattr(ranking, name) for name in settings if name not in weights}
    kinds = dict(weights)
    try:
        for name, value in settings.items():
            if name in weights:
                weights[name] = (value, 2.0 - value)
            else:
                setattr(ranking, name, value)
        yield
    finally:
        weights.update(kinds)
        for name, value in before.items():
            setattr(ranking, name, value)


def present(name: str) -> float:
    """A constant as it is shipped."""
    weights = ranking.SIGNAL_WEIGHTS
    return weights[name][0] if name in weights else getattr(ranking, name)


@dataclass(frozen=True)
class Features:
    """What the constants weigh, of one question: of its n candidates and of their m files."""

    kind: str
    is_pasted: bool
    vector_rank: Values  # (n,)
    word_rank: Values  # (n,) 0: silence
    stands_back: dict[str, Values]  # (n,) 1 where a factor applies
    symbol: Values  # (n,) of a symbol that is asked for
    gains: dict[str, Values]  # (n,) of constants that are added
    phrase: Values  # (n,) the share
    file: NDArray[np.int64]  # (n,) the number of its file
    is_whole: NDArray[np.bool_]  # (n,) a whole file
    of_file: dict[str, Values]  # (m,)
    order: NDArray[np.int64]  # (n,) by place, which orders equals
    answers: NDArray[np.bool_]  # (n, targets)

    @classmethod
    def of(
        cls, terms: QueryTerms, found: Sequence[Found], answers: NDArray[np.bool_]
    ) -> "Features":
        """Of a question's candidates; `answers` (n, targets) says which of them answer it."""
        chunks = [item.chunk for item in found]
        depth = found[0].target.usual_depth
        sizes = {chunk.path: chunk.file_bytes for chunk in chunks}
        numbers = {path: number for number, path in enumerate(sizes)}

        def symbols(settings: Settings) -> Values:
            with changed(settings):
                return np.array(
                    [symbol_score(c.symbol, c.path, terms, c.part) for c in chunks], dtype=float
                )

        def back(name: str) -> Values:
            with changed(dict.fromkeys(_STANDING, 1.0) | {name: 0.0}):
                return np.array([standing(c.path, c.kind, terms) == 0 for c in chunks], float)

        def of_files(name: str) -> Values:
            with changed(dict.fromkeys(_OF_PATHS, 0.0) | {name: 1.0}):
                return np.array(
                    [path_score(p, terms) + prior(size, p, depth) for p, size in sizes.items()]
                )

        phrase = Phrase(terms.text)
        silent = dict.fromkeys((*_SYMBOLS, *_SYMBOL_GAINS), 0.0)
        shares = [
            phrase.share(text_of(item.target, item.chunk)) if terms.symbol is None else 0.0
            for item in found
        ]
        return cls(
            kind=terms.kind,
            is_pasted=terms.is_pasted,
            vector_rank=np.array([item.vector_rank or item.word_rank for item in found]),
            word_rank=np.array([item.word_rank for item in found]),
            stands_back={name: back(name) for name in _STANDING},
            symbol=symbols(dict.fromkeys(_SYMBOL_GAINS, 0.0)),
            gains={name: symbols(silent | {name: 1.0}) for name in _SYMBOL_GAINS},
            phrase=np.array(shares),
            file=np.array([numbers[chunk.path] for chunk in chunks]),
            is_whole=np.array([chunk.kind == "file" for chunk in chunks]),
            of_file={name: of_files(name) for name in _OF_PATHS},
            order=_order([(c.path, c.start_line, c.id) for c in chunks]),
            answers=answers,
        )

    def ndcg(self, constants: Settings, top_k: int) -> float:
        """NDCG of the first results with constants for all that `tune_ranking.NEUTRAL` names."""
        ranks = []
        shown = self._first(constants, top_k)
        for target in range(self.answers.shape[1]):
            hits = np.flatnonzero(self.answers[shown, target])
            ranks.append(int(hits[0]) + 1 if len(hits) else None)
        return ndcg_at_k(ranks, top_k)

    def _first(self, constants: Settings, top_k: int) -> NDArray[np.int64]:
        """The chunks that stand in front of the first files."""
        vector, standing_, score = self._chunks(constants)
        files = len(next(iter(self.of_file.values())))
        best, whole = np.full(files, -np.inf), np.zeros(files)
        np.maximum.at(best, self.file, score)
        np.maximum.at(whole, self.file[self.is_whole], (vector * standing_)[self.is_whole])
        if not self.is_pasted:
            best = best + constants["WHOLE_FILE"] * whole
            best += sum(constants[name] * values for name, values in self.of_file.items())
        by_score = np.lexsort((self.order, -score))
        front = np.full(files, -1)
        for chunks in (by_score[self.is_whole[by_score]], by_score[~self.is_whole[by_score]]):
            front[self.file[chunks[::-1]]] = chunks[::-1]  # the best of a file is written last
        return front[np.lexsort((self.order[front], -best))][:top_k]

    def _chunks(self, constants: Settings) -> tuple[Values, Values, Values]:
        """The vector part, the standing, and the score of each candidate, (n,) each."""
        offset, weight = constants["RANK_OFFSET"], constants[self.kind]
        vector = weight * _rank_scores(self.vector_rank, offset)
        words = (2.0 - weight) * _rank_scores(self.word_rank, offset)
        factors = [
            np.where(applies > 0, constants[name], 1.0)
            for name, applies in self.stands_back.items()
        ]
        stands = np.prod(factors, axis=0)
        gained = sum(constants[name] * values for name, values in self.gains.items())
        score = (vector + words) * stands + constants.get(EXACT, 1.0) * self.symbol + gained
        share = self.phrase if self.is_pasted else self.phrase**3
        looked_at = score >= ranking.PHRASE_FROM
        return vector, stands, score + constants["PHRASE"] * share * looked_at


def _rank_scores(ranks: Values, offset: float) -> Values:
    return np.where(ranks > 0, (offset + 1) / (offset + ranks) / 2, 0.0)


def _order(places: Sequence[tuple[str, int, int]]) -> NDArray[np.int64]:
    order = np.empty(len(places), dtype=np.int64)
    order[sorted(range(len(places)), key=places.__getitem__)] = np.arange(len(places))
    return order
