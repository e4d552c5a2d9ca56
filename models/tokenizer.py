"""Text → token ids and where each token starts, through the checkpoint's own `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding
from tokenizers import Tokenizer as FastTokenizer

from models.checkpoint import Checkpoint, CheckpointError


@dataclass(frozen=True, slots=True)
class Tokens:
    """One tokenized text, special tokens included.

    Attributes:
        ids: (L,)
        starts: (L,) character offsets; special tokens have those of the text's ends, a heading -1.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def behind(self, ids: NDArray[np.int32]) -> Tokens:
        """These tokens behind those of a heading (n,), which hold no characters of the text."""
        before = np.full(len(ids), -1, dtype=np.int32)
        return Tokens(
            np.concatenate([self.ids[:1], ids, self.ids[1:]]),
            np.concatenate([self.starts[:1], before, self.starts[1:]]),
        )

    def cut(self, max_tokens: int) -> Tokens:
        """At most so many tokens: those at the start, and the closing one."""
        if len(self) <= max_tokens:
            return self
        ids, starts = (np.append(x[: max_tokens - 1], x[-1]) for x in (self.ids, self.starts))
        return Tokens(ids, starts)


class Tokenizer:
    """The tokenizer of a checkpoint, without truncation or padding."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        path = checkpoint.folder / "tokenizer.json"
        try:
            self._tokenizer = FastTokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise CheckpointError(
                f"{path} cannot be read: {error}", "restore or re-save the model"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        if len(self._tokenizer.encode("").ids) < 2:
            raise CheckpointError(
                f"{path} puts no special tokens around a text", "restore or re-save the model"
            )

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize texts with special tokens; an empty text gives the special tokens alone."""
        encodings = self._tokenizer.encode_batch(list(texts))
        return [
            _tokens(encoding, len(text)) for encoding, text in zip(encodings, texts, strict=True)
        ]

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids, special ones left out."""
        return self._tokenizer.decode(list(ids))

    def knows(self, word: str) -> bool:
        """Whether a word is a token of its own."""
        return len(self._tokenizer.encode(word).ids) == 1 + len(self._tokenizer.encode("").ids)


def _tokens(encoding: Encoding, length: int) -> Tokens:
    starts = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)[:, 0].copy()
    # Special tokens have the empty span (0, 0): those after the text start at its end. The span of
    # a byte-level token of spaces is empty too, but lies where they are.
    special = np.array(encoding.special_tokens_mask, dtype=bool)
    closing = special & np.logical_or.accumulate(~special)
    closing[-1] = special[-1]
    starts[closing] = length
    return Tokens(np.array(encoding.ids, dtype=np.int32), starts)
