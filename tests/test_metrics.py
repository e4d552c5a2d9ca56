"""Metrics against examples worked by hand."""

import pytest

from models.metrics import mrr, ndcg_at_k, recall_at_k


def test_mrr_is_the_mean_of_inverse_ranks():
    assert mrr([1, 2, None, 4]) == pytest.approx((1 + 0.5 + 0 + 0.25) / 4)


def test_ndcg_is_one_when_all_targets_lead_and_counts_only_the_first_k():
    assert ndcg_at_k([1, 2], 10) == pytest.approx(1.0)
    assert ndcg_at_k([3], 10) == pytest.approx(0.5)
    assert ndcg_at_k([11], 10) == 0.0
    assert ndcg_at_k([1, None], 10) == pytest.approx(1 / (1 + 0.6309297535714575))


def test_recall_is_the_share_found():
    assert recall_at_k([1, 11, None, 10], 10) == 0.5
