"""How a checkpoint reads: the pattern of its attention, and how much each token counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Part = Literal["window", "global", "random", "frequency", "syntax"]

# What a block sees besides itself. A pattern is the union of its parts; `full` has no bounds.
PATTERNS: dict[str, frozenset[Part]] = {
    "full": frozenset(),
    "window": frozenset({"window"}),
    "longformer": frozenset({"window", "global"}),
    "bigbird": frozenset({"window", "global", "random"}),
    "sasa": frozenset({"window", "global", "frequency", "syntax"}),
    "sasa-no-topk": frozenset({"window", "global", "syntax"}),
    "sasa-no-ast": frozenset({"window", "global", "frequency"}),
}


@dataclass(frozen=True, slots=True)
class SasaConfig:
    """The sparsity of structure-aware sparse attention (Liu et al., SIGIR 2022) and its rivals.

    Each block of `block_size` tokens attends to `window_blocks` neighbours (itself in the middle),
    `global_blocks` blocks that see and are seen by everything (the first, then the last with text
    in it), and up to `top_k_blocks` more: those that the syntax tree and the frequency prior
    connect it to, the prior counting `frequency_weight` of the whole (in `bigbird` random ones).
    Inputs of up to `full_up_to` tokens have full attention: for them sparsity saves no time. The
    first `head_blocks` blocks of code see each other alone (0: they do not): what a unit or file
    says of itself stands there, and reads best undiluted. So code that is longer than these has
    sparse attention already.
    A vector is a mean in which the token at position t counts 1 / (1 + t / `head_tokens`): a text
    says what it is about at its head. Behind a head that is read by itself tokens count twice.
    0: all tokens count alike.
    """

    pattern: str = "sasa"
    block_size: int = 64
    window_blocks: int = 3
    global_blocks: int = 2
    top_k_blocks: int = 3
    head_blocks: int = 8
    frequency_weight: float = 0.5
    full_up_to: int = 1024
    max_tokens: int = 4096
    head_tokens: int = 0

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, got {self.pattern!r}")
        if self.block_size < 1 or self.max_tokens < 1 or self.max_tokens % self.block_size:
            raise ValueError(f"max_tokens must be a multiple of block_size, got {self}")
        if self.window_blocks < 1 or self.window_blocks % 2 == 0:
            raise ValueError(f"window_blocks must be odd, got {self.window_blocks}")
        for name in ("global_blocks", "top_k_blocks", "head_blocks", "full_up_to", "head_tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.frequency_weight <= 1:
            raise ValueError(f"frequency_weight must be in 0..1, got {self.frequency_weight}")

    def uses(self, part: Part) -> bool:
        """Whether the pattern has this part."""
        return part in PATTERNS[self.pattern]

    @property
    def is_scored(self) -> bool:
        """Whether some blocks are chosen by score."""
        return bool(PATTERNS[self.pattern] - {"window", "global"})

    @property
    def row_blocks(self) -> int:
        """The most blocks that a block which is not global attends to."""
        return (
            self.window_blocks
            + (self.global_blocks if self.uses("global") else 0)
            + (self.top_k_blocks if self.is_scored else 0)
        )

    @property
    def full_tokens(self) -> int:
        """Up to this many tokens attention is full: every token sees every token."""
        if self.pattern == "full":
            return self.max_tokens
        return max(self.full_up_to, self.row_blocks * self.block_size)

    def is_sparse(self, length: int, has_head: bool = False) -> bool:
        """Whether some tokens of an input of so many see only some of the others."""
        full = self.full_tokens
        if has_head and self.head_blocks and self.pattern != "full":
            full = min(full, self.head_blocks * self.block_size)
        return length > full

    def block_count(self, length: int) -> int:
        """How many blocks hold `length` tokens."""
        return -(-length // self.block_size)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> SasaConfig:
        """Read the `sasa` section of a checkpoint's `config.json`; unknown keys are an error."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown SASA settings: {', '.join(sorted(unknown))}")
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """The `sasa` section of `config.json`."""
        return asdict(self)


# What SASA's authors choose; a checkpoint may do with fewer far blocks, and without the prior.
PUBLISHED = SasaConfig()
