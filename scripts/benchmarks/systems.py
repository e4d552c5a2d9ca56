"""What is compared: attention patterns of one encoder, on inputs and models made for a length."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import total_memory
from models.blocks import BlockPattern, select_blocks
from models.checkpoint import Checkpoint, open_checkpoint
from models.config import SasaConfig
from models.encoder import Encoder
from models.inputs import EncoderInput
from models.paths import COMPILE_SECONDS, PathRule, rule_for

# Ids of words: special tokens and single characters come before them.
WORD_IDS = (2000, 30000)
# bf16 scores, their float32 copy and weights, and the weights in bf16: bytes of a pair and head.
EAGER_BYTES = 10


@dataclass(frozen=True, slots=True)
class System:
    """A pattern of `models.config.PATTERNS`, and the attention that computes it."""

    pattern: str
    attention: str  # a transformers attention implementation


# Full attention is transformers' own: without padding it needs no mask, which is faster.
SYSTEMS = {
    "full": System("full", "sdpa"),
    "eager": System("full", "eager"),
    "longformer": System("longformer", "sasa"),
    "bigbird": System("bigbird", "sasa"),
    "sasa": System("sasa", "sasa"),
}


def batch_size(length: int, tokens: int) -> int:
    """How many inputs of a length make up so many tokens; at least one."""
    return max(1, tokens // length)


def settled(device: torch.device) -> PathRule:
    """The rule `auto` of a run that has lasted long enough to compile where that pays."""
    return replace(rule_for(device), sparse_seconds=COMPILE_SECONDS)


def pattern_for(
    length: int, config: SasaConfig, pattern: str, chosen: np.random.Generator
) -> BlockPattern:
    """The blocks of an input; those that go by score are random ones."""
    config = replace(config, pattern=pattern, max_tokens=max(length, config.max_tokens))
    blocks = config.block_count(length)
    scores = chosen.random((blocks, blocks), dtype=np.float32) if config.is_scored else None
    return select_blocks(length, config, scores)


def random_inputs(
    system: System, config: SasaConfig, length: int, batch: int, seed: int
) -> list[EncoderInput]:
    """Inputs of random words; the same for every system."""
    words, chosen = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    return [
        EncoderInput(
            words.integers(*WORD_IDS, length).astype(np.int32),
            pattern_for(length, config, system.pattern, chosen),
        )
        for _ in range(batch)
    ]


def encode(
    encoder: Encoder, rule: PathRule, system: System, inputs: Sequence[EncoderInput]
) -> np.ndarray:
    """Encode a batch as a system does."""
    encoder.model.config._attn_implementation = system.attention
    return encoder.embed(inputs, rule.choose(inputs))


def fits(name: str, heads: int, length: int, batch: int, device: torch.device) -> bool:
    """Whether a system takes at most a quarter of the memory; only eager attention may not."""
    needed = EAGER_BYTES * batch * heads * length**2
    return name != "eager" or needed < total_memory(device) / 4


def with_settings(config: SasaConfig, system: str) -> SasaConfig:
    """The settings of `pattern` or `pattern:name=value,…`."""
    pattern, _, changes = system.partition(":")
    values = dict(change.split("=") for change in changes.split(",") if change)
    numbers = {name: float(v) if "." in v else int(v) for name, v in values.items()}
    return replace(config, pattern=pattern, **numbers)


def long_checkpoint(folder: Path, max_tokens: int) -> Checkpoint:
    """A copy of the default model for inputs of up to `max_tokens`."""
    shutil.copytree(open_checkpoint().folder, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["sasa"]["max_tokens"] = max(max_tokens, config["sasa"]["max_tokens"])
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return open_checkpoint(folder)


def codebert_sized(folder: Path, max_tokens: int) -> Checkpoint:
    """A RoBERTa of the size of CodeBERT with random weights."""
    from transformers import RobertaConfig, RobertaModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    small = open_checkpoint()
    config = RobertaConfig(
        vocab_size=50_265,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=max_tokens + 2,
        type_vocab_size=1,
        pad_token_id=1,
        sasa=small.sasa.to_mapping() | {"max_tokens": max_tokens},
    )
    model = RobertaModel(config, add_pooling_layer=False)
    model.to(torch.bfloat16).save_pretrained(folder)
    shutil.copyfile(small.folder / "tokenizer.json", folder / "tokenizer.json")
    return open_checkpoint(folder)


MODELS = {"default": long_checkpoint, "codebert-sized": codebert_sized}
