"""What training minimises: a query's vector near that of its code, far from all others' codes.

InfoNCE with in-batch negatives (van den Oord et al. 2018, arXiv 1807.03748), to which the vectors
of earlier steps are added as they were (cross-batch memory, Wang et al. 2020, arXiv 1912.06798).
Pairs that may well be right answers are no negatives, and queries are held near where the
starting model put them, so that its knowledge of prose survives the training on code.
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


@dataclass(frozen=True, slots=True)
class Earlier:
    """The pairs of earlier steps, oldest first, as the model saw them then; no gradients."""

    queries: Tensor  # (M, E) unit vectors
    codes: Tensor  # (M, E) unit vectors

    def __len__(self) -> int:
        return len(self.queries)

    def last(self, count: int) -> Earlier:
        """The newest pairs; raises ValueError where there are fewer."""
        start = len(self) - count
        if start < 0:
            raise ValueError(f"{count} earlier pairs are asked for, {len(self)} are known")
        return Earlier(self.queries[start:], self.codes[start:])

    def and_then(self, queries: Tensor, codes: Tensor) -> Earlier:
        """These pairs and, behind them, newer ones; codes without a query are not kept."""
        kept = codes[: len(queries)].detach()
        return Earlier(torch.cat([self.queries, queries.detach()]), torch.cat([self.codes, kept]))


def pair_loss(
    queries: Tensor,
    codes: Tensor,
    earlier: Earlier,
    not_negative: Tensor,
    teacher: Tensor | None,
    temperature: float,
    distillation: float,
) -> Loss:
    """The loss of a batch of pairs.

    Args:
        queries: (B, E), unit vectors.
        codes: (B + H, E), unit vectors; code `i` answers query `i`, the last H answer none.
        earlier: M pairs, whose codes and queries are wrong answers too.
        not_negative: (B, B + H + M), True where a code is not to be pushed away.
        teacher: (B, E), the queries' unit vectors by the starting model; None: not wanted.
        temperature: divides the cosines.
        distillation: the weight of staying near the teacher.
    """
    to_code = queries @ torch.cat([codes, earlier.codes]).T / temperature
    to_query = codes[: len(queries)] @ torch.cat([queries, earlier.queries]).T / temperature
    contrast = info_nce(to_code, to_query, not_negative)
    drift = queries.new_zeros(()) if teacher is None else query_drift(queries, teacher)
    right = torch.arange(len(queries), device=queries.device)
    allowed = to_code.detach().masked_fill(_off_diagonal(not_negative), -torch.inf)
    recall = (allowed.argmax(1) == right).float().mean()
    return Loss(contrast + distillation * drift, contrast, drift, recall)


def info_nce(to_code: Tensor, to_query: Tensor, not_negative: Tensor) -> Tensor:
    """The mean cross entropy of finding the code to a query and the query to a code.

    Args:
        to_code: (B, B + H + M), queries' scores, the right ones on the diagonal.
        to_query: (B, B + M), codes' scores; H codes of the other have no query.
        not_negative: (B, B + H + M), True where a score of `to_code` does not count; the diagonal
            always does. That of `to_query` is its transpose, and the same for the last M.
    """
    pairs = len(to_code)
    mask = _off_diagonal(not_negative)
    without_query = to_code.shape[1] - to_query.shape[1]
    of_queries = torch.cat([mask[:, :pairs].T, mask[:, pairs + without_query :]], dim=1)
    right = torch.arange(pairs, device=to_code.device)
    code_loss = F.cross_entropy(to_code.masked_fill(mask, -torch.inf), right)
    query_loss = F.cross_entropy(to_query.masked_fill(of_queries, -torch.inf), right)
    return (code_loss + query_loss) / 2


def nearly_same(codes: Tensor, alike: Tensor) -> Tensor:
    """Codes of one name that also have nearly one vector, (B, N): copies and old versions.

    Args:
        codes: (N, E), unit vectors; the first B are compared with all.
        alike: (B, N), True where two codes have the same name.
    """
    cosines = codes.detach()[: len(alike)] @ codes.detach().T
    return alike & (cosines > NEARLY_SAME)


def query_drift(queries: Tensor, teacher: Tensor) -> Tensor:
    """How far unit vectors (B, E) have moved from the teacher's: the mean of 1 - cosine."""
    return 1 - (queries * teacher).sum(1).mean()


def _off_diagonal(mask: Tensor) -> Tensor:
    return mask & ~torch.eye(*mask.shape, dtype=torch.bool, device=mask.device)
