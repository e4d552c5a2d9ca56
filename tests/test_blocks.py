"""The sparsity patterns: who attends to whom."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.blocks import select_blocks
from models.config import PATTERNS, SasaConfig


def picture(mask: np.ndarray) -> list[str]:
    return ["".join("#" if cell else "." for cell in row) for row in mask]


SMALL = SasaConfig(block_size=2, top_k_blocks=1, full_up_to=0, max_tokens=64)


def test_without_links_a_block_sees_its_window_and_the_global_blocks():
    assert picture(select_blocks(16, SMALL).dense()) == [
        "########",
        "###....#",
        "####...#",
        "#.###..#",
        "#..###.#",
        "#...####",
        "#....###",
        "########",
    ]


def test_a_linked_block_is_seen_beyond_the_window():
    scores = np.zeros((8, 8), dtype=np.float32)
    scores[2, 6] = scores[6, 2] = 1.0
    mask = select_blocks(16, SMALL, scores).dense()
    assert picture(mask)[2] == "####..##"
    assert picture(mask)[6] == "#.#..###"


def test_room_that_an_edge_cuts_off_the_window_goes_to_linked_blocks():
    scores = np.zeros((8, 8), dtype=np.float32)
    scores[1, 4] = scores[1, 5] = scores[1, 6] = 1.0
    assert picture(select_blocks(16, SMALL, scores).dense())[1] == "###.##.#"


def test_equal_scores_take_the_earlier_block():
    scores = np.ones((8, 8), dtype=np.float32)
    assert picture(select_blocks(16, SMALL, scores).dense())[4] == "##.###.#"


def test_an_input_of_full_tokens_has_full_attention_and_one_more_token_does_not():
    assert select_blocks(SMALL.full_tokens, SMALL).covers_all_pairs
    assert not select_blocks(SMALL.full_tokens + 1, SMALL).covers_all_pairs


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("window", ["##......", "###.....", ".###....", "..###...", "...###..", "....###."]),
        ("longformer", ["########", "###....#", "####...#", "#.###..#", "#..###.#", "#...####"]),
        ("bigbird", ["########", "###.##.#", "#####..#", "#.####.#", "#.####.#", "##..####"]),
        ("full", ["########"] * 6),
    ],
)
def test_rivals_are_chosen_from_their_own_parts(pattern, rows):
    config = replace(SMALL, pattern=pattern)
    scores = None
    if config.is_scored:
        scores = np.random.default_rng(8).random((8, 8), dtype=np.float32)
    assert picture(select_blocks(16, config, scores).dense())[:6] == rows


def test_up_to_a_length_every_pattern_is_full():
    for pattern in PATTERNS:
        config = replace(SMALL, pattern=pattern, full_up_to=24)
        assert select_blocks(24, config).covers_all_pairs
        assert select_blocks(25, config).covers_all_pairs == (pattern == "full")


def test_a_head_sees_itself_alone_and_is_seen_as_before():
    config = replace(SMALL, head_blocks=3)
    scores = np.zeros((8, 8), dtype=np.float32)
    scores[1, 6] = scores[4, 1] = 1.0
    assert picture(select_blocks(16, config, scores, has_head=True).dense()) == [
        "###.....",
        "###.....",
        "###.....",
        "#.###..#",
        "##.###.#",
        "#...####",
        "#....###",
        "########",
    ]


@pytest.mark.parametrize("pattern", ["sasa", "longformer"])
def test_a_function_is_sparse_from_its_head_on_where_other_texts_have_full_attention(pattern):
    config = replace(SMALL, pattern=pattern, head_blocks=3, full_up_to=20)
    assert select_blocks(6, config, has_head=True).covers_all_pairs
    mask = select_blocks(7, config, has_head=True).dense()
    assert picture(mask) == ["###.", "###.", "###.", "####"]
    assert select_blocks(20, config).covers_all_pairs
    for whole in (replace(config, pattern="full"), replace(config, head_blocks=0)):
        assert select_blocks(20, whole, has_head=True).covers_all_pairs


def test_a_head_may_be_wider_than_other_rows_and_longer_than_the_input():
    config = replace(SMALL, pattern="window", head_blocks=5)
    assert picture(select_blocks(12, config, has_head=True).dense())[4:] == ["#####.", "....##"]
    assert select_blocks(10, config, has_head=True).covers_all_pairs


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_tells_whether_it_has_a_head(pattern):
    config = replace(SMALL, pattern=pattern, head_blocks=3)
    scores = np.random.default_rng(1).random((32, 32), dtype=np.float32)
    for length in (2, 6, 7, 30, 64):
        blocks = config.block_count(length)
        of_text, of_function = (
            select_blocks(length, config, scores[:blocks, :blocks], has_head)
            for has_head in (False, True)
        )
        assert of_text.head_blocks == 0
        assert of_function.head_blocks == (3 if length > 6 and pattern != "full" else 0)
        is_new = of_function.digest_bytes() != of_text.digest_bytes()
        assert is_new == (of_function.head_blocks > 0)


@given(
    st.integers(1, 700),
    st.sampled_from([1, 3, 5]),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 2**32 - 1),
)
def test_every_pattern_is_within_its_budget_and_sees_itself(length, window, globals_, top, seed):
    config = SasaConfig(
        block_size=8,
        window_blocks=window,
        global_blocks=globals_,
        top_k_blocks=top,
        full_up_to=0,
        max_tokens=1024,
    )
    blocks = config.block_count(length)
    scores = np.random.default_rng(seed).random((blocks, blocks), dtype=np.float32)
    scores[scores < 0.8] = 0.0
    pattern = select_blocks(length, config, scores + scores.T)
    mask = pattern.dense()
    assert mask.diagonal().all()
    assert (mask.sum(1) == pattern.block_count).all()
    sparse = ~mask.all(1)
    assert (pattern.block_count[sparse] <= config.row_blocks).all()
    assert mask.shape == (blocks, blocks)


def test_settings_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="odd"):
        SasaConfig(window_blocks=2)
    with pytest.raises(ValueError, match="pattern must be one of full, .* got 'sosa'"):
        SasaConfig(pattern="sosa")
    with pytest.raises(ValueError, match="multiple of block_size"):
        SasaConfig(max_tokens=1000)
    with pytest.raises(ValueError, match="frequency_weight"):
        SasaConfig(frequency_weight=1.5)
    with pytest.raises(ValueError, match="head_blocks must not be negative, got -1"):
        SasaConfig(head_blocks=-1)
    with pytest.raises(ValueError, match="unknown SASA settings: blok"):
        SasaConfig.from_mapping({"blok": 3})
