"""What a long run tells whoever watches it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the stages of a run; a stage has one unit, such as files or tokens."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins; an earlier one is over."""

    def advance(self, amount: int) -> None:
        """So much more of the present stage is done."""

    def say(self, message: str) -> None:
        """Something worth a line happened."""


class Silence:
    """Progress that nobody watches."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignore the stage."""

    def advance(self, amount: int) -> None:
        """Ignore the amount."""

    def say(self, message: str) -> None:
        """Ignore the message."""


SILENCE = Silence()
