"""From what a user names (a path or a URL) to an index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from indexer.build import BatchEncoder, IndexReport, index_ref
from indexer.progress import Progress
from indexer.sources.ignore import escape_glob
from indexer.sources.listing import Selection
from indexer.sources.repository import Repository, clone, find_repository, is_url
from indexer.storage.home import IndexHome
from models.checkpoint import DEFAULT_MODEL, Checkpoint, open_checkpoint


def index_location(
    home: IndexHome,
    location: str,
    ref: str | None,
    selection: Selection,
    model: str | None,
    device: str,
    rebuild: bool,
    progress: Progress,
) -> tuple[Repository, IndexReport]:
    """Index what `location` names.

    Args:
        home: where indexes live.
        location: a folder of a repository, any folder, or a URL to clone.
        ref: a branch, tag or commit; None: the working tree, HEAD of a bare repository.
        selection: which paths take part; a subfolder narrows it further.
        model: a checkpoint folder or name; None: the default.
        device: auto, cpu or cuda.
        rebuild: throw the old index away.
        progress: is told how it goes.
    """
    checkpoint = open_checkpoint(model or DEFAULT_MODEL)
    repository, subfolder = find_location(home, location, progress)
    if subfolder:
        selection = within(selection, subfolder)
    report = index_repository(
        home, repository, ref, selection, checkpoint, device, rebuild, progress
    )
    return repository, report


def find_location(home: IndexHome, location: str, progress: Progress) -> tuple[Repository, str]:
    """The repository that a path or URL names, and the subfolder inside it."""
    if is_url(location):
        progress.say(f"cloning {location}")
        return clone(location, home.clones), ""
    return find_repository(Path(location).expanduser())


def within(selection: Selection, subfolder: str) -> Selection:
    """The selection, restricted to a subfolder and relative to it."""
    root = escape_glob(subfolder)
    paths = tuple(f"{root}/{_anchored(path)}" for path in selection.paths)
    return replace(selection, paths=paths or (root,))


def index_repository(
    home: IndexHome,
    repository: Repository,
    ref: str | None,
    selection: Selection,
    checkpoint: Checkpoint,
    device: str,
    rebuild: bool,
    progress: Progress,
) -> IndexReport:
    """Index a repository; torch is loaded only if something has to be encoded."""

    def load_encoder() -> BatchEncoder:
        progress.start("loading the encoder", 0, "")
        from models.encoder import Encoder

        return Encoder(checkpoint, device)

    return index_ref(home, repository, ref, selection, checkpoint, load_encoder, progress, rebuild)


def _anchored(path: str) -> str:
    """A glob below a folder: without a slash it fits at any depth, as gitignore has it."""
    plain = path.removeprefix("./").removeprefix("/")
    return plain if "/" in plain.rstrip("/") else f"**/{plain}"
