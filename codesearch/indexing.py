"""From what a user names (a path or a URL) to an index."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexer.build import IndexBuild, IndexReport
from indexer.encoding import BatchEncoder
from indexer.errors import UsageError
from indexer.progress import Progress
from indexer.sources.ignore import escape_glob
from indexer.sources.listing import WORKING_TREE, Selection
from indexer.sources.repository import Repository, clone, find_repository, is_url
from indexer.storage.home import IndexHome
from indexer.storage.reader import Reader
from models.batching import ON_CPU, Pace, pace_of
from models.checkpoint import DEFAULT_MODEL, open_checkpoint
from models.devices import has_cuda_driver

_DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Wish:
    """How the user wants a repository indexed.

    Attributes:
        ref: A branch, tag or commit; None: the working tree, HEAD of a bare repository.
        selection: Which paths take part; a subfolder narrows it further.
        model: A checkpoint folder or name; None: the default.
        device: auto, cpu or cuda.
        rebuild: Throw the old index away.
    """

    ref: str | None = None
    selection: Selection = field(default_factory=Selection)
    model: str | None = None
    device: str = "auto"
    rebuild: bool = False

    def __post_init__(self) -> None:
        if self.device.partition(":")[0] not in _DEVICES:
            raise UsageError(f"unknown device {self.device!r}", f"use {', '.join(_DEVICES)}")
        if self.ref == WORKING_TREE:
            raise UsageError(
                f"--ref {WORKING_TREE} would be the files on disk",
                f"leave --ref away for those; a branch of that name is refs/heads/{WORKING_TREE}",
            )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was indexed and what was left out of it."""

    repository: Repository
    selection: Selection
    report: IndexReport
    skipped: Counter[str]  # reason → files of the ref


def index_location(home: IndexHome, location: str, wish: Wish, progress: Progress) -> Outcome:
    """Index what `location` names: a folder of a repository, any folder, or a URL to clone."""
    open_checkpoint(wish.model or DEFAULT_MODEL)  # a wrong name is told before anything is cloned
    repository, subfolder = _find_location(home, location, progress)
    if subfolder:
        wish = replace(wish, selection=within(wish.selection, subfolder))
    return index_repository(home, repository, wish, progress)


def index_repository(
    home: IndexHome, repository: Repository, wish: Wish, progress: Progress
) -> Outcome:
    """Index a repository; torch is loaded only if something has to be encoded."""
    checkpoint = open_checkpoint(wish.model or DEFAULT_MODEL)

    def load_encoder() -> BatchEncoder:
        from models.encoder import Encoder

        return Encoder(checkpoint, wish.device)

    build = IndexBuild(
        home, repository, checkpoint, load_encoder, progress, lambda: _pace(wish.device)
    )
    report = build.run(wish.ref, wish.selection, wish.rebuild)
    skipped = _skipped(home, repository, report.ref)
    return Outcome(repository, wish.selection, report, skipped)


def within(selection: Selection, subfolder: str) -> Selection:
    """The selection, restricted to a subfolder and relative to it."""
    root = escape_glob(subfolder)
    paths = tuple(f"{root}/{_anchored(path)}" for path in selection.paths)
    return replace(selection, paths=paths or (root,))


def _pace(device: str) -> Pace:
    """The pace of the device that `Encoder` will choose; imports torch only near a GPU."""
    if device == "cpu" or (device == "auto" and not has_cuda_driver()):
        return ON_CPU
    from models.encoder import choose_device

    return pace_of(choose_device(device).type)


def _find_location(home: IndexHome, location: str, progress: Progress) -> tuple[Repository, str]:
    """The repository that a path or URL names, and the subfolder inside it."""
    if is_url(location):
        progress.say(f"cloning {location}")
        return clone(location, home.clones), ""
    return find_repository(Path(location).expanduser())


def _skipped(home: IndexHome, repository: Repository, ref_name: str) -> Counter[str]:
    reader = Reader(home.repo(repository.root))
    try:
        ref = next((ref for ref in reader.refs() if ref.name == ref_name), None)
        return Counter(reader.skipped(ref)) if ref else Counter()
    finally:
        reader.close()


def _anchored(path: str) -> str:
    """A glob below a folder: without a slash it fits at any depth, as gitignore has it."""
    plain = path.removeprefix("./").removeprefix("/")
    return plain if "/" in plain.rstrip("/") else f"**/{plain}"
