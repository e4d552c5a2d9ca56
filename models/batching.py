"""Which inputs are encoded together, and how many at a time on which device.

Longest first, so that the inputs of a batch are of like length and padding stays small; and
inputs with sparse attention apart from those with full, so that these keep the faster path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.inputs import EncoderInput

# A batch that is at least half full is closed before more than this of it is padding.
MAX_PADDING = 0.03


@dataclass(frozen=True, slots=True)
class Pace:
    """How a device is kept busy.

    Attributes:
        batch_tokens: Tokens of a batch, padding included.
        overlaps: Encode while files are still being prepared: on a device of its own that saves
            time, on the cores that prepare it only keeps the text index waiting.
        pool_batches: While files are being prepared, so many batches must wait before any is
            formed: from a small pool, batches are of unlike length.
    """

    batch_tokens: int
    overlaps: bool
    pool_batches: int = 32

    @property
    def pool_tokens(self) -> int:
        """The tokens that must wait."""
        return self.pool_batches * self.batch_tokens


# Large enough to fill two cores, small enough for 1 GB.
ON_CPU = Pace(batch_tokens=8192, overlaps=False)
# 22 ms at 3 million tokens/s: many times what launching its kernels takes.
ON_CUDA = Pace(batch_tokens=65_536, overlaps=True)


def pace_of(device_type: str) -> Pace:
    """The pace of `torch.device.type`."""
    return ON_CUDA if device_type == "cuda" else ON_CPU


def batches(lengths: Sequence[int], budget: int = ON_CPU.batch_tokens) -> Iterator[list[int]]:
    """Group inputs of like length, longest first, into batches of at most `budget` tokens.

    Yields positions in `lengths`; an input above the budget is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batch: list[int] = []
    tokens = 0
    for position in order:
        length, longest = lengths[position], lengths[batch[0]] if batch else 0
        size, grown = longest * len(batch), longest * (len(batch) + 1)
        unlike = size * 2 >= budget and grown - tokens - length > MAX_PADDING * grown
        if batch and (grown > budget or unlike):
            yield batch
            batch, tokens = [], 0
        batch.append(position)
        tokens += length
    if batch:
        yield batch


def input_batches(
    inputs: Sequence[EncoderInput], budget: int = ON_CPU.batch_tokens
) -> Iterator[list[int]]:
    """Group inputs like `batches`, each batch of one kind of attention; yields positions."""
    for places in by_attention(inputs):
        for group in batches([len(inputs[place]) for place in places], budget):
            yield [places[position] for position in group]


def by_attention(inputs: Sequence[EncoderInput]) -> list[list[int]]:
    """The positions of the inputs with sparse attention and of those with full, if any."""
    kinds: dict[bool, list[int]] = {False: [], True: []}
    for place, item in enumerate(inputs):
        kinds[item.pattern.covers_all_pairs].append(place)
    return [places for places in kinds.values() if places]
