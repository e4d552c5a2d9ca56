"""How the signals of a chunk become one score, and the chunks of a file one result.

Vectors and words are fused by rank (reciprocal rank fusion, Cormack et al., SIGIR 2009), so that
cosines and BM25 scores need no common scale: first in both is 1. To that comes what a symbol
shares with the query's words, and what of the query stands in a chunk word for word. Tests and
prose stand back unless the query asks for them. A symbol that was asked for by its name comes
before all else. A file has the score of its strongest chunk and what speaks for the file as a
whole (`FileParts`).

The constants are coarse steps, near those that are learned from nothing on any five sixths of 42
repositories (docs/decisions.md, 2026-11-29).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

from indexer.words import plain_name, query_words, stem, words

# Each signal gives this many candidates, whatever `-k` asks for, so that `-k` never changes order.
POOL = 200
# How slowly a lower rank loses weight.
RANK_OFFSET = 40
# Tests, examples and benchmarks use what was asked for; prose talks about it.
SECOND_HAND = 0.5
PROSE = 0.4
# Files that only declare types name everything and do nothing.
DECLARATIONS = 0.7
# A chunk where all of a question's words stand in its order, side by side. Two or three of many
# are no sign, so the share counts by its cube; not of what was pasted, where each piece is one. A
# name is no phrase: wherever it is used it stands word for word. Only chunks that score so much
# without it are looked at, 35 in the mean: those which vectors and words rank among the first.
PHRASE = 0.9
PHRASE_FROM = 0.45
# A symbol made of the query's words; two shared words are evidence, one may be chance.
SYMBOL_WORDS = 0.15
ENOUGH_WORDS = 2
# A word that another one begins with is often short for it: `init`, `log`, `spec`.
ABBREVIATION = 0.8
SHORTEST = 3
# A file named after what was asked for, and a folder.
FILE_NAME = 0.4
FOLDER_NAME = 0.2
# What the vector of the whole file adds: it says best what a file is about.
WHOLE_FILE = 0.3
# Large files do the work, those deep in the folders a part of it: for e times a size of kilobytes,
# and for each folder more or less than the repository's files have, up to a few.
SIZE = 0.05
DEPTH = 0.06
FARTHEST = 4
# A symbol that is the whole query outweighs all of the above; in its own file it is the
# definition rather than a namesake or a part of it, whatever the signals say, and its case tells a
# type from a function (`Timeout`, `timeout`). In another style (`parse_json` for `parseJson`) it
# is nearly as good. A constructor has the name of its class, which comes first, and so does the
# beginning of a unit that is too long for one vector. An identifier inside a longer query is a
# hint.
EXACT_SYMBOL = 3.5
OTHER_STYLE = 3.0
EXACT_CASE = 0.8
OWN_FILE = 1.0
CONSTRUCTOR = 1.0
LATER_PART = 1.0
MENTIONED_SYMBOL = 0.6

_SECOND_HAND_PATH = re.compile(
    r"(^|/)(tests?|testing|testdata|__tests__|specs?|fixtures?|mocks?|examples?|samples?"
    r"|bench(marks?)?|vendor|third_party|deprecated)/"
    r"|(^|/)(test_[^/]*|[^/]*([._-](test|spec|bench)|Tests?|Spec))\.[^/.]+$"
)
_SECOND_HAND_WORDS = re.compile(
    r"(?i)\b(tests?|testing|specs?|fixtures?|mocks?|examples?|samples?|bench|benchmarks?"
    r"|vendor(ed)?|deprecated)\b"
)
_DECLARATION_PATH = re.compile(r"(^|/)(types?|typings|interfaces?)(/|\.[^/]*$)|\.d\.ts$|\.pyi$")
_DECLARATION_WORDS = re.compile(r"(?i)\b(typ(es?|ed|ings?)|interfaces?|declarations?)\b")
_PROSE_WORDS = re.compile(r"(?i)\b(docs?|documentation|readme|guide|tutorial|changelog|manual)\b")
# Files that stand for their folder.
_FOLDER_FILES = frozenset({"__init__", "index", "init", "lib", "main", "mod"})
_TOKEN = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|->|#)[A-Za-z_$][\w$]*)*")
_SEPARATOR = re.compile(r"::|->|#|\.")


QueryKind = Literal["name", "prose", "mixed", "error", "snippet"]
# How much vectors and words count for each kind of query; together 2. A question is rarely asked
# in the code's words, a name is one of them, and what is pasted has the very words of its place
# (docs/decisions.md, 2026-11-22 to 29).
SIGNAL_WEIGHTS: dict[QueryKind, tuple[float, float]] = {
    "name": (1.0, 1.0),
    "prose": (1.2, 0.8),
    "mixed": (1.4, 0.6),
    "error": (0.4, 1.6),
    "snippet": (0.4, 1.6),
}
_ERROR = re.compile(
    r"\b[A-Z]\w*(Error|Exception|Warning)\b\s*:|Traceback|\bpanicked at\b"
    r"|(?i:^\W*(fatal |runtime |compile )?(error|fatal|panic|exception|warning)\b\W*[:\]])"
    r"|(?i:\b(cannot|can't|could not|couldn't|unable to|failed to|must (not )?be|is not an?"
    r"|no such|not found|already exists|out of range|permission denied|timed out)\b)"
    r"|(?i:\bexpected\b.+\b(got|but|found)\b)"
)
_QUESTION = re.compile(r"(?i)^\W*(how|where|what|which|why|who|when|does|do|is|are|can)\b")
_CODE_SIGN = re.compile(
    r"[{};]|\w\(|\)\s*:|[^\s=]\s*=\s*[^\s=]|=>|->|:=|\w\[|^\s*[@#]\w", re.MULTILINE
)
_LEAST_CODE_SIGNS = 2
# Pasted lines and messages are from somewhere inside a file: they use names rather than define
# them, and what the file is called or how large it is says nothing of where.
_PASTED = frozenset({"snippet", "error"})


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """A query as ranking sees it.

    Attributes:
        text: What the user typed.
        kind: What kind of query it is.
        stems: The stems of its words.
        symbol: The symbol that the query is, if it is one, parts joined by dots.
        mentioned: The symbols that a longer query mentions.
        wants_second_hand: Whether it asks for tests, examples, benchmarks or vendored code,
        wants_declarations: … for types,
        wants_prose: … for documentation.
    """

    text: str
    kind: QueryKind
    stems: frozenset[str]
    symbol: str | None
    mentioned: tuple[str, ...]
    wants_second_hand: bool
    wants_declarations: bool
    wants_prose: bool

    @property
    def is_pasted(self) -> bool:
        """Whether it is a piece of a file or of what a program printed, not a question."""
        return self.kind in _PASTED

    @property
    def names(self) -> list[str]:
        """The last parts of the symbols that the query names."""
        symbols = self.mentioned if self.symbol is None else (self.symbol,)
        return [symbol.rsplit(".", 1)[-1] for symbol in symbols]


def read_terms(text: str) -> QueryTerms:
    """Find out what a query names; `Store::open`, `Store#open` and `Store.open` are one symbol."""
    tokens = [_SEPARATOR.sub(".", token) for token in _TOKEN.findall(text)]
    bare = text.strip().removesuffix("()").strip()
    is_symbol = len(tokens) == 1 and _SEPARATOR.sub(".", bare) == tokens[0]
    mentioned = () if is_symbol else tuple(token for token in tokens if _looks_like_code(token))
    stems = frozenset(stem(word) for word in query_words(text))
    return QueryTerms(
        text,
        "name" if is_symbol else _kind(text, mentioned),
        stems,
        tokens[0] if is_symbol else None,
        mentioned,
        bool(_SECOND_HAND_WORDS.search(text)),
        bool(_DECLARATION_WORDS.search(text)),
        bool(_PROSE_WORDS.search(text)),
    )


def _kind(text: str, mentioned: Sequence[str]) -> QueryKind:
    """The kind of a query that is no name."""
    if "\n" in text.strip() or len(_CODE_SIGN.findall(text)) >= _LEAST_CODE_SIGNS:
        return "snippet"
    if _ERROR.search(text) and not _QUESTION.search(text):
        return "error"
    return "mixed" if mentioned else "prose"


def rank_score(place: float) -> float:
    """What a signal gives for a rank: at most a half; nothing for a rank of 0, silence."""
    return (RANK_OFFSET + 1) / (RANK_OFFSET + place) / 2 if place else 0.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the score of a chunk is made of: (vector + words) * standing + symbol + phrase."""

    vector: float
    words: float = 0.0
    standing: float = 1.0
    symbol: float = 0.0
    phrase: float = 0.0

    @property
    def score(self) -> float:
        """The whole."""
        return (self.vector + self.words) * self.standing + self.symbol + self.phrase


