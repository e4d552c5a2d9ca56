"""What top-k and AST choose blocks by, without a matrix over tokens."""

import numpy as np
import pytest

from models.checkpoint import PRIOR_FILE, CheckpointError
from models.config import SasaConfig
from models.prior import FrequencyPrior, load_prior, save_prior
from models.scores import block_scores, link_scores

CONFIG = SasaConfig(block_size=4, full_up_to=0, max_tokens=64)
NO_LINKS = np.empty((0, 2), dtype=np.int32)


def prior_of(table: dict[tuple[int, int], float], vocabulary: int = 50) -> FrequencyPrior:
    pairs = sorted(table)
    rows = np.array([row for row, _ in pairs])
    row_starts = np.searchsorted(rows, np.arange(vocabulary + 1))
    columns = np.array([column for _, column in pairs], dtype=np.uint16)
    values = np.array([table[pair] for pair in pairs], dtype=np.float32)
    return FrequencyPrior(row_starts.astype(np.int64), columns, values)


def some_prior(seed: int, vocabulary: int = 50, entries: int = 300) -> FrequencyPrior:
    generator = np.random.default_rng(seed)
    pairs = generator.integers(0, vocabulary, (entries, 2))
    return prior_of({(int(a), int(b)): float(generator.random()) + 0.1 for a, b in pairs})


def test_link_scores_are_symmetric_and_fair_to_a_short_last_block():
    links = np.array([[0, 4], [3, 8], [0, 99]], dtype=np.int32)
    scores = link_scores(links, length=9, block_size=4)
    assert np.array_equal(scores, scores.T)
    assert scores[0, 1] == pytest.approx(1 / 8)
    assert scores[0, 2] == pytest.approx(1 / 5)


def test_prior_scores_are_the_mean_over_the_pairs_of_tokens_of_two_blocks():
    prior = some_prior(0)
    ids = np.random.default_rng(1).integers(0, 60, 30).astype(np.int32)  # some are unknown to it
    table = np.zeros((60, 60))
    for row in range(50):
        for entry in range(prior.row_starts[row], prior.row_starts[row + 1]):
            table[row, prior.columns[entry]] = prior.values[entry]
    tokens = table[ids][:, ids] + table[ids][:, ids].T
    blocks = [slice(start, min(start + 4, 30)) for start in range(0, 30, 4)]
    expected = [[tokens[row, column].mean() for column in blocks] for row in blocks]
    assert np.allclose(prior.block_scores(ids, 4), expected, atol=1e-6)


def test_each_part_can_be_switched_off():
    prior = prior_of({(1, 3): 1.0})
    ids = np.repeat([1, 2, 3, 4, 5], 4).astype(np.int32)
    links = np.array([[0, 17]], dtype=np.int32)

    def connected(pattern: str, weight: float = 0.5) -> list[list[int]]:
        config = SasaConfig(
            pattern, block_size=4, frequency_weight=weight, full_up_to=0, max_tokens=64
        )
        scores = block_scores(ids, links, config, prior)
        return [] if scores is None else np.argwhere(np.triu(scores) > 0).tolist()

    assert connected("sasa") == [[0, 2], [0, 4]]
    assert connected("sasa-no-topk") == [[0, 4]]
    assert connected("sasa-no-ast") == [[0, 2]]
    assert connected("sasa", weight=1.0) == [[0, 2]]
    assert connected("sasa", weight=0.0) == [[0, 4]]
    assert connected("longformer") == []


def test_parts_are_weighed_by_their_share_whatever_their_scale():
    ids = np.repeat([1, 2, 3, 4, 5], 4).astype(np.int32)
    links = np.array([[0, 17]], dtype=np.int32)
    for value in (0.01, 100.0):
        scores = block_scores(ids, links, CONFIG, prior_of({(1, 3): value}))
        assert scores is not None
        assert scores[0, 2] == pytest.approx(scores[0, 4])


def test_with_nothing_to_go_by_there_are_no_scores():
    assert block_scores(np.arange(40, dtype=np.int32), NO_LINKS, CONFIG, None) is None


def test_random_blocks_are_the_same_for_every_input_of_a_length():
    config = SasaConfig("bigbird", block_size=4, full_up_to=0, max_tokens=64)
    first, second = (
        block_scores(np.full(40, token, dtype=np.int32), NO_LINKS, config) for token in (1, 2)
    )
    assert first is not None
    assert np.array_equal(first, second)


def test_a_stored_prior_comes_back_within_a_step_of_its_values(tmp_path):
    prior = some_prior(2)
    save_prior(prior, {"model": "tiny"}, tmp_path)
    again = load_prior(tmp_path)
    assert again is not None
    assert np.array_equal(again.row_starts, prior.row_starts)
    assert np.array_equal(again.columns, prior.columns)
    assert np.allclose(again.values, prior.values, atol=0.01)


@pytest.mark.parametrize("cut", [0, 100, -40])
def test_a_damaged_prior_is_named(tmp_path, cut):
    save_prior(some_prior(3), {}, tmp_path)
    path = tmp_path / PRIOR_FILE
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=PRIOR_FILE):
        load_prior(tmp_path)


def test_a_folder_without_a_prior_has_none(tmp_path):
    assert load_prior(tmp_path) is None
