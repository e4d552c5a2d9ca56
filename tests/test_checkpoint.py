"""A model is a folder, and a broken one says what is wrong with it."""

import json
import shutil

import pytest

from models.architecture import load_model
from models.checkpoint import (
    PRETRAINED,
    CheckpointError,
    compute_fingerprint,
    open_checkpoint,
)
from models.encoder import choose_device
from models.tokenizer import Tokenizer


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(PRETRAINED / "sasa-small", tmp_path / "model")


def test_the_shipped_checkpoint_is_small_and_says_what_it_is(checkpoint):
    size = sum(file.stat().st_size for file in checkpoint.folder.iterdir())
    assert size <= 50_000_000
    assert checkpoint.sasa.max_tokens >= 4096
    assert checkpoint.fingerprint == compute_fingerprint(checkpoint.folder)


def test_a_copy_has_the_same_fingerprint(copy, checkpoint):
    assert open_checkpoint(copy).fingerprint == checkpoint.fingerprint


def test_another_setting_is_another_fingerprint(copy, checkpoint):
    config = json.loads((copy / "config.json").read_text())
    config["sasa"]["top_k_blocks"] = 2
    (copy / "config.json").write_text(json.dumps(config))
    assert open_checkpoint(copy).fingerprint != checkpoint.fingerprint


def test_a_missing_file_is_named(copy):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"lacks tokenizer\.json"):
        open_checkpoint(copy)


def test_a_setting_out_of_range_is_named(copy):
    config = json.loads((copy / "config.json").read_text())
    config["sasa"]["window_blocks"] = 4
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="window_blocks must be odd"):
        open_checkpoint(copy)


def test_damaged_weights_and_tokenizers_are_reported(copy):
    (copy / "model.safetensors").write_bytes(b"not a tensor")
    (copy / "tokenizer.json").write_text("{}")
    broken = open_checkpoint(copy)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(broken)
    with pytest.raises(CheckpointError, match="cannot be read"):
        Tokenizer(broken)


def test_an_unknown_model_name_says_what_to_give():
    with pytest.raises(CheckpointError, match="no model 'nonsense'") as caught:
        open_checkpoint("nonsense")
    assert "checkpoint folder" in caught.value.hint


def test_an_unknown_device_is_refused():
    with pytest.raises(CheckpointError, match="unknown device 'tpu'"):
        choose_device("tpu")
