"""The same encoder in NumPy: a query, or a handful of changed functions, without loading torch.

Torch and transformers take seconds to import; this takes a tenth. It computes the dense form of
SASA on the checkpoint's own weights, and reads only the rows of the embedding tables that it
needs. For more than a few thousand tokens `models.encoder` is faster.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from models.checkpoint import Checkpoint, CheckpointError
from models.inputs import EncoderInput, query_input
from models.pooling import token_weights
from models.tokenizer import Tokenizer

Array = NDArray[np.float32]

# Of all heads of a short text at once, of a long one's one after the other: 4 MB.
_SCORES_AT_ONCE = 1 << 20


class LightEncoder:
    """Embeds one text at a time with a BERT checkpoint; see `Checkpoint.is_bert`."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        if not checkpoint.is_bert:
            raise ValueError(f"{checkpoint.folder} is not a plain BERT")
        config = checkpoint.config
        self._sasa = checkpoint.sasa
        self._heads = int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._tokenizer = Tokenizer(checkpoint)
        path = checkpoint.folder / "model.safetensors"
        try:
            self._file = safe_open(path, framework="numpy")
            names = set(self._file.keys())
            self._prefix = "bert." if any(name.startswith("bert.") for name in names) else ""
            self._weights = {
                _today(name): np.asarray(self._file.get_tensor(name), dtype=np.float32)
                for name in names
                if name.startswith(f"{self._prefix}encoder.") or "embeddings.LayerNorm" in name
            }
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"weights in {path} cannot be read: {error}", "restore or re-save the model"
            ) from error

    def embed_query(self, text: str) -> Array:
        """The unit vector (E,) of a text; beyond `SasaConfig.full_tokens` it is cut."""
        return self._embed_one(
            query_input(self._tokenizer, text, self._sasa.full_tokens, self._sasa)
        )

    def embed(self, inputs: Sequence[EncoderInput]) -> Array:
        """The unit vectors (n, E) of inputs, as `Encoder.embed` gives them."""
        return np.stack([self._embed_one(item) for item in inputs])

    def knows(self, word: str) -> bool:
        """Whether a word is a token of its own."""
        return self._tokenizer.knows(word)

    def account(self) -> str:
        """On what and by which attention path it encodes."""
        return "cpu float32 without torch, attention dense 100%"

    def _embed_one(self, item: EncoderInput) -> Array:
        hidden = self._embeddings(item.ids)
        mask = None if item.pattern.covers_all_pairs else self._token_mask(item)
        for layer in range(self._layers):
            hidden = self._layer(hidden, mask, f"encoder.layer.{layer}.")
        head = item.pattern.head_blocks * self._sasa.block_size
        pooled = token_weights(len(item), self._sasa.head_tokens, head) @ hidden
        return np.asarray(pooled / np.linalg.norm(pooled), dtype=np.float32)

    def _token_mask(self, item: EncoderInput) -> NDArray[np.bool_]:
        size, length = self._sasa.block_size, len(item)
        blocks = item.pattern.dense()
        return blocks.repeat(size, 0).repeat(size, 1)[:length, :length]

    def _embeddings(self, ids: NDArray[np.int32]) -> Array:
        words = self._file.get_slice(f"{self._prefix}embeddings.word_embeddings.weight")
        rows = np.stack([words[int(i) : int(i) + 1][0] for i in ids]).astype(np.float32)
        positions = self._file.get_slice(f"{self._prefix}embeddings.position_embeddings.weight")
        table = positions[: min(len(ids), positions.get_shape()[0])].astype(np.float32)
        types = self._file.get_slice(f"{self._prefix}embeddings.token_type_embeddings.weight")
        rows += np.resize(table, rows.shape)  # a short table repeats, as the encoder tiles it
        rows += types[0:1].astype(np.float32)
        return self._norm(rows, "embeddings.LayerNorm")

    def _layer(self, hidden: Array, mask: NDArray[np.bool_] | None, name: str) -> Array:
        query, key, value = (
            self._linear(hidden, f"{name}attention.self.{part}")
            for part in ("query", "key", "value")
        )
        query, key, value = (self._by_head(x) for x in (query, key, value))
        mixed = np.empty_like(query)
        step = max(1, _SCORES_AT_ONCE // len(hidden) ** 2)
        for first in range(0, self._heads, step):
            part = slice(first, first + step)
            mixed[part] = _attend(query[part], key[part], value[part], mask)
        mixed = mixed.swapaxes(0, 1).reshape(hidden.shape)
        mixed = self._linear(mixed, f"{name}attention.output.dense")
        hidden = self._norm(hidden + mixed, f"{name}attention.output.LayerNorm")
        inner = _gelu(self._linear(hidden, f"{name}intermediate.dense"))
        outer = self._linear(inner, f"{name}output.dense")
        return self._norm(hidden + outer, f"{name}output.LayerNorm")

    def _by_head(self, x: Array) -> Array:
        """(L, E) to (H, L, D)."""
        return x.reshape(len(x), self._heads, -1).swapaxes(0, 1)

    def _linear(self, x: Array, name: str) -> Array:
        weight = self._weights[f"{self._prefix}{name}.weight"]
        return np.asarray(x @ weight.T + self._weights[f"{self._prefix}{name}.bias"])

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(-1, keepdims=True) + self._epsilon)
        weight = self._weights[f"{self._prefix}{name}.weight"]
        return np.asarray(centred / scale * weight + self._weights[f"{self._prefix}{name}.bias"])


def _today(name: str) -> str:
    """The name that a weight of an old checkpoint has today, as transformers maps it."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def _attend(query: Array, key: Array, value: Array, mask: NDArray[np.bool_] | None) -> Array:
    """Dense attention of some heads; `query`, `key`, `value` are (H, L, D), `mask` is (L, L)."""
    scores = query @ key.swapaxes(1, 2) * np.float32(query.shape[2] ** -0.5)
    if mask is not None:
        scores[:, ~mask] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(weights @ value / weights.sum(-1, keepdims=True))


def _gelu(x: Array) -> Array:
    return np.asarray(x * 0.5 * (1.0 + _erf(x * np.float32(0.5**0.5))))


def _erf(x: Array) -> Array:
    """Abramowitz and Stegun 7.1.26; absolute error below 1.5e-7."""
    coefficients = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    t = 1.0 / (1.0 + np.float32(0.3275911) * np.abs(x))
    series = np.zeros_like(x)
    for coefficient in coefficients:
        series = (series + np.float32(coefficient)) * t
    return np.asarray(np.copysign(1.0 - series * np.exp(-x * x), x))
