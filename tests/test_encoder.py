"""The encoder on its real weights: against the attention of transformers, padding, NumPy."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from models.architecture import extend_positions, load_model
from models.batching import batches
from models.checkpoint import open_checkpoint
from models.encoder import Encoder
from models.inputs import EncoderInput, encoder_input, query_input, token_positions
from models.light_encoder import LightEncoder
from models.tokenizer import Tokenizer, Tokens

CODE = "def load(path):\n    with open(path) as file:\n        return json.load(file)\n\n"
NO_LINKS = np.empty((0, 2), dtype=np.int32)


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return Encoder(checkpoint, "cpu", torch.float32)


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    return Tokenizer(checkpoint)


def an_input(tokenizer, checkpoint, length: int, linked: bool = True) -> EncoderInput:
    text = CODE * (1 + length // 10)
    tokens = tokenizer.tokenize([text])[0]
    tokens = Tokens(tokens.ids[:length], tokens.starts[:length])
    assert len(tokens) == length
    links = np.random.default_rng(length).integers(0, len(text), (200, 2)).astype(np.int32)
    return encoder_input(tokens, links if linked else NO_LINKS, checkpoint.sasa)


def test_short_inputs_equal_the_attention_of_transformers(checkpoint, encoder, tokenizer):
    from transformers import BertModel

    original = BertModel.from_pretrained(
        checkpoint.folder, add_pooling_layer=False, dtype=torch.float32
    ).eval()
    for length in (3, 64, 300, checkpoint.sasa.full_tokens):
        item = an_input(tokenizer, checkpoint, length)
        with torch.inference_mode():
            hidden = original(torch.tensor(item.ids[None]).long()).last_hidden_state
        weights = 1 / (1 + torch.arange(length) / checkpoint.sasa.head_tokens)
        expected = torch.nn.functional.normalize(weights @ hidden[0], dim=-1).numpy()
        assert float(encoder.embed([item])[0] @ expected) > 1 - 1e-3


def test_a_vector_does_not_depend_on_its_batch(checkpoint, encoder, tokenizer):
    lengths = (700, 5, 1300, 512, 1024)
    items = [an_input(tokenizer, checkpoint, length) for length in lengths]
    together = encoder.embed(items)
    for item, vector in zip(items, together, strict=True):
        assert np.allclose(encoder.embed([item])[0], vector, atol=1e-5)


def test_gather_equals_dense_on_the_whole_model(checkpoint, encoder, tokenizer):
    item = an_input(tokenizer, checkpoint, 1500)
    assert np.allclose(encoder.embed([item], "gather"), encoder.embed([item], "dense"), atol=1e-5)


def test_links_change_what_a_long_text_means(checkpoint, encoder, tokenizer):
    linked = an_input(tokenizer, checkpoint, 2000)
    blind = an_input(tokenizer, checkpoint, 2000, linked=False)
    assert linked.key(checkpoint.fingerprint) != blind.key(checkpoint.fingerprint)
    assert not np.allclose(encoder.embed([linked]), encoder.embed([blind]), atol=1e-4)


def test_the_whole_of_a_long_text_is_read(checkpoint, encoder, tokenizer):
    item = an_input(tokenizer, checkpoint, 4096)
    changed = item.ids.copy()
    changed[3000:3040] = tokenizer.tokenize(["zebra giraffe " * 30])[0].ids[1:41]
    other = EncoderInput(changed, item.pattern)
    assert float(encoder.embed([item])[0] @ encoder.embed([other])[0]) < 0.9999


def test_the_light_encoder_equals_torch_for_short_and_long_inputs(checkpoint, encoder, tokenizer):
    light = LightEncoder(checkpoint)
    for length in (2, 40, 512, 900):
        item = an_input(tokenizer, checkpoint, length)
        assert np.allclose(light.embed([item]), encoder.embed([item]), atol=1e-5)
    query = "where is the config file parsed"
    assert np.allclose(light.embed_query(query), encoder.embed_query(query), atol=1e-5)


def test_a_checkpoint_with_fewer_positions_is_extended_alike(tmp_path, checkpoint, tokenizer):
    folder = shutil.copytree(checkpoint.folder, tmp_path / "short")
    weights = load_file(folder / "model.safetensors")
    name = "embeddings.position_embeddings.weight"
    weights[name] = np.ascontiguousarray(weights[name][:512])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 512}))
    short = open_checkpoint(folder)
    item = an_input(tokenizer, checkpoint, 900)
    light, heavy = LightEncoder(short), Encoder(short, "cpu", torch.float32)
    assert np.allclose(light.embed([item]), heavy.embed([item]), atol=1e-5)


def test_a_query_beyond_the_limit_is_cut_not_refused(checkpoint):
    vector = LightEncoder(checkpoint).embed_query("word " * 5000)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_tiling_positions_leaves_short_inputs_as_they_were(checkpoint):
    model = load_model(checkpoint).eval()
    table = model.embeddings.position_embeddings.weight.data
    model.embeddings.position_embeddings = torch.nn.Embedding.from_pretrained(table[:512].clone())
    extend_positions(model, 1300)
    tiled = model.embeddings.position_embeddings.weight
    assert tiled.shape[0] == 1300
    assert torch.equal(tiled[512:1024], tiled[:512])
    assert torch.equal(tiled[1024:], tiled[:276])


def test_more_tokens_than_the_model_takes_are_a_callers_bug(checkpoint):
    tokens = Tokens(np.zeros(4097, dtype=np.int32), np.arange(4097, dtype=np.int32))
    with pytest.raises(ValueError, match="4097 tokens"):
        encoder_input(tokens, NO_LINKS, checkpoint.sasa)


def test_links_are_found_by_the_token_that_holds_their_character(checkpoint, tokenizer):
    text = "x = 1\n" * 400
    tokens = tokenizer.tokenize([text])[0]
    far = np.array([[text.index("x"), len(text) - 6]], dtype=np.int32)
    item = encoder_input(tokens, np.repeat(far, 50, 0), checkpoint.sasa)
    blind = encoder_input(tokens, NO_LINKS, checkpoint.sasa)
    assert len(tokens) > checkpoint.sasa.full_tokens
    assert (item.pattern.dense() >= blind.pattern.dense()).all()


def test_an_offset_belongs_to_the_token_that_starts_at_it_or_before(tokenizer):
    tokens = tokenizer.tokenize(["alpha = beta"])[0]  # [CLS] alpha = beta [SEP]
    offsets = np.array([0, 4, 6, 8, 11], dtype=np.int32)
    assert token_positions(tokens, offsets).tolist() == [1, 1, 2, 3, 3]


def test_a_text_above_the_limit_keeps_its_closing_token(tokenizer, checkpoint):
    item = query_input(tokenizer, "word " * 600, 100, checkpoint.sasa)
    assert len(item) == 100
    assert item.ids[-1] == tokenizer.tokenize([""])[0].ids[-1]


def test_batches_hold_every_input_once_within_the_budget():
    lengths = [5, 600, 30, 512, 513, 4096, 9000, 1]
    groups = list(batches(lengths, budget=4096))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[i] for i in group)
        assert len(group) == 1 or longest * len(group) <= 4096
