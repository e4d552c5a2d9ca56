"""A larger encoder that reads a student's tokens, and the space that is told from both."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as Vocabulary
from transformers import AutoModel

from models.checkpoint import CheckpointError, open_checkpoint
from models.inputs import query_input
from models.teacher import Space, Teacher
from models.tokenizer import Tokenizer
from tests.small_models import save_model

CPU = torch.device("cpu")
TEXTS = ["json", "def load(path):", "return json.load(file)", "open path " * 15]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def read(checkpoint, texts=TEXTS):
    tokenizer = Tokenizer(checkpoint)
    return [query_input(tokenizer, text, 300, checkpoint.sasa) for text in texts]


@pytest.fixture
def student(tmp_path):
    return open_checkpoint(save_model("bert", tmp_path / "student"))


def renumber(folder, names: list[str]):
    """Gives a model's pieces other numbers: the first ones are these."""
    path = folder / "tokenizer.json"
    stored = json.loads(path.read_text())
    vocabulary = stored["model"]["vocab"]
    order = names + sorted(vocabulary.keys() - set(names), reverse=True)
    stored["model"]["vocab"] = {piece: number for number, piece in enumerate(order)}
    for added in stored["added_tokens"]:
        added["id"] = order.index(added["content"])
    for name, special in stored["post_processor"]["special_tokens"].items():
        special["ids"] = [order.index(name)]
    path.write_text(json.dumps(stored))
    return [vocabulary[piece] for piece in order]


def test_a_teacher_gives_the_mean_of_its_own_model(student, tmp_path):
    folder = save_model("bert", tmp_path / "teacher")
    inputs = read(student)
    found = Teacher(folder, student, CPU, max_tokens=300, chunk_tokens=64).embed(inputs)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        for item, vector in zip(inputs, found, strict=True):
            hidden = model(torch.from_numpy(item.ids.astype(np.int64))[None]).last_hidden_state
            np.testing.assert_allclose(vector, unit(hidden[0].mean(0)[None].numpy())[0], atol=1e-5)


def test_a_teacher_that_numbers_its_pieces_otherwise_reads_the_same(student, tmp_path):
    folder = save_model("bert", tmp_path / "teacher")
    plain = Teacher(folder, student, CPU, max_tokens=300).embed(read(student))
    other = save_model("bert", tmp_path / "other")
    order = renumber(other, ["[SEP]", "[CLS]", "[PAD]", "[UNK]"])
    model = AutoModel.from_pretrained(other)
    with torch.no_grad():
        words = model.get_input_embeddings().weight
        words.copy_(words[order].clone())
    model.save_pretrained(other)
    found = Teacher(other, student, CPU, max_tokens=300).embed(read(student))
    np.testing.assert_allclose(found, plain, atol=1e-5)


def test_a_teacher_reads_no_further_than_it_is_told(student, tmp_path):
    folder = save_model("bert", tmp_path / "teacher")
    teacher = Teacher(folder, student, CPU, max_tokens=8)
    one, other = teacher.embed(read(student, ["json " * 6, "json " * 60]))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_teacher_reads_no_further_than_its_positions(student, tmp_path):
    folder = save_model("bert", tmp_path / "teacher")
    teacher = Teacher(folder, student, CPU, max_tokens=300)
    one, other = teacher.embed(read(student, ["json " * 120, "json " * 140]))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_teacher_that_lacks_pieces_is_refused_by_name(student, tmp_path):
    folder = save_model("bert", tmp_path / "teacher")
    stored = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = stored["model"]["vocab"]
    gone = max(vocabulary, key=lambda piece: vocabulary[piece])
    del vocabulary[gone]
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    assert gone in Vocabulary.from_file(str(student.folder / "tokenizer.json")).get_vocab()
    with pytest.raises(CheckpointError, match=f"lacks 1 of the .* pieces.*{gone}"):
        Teacher(folder, student, CPU)


def test_a_folder_without_a_model_is_no_teacher(student, tmp_path):
    with pytest.raises(CheckpointError, match="is no teacher"):
        Teacher(tmp_path / "nothing", student, CPU)


def test_a_space_of_all_axes_keeps_what_both_say():
    rng = np.random.default_rng(0)
    taught, start = unit(rng.normal(size=(300, 6))), unit(rng.normal(size=(300, 24)))
    start[:, 6:] = 0  # so that 12 axes hold both
    start = unit(start)
    space = Space.fit(taught, start, own=0.5)
    both = np.hstack([taught, start * 0.5**0.5])
    expected = unit(both)
    found = space.vectors(taught, start)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-4)


def test_a_space_lies_as_the_start_does_where_the_teacher_is_silent():
    rng = np.random.default_rng(0)
    start = unit(rng.normal(size=(500, 8)) + 0.5)  # all have something in common
    space = Space.fit(np.zeros((500, 4), dtype=np.float32), start, own=1.0)
    assert (space.vectors(np.zeros((500, 4), np.float32), start) * start).sum(axis=1).min() > 0.99
