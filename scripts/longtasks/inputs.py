"""Functions of a task as the encoder reads them: by pattern, cut at a length, with links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from indexer.mining.pairs import Excerpt, functions
from indexer.syntax.links import no_links, relate
from indexer.syntax.tree import parse
from longtasks.formats import Example
from models.checkpoint import Checkpoint
from models.config import PATTERNS, PUBLISHED, SasaConfig
from models.inputs import EncoderInput, encoder_input
from models.prior import load_prior
from models.tokenizer import Tokenizer

LONG = 512  # tokens; longer examples are what the tasks are about
_READ_AT_ONCE = 256  # examples
TRUNCATED = "truncate-512"
SYSTEMS = (TRUNCATED, *(name for name in PATTERNS if name != "full"), "full")


def settings_of(
    checkpoint: Checkpoint, system: str, max_tokens: int, full_up_to: int | None = None
) -> SasaConfig:
    """How a system reads: a pattern at full length, or full attention on the first 512 tokens.

    Far blocks are chosen as published, whatever the checkpoint does: without syntax or frequency a
    pattern is to lose something. `full_up_to` None: sparse beyond as many tokens as the checkpoint
    has it.
    """
    if system == TRUNCATED:
        return replace(checkpoint.sasa, pattern="full", max_tokens=LONG)
    full = checkpoint.sasa.full_up_to if full_up_to is None else full_up_to
    return replace(
        checkpoint.sasa,
        pattern=system,
        top_k_blocks=PUBLISHED.top_k_blocks,
        frequency_weight=PUBLISHED.frequency_weight,
        max_tokens=max_tokens,
        full_up_to=full,
    )


class Reader:
    """Turns functions into encoder inputs."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.sasa
        self._tokenizer = Tokenizer(checkpoint)
        self._prior = load_prior(checkpoint.folder)

    def lengths(self, codes: Iterable[str]) -> list[int]:
        """The tokens of each code, uncut."""
        return [len(tokens) for tokens in self._tokenizer.tokenize(list(codes))]

    def text(self, text: str) -> EncoderInput:
        """Words, without syntax."""
        tokens = self._tokenizer.tokenize([text])[0].cut(self._config.max_tokens)
        return encoder_input(tokens, no_links(), self._config)

    def code(self, code: str, language: str, without_documentation: bool = False) -> EncoderInput:
        """A function with its own tree's links, cut at the model's limit, as the paper has it.

        Args:
            code: The raw source.
            language: Without a grammar there are no links.
            without_documentation: A docstring is cut out first: it is the answer.
        """
        tree = parse(code, language)
        excerpt = Excerpt(0, len(code))
        if tree is not None and without_documentation:
            unit = next(functions(tree), None)
            excerpt = excerpt if unit is None else unit.code
        text = excerpt.text(code)
        tokens = self._tokenizer.tokenize([text])[0].cut(self._config.max_tokens)
        if tree is None or len(tokens) <= self._config.full_tokens:
            return encoder_input(tokens, no_links(), self._config)
        links = excerpt.links(tree) if excerpt.edits else relate(tree, 0, len(code)).links
        inside = (links < tokens.starts[-2]).all(axis=1)
        return encoder_input(tokens, links[inside], self._config, self._prior)


def long_ones(
    examples: Sequence[Example], reader: Reader, limit: int | None = None
) -> list[Example]:
    """The examples with a function of more than `LONG` tokens (of a pair, either one), in order.

    Of more than `limit` such ones as many are chosen at random, the same at each call; only those
    are read that are needed for it.
    """
    return _chosen(examples, reader, limit, lambda longest: longest > LONG)


def short_ones(examples: Sequence[Example], reader: Reader, limit: int) -> list[Example]:
    """Examples with no such function, chosen likewise."""
    return _chosen(examples, reader, limit, lambda longest: longest <= LONG)


def _chosen(
    examples: Sequence[Example],
    reader: Reader,
    limit: int | None,
    is_wanted: Callable[[int], bool],
) -> list[Example]:
    """At most `limit` examples whose longest function has a wanted number of tokens."""
    order = np.random.default_rng(0).permutation(len(examples)).tolist()
    chosen: list[int] = []
    for start in range(0, len(order), _READ_AT_ONCE):
        some = order[start : start + _READ_AT_ONCE]
        lengths = iter(reader.lengths(code for place in some for code in examples[place].codes))
        for place in some:
            longest = max([next(lengths) for _ in examples[place].codes])
            if is_wanted(longest):
                chosen.append(place)
        if limit is not None and len(chosen) >= limit:
            break
    return [examples[place] for place in sorted(chosen[:limit])]