def standing(path: str, kind: str, terms: QueryTerms) -> float:
    """The factor of a chunk's score for what it is, unless the query asks for just that."""
    factor = 1.0
    if kind == "doc" and not terms.wants_prose:
        factor *= PROSE
    if is_second_hand(path) and not terms.wants_second_hand:
        factor *= SECOND_HAND
    if _declares(path) and not terms.wants_declarations:
        factor *= DECLARATIONS
    return factor


@lru_cache(maxsize=1 << 14)
def is_second_hand(path: str) -> bool:
    """Whether a path says that its file uses, or copies, what others define."""
    return bool(_SECOND_HAND_PATH.search(path))


@lru_cache(maxsize=1 << 14)
def _declares(path: str) -> bool:
    """Whether a path says that its file only declares types."""
    return bool(_DECLARATION_PATH.search(path))


def symbol_score(symbol: str, path: str, terms: QueryTerms, part: int = 0) -> float:
    """What a chunk gains by its symbol: named by the query, or made of the query's words."""
    if not symbol or terms.is_pasted:
        return 0.0
    name = symbol.rsplit(".", 1)[-1]
    asked = terms.symbol
    if asked is not None and _names(plain_name(symbol), plain_name(asked)):
        own_file = plain_name(PurePosixPath(path).stem) == plain_name(name)
        exact_case = asked in (symbol, name)
        base = EXACT_SYMBOL if _names(symbol.lower(), asked.lower()) else OTHER_STYLE
        is_constructor = symbol.split(".")[-2:] == [name, name]
        gained = base + EXACT_CASE * exact_case + OWN_FILE * own_file
        return gained - CONSTRUCTOR * is_constructor - LATER_PART * (part > 1)
    if any(_names(plain_name(symbol), plain_name(mentioned)) for mentioned in terms.mentioned):
        return MENTIONED_SYMBOL
    parts = _stems(name)
    enough = min(1.0, sum(_match(part, terms.stems) for part in set(parts)) / ENOUGH_WORDS)
    return SYMBOL_WORDS * enough * _share(parts, terms.stems)


