"""Where a score ranks among many, of which only the best are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesearch.candidates import places


def test_equal_scores_share_a_rank():
    best = np.array([0.9, 0.5, 0.5, 0.1])
    assert places(best, np.array([0.5, 0.9, 0.5, 0.1, 0.7])).tolist() == [2, 1, 2, 4, 2]


def test_below_the_last_known_score_the_rank_goes_on_as_it_went():
    best = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])  # from the third to the sixth: 0.3 doubles it
    ranks = places(best, np.array([0.4, 0.25, 0.1, -0.2]))
    assert ranks.tolist() == pytest.approx([6, 6 * 2**0.5, 12, 24])


@pytest.mark.parametrize("best", [[], [0.5], [0.5, 0.5, 0.5]])
def test_where_nothing_is_known_of_how_ranks_go_on_it_is_behind_all(best):
    assert places(np.array(best), np.array([0.1])).tolist() == [len(best) + 1]


@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=30),
    st.lists(st.floats(-1, 1), max_size=10),
)
def test_a_higher_score_never_has_a_worse_rank(best, scores):
    ordered = np.sort(np.array([*scores, *best]))
    ranks = places(np.sort(np.array(best))[::-1], ordered)
    assert (np.diff(ranks) <= 0).all()
    assert np.isfinite(ranks).all()
