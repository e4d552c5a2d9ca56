"""What training minimises: a query's vector near that of its code, far from all others' codes.

InfoNCE with in-batch negatives (van den Oord et al. 2018, arXiv 1807.03748). Two additions: pairs
that may well be right answers are no negatives, and queries are held near where the starting
model put them, so that its knowledge of prose survives the training on code.
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
    recall: Tensor  # the share of queries whose own code scores highest


def pair_loss(
    queries: Tensor,
    codes: Tensor,
    not_negative: Tensor,
    teacher: Tensor | None,
    temperature: float,
    distillation: float,
) -> Loss:
    """The loss of a batch of pairs.

    Args:
        queries: (B, E), unit vectors.
        codes: (B + H, E), unit vectors; code `i` answers query `i`, the last H answer none.
        not_negative: (B, B + H), True where a code is not to be pushed away.
        teacher: (B, E), the queries' unit vectors by the starting model; None: not wanted.
        temperature: divides the cosines.
        distillation: the weight of staying near the teacher.
    """
    scores = queries @ codes.T / temperature
    contrast = info_nce(scores, not_negative)
    drift = queries.new_zeros(()) if teacher is None else query_drift(queries, teacher)
    right = torch.arange(len(queries), device=scores.device)
    allowed = scores.detach().masked_fill(_off_diagonal(not_negative), -torch.inf)
    recall = (allowed.argmax(1) == right).float().mean()
    return Loss(contrast + distillation * drift, contrast, drift, recall)


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


def query_drift(queries: Tensor, teacher: Tensor) -> Tensor:
    """How far unit vectors (B, E) have moved from the teacher's: the mean of 1 - cosine."""
    return 1 - (queries * teacher).sum(1).mean()


def _off_diagonal(mask: Tensor) -> Tensor:
    return mask & ~torch.eye(*mask.shape, dtype=torch.bool, device=mask.device)
