"""A checkpoint's transformers model with SASA attention and positions for long inputs.

Weights load through transformers, so that any folder of a known family works; a position table
shorter than the settings ask for is extended by tiling, which leaves short inputs exactly as they
were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn

from models.attention import register
from models.checkpoint import Checkpoint, CheckpointError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_model(checkpoint: Checkpoint) -> PreTrainedModel:
    """The transformers model with SASA attention and enough positions, in float32.

    Raises:
        CheckpointError: the weights do not fit the configuration.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    register()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model: PreTrainedModel = AutoModel.from_pretrained(
            checkpoint.folder,
            attn_implementation="sasa",
            add_pooling_layer=False,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"weights in {checkpoint.folder} cannot be loaded: {reason}",
            "restore or re-save the model",
        ) from error
    extend_positions(model, checkpoint.sasa.max_tokens)
    return model


def extend_positions(model: PreTrainedModel, max_tokens: int) -> None:
    """Tile a learned position table up to `max_tokens` rows, in place."""
    embeddings: Any = model.embeddings
    table = embeddings.position_embeddings.weight.data
    if len(table) >= max_tokens:
        return
    tiled = table.repeat(-(-max_tokens // len(table)), 1)[:max_tokens].clone()
    embeddings.position_embeddings = nn.Embedding.from_pretrained(tiled, freeze=False)
    positions = torch.arange(max_tokens)[None]
    embeddings.register_buffer("position_ids", positions, persistent=False)
    embeddings.register_buffer("token_type_ids", torch.zeros_like(positions), persistent=False)
    model.config.max_position_embeddings = max_tokens
