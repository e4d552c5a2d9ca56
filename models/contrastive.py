"""What training minimises: a query's vector near that of its code, far from all others' codes.

InfoNCE with in-batch negatives (van den Oord et al. 2018, arXiv 1807.03748). Two additions: pairs
that may well be right answers are no negatives, and texts are held near where they are to lie:
queries where the starting model put them, so that its knowledge of prose survives the training on
code, or queries and codes where a teacher wants them (`models.teacher`). Which of many thousands
of codes it takes for near to a query, and the other way round, may be learned as well: that needs
their targets alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

NEARLY_SAME = 0.9  # cosine of two versions of one function


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss and its parts; all are scalars."""

    total: Tensor
    contrast: Tensor
    distillation: Tensor
    agreement: Tensor
    recall: Tensor  # the share of queries whose own code scores highest


@dataclass(frozen=True, slots=True)
class LossWeights:
    """What a loss is the sum of.

    Attributes:
        contrast: Of telling the right code from the others.
        distillation: Of keeping texts near their targets.
        agreement: Of scoring as the targets do.
    """

    contrast: float = 1.0
    distillation: float = 0.0
    agreement: float = 0.0


def pair_loss(
    queries: Tensor,
    codes: Tensor,
    not_negative: Tensor,
    targets: Tensor | None,
    temperature: float,
    weights: LossWeights,
    known: tuple[Tensor, Tensor] | None = None,
) -> Loss:
    """The loss of a batch of pairs.

    Args:
        queries: (B + G, E), unit vectors; the last G ask for none of the codes.
        codes: (B + H, E), unit vectors; code `i` answers query `i`, the last H answer none.
        not_negative: (B, B + H), True where a code is not to be pushed away.
        targets: (B + G, E), where the queries are to lie, or (B + G + B + H, E), the queries,
            then the codes; a row of zeros is none. None: all lie wherever they like.
        temperature: divides the cosines.
        weights: of the parts.
        known: (n, E) queries and (m, E) codes, far more than a batch has, where the targets'
            scores are learned.
    """
    pairs = len(not_negative)
    scores = queries[:pairs] @ codes.T / temperature
    contrast = info_nce(scores, not_negative)
    drifted = agreement = queries.new_zeros(())
    if targets is not None:
        sides = [(queries, targets[: len(queries)])]
        if len(targets) > len(queries):
            sides.append((codes, targets[len(queries) :]))
        drifted = torch.stack([drift(*side) for side in sides]).mean()
        if known is not None and weights.agreement:
            both = zip(sides, reversed(known), strict=False)
            parts = [disagreement(*side, others, temperature) for side, others in both]
            agreement = torch.stack(parts).mean()
    right = torch.arange(pairs, device=scores.device)
    allowed = scores.detach().masked_fill(_off_diagonal(not_negative), -torch.inf)
    recall = (allowed.argmax(1) == right).float().mean()
    total = (
        weights.contrast * contrast
        + weights.distillation * drifted
        + weights.agreement * agreement
    )
    return Loss(total, contrast, drifted, agreement, recall)


def info_nce(scores: Tensor, not_negative: Tensor) -> Tensor:
    """The mean cross entropy of finding the code to a query and the query to a code.

    Args:
        scores: (B, B + H), the right ones on the diagonal; the last H codes have no query.
        not_negative: (B, B + H), True where a score does not count; the diagonal always does.
    """
    scores = scores.masked_fill(_off_diagonal(not_negative), -torch.inf)
    pairs = len(scores)
    right = torch.arange(pairs, device=scores.device)
    to_code = F.cross_entropy(scores, right)
    to_query = F.cross_entropy(scores[:, :pairs].T, right)
    return (to_code + to_query) / 2


def nearly_same(codes: Tensor, alike: Tensor) -> Tensor:
    """Codes of one name that also have nearly one vector, (B, B + H): copies and old versions.

    Args:
        codes: (B + H, E), unit vectors.
        alike: (B, B + H), True where two codes have the same name.
    """
    cosines = codes.detach()[: len(alike)] @ codes.detach().T
    return alike & (cosines > NEARLY_SAME)


def drift(vectors: Tensor, targets: Tensor) -> Tensor:
    """How far unit vectors (n, E) lie from their targets: the mean of 1 - cosine."""
    wanted = targets.any(1)
    cosines = (vectors * targets).sum(1)[wanted]
    return 1 - cosines.sum() / max(1, len(cosines))


def disagreement(vectors: Tensor, targets: Tensor, known: Tensor, temperature: float) -> Tensor:
    """How far what unit vectors (n, E) choose among known ones (m, E) is from what targets choose.

    The mean Kullback-Leibler divergence over the rows that have a target.
    """
    wanted = targets.any(1)
    if not wanted.any():
        return vectors.new_zeros(())
    chosen, right = (
        (rows[wanted] @ known.T / temperature).log_softmax(1) for rows in (vectors, targets)
    )
    return F.kl_div(chosen, right, reduction="batchmean", log_target=True)


def _off_diagonal(mask: Tensor) -> Tensor:
    return mask & ~torch.eye(*mask.shape, dtype=torch.bool, device=mask.device)
