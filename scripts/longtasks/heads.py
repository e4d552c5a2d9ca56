"""The encoder with what a task puts on it: a classifier, nothing (search), or a decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import BertConfig, BertLMHeadModel, DynamicCache, EncoderDecoderCache

from models.checkpoint import Checkpoint
from models.contrastive import info_nce
from models.inputs import EncoderInput
from models.student import Student

TEMPERATURE = 0.05
DECODER_LAYERS = 3
MOST_WORDS = 64  # tokens of a summary
BEAMS = 5


class Classifier(nn.Module):
    """Two classes from the vectors of one function or two.

    One linear layer that starts at zero, on components of about one: of two functions what they
    share and where they differ. It learns from a few hundred examples what several layers do not.
    """

    def __init__(self, student: Student, dimension: int, codes: int) -> None:
        super().__init__()
        self.student = student
        self._codes = codes
        self._scale = dimension**0.5  # of unit vectors
        self.head = nn.Linear(dimension * codes, 2).to(student.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def logits(self, inputs: Sequence[EncoderInput]) -> Tensor:
        """(n, 2) for n examples, each of one or two inputs in turn."""
        vectors = self.student.encode(inputs) * self._scale
        if self._codes == 2:
            one, two = vectors[0::2], vectors[1::2]
            vectors = torch.cat([(one - two).abs(), one * two], dim=1)
        out: Tensor = self.head(vectors)
        return out

    def loss(self, inputs: Sequence[EncoderInput], labels: Sequence[int]) -> Tensor:
        """Cross entropy."""
        right = torch.tensor(labels, device=self.student.device)
        return F.cross_entropy(self.logits(inputs), right)


class Matcher(nn.Module):
    """Questions near their functions, by the encoder alone."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def loss(self, questions: Sequence[EncoderInput], codes: Sequence[EncoderInput]) -> Tensor:
        """InfoNCE over the batch."""
        vectors = self.student.encode([*questions, *codes])
        asked, found = vectors.tensor_split([len(questions)])
        none = torch.zeros(len(asked), len(found), dtype=torch.bool, device=vectors.device)
        return info_nce(asked @ found.T / TEMPERATURE, none)


class Summarizer(nn.Module):
    """A Transformer decoder that writes, looking at the encoder's tokens.

    It starts with the encoder's words: what it reads and what it may write is not learned anew.
    """

    def __init__(self, student: Student, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.student = student
        self.config = BertConfig(
            vocab_size=checkpoint.config["vocab_size"],
            hidden_size=checkpoint.dimension,
            num_hidden_layers=DECODER_LAYERS,
            num_attention_heads=checkpoint.config["num_attention_heads"],
            intermediate_size=checkpoint.config["intermediate_size"],
            max_position_embeddings=MOST_WORDS + 2,
            pad_token_id=checkpoint.pad_id,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            is_decoder=True,
            add_cross_attention=True,
        )
        self.decoder = BertLMHeadModel(self.config).to(student.device)
        words = student.model.get_input_embeddings().weight
        with torch.no_grad():
            self.decoder.get_input_embeddings().weight.copy_(words)

    def loss(self, codes: Sequence[EncoderInput], summaries: Sequence[Sequence[int]]) -> Tensor:
        """Cross entropy of each summary's next token; summaries hold their special tokens."""
        total, count = torch.zeros((), device=self.student.device), 0
        weights = self.student.weights()
        for chunk in self.student.chunks(codes):
            hidden, mask = self.student.hidden_chunk([codes[i] for i in chunk], weights)
            ids, shown = self._padded([summaries[i][: MOST_WORDS + 1] for i in chunk])
            labels = ids.masked_fill(~shown, -100)[:, 1:]
            found = self.decoder(
                input_ids=ids[:, :-1],
                attention_mask=shown[:, :-1].long(),
                encoder_hidden_states=hidden.float(),
                encoder_attention_mask=mask.long(),
            ).logits
            total = total + F.cross_entropy(
                found.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum"
            )
            count += int((labels >= 0).sum())
        return total / max(1, count)

    @torch.no_grad()
    def write(self, codes: Sequence[EncoderInput], first: int, last: int) -> list[list[int]]:
        """The token ids of each summary by beam search, special ones left out."""
        special = {first, last, self.config.pad_token_id}
        written: dict[int, list[int]] = {}
        weights = self.student.weights()
        for chunk in self.student.chunks(codes):
            hidden, mask = self.student.hidden_chunk([codes[i] for i in chunk], weights)
            start = torch.full((len(chunk), 1), first, device=self.student.device)
            rows = self.decoder.generate(
                start,
                attention_mask=torch.ones_like(start),
                num_beams=BEAMS,
                max_new_tokens=MOST_WORDS,
                eos_token_id=last,
                pad_token_id=self.config.pad_token_id,
                do_sample=False,
                cache=EncoderDecoderCache(DynamicCache(), DynamicCache()),
                encoder_hidden_states=hidden.float(),
                encoder_attention_mask=mask.long(),
            ).tolist()
            for place, row in zip(chunk, rows, strict=True):
                written[place] = [token for token in row if token not in special]
        return [written[place] for place in range(len(codes))]

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        ids = pad_sequence([torch.tensor(row) for row in rows], True, self.config.pad_token_id)
        lengths = torch.tensor([len(row) for row in rows])
        shown = torch.arange(ids.shape[1]) < lengths[:, None]
        return ids.to(self.student.device), shown.to(self.student.device)
