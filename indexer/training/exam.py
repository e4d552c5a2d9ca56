"""What repositories ask about themselves, so that a model can be measured and tuned on them.

Each documented function is a question and its answer. A fifth of the files, told by a hash of
their paths, is only ever asked about: nothing of them is learned, and no function that has nearly
the text of one of theirs. So the same questions are fair before and after training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import UsageError
from indexer.heading import headed
from indexer.mining.dedupe import Excluded
from indexer.mining.repository import Miner, Origin, Settings, with_unique_questions
from indexer.mining.shards import Pair, Shards, decoded_links
from indexer.progress import Progress
from indexer.sources.listing import Selection
from indexer.sources.repository import Repository
from indexer.training.augmented import heading_of
from indexer.training.records import key
from indexer.training.retrieval import Ranks, answer_ranks, word_ranks
from models.checkpoint import Checkpoint
from models.config import SasaConfig
from models.encoder import Encoder
from models.inputs import EncoderInput, encoder_input, query_input
from models.prior import FrequencyPrior, load_prior
from models.tokenizer import Tokenizer, Tokens

HELD_OUT = 0.2  # of the files
MOST_QUESTIONS = 1000
MOST_FUNCTIONS = 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """A repository, or a part of it, that is the user's own."""

    repository: Repository
    selection: Selection


@dataclass(frozen=True, slots=True)
class Exam:
    """Questions, and the functions among which each has its answer."""

    pool: tuple[Pair, ...]
    answers: NDArray[np.int64]  # (Q,), places in the pool

    @property
    def questions(self) -> list[str]:
        """(Q,), as their authors wrote them."""
        return [self.pool[place].query for place in self.answers]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(Q,), tokens of each answer."""
        return np.array([self.pool[place].tokens for place in self.answers], dtype=np.int64)

    def word_ranks(self) -> Ranks:
        """The ranks (Q,) by BM25 alone."""
        codes = [pair.code for pair in self.pool]
        return np.array(list(word_ranks(self.questions, codes, self.answers.tolist())))


def is_held_out(path: str) -> bool:
    """Whether a file is only ever asked about."""
    return key(f"exam {path}") < HELD_OUT * 2**64


def make_exam(sources: Sequence[Source], tokenizer: Tokenizer, progress: Progress) -> Exam:
    """Read all functions; ask for the documented ones of the held-out files.

    Beyond `MOST_QUESTIONS` and `MOST_FUNCTIONS` a part is taken, chosen by hash.

    Raises:
        UsageError: nothing that is held out is documented.
    """
    progress.start("reading functions", len(sources), "repositories")
    miner = Miner(
        Settings(max_pairs=0, offer="functions"), tokenizer, Excluded(), any_licence=True
    )
    pool: list[Pair] = []
    for number, source in enumerate(sources):
        pool += miner.mine(source.repository, _origin(number, source), source.selection).pairs
        progress.advance(1)
    pool = sorted(with_unique_questions(pool), key=_place)
    asked = [pair for pair in pool if pair.query and is_held_out(pair.path)][:MOST_QUESTIONS]
    if not asked:
        raise UsageError(
            f"none of {len(pool)} functions is documented in English and held out",
            "name more repositories: a question is what an author wrote above a function",
        )
    chosen = set(map(id, asked))
    others = [pair for pair in pool if id(pair) not in chosen]
    kept = (*asked, *others[: max(0, MOST_FUNCTIONS - len(asked))])
    return Exam(kept, np.arange(len(asked)))


def write_lessons(
    sources: Sequence[Source],
    exam: Exam,
    tokenizer: Tokenizer,
    folder: Path,
    progress: Progress,
) -> int:
    """Mine what may be learned into shards; returns how many pairs."""
    progress.start("mining pairs", len(sources), "repositories")
    asked = Excluded(exam.pool[place].code for place in exam.answers)
    miner = Miner(Settings(max_pairs=0), tokenizer, asked, any_licence=True)
    shards, count = Shards(folder), 0
    for number, source in enumerate(sources):
        origin = _origin(number, source)
        pairs = [
            pair
            for pair in miner.mine(source.repository, origin, source.selection).pairs
            if not is_held_out(pair.path)
        ]
        shards.write(origin.repo, pairs, {"repo": origin.repo, "pairs": len(pairs)})
        count += len(pairs)
        progress.advance(1)
    return count


class Examiner:
    """Ranks the pool of an exam for each question by a model's vectors."""

    def __init__(self, exam: Exam, device: str, progress: Progress) -> None:
        self._exam = exam
        self._device = device
        self._progress = progress

    def ranks(self, checkpoint: Checkpoint) -> Ranks:
        """The ranks (Q,) by the vectors of a model."""
        config, tokenizer = checkpoint.sasa, Tokenizer(checkpoint)
        encoder = Encoder(checkpoint, self._device)
        pool = self._exam.pool
        texts = tokenizer.tokenize([pair.code for pair in pool])
        tokens = headed(tokenizer, texts, [heading_of(pair) for pair in pool])
        codes = list(code_inputs(pool, tokens, config, load_prior(checkpoint.folder)))
        limit = config.max_tokens
        queries = [query_input(tokenizer, text, limit, config) for text in self._exam.questions]
        total = sum(map(len, codes)) + sum(map(len, queries))
        self._progress.start(f"encoding with {checkpoint.name}", total, "tokens")
        asked, answers = (
            encoder.embed_all(some, self._progress.advance) for some in (queries, codes)
        )
        return answer_ranks(asked @ answers.T, self._exam.answers)


def code_inputs(
    pairs: Iterable[Pair],
    texts: Iterable[Tokens],
    config: SasaConfig,
    prior: FrequencyPrior | None,
) -> Iterator[EncoderInput]:
    """The codes of pairs as the encoder reads them; what exceeds its length is cut."""
    for pair, text in zip(pairs, texts, strict=True):
        tokens, links = text.cut(config.max_tokens), decoded_links(pair.links)
        yield encoder_input(tokens, links, config, prior, pair.is_code)


def _origin(number: int, source: Source) -> Origin:
    return Origin(f"{number}/{source.repository.name.replace('/', '-')}", "")


def _place(pair: Pair) -> int:
    return key(f"{pair.repo} {pair.path} {pair.start_line}")
