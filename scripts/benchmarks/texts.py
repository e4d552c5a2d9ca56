"""Real texts: what `codesearch index` encodes of some repositories, but for where they stand."""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.errors import CodesearchError
from indexer.prepare import chars_read_whole, split_chunk
from indexer.sources.listing import Selection
from indexer.sources.repository import find_repository
from indexer.sources.skip import content_reason, decode
from indexer.sources.walk import BlobReader, list_files
from indexer.syntax.chunks import Chunk, chunk_file
from indexer.syntax.languages import language_of
from models.checkpoint import Checkpoint
from models.tokenizer import Tokenizer

BUCKETS = (64, 128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True, slots=True)
class Text:
    """A text with the places that its syntax tree connects, (n, 2) offsets of characters.

    `has_head`: it is code from its beginning, as `models.inputs.encoder_input` reads it.
    """

    text: str
    links: np.ndarray
    tokens: int
    has_head: bool


def read_texts(repositories: tuple[Path, ...], checkpoint: Checkpoint) -> list[Text]:
    """Every distinct text of the repositories that the model reads in one piece."""
    tokenizer = Tokenizer(checkpoint)
    texts: dict[str, Text] = {}
    for location in repositories:
        for chunks in chunked_files(location, checkpoint):
            for text in pieces(chunks, tokenizer, checkpoint.sasa.max_tokens):
                texts.setdefault(text.text, text)
        print(f"{location.name}: {len(texts)} texts so far", file=sys.stderr)
    return list(texts.values())


def chunked_files(location: Path, checkpoint: Checkpoint) -> Iterator[list[Chunk]]:
    """The chunks of each file of a working tree."""
    repository, _ = find_repository(location)
    listing = list_files(repository, None, Selection())
    max_chars = chars_read_whole(checkpoint.sasa.max_tokens)
    with BlobReader(repository) as reader:
        for path, blob_id in sorted(listing.files.items()):
            try:
                data = reader.read(path, blob_id, listing.ref)
            except (OSError, CodesearchError):  # gone since it was listed
                continue
            if content_reason(path, data) is None:
                yield chunk_file(decode(data), language_of(path, data), path, max_chars)


def pieces(chunks: list[Chunk], tokenizer: Tokenizer, max_tokens: int) -> Iterator[Text]:
    """The texts of chunks; one above the limit in its parts."""
    tokenized = tokenizer.tokenize([chunk.text for chunk in chunks])
    for chunk, tokens in zip(chunks, tokenized, strict=True):
        if len(tokens) <= max_tokens:
            yield Text(chunk.text, chunk.links, len(tokens), chunk.is_code)
            continue
        for number, part in enumerate(split_chunk(chunk, tokens, max_tokens)):
            length = len(tokenizer.tokenize([part.text])[0])
            if length <= max_tokens:
                yield Text(part.text, part.links, length, chunk.is_code and number == 0)


def sample(texts: list[Text], tokens: int, seed: int) -> list[Text]:
    """Texts in a random order, until they have so many tokens."""
    shuffled = random.Random(seed).sample(texts, len(texts))
    ends = np.cumsum([text.tokens for text in shuffled])
    return shuffled[: int(np.searchsorted(ends, tokens)) + 1]


def histogram(texts: list[Text]) -> dict:
    """How the lengths are distributed: shares of texts and of tokens up to each bucket's end."""
    lengths = np.array([text.tokens for text in texts])
    bucket = np.searchsorted(BUCKETS, lengths)
    return {
        "texts": len(texts),
        "tokens": int(lengths.sum()),
        "buckets": {
            f"<= {end}": {
                "texts": round(float((bucket == place).mean()), 4),
                "tokens": round(float(lengths[bucket == place].sum() / lengths.sum()), 4),
            }
            for place, end in enumerate(BUCKETS)
        },
    }
