"""The gather path equals the dense definition, forward and backward."""

import pytest
import torch

from models.attention import attend
from models.blocks import link_scores, select_blocks
from models.config import SasaConfig
from models.encoder import collate
from models.inputs import EncoderInput

CONFIG = SasaConfig(block_size=8, window_blocks=3, global_blocks=2, top_k_blocks=2, max_tokens=512)


def an_input(length: int, seed: int = 0) -> EncoderInput:
    generator = torch.Generator().manual_seed(seed)
    links = torch.randint(0, length, (3 * length, 2), generator=generator).numpy()
    scores = link_scores(links.astype("int32"), length, CONFIG.block_size)
    ids = torch.randint(0, 100, (length,), generator=generator).numpy().astype("int32")
    return EncoderInput(ids, select_blocks(length, CONFIG, scores))


def projections(batch: int, length: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (batch, 3, length, 4)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in range(3)
    ]


@pytest.mark.parametrize(
    "lengths",
    [
        [1],
        [8],
        [57],
        [200],
        [201, 200],
        [333, 37],
        [333, 296, 1],
        [40, 129, 8, 255],
    ],
    ids=str,
)
def test_gather_equals_dense_forward_and_backward(lengths):
    batch = collate([an_input(n, seed) for seed, n in enumerate(lengths)], CONFIG.block_size)
    mask = batch.pattern.key_mask
    results, gradients = [], []
    for path in ("dense", "gather"):
        query, key, value = projections(len(lengths), max(lengths))
        out = attend(query, key, value, batch.pattern, path)
        real = out * mask[:, None, :, None]
        real.pow(2).sum().backward()
        results.append(real.detach())
        gradients.append([tensor.grad for tensor in (query, key, value)])
    assert torch.allclose(*results, atol=1e-12)
    for dense, gathered in zip(*gradients, strict=True):
        assert torch.allclose(dense, gathered, atol=1e-11)
        assert torch.isfinite(gathered).all()


def test_an_input_without_global_blocks_keeps_its_rows_beside_one_that_has_some():
    plain = SasaConfig(8, window_blocks=3, global_blocks=0, top_k_blocks=4, max_tokens=512)
    other = EncoderInput(an_input(200).ids, select_blocks(200, plain))
    batch = collate([an_input(200), other], CONFIG.block_size)
    tensors = projections(2, 200)
    dense, gathered = (attend(*tensors, batch.pattern, path) for path in ("dense", "gather"))
    assert torch.allclose(dense, gathered, atol=1e-12)


def test_the_token_mask_never_lets_padding_be_seen():
    batch = collate([an_input(100), an_input(61)], CONFIG.block_size)
    mask = batch.pattern.token_mask()
    assert not mask[1, 0, :, 61:].any()
    assert mask[1, 0, :61, :61].any(-1).all()


def test_full_equals_dense_where_the_blocks_cover_all_pairs():
    batch = collate([an_input(CONFIG.full_tokens), an_input(20)], CONFIG.block_size)
    assert batch.path == "full"
    query, key, value = projections(2, CONFIG.full_tokens)
    full = attend(query, key, value, batch.pattern, "full")
    dense = attend(query, key, value, batch.pattern, "dense")
    real = batch.pattern.key_mask[:, None, :, None]
    assert torch.allclose(full * real, dense * real, atol=1e-12)


def test_a_far_token_is_out_of_sight_unless_it_is_linked():
    length = 24 * CONFIG.block_size
    blind = EncoderInput(an_input(length).ids, select_blocks(length, CONFIG))
    query, key, value = (tensor.detach() for tensor in projections(1, length))
    moved = value.clone()
    moved[:, :, 12 * 8] += 100.0
    outs = []
    for tensor in (value, moved):
        batch = collate([blind], CONFIG.block_size)
        outs.append(attend(query, key, tensor, batch.pattern, "gather"))
    changed = (outs[0] != outs[1]).any(-1).any(1)[0].reshape(-1, 8).any(1)
    assert changed.nonzero().flatten().tolist() == [0, 11, 12, 13, 23]
