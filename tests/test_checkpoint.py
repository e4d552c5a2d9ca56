"""A model is a folder, and a broken one says what is wrong with it."""

import json
import re
import shutil
from pathlib import Path

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
from tests.small_models import edit_json

MODEL_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "1_Pooling/config.json",
    "frequency_prior.npz",
)


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(PRETRAINED / "sasa-small", tmp_path / "model")


def write_pooling(folder: Path, pooling: object) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))


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


def test_another_frequency_prior_is_another_fingerprint(copy, checkpoint):
    (copy / "frequency_prior.npz").write_bytes(b"another")
    assert open_checkpoint(copy).fingerprint != checkpoint.fingerprint


def test_a_missing_file_is_named(copy):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"lacks tokenizer\.json"):
        open_checkpoint(copy)


def test_a_folder_that_is_no_model_says_what_a_model_is(tmp_path):
    with pytest.raises(CheckpointError, match=r"lacks config\.json") as caught:
        open_checkpoint(tmp_path)
    assert "it holds config.json, model.safetensors, tokenizer.json" in caught.value.hint


def test_a_hugging_face_model_without_safetensors_says_how_to_convert_it(tmp_path, monkeypatch):
    asked = []
    (tmp_path / "config.json").write_text("{}")

    def fetch(name: str, allow_patterns: list[str]) -> str:
        asked.extend([name, *allow_patterns])
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(CheckpointError, match=r"lacks model\.safetensors") as caught:
        open_checkpoint("microsoft/codebert-base")
    assert asked == ["microsoft/codebert-base", *MODEL_FILES]
    assert '.from_pretrained("microsoft/codebert-base")' in caught.value.hint
    assert '.save_pretrained("codebert-base")' in caught.value.hint
    assert caught.value.hint.endswith("then give --model ./codebert-base")


@pytest.mark.parametrize(
    ("changes", "problem", "hint"),
    [
        ({"model_type": "t5"}, "unknown model_type 't5'", "bert, roberta, .*modernbert"),
        ({"model_type": None}, "unknown model_type None", "bert, roberta"),
        ({"model_type": ["bert"]}, "unknown model_type \\['bert'\\]", "bert, roberta"),
        ({"position_embedding_type": "alibi"}, "position_embedding_type 'alibi'", "'absolute'"),
        ({"is_decoder": True}, "is_decoder True", "is_decoder is False"),
        ({"hidden_size": None}, "names no hidden_size", "re-save"),
        ({"sasa": {"depth": 3}}, "unknown SASA settings: depth", "re-save"),
        ({"sasa": {"head_tokens": -1}}, "head_tokens must not be negative", "re-save"),
    ],
    ids=str,
)
def test_a_model_that_would_not_run_here_is_refused(copy, changes, problem, hint):
    edit_json(copy / "config.json", **changes)
    with pytest.raises(CheckpointError, match=problem) as caught:
        open_checkpoint(copy)
    assert re.search(hint, caught.value.hint)


@pytest.mark.parametrize("content", ["", "[1]", '"bert"', "null"])
def test_a_configuration_that_is_none_is_refused(copy, content):
    (copy / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json cannot be used"):
        open_checkpoint(copy)


@pytest.mark.parametrize(
    ("pooling", "mode"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_mean_sqrt_len_tokens": True, "include_prompt": True}, "mean"),
        ({"embedding_dimension": 384, "pooling_mode": "cls"}, "cls"),
        ({"embedding_dimension": 384, "pooling_mode": "mean"}, "mean"),
    ],
    ids=str,
)
def test_the_pooling_of_sentence_transformers_is_read(copy, checkpoint, pooling, mode):
    write_pooling(copy, pooling)
    found = open_checkpoint(copy)
    assert found.pooling == mode
    assert found.is_bert == (mode == "mean")
    assert (found.fingerprint == checkpoint.fingerprint) == (mode == "mean")


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_max_tokens": True},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
        {"pooling_mode": ["cls", "mean"]},
        {},
        [1],
    ],
    ids=str,
)
def test_another_pooling_is_refused(copy, pooling):
    write_pooling(copy, pooling)
    with pytest.raises(CheckpointError, match=r"1_Pooling/config\.json (asks for|cannot be used)"):
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
