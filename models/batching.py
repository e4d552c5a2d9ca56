"""Which inputs are encoded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Tokens of a batch, padding included: large enough to fill two cores, small enough for 1 GB.
BATCH_TOKENS = 8192


def batches(
    lengths: Sequence[int], full_tokens: int, budget: int = BATCH_TOKENS
) -> Iterator[list[int]]:
    """Group inputs of like length, longest first, into batches of at most `budget` tokens.

    Inputs above and below `full_tokens` never share a batch, so that short ones keep full
    attention. Yields positions in `lengths`; an input above the budget is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batch: list[int] = []
    for position in order:
        longest = lengths[batch[0]] if batch else 0
        crosses = longest > full_tokens >= lengths[position]
        if batch and (crosses or longest * (len(batch) + 1) > budget):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
