"""Which path encodes a batch, and the fast linear layers of a CPU."""

import numpy as np
import pytest
import torch
from torch import nn

from models.blocks import select_blocks
from models.config import SasaConfig
from models.inputs import EncoderInput
from models.packed_linear import PackedLinear, pack_linears
from models.paths import COMPILE_SECONDS, PathRule, rule_for

CONFIG = SasaConfig(block_size=8, full_up_to=100, max_tokens=512)


def an_input(length: int) -> EncoderInput:
    return EncoderInput(np.zeros(length, dtype=np.int32), select_blocks(length, CONFIG))


def test_blocks_that_cover_all_pairs_are_full_attention():
    rule = PathRule(compiles=True, sparse_seconds=2 * COMPILE_SECONDS)
    assert rule.choose([an_input(100), an_input(3)]) == "full"
    assert rule.choose([an_input(101), an_input(3)]) == "flex"


def test_compiling_waits_until_gathering_has_taken_as_long():
    rule = PathRule(compiles=True)
    rule.record("full", 10**6, 10 * COMPILE_SECONDS)
    assert rule.choose([an_input(400)]) == "gather"
    rule.record("gather", 1000, 0.9 * COMPILE_SECONDS)
    assert rule.choose([an_input(400)]) == "gather"
    rule.record("gather", 1000, 0.1 * COMPILE_SECONDS)
    assert rule.choose([an_input(400)]) == "flex"
    assert rule.tokens == {"full": 10**6, "gather": 2000}
    rule.record("flex", 10**6, 1.0)
    assert rule.account() == "full 50%, flex 50%, gather 0%"


def test_where_compiled_code_is_no_faster_nothing_is_compiled():
    rule = PathRule(compiles=False, sparse_seconds=2 * COMPILE_SECONDS)
    assert rule.choose([an_input(400)]) == "gather"


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert not rule_for(torch.device("cpu")).compiles


@pytest.mark.parametrize("bias", [True, False])
def test_packed_layers_compute_what_linear_layers_do(bias):
    torch.manual_seed(0)
    linear = nn.Linear(48, 96, bias=bias).bfloat16()
    x = torch.randn(5, 7, 48, dtype=torch.bfloat16)
    with torch.inference_mode():
        expected = linear.float()(x.float())
        got = PackedLinear(linear.bfloat16())(x).float()
    assert torch.allclose(expected, got, atol=0.02)
    assert got.shape == (5, 7, 96)


def test_packing_replaces_the_linear_layers_of_bf16_models_alone():
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 4)))
    pack_linears(model)
    assert not any(isinstance(layer, PackedLinear) for layer in model.modules())
    pack_linears(model.bfloat16())
    kinds = [type(layer).__name__ for layer in model.modules()]
    assert kinds == ["Sequential", "PackedLinear", "LayerNorm", "Sequential", "PackedLinear"]
