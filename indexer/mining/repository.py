"""One repository becomes its pairs: count tokens, then choose.

Choosing is the same for the same repository and settings: long code comes first, then what is
documented best; ties are broken by a hash, never by the order of files.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from indexer.mining.candidates import EVERYTHING, Candidate, Finder, Offer
from indexer.mining.clean import quality
from indexer.mining.dedupe import Excluded, NearDuplicates
from indexer.mining.shards import Pair, encoded_links
from indexer.prepare import chars_read_whole
from indexer.sources.listing import Selection
from indexer.sources.repository import Repository

if TYPE_CHECKING:
    from models.tokenizer import Tokenizer

RULES = 3  # counts up when a rule changes what is mined
PREFERENCE = ("docstring", "commit", "section", "file", "name", "function", "chunk")
_LONG_CHUNK = 1024  # tokens; longer ones are no likelier to be taken
_GROUPS = {"function": "docstring"}  # kinds that hold no code twice between them


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides which pairs are taken, apart from the repository.

    Attributes:
        max_pairs: The most pairs of one repository; 0 for no limit.
        max_commits: How many commits are looked at closely; 0 leaves history out.
        min_query_tokens: Shorter questions are dropped.
        max_query_tokens: Longer ones too.
        seed: Breaks ties.
        offer: What is looked for.
        long_tokens: Code with more tokens is long: it is preferred, and keeps its links.
        max_tokens: What the encoder reads at once; longer code is dropped.
    """

    max_pairs: int = 8000
    max_commits: int = 1000
    min_query_tokens: int = 3
    max_query_tokens: int = 256
    seed: int = 0
    offer: Offer = "pairs"
    long_tokens: int = 512
    max_tokens: int = 4096

    def key(self, excluded: Excluded) -> str:
        """Names the settings together with the rules and what is excluded."""
        text = repr((RULES, self, excluded.digest()))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Origin:
    """The repository as pairs name it."""

    repo: str
    licence: str


@dataclass(slots=True)
class Mined:
    """The pairs of a repository, and how many were left out for which reason."""

    pairs: list[Pair]
    dropped: Counter[str]


class Miner:
    """Mines repositories one after another; what one gave, no later one gives again."""

    def __init__(
        self,
        settings: Settings,
        tokenizer: Tokenizer,
        excluded: Excluded,
        any_licence: bool = False,
    ) -> None:
        """Begin with nothing seen.

        Args:
            settings: What is taken.
            tokenizer: Tells lengths.
            excluded: Codes that must not be among the pairs.
            any_licence: The repositories are the user's own: licences do not matter.
        """
        self._settings = settings
        self._any_licence = any_licence
        self._tokenizer = tokenizer
        self._excluded = excluded
        self._near: dict[str, NearDuplicates] = {}

    def remember(self, pairs: Iterable[Pair]) -> None:
        """Takes in pairs that were mined before."""
        for pair in pairs:
            self._near_of(pair.kind).add(pair.code)

    def mine(
        self, repository: Repository, origin: Origin, selection: Selection = EVERYTHING
    ) -> Mined:
        """The chosen pairs of a repository, or of a part of it, at its HEAD."""
        settings = self._settings
        max_chars = chars_read_whole(settings.max_tokens)
        finder = Finder(self._excluded, settings.offer, max_chars, self._any_licence)
        ranked: list[tuple[int, Pair]] = []
        for candidates in finder.find(repository, settings.max_commits, selection):
            ranked += self._counted(candidates, origin, finder.dropped)
        ranked.sort(key=self._rank)
        pairs = list(self._chosen((pair for _, pair in ranked), finder.dropped))
        return Mined(pairs, finder.dropped)

    def _counted(
        self, candidates: list[Candidate], origin: Origin, dropped: Counter[str]
    ) -> Iterator[tuple[int, Pair]]:
        """The quality and the pair of each candidate of fitting length."""
        settings, count = self._settings, self._token_counts
        queries = count([candidate.query for candidate in candidates])
        codes = count([candidate.code for candidate in candidates])
        for candidate, asked, tokens in zip(candidates, queries, codes, strict=True):
            is_asked = bool(candidate.query)
            length = asked - 2  # without the tokens at its ends
            if tokens > settings.max_tokens:
                dropped["pairs: code beyond the encoder's length"] += 1
            elif is_asked and not (
                settings.min_query_tokens <= length <= settings.max_query_tokens
            ):
                dropped["pairs: query too short or too long"] += 1
            else:
                score = quality(candidate.query, candidate.full)
                yield score, self._pair(candidate, origin, tokens)

    def _token_counts(self, texts: list[str]) -> list[int]:
        return [len(tokens) for tokens in self._tokenizer.tokenize(texts)]

    def _pair(self, candidate: Candidate, origin: Origin, tokens: int) -> Pair:
        links: tuple[int, ...] = ()
        is_long = tokens > self._settings.long_tokens
        if is_long:
            links = encoded_links(candidate.links())
        return Pair(
            query=candidate.query,
            code=candidate.code,
            language=candidate.language,
            kind=candidate.kind,
            repo=origin.repo,
            commit=candidate.commit,
            path=candidate.path,
            symbol=candidate.symbol,
            start_line=candidate.start_line,
            end_line=candidate.end_line,
            licence=origin.licence,
            tokens=tokens,
            long_query=candidate.full if candidate.full != candidate.query else "",
            links=links,
        )

    def _rank(self, scored: tuple[int, Pair]) -> tuple[bool, int, int, bytes]:
        """What is chosen first sorts first; of chunks a sample, long ones likelier."""
        score, pair = scored
        is_short = pair.tokens <= self._settings.long_tokens
        place = f"{self._settings.seed} {pair.repo} {pair.path} {pair.start_line} {pair.kind}"
        tie = hashlib.blake2b(place.encode("utf-8", "replace"), digest_size=8).digest()
        if pair.kind == "chunk":
            weight = math.sqrt(min(pair.tokens, _LONG_CHUNK))
            luck = (int.from_bytes(tie, "little") + 1) / 2**64
            return False, 0, round(-1e9 * math.log(luck) / weight), tie
        return is_short, PREFERENCE.index(pair.kind), -score, tie

    def _chosen(self, pairs: Iterable[Pair], dropped: Counter[str]) -> Iterator[Pair]:
        """Those whose question is new in the repository and whose code is new everywhere."""
        asked: set[tuple[str, str]] = set()
        count = 0
        for pair in pairs:
            if count == self._settings.max_pairs > 0:
                dropped["pairs: beyond the repository's share"] += 1
                continue
            question = (_GROUPS.get(pair.kind, pair.kind), pair.query.lower().strip(" ."))
            if pair.query and question in asked and self._settings.offer == "pairs":
                dropped["pairs: question asked before"] += 1
            elif not self._near_of(pair.kind).add(pair.code):
                dropped["pairs: code nearly seen before"] += 1
            else:
                asked.add(question)
                count += 1
                yield pair

    def _near_of(self, kind: str) -> NearDuplicates:
        return self._near.setdefault(_GROUPS.get(kind, kind), NearDuplicates())


def with_unique_questions(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The same codes; a question that several answer is asked of none."""
    every = list(pairs)
    asked = Counter(pair.query.lower().strip(" .") for pair in every)
    for pair in every:
        if pair.query and asked[pair.query.lower().strip(" .")] > 1:
            yield replace(pair, query="", long_query="", kind="function")
        else:
            yield pair
