"""The loss of training, against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.blocks import select_blocks
from models.config import SasaConfig
from models.contrastive import LossWeights, disagreement, drift, info_nce, nearly_same, pair_loss
from models.inputs import EncoderInput
from models.pair_batch import PairBatch


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def none(pairs: int, extra: int = 0) -> torch.Tensor:
    return torch.zeros(pairs, pairs + extra, dtype=torch.bool)


def test_the_loss_is_the_cross_entropy_in_both_directions():
    scores = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    to_code = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-2))]
    to_query = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(-3))]
    expected = (sum(to_code) / 2 + sum(to_query) / 2) / 2
    assert info_nce(scores, none(2)).item() == pytest.approx(expected)


def test_a_code_that_may_answer_is_not_pushed_away():
    queries, codes = unit(3, 8), unit(3, 8, seed=1).requires_grad_()
    twin = none(3)
    twin[0, 1] = True
    scores = queries @ codes.T / 0.05
    scores.retain_grad()
    info_nce(scores, twin).backward()
    assert scores.grad is not None
    assert scores.grad[0, 1] == 0
    assert (scores.grad[0, 2], scores.grad[1, 0]) != (0, 0)


def test_the_right_code_counts_whatever_the_mask_says():
    scores = unit(4, 4) * 5
    everything = torch.ones(4, 4, dtype=torch.bool)
    assert info_nce(scores, everything).item() == 0  # nothing is left to be confused with
    assert info_nce(scores, torch.eye(4, dtype=torch.bool)) == info_nce(scores, none(4))


def test_hard_negatives_are_codes_without_a_query():
    scores = unit(3, 3) * 5
    wide = torch.cat([scores, torch.full((3, 1), 4.0)], dim=1)
    assert info_nce(wide, none(3, 1)) > info_nce(scores, none(3))
    hidden = none(3, 1)
    hidden[:, 3] = True
    assert info_nce(wide, hidden) == info_nce(scores, none(3))


def test_only_near_codes_of_one_name_are_taken_for_the_same():
    codes = torch.eye(3)[[0, 0, 1]]
    named = torch.ones(3, 3, dtype=torch.bool)
    assert nearly_same(codes, named).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]
    assert not nearly_same(codes, ~named).any()


def test_distillation_pulls_texts_back_to_their_targets():
    targets = unit(4, 8)
    assert drift(targets, targets).item() == pytest.approx(0)
    assert drift(-targets, targets).item() == pytest.approx(2)
    queries, codes = unit(4, 8, seed=1), unit(4, 8, seed=2)
    free = pair_loss(queries, codes, none(4), targets, 0.05, LossWeights())
    held = pair_loss(queries, codes, none(4), targets, 0.05, LossWeights(distillation=3))
    assert held.total - free.total == pytest.approx(3 * drift(queries, targets).item())
    both = torch.cat([targets, unit(4, 8, seed=3)])
    taught = pair_loss(queries, codes, none(4), both, 0.05, LossWeights(0, 1))
    assert taught.total == pytest.approx(drift(torch.cat([queries, codes]), both).item())


def test_queries_and_codes_count_the_same_however_many_there_are_of_each():
    queries, codes, targets = unit(6, 8), unit(3, 8, seed=1), unit(9, 8, seed=2)
    found = pair_loss(queries, codes, none(2, 1), targets, 0.05, LossWeights(0, 1))
    sides = drift(queries, targets[:6]), drift(codes, targets[6:])
    assert found.total == pytest.approx((sides[0] + sides[1]).item() / 2)


def test_queries_beyond_the_pairs_change_neither_contrast_nor_recall():
    queries, codes = unit(5, 8), unit(4, 8, seed=1)
    one = pair_loss(queries, codes, none(3, 1), None, 0.05, LossWeights())
    other = pair_loss(queries[:3], codes, none(3, 1), None, 0.05, LossWeights())
    assert (one.contrast, one.recall) == (other.contrast, other.recall)


def test_a_code_without_a_target_may_lie_anywhere():
    queries, codes, both = unit(2, 8), unit(3, 8, seed=1), unit(5, 8, seed=2)
    both[4] = 0
    found = pair_loss(queries, codes, none(2, 1), both, 0.05, LossWeights(0, 1))
    sides = drift(queries, both[:2]), drift(codes[:2], both[2:4])
    assert found.total == pytest.approx((sides[0] + sides[1]).item() / 2)


def test_who_chooses_from_what_is_known_as_the_targets_do_agrees_with_them():
    both, known = unit(8, 16), (unit(20, 16, seed=4), unit(30, 16, seed=5))
    queries, codes = both[:4], both[4:]
    weights = LossWeights(0, 0, 2)
    same = pair_loss(queries, codes, none(4), both, 0.05, weights, known)
    assert same.total.item() == pytest.approx(0)
    other = pair_loss(queries, unit(4, 16, seed=1), none(4), both, 0.05, weights, known)
    assert other.total == 2 * other.agreement > 0
    assert pair_loss(queries, codes, none(4), both[:4], 0.05, LossWeights(), known).agreement == 0


def test_disagreement_is_the_mean_divergence_where_there_are_targets():
    vectors, targets, known = unit(3, 8), unit(3, 8, seed=1), unit(9, 8, seed=2)
    targets[1] = 0
    q, p = ((rows @ known.T / 0.1).softmax(1) for rows in (vectors, targets))
    expected = (p * (p / q).log()).sum(1)[[0, 2]].mean()
    assert disagreement(vectors, targets, known, 0.1).item() == pytest.approx(expected.item())
    assert drift(vectors, targets) == pytest.approx(drift(vectors[[0, 2]], targets[[0, 2]]).item())
    assert disagreement(vectors, targets * 0, known, 0.1) == 0


def test_recall_is_the_share_of_queries_whose_own_code_is_first():
    queries = torch.eye(4)
    codes = torch.eye(4)[[0, 1, 3, 2]]
    assert pair_loss(queries, codes, none(4), None, 0.05, LossWeights()).recall == 0.5


def test_a_batch_needs_a_code_for_each_query_and_masks_of_its_shape():
    item = EncoderInput(np.array([2, 3], dtype=np.int32), select_blocks(2, SasaConfig()))
    mask = np.zeros((1, 2), dtype=bool)
    assert PairBatch((item,), (item, item), mask, mask).tokens == 6
    with pytest.raises(ValueError, match="2 pairs need as many queries and codes"):
        PairBatch((item, item), (item,), mask.T, mask.T)
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        PairBatch((item,), (item, item), mask, mask.T)
