"""What several test modules share: the shipped checkpoint, and git without the user's settings."""

from __future__ import annotations

import pytest

from models.checkpoint import Checkpoint, open_checkpoint


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    return open_checkpoint()
