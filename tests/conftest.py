"""What several test modules share: the shipped checkpoint, and git without the user's settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from models.checkpoint import Checkpoint, open_checkpoint
from tests.command_line import FILES, Place, a_copy_of
from tests.git_repositories import make_repository

# The same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    return open_checkpoint()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A small indexed repository that no test changes."""
    base = tmp_path_factory.mktemp("library")
    place = Place(base / "home", make_repository(base / "app", FILES))
    assert place.run("index", "--device", "cpu").code == 0
    return place


@pytest.fixture
def own(library: Place, tmp_path: Path) -> Place:
    """The same repository, indexed for one test to change."""
    return a_copy_of(library, tmp_path)
