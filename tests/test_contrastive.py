"""The loss of training, against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.blocks import select_blocks
from models.config import SasaConfig
from models.contrastive import Earlier, info_nce, nearly_same, pair_loss, query_drift
from models.inputs import EncoderInput
from models.pair_batch import PairBatch


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


NOTHING = Earlier(*2 * (torch.empty(0, 8, dtype=torch.float64),))


def none(pairs: int, extra: int = 0) -> torch.Tensor:
    return torch.zeros(pairs, pairs + extra, dtype=torch.bool)


def test_the_loss_is_the_cross_entropy_in_both_directions():
    scores = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    to_code = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-2))]
    to_query = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(-3))]
    expected = (sum(to_code) / 2 + sum(to_query) / 2) / 2
    assert info_nce(scores, scores.T, none(2)).item() == pytest.approx(expected)


def test_a_code_that_may_answer_is_not_pushed_away():
    queries, codes = unit(3, 8), unit(3, 8, seed=1).requires_grad_()
    twin = none(3)
    twin[0, 1] = True
    scores = queries @ codes.T / 0.05
    scores.retain_grad()
    info_nce(scores, scores.T, twin).backward()
    assert scores.grad is not None
    assert scores.grad[0, 1] == 0
    assert (scores.grad[0, 2], scores.grad[1, 0]) != (0, 0)


def test_the_right_code_counts_whatever_the_mask_says():
    scores = unit(4, 4) * 5
    everything = torch.ones(4, 4, dtype=torch.bool)
    assert info_nce(scores, scores.T, everything).item() == 0  # nothing is left to confuse
    itself = torch.eye(4, dtype=torch.bool)
    assert info_nce(scores, scores.T, itself) == info_nce(scores, scores.T, none(4))


def test_hard_negatives_are_codes_without_a_query():
    scores = unit(3, 3) * 5
    wide = torch.cat([scores, torch.full((3, 1), 4.0)], dim=1)
    alone = info_nce(scores, scores.T, none(3))
    assert info_nce(wide, scores.T, none(3, 1)) > alone
    hidden = none(3, 1)
    hidden[:, 3] = True
    assert info_nce(wide, scores.T, hidden) == alone


def test_pairs_of_earlier_steps_are_wrong_answers_both_ways():
    vectors = unit(10, 8)
    queries, codes = vectors[:3], unit(4, 8, seed=1)  # the last code has no query
    earlier = Earlier(unit(2, 8, seed=2), unit(2, 8, seed=3))
    every, asked = torch.cat([codes, earlier.codes]), torch.cat([queries, earlier.queries])
    right = torch.arange(3)
    expected = (
        F.cross_entropy(queries @ every.T / 0.05, right)
        + F.cross_entropy(codes[:3] @ asked.T / 0.05, right)
    ) / 2
    found = pair_loss(queries, codes, earlier, none(3, 3), None, 0.05, 0.0)
    assert found.contrast.item() == pytest.approx(expected.item())
    hidden = none(3, 3)
    hidden[:, 4:] = True
    without = pair_loss(queries, codes, NOTHING, none(3, 1), None, 0.05, 0.0)
    masked = pair_loss(queries, codes, earlier, hidden, None, 0.05, 0.0)
    assert masked.contrast.item() == pytest.approx(without.contrast.item())
    one = none(3, 3)
    one[1, 5] = True  # the last earlier pair answers the second question, and only that one
    to_code, to_query = queries @ every.T / 0.05, codes[:3] @ asked.T / 0.05
    to_code[1, 5] = to_query[1, 4] = -torch.inf
    expected = (F.cross_entropy(to_code, right) + F.cross_entropy(to_query, right)) / 2
    found = pair_loss(queries, codes, earlier, one, None, 0.05, 0.0)
    assert found.contrast.item() == pytest.approx(expected.item())


def test_earlier_pairs_are_kept_in_their_order_without_gradients():
    queries, codes = unit(2, 8).requires_grad_(), unit(3, 8, seed=1).requires_grad_()
    known = NOTHING.and_then(queries, codes).and_then(-queries, -codes)
    assert len(known) == 4
    assert not any(vectors.requires_grad for vectors in (known.queries, known.codes))
    assert torch.equal(known.last(3).queries, torch.cat([queries[1:], -queries]))
    assert torch.equal(known.last(2).codes, -codes[:2])
    assert len(known.last(0)) == 0
    with pytest.raises(ValueError, match="5 earlier pairs are asked for, 4 are known"):
        known.last(5)


def test_only_near_codes_of_one_name_are_taken_for_the_same():
    codes = torch.eye(3)[[0, 0, 1]]
    named = torch.ones(3, 3, dtype=torch.bool)
    assert nearly_same(codes, named).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]
    assert not nearly_same(codes, ~named).any()


def test_distillation_pulls_queries_back_to_the_teacher():
    teacher = unit(4, 8)
    assert query_drift(teacher, teacher).item() == pytest.approx(0)
    assert query_drift(-teacher, teacher).item() == pytest.approx(2)
    queries, codes = unit(4, 8, seed=1), unit(4, 8, seed=2)
    free = pair_loss(queries, codes, NOTHING, none(4), teacher, 0.05, 0.0)
    held = pair_loss(queries, codes, NOTHING, none(4), teacher, 0.05, 3.0)
    assert held.total - free.total == pytest.approx(3 * query_drift(queries, teacher).item())


def test_recall_is_the_share_of_queries_whose_own_code_is_first():
    queries = torch.eye(4)
    codes = torch.eye(4)[[0, 1, 3, 2]]
    nothing = Earlier(torch.empty(0, 4), torch.empty(0, 4))
    assert pair_loss(queries, codes, nothing, none(4), None, 0.05, 0.0).recall == 0.5


def test_a_batch_needs_a_code_for_each_query_and_masks_of_its_shape():
    item = EncoderInput(np.array([2, 3], dtype=np.int32), select_blocks(2, SasaConfig()))
    mask = np.zeros((1, 2), dtype=bool)
    assert PairBatch((item,), (item, item), mask, mask).tokens == 6
    with pytest.raises(ValueError, match="2 queries need as many codes"):
        PairBatch((item, item), (item,), mask.T, mask.T)
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        PairBatch((item,), (item, item), mask, mask.T)
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        PairBatch((item,), (item, item), mask[:, :1], mask[:, :1])
    assert PairBatch((item,), (item,), mask, mask).earlier == 1
