"""A trained model as a checkpoint folder: its weights mixed with those that it started from.

Between a model and its fine-tuned self, the middle often has the gain of the one without the
losses of the other (Wortsman et al. 2022, arXiv 2109.01903).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.architecture import load_model
from models.checkpoint import PRIOR_FILE, Checkpoint, write_fingerprint
from models.replacing import replacing_folder

_POSITIONS = "embeddings.position_embeddings.weight"
_COPIED = ("tokenizer.json", PRIOR_FILE, "1_Pooling/config.json")


def export(start: Checkpoint, trained: dict[str, Tensor], share: float, folder: Path) -> str:
    """Write a checkpoint in float16; returns its fingerprint.

    Args:
        start: Where training started; gives all but the weights.
        trained: Weights by name.
        share: 0 is the start, 1 the trained model.
        folder: Is made, or replaced.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0..1, got {share}")
    mixed = {
        name: torch.lerp(weight.detach(), trained[name].float(), share).to(torch.float16)
        for name, weight in load_model(start).named_parameters()
    }
    with replacing_folder(folder) as beside:
        weights = {name: weight.contiguous() for name, weight in mixed.items()}
        save_file(weights, beside / "model.safetensors", metadata={"format": "pt"})
        (beside / "model.safetensors").chmod(0o644)  # its own choice is 0600
        config = start.config | {"dtype": "float16", "sasa": start.sasa.to_mapping()}
        config.pop("torch_dtype", None)
        if _POSITIONS in weights:
            config["max_position_embeddings"] = len(weights[_POSITIONS])
        (beside / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
        for name in _COPIED:
            if (start.folder / name).is_file():
                (beside / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(start.folder / name, beside / name)
        return write_fingerprint(beside)
