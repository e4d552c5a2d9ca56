"""What the encoder reads: token ids and a block pattern, and the key that names the result."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.blocks import BlockPattern, select_blocks
from models.config import SasaConfig
from models.prior import FrequencyPrior
from models.scores import block_scores
from models.tokenizer import Tokenizer, Tokens


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """One text as the encoder sees it."""

    ids: NDArray[np.int32]  # (L,)
    pattern: BlockPattern

    def __len__(self) -> int:
        return len(self.ids)

    def key(self, fingerprint: str) -> bytes:
        """16 bytes that name the vector: the weights and everything that they are shown."""
        digest = hashlib.blake2b(bytes.fromhex(fingerprint), digest_size=16)
        digest.update(self.ids.tobytes())
        digest.update(self.pattern.digest_bytes())
        return digest.digest()


def token_positions(tokens: Tokens, offsets: NDArray[np.int32]) -> NDArray[np.int32]:
    """The tokens that hold characters of the text; special tokens hold none."""
    return np.searchsorted(tokens.starts[1:-1], offsets, side="right").astype(np.int32)


def encoder_input(
    tokens: Tokens,
    links: NDArray[np.int32],
    config: SasaConfig,
    prior: FrequencyPrior | None = None,
    has_head: bool = False,
) -> EncoderInput:
    """Turn tokens and related character offsets into an input.

    Args:
        tokens: at most `config.max_tokens` tokens.
        links: (n, 2) character offsets of related places in the text; may be empty.
        config: the parts and the sizes of the pattern.
        prior: the checkpoint's frequency prior, if it has one.
        has_head: it is a function, class or file, from its beginning.
    """
    length = len(tokens)
    if length > config.max_tokens:
        raise ValueError(f"{length} tokens are more than the model's {config.max_tokens}")
    scores = None
    if config.is_sparse(length, has_head):
        scores = block_scores(tokens.ids, token_positions(tokens, links), config, prior)
    return EncoderInput(tokens.ids, select_blocks(length, config, scores, has_head))


def query_input(
    tokenizer: Tokenizer, text: str, max_tokens: int, config: SasaConfig
) -> EncoderInput:
    """The input of a text without syntax, cut at `max_tokens` before the closing token."""
    tokens = tokenizer.tokenize([text])[0].cut(max_tokens)
    return encoder_input(tokens, np.empty((0, 2), dtype=np.int32), config)
