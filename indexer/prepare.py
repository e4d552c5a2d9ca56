"""One file's bytes become everything the index stores of it, short of the vectors.

Pure and picklable, so that it runs in worker processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from indexer.heading import MOST_TOKENS, headed, heading
from indexer.sources.skip import content_reason, decode
from indexer.syntax.chunks import Chunk, chunk_file
from indexer.syntax.languages import language_of
from indexer.terms import Terms, count_terms
from models.checkpoint import Checkpoint
from models.inputs import EncoderInput, encoder_input
from models.prior import load_prior
from models.tokenizer import Tokenizer, Tokens

_CHARS_PER_TOKEN = 2.5  # code has about as many or more
# Room for the tokens that a cut inside a word can add.
_CUT_MARGIN = 16


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was read."""

    path: str
    blob_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class PreparedChunk:
    """A chunk with what the text index and the encoder need of it."""

    kind: str
    symbol: str
    start_line: int
    end_line: int
    part: int
    terms: Terms
    input: EncoderInput
    key: bytes


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """A file ready to be stored; `skipped` says why it has no chunks."""

    path: str
    blob_id: str
    language: str
    size_bytes: int
    skipped: str | None
    text: str
    chunks: tuple[PreparedChunk, ...]


class Preparer:
    """Turns files into chunks and encoder inputs for one checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.sasa
        self._prior = load_prior(checkpoint.folder)
        self._fingerprint = checkpoint.fingerprint
        self._tokenizer = Tokenizer(checkpoint)
        self._max_chars = chars_read_whole(checkpoint.sasa.max_tokens)

    def prepare(self, file: SourceFile) -> PreparedFile:
        """Chunk one file; never raises on its content."""
        language = language_of(file.path, file.data)
        reason = content_reason(file.path, file.data)
        if reason is not None:
            size = len(file.data)
            return PreparedFile(file.path, file.blob_id, language, size, reason, "", ())
        text = decode(file.data)
        chunks = chunk_file(text, language, file.path, self._max_chars)
        prepared = tuple(self.prepare_chunks(chunks, file.path))
        return PreparedFile(
            file.path, file.blob_id, language, len(file.data), None, text, prepared
        )

    def prepare_chunks(self, chunks: list[Chunk], path: str) -> Iterator[PreparedChunk]:
        """Tokenize a file's chunks and cut those above the model's limit into parts."""
        tokenized = self._tokenizer.tokenize([chunk.text for chunk in chunks])
        room = self._config.max_tokens - MOST_TOKENS
        numbered: list[tuple[Chunk, int]] = []
        texts: list[Tokens] = []
        for chunk, tokens in zip(chunks, tokenized, strict=True):
            if len(tokens) <= room:
                numbered.append((chunk, 0))
                texts.append(tokens)
                continue
            parts = list(split_chunk(chunk, tokens, room))
            numbered += [(part, number) for number, part in enumerate(parts, 1)]
            texts += self._tokenizer.tokenize([part.text for part in parts])
        headings = [heading(path, chunk.symbol) if chunk.is_code else "" for chunk, _ in numbered]
        behind = headed(self._tokenizer, texts, headings)
        for (chunk, number), tokens in zip(numbered, behind, strict=True):
            yield self._prepared(chunk, path, tokens, number)

    def _prepared(self, chunk: Chunk, path: str, tokens: Tokens, part: int) -> PreparedChunk:
        limit = self._config.max_tokens
        if len(tokens) > limit:  # one token of many characters can cut into more than the margin
            tokens = Tokens(tokens.ids[:limit], tokens.starts[:limit])
        has_head = chunk.is_code and part <= 1
        read = encoder_input(tokens, chunk.links, self._config, self._prior, has_head)
        return PreparedChunk(
            chunk.kind,
            chunk.symbol,
            chunk.start_line,
            chunk.end_line,
            part,
            count_terms(chunk.symbol, path, chunk.text),
            read,
            read.key(self._fingerprint),
        )


def chars_read_whole(max_tokens: int) -> int:
    """How long a file may be that a model of so many tokens reads whole, not as its outline."""
    return int(_CHARS_PER_TOKEN * max_tokens)


def split_chunk(chunk: Chunk, tokens: Tokens, max_tokens: int) -> Iterator[Chunk]:
    """Cut an over-long chunk at the last statement border that fits, again and again.

    Where no border fits (one statement above the limit), the cut is at a token.
    """
    room = max_tokens - _CUT_MARGIN
    borders = np.array(chunk.borders, dtype=np.int64)
    in_place = chunk.text.count("\n") <= chunk.end_line - chunk.start_line + 1
    start, end = 0, len(chunk.text)
    while start < end:
        first = int(np.searchsorted(tokens.starts[1:-1], start)) + 1
        stop = end if first + room >= len(tokens) else int(tokens.starts[first + room])
        if stop < end:
            fitting = borders[(borders > start) & (borders <= stop)]
            stop = int(fitting[-1]) if len(fitting) else max(stop, start + 1)
        yield _part(chunk, start, stop, in_place)
        start = stop


def _part(chunk: Chunk, start: int, stop: int, in_place: bool) -> Chunk:
    inside = ((chunk.links >= start) & (chunk.links < stop)).all(axis=1)
    part = replace(
        chunk, text=chunk.text[start:stop], links=chunk.links[inside] - start, borders=()
    )
    if not in_place:  # the text is an outline: its lines are not the file's
        return part
    first = chunk.start_line + chunk.text.count("\n", 0, start)
    last = first + chunk.text.count("\n", start, max(start, stop - 1))
    last = min(last, chunk.end_line)
    return replace(part, start_line=min(first, last), end_line=last)
