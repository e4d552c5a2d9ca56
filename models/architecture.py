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

_FAULTS = (OSError, RuntimeError, ValueError, KeyError, SafetensorError)


def load_model(checkpoint: Checkpoint) -> PreTrainedModel:
    """The transformers model with SASA attention and enough positions, in float32.

    Raises:
        CheckpointError: the weights do not fit the configuration, or some are missing.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoModel
    from transformers.utils import logging

    register()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    pooler = {"add_pooling_layer": False} if checkpoint.family.has_pooler else {}
    model: PreTrainedModel
    try:
        model, report = AutoModel.from_pretrained(
            checkpoint.folder,
            attn_implementation="sasa",
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **pooler,
        )
    except (*_FAULTS, StrictDataclassError) as error:
        reason = str(error).strip().splitlines()[0]
        raise _unusable(checkpoint, f"cannot be loaded: {reason}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would fill them with random numbers
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise _unusable(checkpoint, f"lack {missing[0]}{more}")
    if checkpoint.first_position is not None:
        extend_positions(model, checkpoint.sasa.max_tokens, checkpoint.first_position)
    return model


def extend_positions(model: PreTrainedModel, max_tokens: int, first_row: int = 0) -> None:
    """Tile a learned position table up to `max_tokens` tokens, in place.

    The rows before `first_row`, the row of the first token, belong to padding and are not tiled.
    """
    embeddings: Any = model.embeddings
    table = embeddings.position_embeddings
    rows = first_row + max_tokens
    if len(table.weight) >= rows:
        return
    padding, tokens = table.weight.data.tensor_split([first_row])
    copies = -(-max_tokens // len(tokens))
    tiled = torch.cat([padding, tokens.repeat(copies, 1)[:max_tokens]])
    embeddings.position_embeddings = nn.Embedding.from_pretrained(
        tiled, freeze=False, padding_idx=table.padding_idx
    )
    positions = torch.arange(rows)[None]
    embeddings.register_buffer("position_ids", positions, persistent=False)
    embeddings.register_buffer("token_type_ids", torch.zeros_like(positions), persistent=False)
    model.config.max_position_embeddings = rows


def _unusable(checkpoint: Checkpoint, reason: str) -> CheckpointError:
    return CheckpointError(
        f"weights in {checkpoint.folder} {reason}", "restore or re-save the model"
    )
