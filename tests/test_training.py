"""Steps of training: the same with cached gradients, after a restart, and on long inputs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.blocks import select_blocks
from models.checkpoint import Checkpoint, CheckpointError, compute_fingerprint, open_checkpoint
from models.encoder import Encoder
from models.inputs import EncoderInput
from models.interpolation import export
from models.pair_batch import PairBatch
from models.student import Student
from models.trainer import Settings, Trainer
from models.training_state import load_state
from tests.small_models import SASA, save_model

CPU = torch.device("cpu")
SETTINGS = Settings(steps=8, learning_rate=1e-3, warmup=0.25)
FULL_UP_TO = SASA["block_size"] * 7  # a row has room for so many blocks


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(save_model("bert", tmp_path_factory.mktemp("model")))


def some_input(start: Checkpoint, length: int, rng: np.random.Generator) -> EncoderInput:
    ids = rng.integers(4, 60, length).astype(np.int32)
    return EncoderInput(ids, select_blocks(length, start.sasa))


def pairs(start: Checkpoint, seed: int, long: int = 130) -> PairBatch:
    """Four pairs, one of them with a code beyond full attention."""
    rng = np.random.default_rng(seed)
    queries = tuple(some_input(start, length, rng) for length in (4, 7, 5, 4))
    codes = tuple(some_input(start, length, rng) for length in (20, long, 33, 8))
    nothing = np.zeros((4, 4), dtype=bool)
    return PairBatch(queries, codes, nothing, nothing)


def trainer(
    start: Checkpoint,
    settings: Settings = SETTINGS,
    chunk_tokens: int = 4096,
    cache_above: int = 40_000,
    dtype: torch.dtype = torch.float32,
) -> Trainer:
    return Trainer(partial(Student, start, CPU, dtype, chunk_tokens), settings, cache_above)


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in of.student.parameters().items()}


def test_a_step_makes_the_pairs_more_alike_than_before(start):
    learner, batch = trainer(start), pairs(start, 0)
    losses = [learner.learn(batch).contrast for _ in range(8)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_student_gives_the_vectors_of_the_encoder(start):
    batch = pairs(start, 0)
    expected = Encoder(start, "cpu", torch.float32).embed(batch.codes, "dense")
    found = trainer(start, chunk_tokens=64).student.embed(batch.codes)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_cached_gradients_are_those_of_the_direct_form(start):
    learner, batch = trainer(start, chunk_tokens=64), pairs(start, 0)
    assert len(learner.student.chunks((*batch.queries, *batch.codes))) > 2
    gradients = []
    for cached in (False, True):
        loss = learner.add_gradients(batch, cached)
        gradients.append({n: p.grad for n, p in learner.student.parameters().items()})
        for parameter in learner.student.parameters().values():
            parameter.grad = None
    for name, direct in gradients[0].items():
        if direct is None:
            assert gradients[1][name] is None
        else:
            torch.testing.assert_close(gradients[1][name], direct, rtol=1e-4, atol=1e-7)
    assert loss.total > 0


def test_a_large_batch_takes_cached_gradients_by_itself(start, monkeypatch):
    seen = []
    learner = trainer(start, cache_above=100)
    encode_chunk = learner.student.encode_chunk
    monkeypatch.setattr(
        learner.student,
        "encode_chunk",
        lambda *a: seen.append(torch.is_grad_enabled()) or encode_chunk(*a),
    )
    learner.add_gradients(pairs(start, 0))
    assert set(seen) == {False, True}


def test_positions_of_long_codes_are_trained(start):
    learner = trainer(start)
    learner.add_gradients(pairs(start, 0, long=300))
    table = learner.student.parameters()["embeddings.position_embeddings.weight"]
    assert table.grad is not None
    assert table.grad[299].abs().sum() > 0
    assert table.grad[300:].abs().sum() == 0


def test_a_run_that_was_interrupted_goes_on_bit_for_bit(start, tmp_path):
    straight = trainer(start)
    for step in range(4):
        straight.learn(pairs(start, step))
    first = trainer(start)
    for step in range(2):
        first.learn(pairs(start, step))
    first.save(tmp_path / "state", {"seed": 1})
    second = trainer(start)
    second.resume(tmp_path / "state", {"seed": 1})
    assert second.step == 2
    for step in range(2, 4):
        second.learn(pairs(start, step))
    for one in (straight, second):
        one.save(tmp_path / f"{one is straight}", {})
    ends = [load_file(tmp_path / name) for name in ("True", "False")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_state_of_another_run_is_refused_by_name_and_value(start, tmp_path):
    trainer(start).save(tmp_path / "state", {"seed": 1})
    other = trainer(start, replace(SETTINGS, steps=9))
    with pytest.raises(CheckpointError, match="seed 1, not 2; steps 8, not 9"):
        other.resume(tmp_path / "state", {"seed": 2})


@pytest.mark.parametrize("damage", ["cut", "text", "absent"])
def test_a_damaged_state_is_said_to_be_damaged(start, tmp_path, damage):
    path = tmp_path / "state"
    trainer(start).save(path, {})
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "text":
        path.write_text("not a state")
    else:
        path.unlink()
    with pytest.raises(CheckpointError, match="state"):
        trainer(start).resume(path, {})


def test_a_failed_save_leaves_the_last_state(start, tmp_path, monkeypatch):
    learner, path = trainer(start), tmp_path / "state"
    learner.save(path, {})
    learner.learn(pairs(start, 0))
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        learner.save(path, {})
    assert load_state(path).step == 0


def test_the_rate_rises_then_falls_to_nothing():
    settings = Settings(steps=100, learning_rate=1.0, warmup=0.05)
    rates = [settings.rate(step) for step in (0, 4, 5, 52, 99)]
    assert rates == pytest.approx([0.2, 1.0, 1.0, 0.505, 0.0105], abs=1e-3)
    assert replace(settings, schedule="cosine").rate(52) == pytest.approx(0.508, abs=1e-3)
    assert replace(settings, schedule="constant").rate(99) == 1.0


def test_a_gradient_that_is_no_number_stops_before_the_weights_change(start):
    learner = trainer(start)
    learner.learn(pairs(start, 0))
    before = weights(learner)
    learner.settings = replace(SETTINGS, temperature=1e-45)
    with pytest.raises(CheckpointError, match="gradient of step 1"):
        learner.learn(pairs(start, 1))
    assert all(torch.equal(before[name], now) for name, now in weights(learner).items())


def test_bf16_learns_into_float32_weights(start):
    learner = trainer(start, dtype=torch.bfloat16)
    exact, batch = trainer(start), pairs(start, 0)
    learner.add_gradients(batch)
    exact.add_gradients(batch)
    name = "encoder.layer.1.intermediate.dense.weight"
    rough, fine = (one.student.parameters()[name].grad for one in (learner, exact))
    assert rough.dtype == torch.float32
    assert torch.cosine_similarity(rough.flatten(), fine.flatten(), dim=0) > 0.98


def test_an_exported_model_lies_between_the_start_and_the_trained_one(start, tmp_path):
    learner = trainer(start)
    for step in range(4):
        learner.learn(pairs(start, step))
    first, last = weights(trainer(start)), weights(learner)
    fingerprint = export(start, last, 0.5, tmp_path / "half")
    stored = load_file(tmp_path / "half" / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    middle = ((first[name] + last[name]) / 2).to(torch.float16)
    torch.testing.assert_close(stored[name], middle)
    model = open_checkpoint(tmp_path / "half")
    assert model.fingerprint == fingerprint == compute_fingerprint(tmp_path / "half")
    assert model.config["max_position_embeddings"] == model.sasa.max_tokens
    assert len(Encoder(model, "cpu").embed_query("load a file")) == 32


def test_an_export_of_nothing_learned_gives_the_vectors_of_the_start(start, tmp_path):
    batch = pairs(start, 0)
    export(start, weights(trainer(start)), 1.0, tmp_path / "same")
    before = Encoder(start, "cpu", torch.float32).embed(batch.codes)
    after = Encoder(open_checkpoint(tmp_path / "same"), "cpu", torch.float32).embed(batch.codes)
    np.testing.assert_allclose(after, before, atol=5e-3)
