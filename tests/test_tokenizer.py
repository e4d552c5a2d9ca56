"""Tokens start where their characters are, in WordPiece and in byte-level BPE."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from models.checkpoint import CheckpointError, open_checkpoint
from models.inputs import token_positions
from models.tokenizer import Tokenizer
from tests.small_models import edit_json, save_model, small_tokenizer


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory) -> dict[str, Tokenizer]:
    return {
        family: Tokenizer(open_checkpoint(save_model(family, tmp_path_factory.mktemp("model"))))
        for family in ("bert", "roberta", "modernbert")
    }


@given(text=st.text(st.sampled_from(" \n\tab_(é\u0301字😀ﷺ"), max_size=30))
def test_tokens_start_in_order_inside_the_text(tokenizers, text):
    for tokenizer in tokenizers.values():
        tokens = tokenizer.tokenize([text])[0]
        assert (tokens.starts[0], tokens.starts[-1]) == (0, len(text))
        assert (np.diff(tokens.starts) >= 0).all()


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_a_character_is_found_in_the_token_that_holds_it(tokenizers, family):
    text = "  é = load(字)  \n\n   path  \n"
    tokens = tokenizers[family].tokenize([text])[0]
    for word in ("é", "=", "load", "(", "字", ")", "path"):
        offset = np.array([text.index(word)], dtype=np.int32)
        token = int(token_positions(tokens, offset)[0])
        assert not text[tokens.starts[token] : offset[0]].strip()  # spaces may lead


def test_special_tokens_before_a_text_hold_none_of_it(tmp_path):
    folder = save_model("roberta", tmp_path)
    tokenizer = small_tokenizer("roberta")
    tokenizer.post_processor = TemplateProcessing(
        single="<s> <unk> </s> $A </s>", special_tokens=[("<s>", 0), ("<unk>", 3), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = Tokenizer(open_checkpoint(folder)).tokenize(["path path"])[0]
    assert tokens.ids[[0, 1, 2, -1]].tolist() == [0, 3, 2, 2]
    assert tokens.starts[:4].tolist() == [0, 0, 0, 0]
    assert tokens.starts[-1] == len("path path")
    assert token_positions(tokens, np.array([0], dtype=np.int32)).tolist() == [3]


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path):
    folder = save_model("roberta", tmp_path)
    edit_json(folder / "tokenizer.json", post_processor=None)
    with pytest.raises(CheckpointError, match="puts no special tokens around a text"):
        Tokenizer(open_checkpoint(folder))


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("parseJson", "parse json"),
        ("HTTPServer", "http server"),
        ("max_size", "max size"),
        ("__init__", "init"),
        ("getURLPath_v2", "get url path v2"),
        ("plain", "plain"),
    ],
)
def test_the_shipped_tokenizer_takes_identifiers_apart(checkpoint, identifier, words):
    tokenizer = Tokenizer(checkpoint)
    apart, spaced = tokenizer.tokenize([identifier, words])
    assert apart.ids.tolist() == spaced.ids.tolist()


def test_parts_of_an_identifier_start_where_they_stand(checkpoint):
    tokens = Tokenizer(checkpoint).tokenize(["x = readFile_name(HTMLPage)"])[0]
    assert tokens.starts.tolist() == [0, 0, 2, 4, 8, 13, 17, 18, 22, 26, 27]


def test_a_heading_moves_the_text_but_not_its_offsets(checkpoint):
    tokenizer = Tokenizer(checkpoint)
    text, heading = tokenizer.tokenize(["def load(path): pass", "src/a.py"])
    behind = text.behind(heading.ids[1:-1])
    added = len(heading) - 2
    assert behind.ids.tolist() == [text.ids[0], *heading.ids[1:-1], *text.ids[1:]]
    offsets = np.arange(20, dtype=np.int32)
    moved = token_positions(behind, offsets)
    assert moved.tolist() == (token_positions(text, offsets) + added).tolist()
    assert text.behind(heading.ids[:0]).ids.tolist() == text.ids.tolist()
