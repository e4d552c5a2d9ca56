"""`doctor`: whether everything that a search needs is there and works, tried out part by part."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from codesearch.answer import checkpoint_of
from codesearch.client import connect
from indexer.errors import CodesearchError
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.reader import Reader
from indexer.storage.vectors import VectorStore
from models.checkpoint import CheckpointError, compute_fingerprint, open_checkpoint
from models.devices import has_cuda_driver

_REINSTALL = "install codesearch again"
_SAMPLE = "read a configuration file"
_ALIKE = 0.99  # cosine; bfloat16 against float32 has 0.9998
_LEAST_FREE = 1e9  # bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found; `hint` says what to do where something is wrong."""

    check: str
    state: str
    hint: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether there is something to do."""
        return bool(self.hint)


def examine(home: IndexHome) -> Iterator[Finding]:
    """Check one part after the other; nothing is changed."""
    checks: dict[str, Callable[[], tuple[str, str]]] = {
        "program": _program,
        "git": _git,
        "grammars": _grammars,
        "model": _model,
        "encoder": _encoder,
        "gpu": _gpu,
        "faiss": _faiss,
        "extras": _extras,
        "index home": lambda: _home(home),
        "vectors": lambda: _vectors(home),
        "server": lambda: _server(home),
    }
    for name, check in checks.items():
        yield _tried(name, check)
    for folder in home.repos():
        yield _tried("repository", lambda folder=folder: _repository(folder))  # type: ignore[misc]


def _tried(name: str, check: Callable[[], tuple[str, str]]) -> Finding:
    """What a check says; what it dies of is a finding, too."""
    try:
        return Finding(name, *check())
    except (CodesearchError, CheckpointError) as error:
        return Finding(name, str(error), error.hint)
    except Exception as error:
        return Finding(name, f"{type(error).__name__}: {error}", _REINSTALL)


def _program() -> tuple[str, str]:
    python = platform.python_version()
    return f"codesearch {version('codesearch')}, Python {python}, {platform.platform()}", ""


def _git() -> tuple[str, str]:
    try:
        done = subprocess.run(["git", "version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "git does not run", "install git"
    return done.stdout.strip(), ""


def _grammars() -> tuple[str, str]:
    from indexer.syntax.grammars import GRAMMARS
    from indexer.syntax.tree import parse

    broken = []
    for language in sorted(GRAMMARS):
        try:
            parse("x", language)
        except Exception:
            broken.append(language)
    if broken:
        return f"{', '.join(broken)} cannot be parsed", _REINSTALL
    return f"{len(GRAMMARS)} languages are parsed", ""


def _model() -> tuple[str, str]:
    checkpoint = open_checkpoint()
    if compute_fingerprint(checkpoint.folder) != checkpoint.fingerprint:
        return f"files in {checkpoint.folder} are not those that were shipped", _REINSTALL
    return f"{checkpoint.name} ({checkpoint.fingerprint[:12]}) in {checkpoint.folder}", ""


def _encoder() -> tuple[str, str]:
    """Torch, which encodes code, against NumPy, which encodes questions."""
    from models.encoder import Encoder
    from models.light_encoder import LightEncoder

    checkpoint = open_checkpoint()
    ours, encoder = LightEncoder(checkpoint).embed_query(_SAMPLE), Encoder(checkpoint)
    cosine = float(ours @ encoder.embed_query(_SAMPLE))
    state = f"torch {version('torch')}, {encoder.account()}"
    if cosine < _ALIKE:
        return f"{state}; its vectors are not those of queries: cosine {cosine:.3f}", _REINSTALL
    return state, ""


def _gpu() -> tuple[str, str]:
    from models.encoder import gpu_names

    names = gpu_names()
    if names:
        return ", ".join(names), ""
    if has_cuda_driver():
        return (
            f"there is an NVIDIA driver, but torch {version('torch')} sees no GPU",
            "install torch's build with CUDA: `make install TORCH_INDEX=`",
        )
    return "none; encoding runs on the CPU", ""


def _faiss() -> tuple[str, str]:
    from indexer.storage.faiss_cache import faiss_version

    return f"faiss {faiss_version()}", ""


def _extras() -> tuple[str, str]:
    extras = {"mcp": "mcp", "rensa": "eval and train", "matplotlib": "plots of training"}
    states = (
        f"{use}: {'installed' if find_spec(name) else 'not installed'}"
        for name, use in extras.items()
    )
    return ", ".join(states), ""


def _home(home: IndexHome) -> tuple[str, str]:
    around = next(path for path in (home.folder, *home.folder.parents) if path.is_dir())
    try:
        with TemporaryFile(dir=around):
            pass
    except OSError as error:
        return f"{around} cannot be written: {error.strerror}", "choose another --index"
    free = shutil.disk_usage(around).free
    state = f"{home.folder}, {free / 1e9:.1f} GB free"
    return state, "make room on the disk" if free < _LEAST_FREE else ""


def _vectors(home: IndexHome) -> tuple[str, str]:
    if not home.vectors.exists():
        return "none yet", ""
    with closing(VectorStore(home.vectors, read_only=True)) as store:
        return f"{store.count():,} in {home.vectors.stat().st_size / 1e6:.1f} MB", ""


def _server(home: IndexHome) -> tuple[str, str]:
    connection = connect(home.folder)
    if connection is None:
        return "not running (`codesearch serve` answers faster)", ""
    connection.close()
    return "running", ""


def _repository(folder: RepoFolder) -> tuple[str, str]:
    """Whether its index can be read, with the model that made it."""
    with closing(Reader(folder)) as reader:
        checkpoint = checkpoint_of(reader)
        waiting, _ = reader.pending_tokens()
        state = f"{reader.name} in {reader.root}, by {checkpoint.name}"
        if not Path(reader.root).exists():
            return f"{state}; the repository is gone", "run `codesearch clean`"
        if waiting:
            return (
                f"{state}; {waiting:,} texts have no vector yet",
                f"run `codesearch index {reader.root}`",
            )
        return state, ""
