"""A model is a folder: `config.json`, `model.safetensors`, `tokenizer.json`.

`config.json` is a transformers configuration; its section `sasa` (see `models.config`) may be
absent. Beside the weights there may be a frequency prior (see `models.prior`), and
`1_Pooling/config.json`, as sentence-transformers writes it, which may ask for the first token's
vector instead of the mean. Pickled weights are never read. The fingerprint names the weights, the
tokenizer and the settings: two folders with one fingerprint give the same vectors.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from models.config import SasaConfig

PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT_MODEL = "sasa-small"
_WEIGHTS, _TOKENIZER = "model.safetensors", "tokenizer.json"
_FILES = ("config.json", _WEIGHTS, _TOKENIZER)
_POOLING = "1_Pooling/config.json"
PRIOR_FILE = "frequency_prior.npz"
_FINGERPRINT = "fingerprint.txt"

Pooling = Literal["mean", "cls"]


class CheckpointError(Exception):
    """A folder is not a checkpoint that this encoder can run; `args` say why and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between the architectures that run here."""

    pad_id: int  # where config.json names none
    positions: Literal["from_zero", "after_padding", "rotary"]
    has_pooler: bool


_ROBERTA = Family(pad_id=1, positions="after_padding", has_pooler=True)
FAMILIES = {
    "bert": Family(pad_id=0, positions="from_zero", has_pooler=True),
    "roberta": _ROBERTA,  # also CodeBERT, GraphCodeBERT, UniXcoder
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "modernbert": Family(pad_id=50283, positions="rotary", has_pooler=False),
}
# Settings under which a known family would be another model, and the values that run here.
_PLAIN = {"position_embedding_type": "absolute", "is_decoder": False}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder whose parts were found; nothing heavy is loaded yet."""

    folder: Path
    config: dict[str, Any]
    sasa: SasaConfig
    pooling: Pooling = "mean"

    @property
    def name(self) -> str:
        """The folder's name, as users know the model."""
        return self.folder.name

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.config["hidden_size"])

    @property
    def family(self) -> Family:
        """What the model's architecture needs."""
        return FAMILIES[self.config["model_type"]]

    @property
    def pad_id(self) -> int:
        """The token id that fills the rows of a batch."""
        named = self.config.get("pad_token_id")
        return self.family.pad_id if named is None else int(named)

    @property
    def first_position(self) -> int | None:
        """The row of the position table for the first token; None: there is no table."""
        rows = {"from_zero": 0, "after_padding": self.pad_id + 1, "rotary": None}
        return rows[self.family.positions]

    @property
    def is_bert(self) -> bool:
        """Whether the light query encoder knows this architecture, its pooling and its numbers."""
        plain = {"model_type": "bert", "hidden_act": "gelu"}
        known = all(self.config.get(key, value) == value for key, value in plain.items())
        stored = self.config.get("dtype", self.config.get("torch_dtype"))
        return known and self.pooling == "mean" and stored != "bfloat16"

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
        CheckpointError: nothing is there, a file is missing, a setting is out of range or the
            architecture is unknown.
    """
    folder = _locate(str(model))
    _check_files(str(model), folder)
    try:
        config = dict(json.loads((folder / "config.json").read_text("utf-8")))
        sasa = SasaConfig.from_mapping(config.get("sasa", {}))
    except (ValueError, TypeError) as error:
        raise _unusable(folder / "config.json", str(error)) from error
    _check_architecture(folder, config)
    return Checkpoint(folder, config, sasa, _read_pooling(folder))


def compute_fingerprint(folder: Path) -> str:
    """Hash everything that a vector depends on."""
    digest = hashlib.sha256()
    optional = [name for name in (PRIOR_FILE,) if (folder / name).is_file()]
    for name in (*_FILES, *optional):
        with open(folder / name, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    pooling = _read_pooling(folder)
    if pooling != "mean":
        digest.update(pooling.encode())
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

    try:
        return Path(snapshot_download(name, allow_patterns=[*_FILES, _POOLING, PRIOR_FILE]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"model {name} cannot be fetched: {reason}",
            "check the name and the network, or give the folder of a local copy",
        ) from error


def _check_files(model: str, folder: Path) -> None:
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if not missing:
        return
    if "config.json" in missing:
        hint = f"give a model folder: it holds {', '.join(_FILES)}"
    elif Path(model).is_dir():
        hint = f"{_conversion(missing, str(folder), str(folder))}, then run this again"
    else:
        name = model.rpartition("/")[2]
        hint = f"{_conversion(list(_FILES), model, name)}, then give --model ./{name}"
    raise CheckpointError(f"model folder {folder} lacks {', '.join(missing)}", hint)


def _conversion(missing: list[str], source: str, target: str) -> str:
    """How a user makes missing files from pickled weights or a vocabulary, as one command."""
    makers = {_WEIGHTS: "t.AutoModel", _TOKENIZER: "t.AutoTokenizer"}
    needed = ", ".join(maker for name, maker in makers.items() if name in missing)
    script = (
        f"import transformers as t; [part.from_pretrained({json.dumps(source)})"
        f".save_pretrained({json.dumps(target)}) for part in [{needed}]]"
    )
    command = shlex.join([sys.executable, "-c", script])
    return f"convert a model that you trust once: {command}"


def _check_architecture(folder: Path, config: dict[str, Any]) -> None:
    name = config.get("model_type")
    if name not in [*FAMILIES]:
        raise CheckpointError(
            f"{folder} has the unknown model_type {name!r}",
            f"give a model of type {', '.join(FAMILIES)}",
        )
    for key, value in _PLAIN.items():
        if config.get(key, value) != value:
            raise CheckpointError(
                f"{folder} has {key} {config[key]!r}", f"give a model whose {key} is {value!r}"
            )
    if not isinstance(config.get("hidden_size"), int):
        raise _unusable(folder / "config.json", "it names no hidden_size")


def _read_pooling(folder: Path) -> Pooling:
    """How token vectors become one; absent: the mean."""
    path = folder / _POOLING
    if not path.is_file():
        return "mean"
    try:
        settings = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise _unusable(path, str(error)) from error
    flags = [key for key, value in settings.items() if "pooling_mode_" in key and value is True]
    mode = str(settings.get("pooling_mode", "+".join(flags))).removeprefix("pooling_mode_")
    if mode in ("cls", "cls_token"):
        return "cls"
    # Vectors are normalised: a mean by the root of the length points where the mean points.
    if mode in ("mean", "mean_tokens", "mean_sqrt_len_tokens"):
        return "mean"
    raise CheckpointError(f"{path} asks for {mode!r}", "give a model with mean or cls pooling")


def _unusable(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path} cannot be used: {reason}", "restore or re-save the model")
