"""Every path of SASA attention equals the dense definition, forward and backward."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from models import products
from models.attention import AttentionPath, attend, sasa_attention
from models.attention_pattern import AttentionPattern
from models.blocks import select_blocks
from models.config import PATTERNS, SasaConfig
from models.encoder import collate
from models.flex import can_compile
from models.inputs import EncoderInput
from models.scores import block_scores
from tests.test_scores import some_prior

CONFIG = SasaConfig(block_size=8, top_k_blocks=2, full_up_to=0, max_tokens=512)
LENGTHS = [[1], [8], [57], [200], [201, 200], [333, 37], [333, 296, 1], [40, 129, 8, 255]]

needs_compiler = pytest.mark.skipif(
    not can_compile(torch.device("cpu")), reason="FlexAttention needs a C++ compiler on a CPU"
)


def an_input(length: int, seed: int = 0, config: SasaConfig = CONFIG) -> EncoderInput:
    generator = np.random.default_rng(seed)
    links = generator.integers(0, length, (3 * length, 2)).astype(np.int32)
    ids = generator.integers(0, 50, length).astype(np.int32)
    scores = block_scores(ids, links, config, some_prior(seed))
    return EncoderInput(ids, select_blocks(length, config, scores))


def a_pattern(
    lengths: list[int], config: SasaConfig = CONFIG, path: AttentionPath = "gather"
) -> AttentionPattern:
    inputs = [an_input(length, seed, config) for seed, length in enumerate(lengths)]
    return collate(inputs, config.block_size, path).pattern


def projections(
    pattern: AttentionPattern, dtype: torch.dtype = torch.float64, heads: int = 3, dim: int = 4
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    batch, length = pattern.key_mask.shape
    shape = (batch, heads, length, dim)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for _ in range(3)
    ]


def results(pattern: AttentionPattern, path: AttentionPath) -> list[torch.Tensor]:
    """What real queries get, then the gradients of query, key and value."""
    tensors = projections(pattern)
    out = attend(*tensors, pattern, path) * pattern.key_mask[:, None, :, None]
    out.pow(2).sum().backward()
    return [out.detach(), *(tensor.grad for tensor in tensors if tensor.grad is not None)]


def assert_equal(pattern: AttentionPattern, path: AttentionPath) -> None:
    for expected, got in zip(results(pattern, "dense"), results(pattern, path), strict=True):
        assert torch.isfinite(got).all()
        assert torch.allclose(expected, got, atol=1e-11)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("name", PATTERNS)
def test_gather_equals_dense_forward_and_backward(name, lengths):
    assert_equal(a_pattern(lengths, replace(CONFIG, pattern=name)), "gather")


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("reach", [1, 7, 8, 20])
def test_gather_equals_dense_in_a_local_layer(reach, lengths):
    assert_equal(replace(a_pattern(lengths), reach=reach), "gather")


@pytest.mark.parametrize("sizes", [(3, 0, 0), (1, 1, 0), (5, 3, 1), (1, 0, 4)], ids=str)
def test_gather_equals_dense_for_other_sizes(sizes):
    window, globals_, top = sizes
    config = replace(
        CONFIG, window_blocks=window, global_blocks=globals_, top_k_blocks=top, block_size=16
    )
    assert_equal(a_pattern([333, 296, 1], config), "gather")


@pytest.mark.parametrize("reach", [None, 5])
def test_full_equals_dense_where_the_blocks_cover_all_pairs(reach):
    pattern = replace(a_pattern([CONFIG.full_tokens, 20], path="full"), reach=reach)
    assert_equal(pattern, "full")


@pytest.mark.parametrize("masked", [None, "all", "each"])
@pytest.mark.parametrize("shape", [(1, 7, 9), (5, 40, 80), (2, 300, 90), (3, 200, 4000)])
def test_products_in_pieces_equal_the_fused_kernel(shape, masked, monkeypatch):
    monkeypatch.setattr(products, "_are_products_faster", lambda query, key: True)
    monkeypatch.setattr(products, "_SCORES_AT_ONCE", 3 * 70 * 90)
    monkeypatch.setattr(products, "_FEWEST_ROWS", 16)
    batch, rows, keys = shape
    tensors = [
        torch.randn(batch, 3, length, 4, dtype=torch.float64).requires_grad_()
        for length in (rows, keys, keys)
    ]
    visible = None
    if masked:
        visible = torch.rand(batch, 1, rows if masked == "each" else 1, keys) < 0.5
        visible[..., 0] = True
    fused = torch.nn.functional.scaled_dot_product_attention(*tensors, visible, scale=0.3)
    out = products.attention(*tensors, visible, scaling=0.3)
    torch.testing.assert_close(out, fused)
    weights = torch.randn_like(out)
    for found, expected in zip(
        torch.autograd.grad((out * weights).sum(), tensors),
        torch.autograd.grad((fused * weights).sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)


def test_products_are_not_taken_where_the_fused_kernel_is_faster():
    some = torch.zeros(1, 1, 100, 4)
    assert not products._are_products_faster(some, some)  # float32
    half = some.bfloat16().requires_grad_()
    assert products._are_products_faster(half, half)
    much = torch.zeros(1, 1, 1000, 4, dtype=torch.bfloat16)  # to keep for gradients
    assert not products._are_products_faster(much.requires_grad_(), much)


def test_gather_keeps_no_copies_for_its_gradients():
    pattern = a_pattern([400], replace(CONFIG, global_blocks=0))
    tensors = projections(pattern)
    kept: dict[int, torch.Tensor] = {}  # by address: what is kept twice counts once

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        attend(*tensors, pattern, "gather")
    size = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    seen = pattern.block_index.shape[-1]  # blocks, by each block
    assert seen > 4
    assert size < seen * tensors[0].untyped_storage().nbytes()  # that would be one copy of keys


@needs_compiler
@pytest.mark.parametrize("reach", [None, 20])
def test_flex_equals_dense(reach):
    config = replace(CONFIG, block_size=16)
    for lengths in ([333, 37], [333, 296, 1], [250, 129, 8, 255]):
        pattern = replace(a_pattern(lengths, config), reach=reach)
        tensors = [x.detach() for x in projections(pattern, torch.float32, heads=2, dim=16)]
        dense, compiled = (attend(*tensors, pattern, path) for path in ("dense", "flex"))
        real = pattern.key_mask[:, None, :, None]
        assert torch.isfinite(compiled).all()
        assert torch.allclose(dense * real, compiled * real, atol=1e-5)


def test_compiled_attention_refuses_dropout():
    pattern = a_pattern([200])
    with pytest.raises(ValueError, match="use gather"):
        attend(*projections(pattern), pattern, "flex", dropout=0.1)


def test_an_input_without_global_blocks_keeps_its_rows_beside_one_that_has_some():
    plain = replace(CONFIG, global_blocks=0, top_k_blocks=4)
    other = EncoderInput(an_input(200).ids, select_blocks(200, plain))
    assert_equal(collate([an_input(200), other], CONFIG.block_size, "gather").pattern, "gather")


def test_a_row_that_sees_all_does_so_beside_an_input_with_wider_rows():
    narrow = replace(CONFIG, pattern="window")
    text = EncoderInput(an_input(40).ids, select_blocks(40, replace(narrow, full_up_to=40)))
    function = EncoderInput(an_input(80).ids, select_blocks(80, narrow, has_head=True))
    assert text.pattern.block_index.shape[1] < 5 < function.pattern.block_index.shape[1]
    pattern = collate([text, function], CONFIG.block_size, "gather").pattern
    assert pattern.token_mask()[0, 0, :40, :40].all()
    assert_equal(pattern, "gather")


def test_the_token_mask_never_lets_padding_be_seen():
    mask = a_pattern([100, 61]).token_mask()
    assert not mask[1, 0, :, 61:].any()
    assert mask[1, 0, :61, :61].any(-1).all()


def test_a_far_token_is_out_of_sight_unless_it_is_linked():
    length = 24 * CONFIG.block_size
    blind = EncoderInput(an_input(length).ids, select_blocks(length, CONFIG))
    pattern = collate([blind], CONFIG.block_size, "gather").pattern
    query, key, value = (tensor.detach() for tensor in projections(pattern))
    moved = value.clone()
    moved[:, :, 12 * 8] += 100.0
    outs = [attend(query, key, tensor, pattern, "gather") for tensor in (value, moved)]
    changed = (outs[0] != outs[1]).any(-1).any(1)[0].reshape(-1, 8).any(1)
    assert changed.nonzero().flatten().tolist() == [0, 11, 12, 13, 23]


def test_a_model_called_without_a_pattern_sees_window_and_global_blocks_and_is_told():
    length = 20 * 64
    plain = select_blocks(length, SasaConfig(pattern="longformer"))
    item = EncoderInput(np.zeros(length, dtype=np.int32), plain)
    pattern = collate([item], 64, "gather").pattern
    tensors = [tensor.detach() for tensor in projections(pattern)]
    with pytest.warns(UserWarning, match="without block_index"):
        out, _ = sasa_attention(torch.nn.Module(), *tensors, attention_mask=None)
    expected = attend(*tensors, pattern, "dense").transpose(1, 2)
    assert torch.allclose(out, expected, atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sasa_attention(
            torch.nn.Module(),
            *tensors,
            attention_mask=pattern.key_mask,
            block_index=pattern.block_index,
            block_count=pattern.block_count,
            block_size=64,
        )