def phrase_score(share: float, terms: QueryTerms) -> float:
    """What a chunk gains by a share of the query that stands in it word for word."""
    return PHRASE * (share if terms.is_pasted else share**3)


@dataclass(frozen=True, slots=True)
class FileParts:
    """What a file adds to the score of its strongest chunk.

    Attributes:
        path: For its name and its folder's.
        whole: For the vector of the file as a whole.
        prior: For its size and where it lies, whatever is asked.
    """

    path: float = 0.0
    whole: float = 0.0
    prior: float = 0.0

    @property
    def score(self) -> float:
        """The whole."""
        return self.path + self.whole + self.prior


def path_score(path: str, terms: QueryTerms) -> float:
    """What a file gains because its name or its folder's name is made of the query's words."""
    file, folder = _names_of_place(path)
    return FILE_NAME * _share(file, terms.stems) + FOLDER_NAME * _share(folder, terms.stems)


def whole_file(vectors: Sequence[float]) -> float:
    """What a file gains by the vector parts of its chunks that are the whole file."""
    return WHOLE_FILE * max(vectors, default=0.0)


def prior(size_bytes: int, path: str, usual_depth: float) -> float:
    """What a file gains by its size and by lying less deep than the repository's files do."""
    higher = max(-FARTHEST, min(FARTHEST, usual_depth - path.count("/")))
    return SIZE * math.log1p(size_bytes / 1000) + DEPTH * higher


def _names(symbol: str, asked: str) -> bool:
    return symbol == asked or symbol.endswith(f".{asked}")


def _looks_like_code(token: str) -> bool:
    inner_capital = any(char.isupper() for char in token[1:]) and not token.isupper()
    return "_" in token.strip("_") or "." in token or inner_capital


@lru_cache(maxsize=1 << 14)
def _stems(name: str) -> tuple[str, ...]:
    """The stems of a name's parts, without the joined whole."""
    parts = words(name).split()
    return tuple(stem(part) for part in (parts[:-1] if len(parts) > 1 else parts))


@lru_cache(maxsize=1 << 14)
def _names_of_place(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The stems of a file's name and of its folder's; some files have no name of their own."""
    *folders, name = path.split("/")
    base, folder = name.split(".")[0], folders[-1] if folders else ""
    if base in _FOLDER_FILES and folder:
        return _stems(folder), ()
    return _stems(base), _stems(folder)


def _share(parts: Sequence[str], stems: frozenset[str]) -> float:
    return sum(_match(part, stems) for part in parts) / len(parts) if parts else 0.0


def _match(part: str, stems: frozenset[str]) -> float:
    """How well a part of a name fits a query's words."""
    if part in stems:
        return 1.0
    return ABBREVIATION if _is_abbreviated(part, stems) else 0.0


@lru_cache(maxsize=1 << 14)
def _is_abbreviated(part: str, stems: frozenset[str]) -> bool:
    """Whether a part of a name is short for one of the stems, or the other way round."""
    near = (s for s in stems if min(len(s), len(part)) >= SHORTEST)
    return any(s.startswith(part) or part.startswith(s) for s in near)
