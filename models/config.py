"""What shapes SASA attention: sizes in blocks of tokens, checked once and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class SasaConfig:
    """The sparsity of structure-aware sparse attention (Liu et al., SIGIR 2022).

    Each block of `block_size` tokens attends to `window_blocks` neighbours (itself in the middle),
    `global_blocks` blocks that see and are seen by everything (the first, then the last with text
    in it), and up to `top_k_blocks` more that the syntax tree connects it to.
    """

    block_size: int = 64
    window_blocks: int = 3
    global_blocks: int = 2
    top_k_blocks: int = 3
    max_tokens: int = 4096

    def __post_init__(self) -> None:
        if self.block_size < 1 or self.max_tokens < self.block_size:
            raise ValueError(f"need 1 <= block_size <= max_tokens, got {self}")
        if self.window_blocks < 1 or self.window_blocks % 2 == 0:
            raise ValueError(f"window_blocks must be odd, got {self.window_blocks}")
        if self.global_blocks < 0 or self.top_k_blocks < 0:
            raise ValueError(f"global_blocks and top_k_blocks must not be negative, got {self}")

    @property
    def row_blocks(self) -> int:
        """The most blocks that a block which is not global attends to."""
        return self.window_blocks + self.global_blocks + self.top_k_blocks

    @property
    def full_tokens(self) -> int:
        """Up to this many tokens the blocks cover all pairs: SASA is full attention."""
        return self.row_blocks * self.block_size

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

    def to_mapping(self) -> dict[str, int]:
        """The `sasa` section of `config.json`."""
        return asdict(self)
