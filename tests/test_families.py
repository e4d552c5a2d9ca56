"""Any folder of a known family loads, and its attention, positions and padding stay its own."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from models.architecture import load_model
from models.batching import input_batches
from models.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from models.config import SasaConfig
from models.encoder import Encoder, collate
from models.inputs import EncoderInput, encoder_input
from models.light_encoder import LightEncoder
from models.tokenizer import Tokens
from tests.small_models import FAMILIES, SASA, TABLE, edit_json, save_model, small_tokenizer

FULL = SasaConfig(**SASA).full_tokens
LONG = (FULL + 1, TABLE, TABLE + 1, 203, SASA["max_tokens"])


@dataclass(frozen=True)
class Model:
    """A checkpoint in this encoder and in transformers' own, both in float64."""

    checkpoint: Checkpoint
    encoder: Encoder
    original: Any

    def input(self, length: int, has_head: bool = False) -> EncoderInput:
        """Random tokens with links all over them."""
        random = np.random.default_rng(length)
        ids = random.integers(5, self.original.config.vocab_size, length).astype(np.int32)
        links = random.integers(0, length, (2 * length, 2)).astype(np.int32)
        tokens = Tokens(ids, np.arange(length, dtype=np.int32))
        return encoder_input(tokens, links, self.checkpoint.sasa, has_head=has_head)

    def own_vector(self, item: EncoderInput, **arguments: Any) -> np.ndarray:
        """What transformers makes of an input."""
        ids = torch.tensor(item.ids[None]).long()
        with torch.inference_mode():
            hidden = self.original(ids, **arguments).last_hidden_state
        return torch.nn.functional.normalize(hidden.mean(1), dim=-1)[0].numpy()


def opened(folder: Path) -> Model:
    checkpoint = open_checkpoint(folder)
    original = AutoModel.from_pretrained(
        folder, attn_implementation="sdpa", dtype=torch.float64, use_safetensors=True
    )
    return Model(checkpoint, Encoder(checkpoint, "cpu", torch.float64), original.eval())


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tmp_path_factory) -> Model:
    return opened(save_model(request.param, tmp_path_factory.mktemp(request.param)))


def pattern_between_tokens(item: EncoderInput) -> torch.Tensor:
    size, length = SASA["block_size"], len(item)
    blocks = item.pattern.dense().repeat(size, 0).repeat(size, 1)[:length, :length]
    return torch.tensor(blocks)[None, None]


def test_short_inputs_equal_the_familys_own_attention(model):
    for length in (2, 9, 31, FULL):
        item = model.input(length)
        assert np.allclose(model.encoder.embed([item])[0], model.own_vector(item), atol=1e-6)


def test_short_inputs_equal_the_familys_own_attention_beside_longer_ones(model):
    items = [model.input(length) for length in (FULL, 2, 40, 9)]
    for item, vector in zip(items, model.encoder.embed(items), strict=True):
        assert np.allclose(vector, model.own_vector(item), atol=1e-6)


@pytest.mark.parametrize("path", ["dense", "gather"])
@pytest.mark.parametrize("length", LONG)
def test_long_inputs_equal_the_familys_own_attention_under_the_same_mask(model, length, path):
    item = model.input(length)
    mask: Any = pattern_between_tokens(item)
    assert not mask.all()
    positions = torch.arange(length)
    if model.checkpoint.first_position is None:
        distance = (positions[:, None] - positions).abs()
        near = distance <= model.original.config.sliding_window
        mask = {"full_attention": mask, "sliding_attention": mask & near}
    else:  # the table repeats
        positions = positions % TABLE + model.checkpoint.first_position
    own = model.own_vector(item, attention_mask=mask, position_ids=positions[None])
    assert np.allclose(model.encoder.embed([item], path)[0], own, atol=1e-6)


@pytest.mark.parametrize("path", ["dense", "gather"])
def test_a_padded_row_equals_its_unpadded_self(model, path):
    items = [model.input(length) for length in (203, 5, SASA["max_tokens"], FULL + 1, TABLE)]
    together = model.encoder.embed(items, path)
    for item, vector in zip(items, together, strict=True):
        assert np.allclose(model.encoder.embed([item], path)[0], vector, atol=1e-6)


