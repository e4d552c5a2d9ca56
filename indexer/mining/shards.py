"""Pairs on disk: one compressed JSONL file per repository, and beside it what it was made from.

Both files appear whole or not at all, the shard first. So a shard with a description is finished,
and is not made again while the repository's commit and the settings are the same.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.syntax.chunks import DOCUMENTS
from models.replacing import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 10
_OPTIONAL = ("long_query", "links")


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the code that answers it.

    Attributes:
        query: The question; "" for code of a pool that nobody asks for.
        code: The answer, as the encoder reads it.
        language: As `indexer.syntax.languages` names it.
        kind: "docstring", "name", "commit", "section" or "file"; "function" without a query.
        repo: `owner/name`.
        commit: The commit that the code was taken from.
        path: POSIX, relative to the repository root.
        symbol: The qualified name; "" for files and sections.
        start_line: First line in the file, documentation included, from 1.
        end_line: Last line, included.
        licence: The repository's, as SPDX names it.
        tokens: How many tokens the code has, special ones included.
        long_query: All that the documentation says, where that is more than the query.
        links: Syntax links of a code beyond full attention, delta coded; see `decoded_links`.
    """

    query: str
    code: str
    language: str
    kind: str
    repo: str
    commit: str
    path: str
    symbol: str
    start_line: int
    end_line: int
    licence: str
    tokens: int
    long_query: str = ""
    links: tuple[int, ...] = ()

    @property
    def is_code(self) -> bool:
        """As an index has it (`indexer.syntax.chunks.Chunk`): chunks may be documentation."""
        return self.language not in DOCUMENTS

    def to_json(self) -> str:
        """One line of JSON; what is empty and optional is left out."""
        record = asdict(self)
        for name in _OPTIONAL:
            if not record[name]:
                del record[name]
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_mapping(cls, record: dict[str, Any]) -> Pair:
        """A pair from a line's object; unknown keys are ignored."""
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in record.items() if key in known}
        return cls(**{**values, "links": tuple(record.get("links", ()))})


def encoded_links(links: NDArray[np.int32]) -> tuple[int, ...]:
    """(n, 2) ordered offsets as one row: the step from the last first end, then the length."""
    if not len(links):
        return ()
    steps = np.diff(links[:, 0], prepend=0)
    return tuple(np.stack([steps, links[:, 1] - links[:, 0]], axis=1).ravel().tolist())


def decoded_links(row: Iterable[int]) -> NDArray[np.int32]:
    """The inverse of `encoded_links`: (n, 2) offsets in characters of the code."""
    pairs = np.fromiter(row, dtype=np.int32).reshape(-1, 2)
    first = np.cumsum(pairs[:, 0], dtype=np.int32)
    return np.stack([first, first + pairs[:, 1]], axis=1).astype(np.int32)


class Shards:
    """A folder of shards, by repository name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, repo: str) -> Path:
        """Where the pairs of `owner/name` lie."""
        return self.folder / f"{repo.replace('/', '+')}.jsonl.zst"

    def description(self, repo: str) -> dict[str, Any]:
        """What a finished shard was made from and holds; empty where there is none."""
        path = self._description_path(repo)
        try:
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if self.path(repo).exists() or found.get("refused") else {}

    def descriptions(self) -> list[dict[str, Any]]:
        """Those of all repositories, by name."""
        names = sorted(path.name[: -len(".json")] for path in self.folder.glob("*+*.json"))
        found = (self.description(name.replace("+", "/", 1)) for name in names)
        return [description for description in found if description]

    def write(self, repo: str, pairs: Iterable[Pair], description: dict[str, Any]) -> None:
        """Stores the pairs of a repository, then their description."""
        write_pairs(self.path(repo), pairs)
        self.describe(repo, description)

    def describe(self, repo: str, description: dict[str, Any]) -> None:
        """Stores a description alone: that of a repository which was refused."""
        text = json.dumps(description, indent=1, ensure_ascii=False)
        with replacing(self._description_path(repo)) as beside:
            beside.write_text(f"{text}\n", "utf-8")

    def _description_path(self, repo: str) -> Path:
        return self.folder / f"{repo.replace('/', '+')}.json"


def write_pairs(path: Path, pairs: Iterable[Pair]) -> int:
    """Writes a shard; returns how many pairs it holds."""
    import zstandard

    count = 0
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    with replacing(path) as beside, zstandard.open(beside, "wb", cctx=compressor) as stream:
        for pair in pairs:
            stream.write(pair.to_json().encode("utf-8", "replace") + b"\n")
            count += 1
    return count


def read_pairs(path: Path) -> Iterator[Pair]:
    """The pairs of a shard in order."""
    import zstandard

    with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n"):
            yield Pair.from_mapping(json.loads(line))
