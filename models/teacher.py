"""A larger encoder that a smaller one learns from, and the space in which both speak together.

The teacher reads the student's own tokens: both have the pieces of one vocabulary, so a text is
tokenized once, identifiers taken apart. What a student is taught are not the teacher's vectors but
both models' side by side: their principal axes, as many as the student has, turned to lie as near
to where training starts as they can. Two models that err in different places are better together
than the better of them alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer as Vocabulary
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from models.batching import batches
from models.checkpoint import Checkpoint, CheckpointError
from models.encoder import pool
from models.inputs import EncoderInput
from models.learner import Learner, Weights
from models.replacing import replacing_folder

Vectors = NDArray[np.float32]
_UNUSED = 2  # positions: some families' first token has number 2


class Teacher(Learner):
    """A sentence encoder with mean pooling, as its folder holds it.

    `max_tokens` is what it reads of a text.
    """

    def __init__(
        self,
        folder: Path,
        student: Checkpoint,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        chunk_tokens: int = 4096,
        max_tokens: int = 256,
        frozen_layers: int | None = None,
    ) -> None:
        """Load it.

        Args:
            folder: `config.json`, `model.safetensors` and a tokenizer.
            student: Whose tokens it is given.
            device: Where it runs.
            dtype: What it computes with.
            chunk_tokens: Encoded at once.
            max_tokens: What it reads of a text, where it has as many positions.
            frozen_layers: So many of its first layers keep their weights, as its embeddings do;
                None: everything is trained.

        Raises:
            CheckpointError: the folder cannot be read, or lacks pieces that the student reads.
        """
        model = _load(folder)
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise _no_teacher(folder, error) from error
        super().__init__(model, device, dtype)
        self._chunk_tokens = chunk_tokens
        places = getattr(model.config, "max_position_embeddings", max_tokens + _UNUSED)
        self.max_tokens = min(max_tokens, places - _UNUSED)
        self._ids = _as_the_teacher_counts(tokenizer, student, folder)
        self._pad, self._last = int(tokenizer.pad_token_id), int(tokenizer.sep_token_id)
        kept = ["pooler."]  # nothing asks it
        if frozen_layers is not None:
            kept += ["embeddings.", *(f"encoder.layer.{i}." for i in range(frozen_layers))]
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(not name.startswith(tuple(kept)))

    def chunks(self, inputs: Sequence[EncoderInput]) -> list[list[int]]:
        """As `Learner` says, by what is read of each."""
        lengths = [min(len(item), self.max_tokens) for item in inputs]
        return list(batches(lengths, self._chunk_tokens))

    def encode_chunk(self, inputs: Sequence[EncoderInput], weights: Weights) -> Tensor:
        """Unit vectors (n, T) of inputs that fit in memory together."""
        rows = [torch.from_numpy(self._translated(item)) for item in inputs]
        ids = pad_sequence(rows, True, self._pad)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).to(self.device)
        arguments = {"input_ids": ids.to(self.device), "attention_mask": mask.long()}
        hidden = self._hidden(weights, arguments)
        return F.normalize(pool(hidden.float(), mask.float(), "mean"), dim=-1)

    def _translated(self, item: EncoderInput) -> NDArray[np.int64]:
        ids = self._ids[item.ids[: self.max_tokens]]
        ids[-1] = self._last
        return ids


def export_teacher(folder: Path, trained: dict[str, Tensor], share: float, out: Path) -> None:
    """Write a teacher's folder with weights that were trained; others are as they were.

    Args:
        folder: Where training started.
        trained: Weights by name.
        share: 0 is the start, 1 the trained model.
        out: Is made, or replaced.
    """
    model = _load(folder)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in trained:
                weight.lerp_(trained[name].float(), share)
    with replacing_folder(out) as beside:
        weights = shutil.ignore_patterns("*.bin", "*.safetensors")
        shutil.copytree(folder, beside, ignore=weights, dirs_exist_ok=True)
        model.save_pretrained(beside)


def _load(folder: Path) -> PreTrainedModel:
    try:
        model: PreTrainedModel = AutoModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise _no_teacher(folder, error) from error
    return model


def _no_teacher(folder: Path, error: Exception) -> CheckpointError:
    reason = str(error).strip().splitlines()[0]
    return CheckpointError(
        f"{folder} is no teacher: {reason}", "give the folder of a sentence encoder"
    )


def _as_the_teacher_counts(
    teacher: PreTrainedTokenizerBase, student: Checkpoint, folder: Path
) -> NDArray[np.int64]:
    """The teacher's id of each of the student's."""
    theirs = teacher.get_vocab()
    special = {
        "[PAD]": teacher.pad_token_id,
        "[UNK]": teacher.unk_token_id,
        "[CLS]": teacher.cls_token_id,
        "[SEP]": teacher.sep_token_id,
        "[MASK]": teacher.mask_token_id,
    }
    ours = Vocabulary.from_file(str(student.folder / "tokenizer.json")).get_vocab()
    theirs = {piece: number for piece, number in (theirs | special).items() if number is not None}
    missing = ours.keys() - theirs.keys()
    if missing:
        raise CheckpointError(
            f"{folder} lacks {len(missing):,} of the {len(ours):,} pieces that {student.name} "
            f"reads, {min(missing)!r} among them",
            "give a teacher with the same vocabulary",
        )
    ids = np.zeros(max(ours.values()) + 1, dtype=np.int64)
    for piece, number in ours.items():
        ids[number] = theirs[piece]
    return ids


@dataclass(frozen=True, slots=True)
class Space:
    """Where a student is to put a text, told from its teacher's vector and the start's.

    Attributes:
        own: How much the start's cosines count; the teacher's count 1.
        axes: (T + E, E), orthonormal columns.
    """

    own: float
    axes: Vectors

    @classmethod
    def fit(cls, taught: Vectors, start: Vectors, own: float) -> Space:
        """The principal axes of texts' unit vectors, (n, T) and (n, E), turned to the start's.

        What all texts have in common stays in: without it a student had to lose what it began
        with, a third of its way, before it learned anything.
        """
        both = _beside(taught, start, own).astype(np.float64)
        _, vectors = np.linalg.eigh(both.T @ both)
        axes = vectors[:, ::-1][:, : start.shape[1]]
        # The rotation that brings them nearest to the start's (orthogonal Procrustes).
        left, _, right = np.linalg.svd(_unit(both @ axes).T @ start)
        return cls(own, (axes @ left @ right).astype(np.float32))

    def vectors(self, taught: Vectors, start: Vectors) -> Vectors:
        """Unit vectors (n, E)."""
        return _unit(_beside(taught, start, self.own) @ self.axes)


def _beside(taught: Vectors, start: Vectors, own: float) -> Vectors:
    return np.hstack([taught, start * np.float32(own**0.5)]).astype(np.float32)


def _unit(rows: NDArray[np.floating[Any]]) -> Vectors:
    return np.asarray(F.normalize(torch.from_numpy(rows), dim=-1).float().numpy())
