"""A model is a folder: `config.json`, `model.safetensors`, `tokenizer.json`.

`config.json` is a transformers configuration with a section `sasa` (see `models.config`). The
fingerprint names the weights, the tokenizer and the settings: two folders with one fingerprint
give the same vectors.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from models.config import SasaConfig

PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT_MODEL = "sasa-small"
_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_FINGERPRINT = "fingerprint.txt"


class CheckpointError(Exception):
    """A folder is not a checkpoint that this encoder can run; `args` say why and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder whose parts were found; nothing heavy is loaded yet."""

    folder: Path
    config: dict[str, Any]
    sasa: SasaConfig

    @property
    def name(self) -> str:
        """The folder's name, as users know the model."""
        return self.folder.name

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.config["hidden_size"])

    @property
    def is_bert(self) -> bool:
        """Whether the light query encoder knows this architecture."""
        plain = {
            "model_type": "bert",
            "hidden_act": "gelu",
            "position_embedding_type": "absolute",
        }
        return all(self.config.get(key, value) == value for key, value in plain.items())

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits, hashed from the files; a shipped checkpoint has them beside it."""
        if self.is_shipped:
            return (self.folder / _FINGERPRINT).read_text("ascii").strip()
        return compute_fingerprint(self.folder)

    @property
    def is_shipped(self) -> bool:
        """Whether the checkpoint is part of the package, whose files do not change."""
        return self.folder.parent == PRETRAINED


def open_checkpoint(model: str | Path = DEFAULT_MODEL) -> Checkpoint:
    """Find a checkpoint by folder, by the name of a shipped one, or by its Hugging Face name.

    A Hugging Face name (`owner/name`) is the only thing that touches the network, and only when
    the files are not in the local cache.

    Raises:
        CheckpointError: nothing is there, a file is missing or a setting is out of range.
    """
    folder = _locate(str(model))
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"model folder {folder} lacks {', '.join(missing)}",
            "save the model with safetensors weights and a fast tokenizer",
        )
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        sasa = SasaConfig.from_mapping(config.get("sasa", {}))
        if config["model_type"] != "bert":
            raise CheckpointError(
                f"{folder} is a {config['model_type']} model", "BERT models are supported so far"
            )
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} cannot be used: {error}", "restore or re-save the model"
        ) from error
    return Checkpoint(folder, config, sasa)


def compute_fingerprint(folder: Path) -> str:
    """Hash everything that a vector depends on."""
    digest = hashlib.sha256()
    for name in _FILES:
        with open(folder / name, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def write_fingerprint(folder: Path) -> str:
    """Store a shipped checkpoint's fingerprint beside it, so that a query need not hash it."""
    fingerprint = compute_fingerprint(folder)
    (folder / _FINGERPRINT).write_text(f"{fingerprint}\n", "ascii")
    return fingerprint


def _locate(model: str) -> Path:
    shipped = PRETRAINED / model
    if "/" not in model and "\\" not in model and shipped.is_dir():
        return shipped
    if Path(model).is_dir():
        return Path(model).resolve()
    if model.count("/") == 1 and not model.startswith((".", "/", "~")):
        return _download(model)
    raise CheckpointError(
        f"no model {model!r}", "give a checkpoint folder or a Hugging Face name like owner/name"
    )


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [*_FILES, "1_Pooling/config.json"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"model {name} cannot be fetched: {reason}",
            "check the name and the network, or give the folder of a local copy",
        ) from error
