"""What was seen before: the same text, and text that is nearly the same.

Exact: hashes of code without its white space. Near: MinHash over shingles of five tokens (Broder
1997), candidates by locality-sensitive hashing, accepted by their estimated Jaccard similarity.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.mining.clean import has_enough_lines

if TYPE_CHECKING:
    from rensa import RMinHash, RMinHashDeduplicator

NEAR = 0.8
SHINGLE_TOKENS = 5
PERMUTATIONS = 128
BANDS = 16  # of 8 rows: at a similarity of 0.8, nineteen of twenty are candidates
SEED = 20240229

_TOKEN = re.compile(r"\w+|[^\w\s]")


def normalised_hash(code: str) -> bytes:
    """16 bytes that name a code, whatever its layout."""
    text = "".join(code.split())
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def shingles(text: str) -> list[str]:
    """The runs of five tokens of a text; a shorter text is one shingle."""
    tokens = _TOKEN.findall(text)
    last = max(1, len(tokens) - SHINGLE_TOKENS + 1)
    return [" ".join(tokens[i : i + SHINGLE_TOKENS]) for i in range(last)]


class NearDuplicates:
    """Texts that no two are nearly the same of; the first one stays."""

    def __init__(self) -> None:
        from rensa import RMinHashDeduplicator

        self._kept: RMinHashDeduplicator = RMinHashDeduplicator(
            NEAR, PERMUTATIONS, True, BANDS, SEED
        )
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> bool:
        """Keeps the text and returns True, unless one like it is kept already."""
        is_new = bool(self._kept.add(str(self._count), self._sketch(text)))
        self._count += is_new
        return is_new

    def __contains__(self, text: str) -> bool:
        return bool(self._kept.is_duplicate("", self._sketch(text)))

    def _sketch(self, text: str) -> RMinHash:
        from rensa import RMinHash

        sketch = RMinHash(PERMUTATIONS, SEED)
        sketch.update(shingles(text))
        return sketch


class Excluded:
    """Codes that no pair may hold, neither exactly nor nearly."""

    def __init__(self, codes: Iterable[str] = ()) -> None:
        self._hashes: set[bytes] = set()
        self._near: NearDuplicates | None = None  # made with the first code
        for code in codes:
            self.add(code)

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, code: str) -> bool:
        if self._near is None:
            return False
        return normalised_hash(code) in self._hashes or code in self._near

    def add(self, code: str) -> None:
        """Excludes a code; one of fewer than three lines is everybody's."""
        if not has_enough_lines(code):
            return
        if self._near is None:
            self._near = NearDuplicates()
        self._hashes.add(normalised_hash(code))
        self._near.add(code)

    def digest(self) -> str:
        """Names the set of codes, whatever their order."""
        return hashlib.blake2b(b"".join(sorted(self._hashes)), digest_size=8).hexdigest()


def never_train_names(path: Path) -> frozenset[str]:
    """The repositories of a list, one `owner/name` per line, in lower case."""
    lines = path.read_text("utf-8").splitlines()
    return frozenset(line.strip().lower() for line in lines if line.strip())