def test_padding_has_the_checkpoints_own_id(model):
    seen = []
    hook = model.encoder.model.register_forward_pre_hook(
        lambda _module, _inputs, arguments: seen.append(arguments["input_ids"]), with_kwargs=True
    )
    model.encoder.embed([model.input(9), model.input(3)])
    hook.remove()
    assert model.checkpoint.pad_id == model.original.config.pad_token_id
    assert seen[0][1, 3:].tolist() == [model.checkpoint.pad_id] * 6


@pytest.mark.parametrize("family", FAMILIES)
def test_a_configuration_without_a_padding_id_means_the_familys(family, tmp_path):
    folder = save_model(family, tmp_path)
    edit_json(folder / "config.json", pad_token_id=None)
    assert open_checkpoint(folder).pad_id == AutoConfig.for_model(family).pad_token_id


def test_more_positions_leave_inputs_that_fitted_before_exactly_as_they_were(model, tmp_path):
    short = save_model(
        model.original.config.model_type, tmp_path / "short", sasa=SASA | {"max_tokens": TABLE}
    )
    before = Encoder(open_checkpoint(short), "cpu", torch.float64)
    for length in (9, FULL, TABLE):
        item = model.input(length)
        assert np.array_equal(model.encoder.embed([item], "dense"), before.embed([item], "dense"))


def test_a_folder_without_sasa_settings_reads_4096_tokens(model, tmp_path):
    folder = save_model(model.original.config.model_type, tmp_path / "plain", sasa=None)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.sasa == SasaConfig()
    assert checkpoint.sasa.max_tokens == 4096
    text = "with open(path) as file: return json.load(file) " * 500
    vector = Encoder(checkpoint, "cpu", torch.float32).embed_query(text)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_weights_saved_as_a_masked_language_model_load(model, tmp_path):
    folder = save_model(model.original.config.model_type, tmp_path / "mlm", with_head=True)
    weights = load_file(folder / "model.safetensors")
    assert not set(weights) & set(model.original.state_dict())
    saved = opened(folder)
    for length in (9, 203):
        item = saved.input(length)
        vector = saved.encoder.embed([item], "dense")[0]
        assert np.isfinite(vector).all()
        if length <= FULL:
            assert np.allclose(vector, saved.own_vector(item), atol=1e-6)


def change_weights(folder: Path, name: str, tensor: torch.Tensor | None) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    if tensor is not None:
        weights[name] = tensor
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("bert", "encoder.layer.1.attention.self.query.weight"),
        ("roberta", "embeddings.position_embeddings.weight"),
        ("modernbert", "layers.2.mlp.Wo.weight"),
    ],
)
def test_weights_that_lack_a_part_are_refused(family, name, tmp_path):
    folder = save_model(family, tmp_path)
    change_weights(folder, name, None)
    with pytest.raises(CheckpointError, match=f"lack {name}$"):
        load_model(open_checkpoint(folder))


def test_weights_of_another_size_are_refused(tmp_path):
    folder = save_model("roberta", tmp_path)
    change_weights(folder, "encoder.layer.0.output.dense.weight", torch.zeros(3, 3))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(open_checkpoint(folder))


def test_a_folder_that_asks_for_the_first_tokens_vector_gets_it(tmp_path):
    model = opened(save_model("roberta", tmp_path))
    mean = model.checkpoint.fingerprint
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true}')
    first = opened(tmp_path)
    assert first.checkpoint.fingerprint != mean
    items = [model.input(40), model.input(9)]
    for item, vector in zip(items, first.encoder.embed(items), strict=True):
        with torch.inference_mode():
            hidden = model.original(torch.tensor(item.ids[None]).long()).last_hidden_state[0, 0]
        assert np.allclose(vector, hidden / hidden.norm(), atol=1e-6)


def test_tokens_count_by_their_position_where_the_checkpoint_says_so(tmp_path):
    model = opened(save_model("bert", tmp_path, sasa=SASA | {"head_tokens": 5}))
    items = [model.input(40), model.input(9)]
    vectors = model.encoder.embed(items)
    for item, vector in zip(items, vectors, strict=True):
        with torch.inference_mode():
            hidden = model.original(torch.tensor(item.ids[None]).long()).last_hidden_state[0]
        expected = sum(token / (1 + place / 5) for place, token in enumerate(hidden))
        assert np.allclose(vector, expected / expected.norm(), atol=1e-6)
    assert np.allclose(LightEncoder(model.checkpoint).embed(items), vectors, atol=1e-5)


