"""Small random checkpoints of every family, with tokenizers trained on a few lines of code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer, WordPieceTrainer
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "modernbert")
TABLE = 96  # tokens that the learned position tables hold
SASA = {
    "block_size": 8,
    "window_blocks": 3,
    "global_blocks": 2,
    "top_k_blocks": 2,
    "full_up_to": 0,
    "max_tokens": 320,
}
CORPUS = ["def load(path):\n    with open(path) as file:\n        return json.load(file)\n"] * 3
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.3,  # large enough that attention is far from uniform
}
_SPECIAL = {  # opening, padding, closing, unknown: by their ids in these models
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
    "roberta": ["<s>", "<pad>", "</s>", "<unk>"],
    "modernbert": ["[UNK]", "[CLS]", "[SEP]", "[PAD]"],
}


def save_model(
    family: str, folder: Path, with_head: bool = False, sasa: dict[str, int] | None = SASA
) -> Path:
    """Write a checkpoint; `with_head` saves it as a masked language model."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = small_tokenizer(family)
    tokenizer.save(str(folder / "tokenizer.json"))
    maker = AutoModelForMaskedLM if with_head else AutoModel
    torch.manual_seed(7)
    maker.from_config(small_config(family, tokenizer)).save_pretrained(folder)
    if sasa is not None:
        edit_json(folder / "config.json", sasa=sasa)
    return folder


def small_config(family: str, tokenizer: Tokenizer) -> Any:
    """A configuration whose positions end after `TABLE` tokens, if the family has a table."""
    names = _SPECIAL.get(family, _SPECIAL["roberta"])
    pad_id = next(i for i, name in enumerate(names) if "pad" in name.lower())
    settings: dict[str, Any] = {"pad_token_id": pad_id, "vocab_size": tokenizer.get_vocab_size()}
    if family == "modernbert":
        settings |= {"local_attention": 24, "bos_token_id": 1, "eos_token_id": 2}
        settings |= {"cls_token_id": 1, "sep_token_id": 2}
    is_offset = family not in ("bert", "modernbert")
    settings["max_position_embeddings"] = TABLE + (pad_id + 1 if is_offset else 0)
    return AutoConfig.for_model(family, **_SIZES, **settings)


def small_tokenizer(family: str) -> Tokenizer:
    """WordPiece for BERT, byte-level BPE for the others."""
    special = _SPECIAL.get(family, _SPECIAL["roberta"])
    return _word_pieces(special) if family == "bert" else _byte_pairs(special)


def edit_json(path: Path, **values: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    content = json.loads(path.read_text("utf-8")) | values
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(kept), "utf-8")


def _word_pieces(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(CORPUS, WordPieceTrainer(vocab_size=120, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _byte_pairs(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    if special[0] == "<s>":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    return tokenizer