def test_behind_a_functions_head_tokens_count_twice(tmp_path):
    settings = SASA | {"head_tokens": 5, "head_blocks": 3}
    model = opened(save_model("bert", tmp_path, sasa=settings))
    items = [model.input(70, has_head=True), model.input(70), model.input(61, has_head=True)]
    vectors = model.encoder.embed(items)
    for item, vector in zip(items, vectors, strict=True):
        head = 24 if item.pattern.head_blocks else 70
        batch = collate([item], settings["block_size"], "dense", model.checkpoint.pad_id)
        with torch.inference_mode():
            hidden = model.encoder.model(**batch.arguments(torch.device("cpu"))).last_hidden_state
        expected = sum(
            token * (1 if place < head else 2) / (1 + place / 5)
            for place, token in enumerate(hidden[0, : len(item)])
        )
        assert np.allclose(vector, expected / expected.norm(), atol=1e-6)
    assert np.allclose(LightEncoder(model.checkpoint).embed(items), vectors, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_functions_head_is_read_without_the_rest(family, tmp_path):
    settings = SASA | {"head_blocks": 3}
    model = opened(save_model(family, tmp_path, sasa=settings))
    one, other = model.input(120, has_head=True), model.input(200, has_head=True)
    other = replace(other, ids=np.concatenate([one.ids[:24], other.ids[24:]]))
    batch = collate([one, other], settings["block_size"], "gather", model.checkpoint.pad_id)
    with torch.inference_mode():
        hidden = model.encoder.model(**batch.arguments(torch.device("cpu"))).last_hidden_state
    assert np.allclose(hidden[0, :24], hidden[1, :24], atol=1e-9)
    assert not np.allclose(hidden[0, 24:120], hidden[1, 24:120], atol=1e-2)
    vectors = model.encoder.embed([one, other])
    assert np.allclose(model.encoder.embed([one, other], "dense"), vectors, atol=1e-6)
    if model.checkpoint.is_bert:
        assert np.allclose(LightEncoder(model.checkpoint).embed([one, other]), vectors, atol=1e-5)


def test_inputs_with_full_attention_keep_their_path_beside_functions_of_their_length(tmp_path):
    model = opened(save_model("bert", tmp_path, sasa=SASA | {"head_blocks": 3}))
    items = [model.input(n, has_head) for n in (40, 41, 42) for has_head in (True, False)]
    alone = [model.encoder.embed([item], "dense")[0] for item in items]
    model.encoder.paths.tokens.clear()
    assert np.allclose(model.encoder.embed(items), alone, atol=1e-6)
    assert np.allclose(model.encoder.embed_all(items), alone, atol=1e-6)
    assert model.encoder.paths.tokens == {"gather": 2 * 123, "full": 2 * 123}
    assert [len(group) for group in input_batches(items)] == [3, 3]


@pytest.mark.parametrize("with_head", [False, True])
def test_the_light_encoder_reads_old_names_of_weights(with_head, tmp_path):
    folder = save_model("bert", tmp_path, with_head)
    weights = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model = opened(folder)
    items = [model.input(9), model.input(203)]
    light = LightEncoder(model.checkpoint)
    assert np.allclose(light.embed(items), model.encoder.embed(items, "gather"), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "roberta"},
        {"hidden_act": "relu"},
        {"dtype": "bfloat16"},
        {"dtype": None, "torch_dtype": "bfloat16"},
    ],
    ids=str,
)
def test_the_light_encoder_is_not_for_other_models(changes, tmp_path):
    folder = save_model("bert", tmp_path)
    assert open_checkpoint(folder).is_bert
    edit_json(folder / "config.json", **changes)
    assert not open_checkpoint(folder).is_bert


def test_pickled_weights_and_a_bare_vocabulary_are_converted_by_the_line_of_the_hint(tmp_path):
    save_model("roberta", tmp_path)
    before = opened(tmp_path)
    small_tokenizer("roberta").model.save(str(tmp_path))  # vocab.json, merges.txt
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"lacks model\.safetensors, tokenizer\.json"
    ) as told:
        open_checkpoint(tmp_path)
    command = told.value.hint.partition(": ")[2].removesuffix(", then run this again")
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    after = opened(tmp_path)
    item = before.input(203)
    one, other = (model.encoder.embed([item], "gather") for model in (before, after))
    assert np.array_equal(one, other)
    assert after.encoder.embed_query("open(path)").tolist() == pytest.approx(
        before.encoder.embed_query("open(path)").tolist(), abs=1e-6
    )
