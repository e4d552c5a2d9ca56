"""What is known of each packed pair, in one array: where its tokens lie, and what it is a twin of.

Twins are told by hashes: of the question, the code, the name and the file. A code that may answer
a question although it is another pair's is no negative for it. Kinds of pairs have fixed weights;
within a kind, a language counts by the square root of its pairs, so that none dominates.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.mining.shards import Pair

KIND_WEIGHTS = {"docstring": 0.28, "documented": 0.1, "written": 0.25, "inside": 0.12}
KIND_WEIGHTS |= {"name": 0.06, "commit": 0.06, "section": 0.03, "file": 0.1}
RECORD = np.dtype(
    [
        ("code_start", "<i8"),  # in tokens
        ("code_length", "<i4"),
        ("pattern_start", "<i8"),
        ("pattern_length", "<i4"),  # 0: full attention
        ("kind", "<u2"),  # places in the lists of `pack.json`
        ("language", "<u2"),
        ("repo", "<u4"),
        ("is_dev", "?"),
        ("query_key", "<u8"),
        ("code_key", "<u8"),
        ("name_key", "<u8"),  # 0: nameless
        ("file_key", "<u8"),
        ("start_line", "<i4"),
        ("end_line", "<i4"),
    ]
)
Records = NDArray[np.void]


def keys_of(pair: Pair) -> dict[str, int]:
    """The fields of a record that tell twins."""
    name = pair.symbol.rpartition(".")[2].lower().strip("_")
    return {
        "query_key": key(pair.query.lower().strip(" .")),
        "code_key": key(" ".join(pair.code.split())),
        "name_key": key(name) if name else 0,
        "file_key": key(f"{pair.repo}/{pair.path}"),
        "start_line": pair.start_line,
        "end_line": pair.end_line,
    }


def key(text: str) -> int:
    """64 bits that name a text; never 0."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def not_negatives(rows: Records, columns: Records) -> NDArray[np.bool_]:
    """Which columns' codes may answer which rows' questions, (rows, columns).

    Those of the same question or the same code, and those that overlap in one file: a file
    answers what its functions answer.
    """
    same_text = _equal(rows, columns, "query_key") | _equal(rows, columns, "code_key")
    overlap = (rows["start_line"][:, None] <= columns["end_line"]) & (
        columns["start_line"] <= rows["end_line"][:, None]
    )
    return np.asarray(same_text | (_equal(rows, columns, "file_key") & overlap))


def alike(rows: Records, columns: Records) -> NDArray[np.bool_]:
    """Which columns' codes have the name of which rows' codes, (rows, columns)."""
    return np.asarray(_equal(rows, columns, "name_key") & (rows["name_key"] != 0)[:, None])


def weights_of(records: Records, kinds: list[str]) -> NDArray[np.float64]:
    """How often each pair is to be seen, relative to the others."""
    weights = np.zeros(len(records))
    groups = records["kind"].astype(np.int64) * 2**16 + records["language"]
    for number, kind in enumerate(kinds):
        inside = records["kind"] == number
        _, place, counts = np.unique(groups[inside], return_inverse=True, return_counts=True)
        share = np.sqrt(counts) / np.sqrt(counts).sum()
        weights[inside] = KIND_WEIGHTS.get(kind, 0.0) * (share / counts)[place]
    return np.maximum(weights, 1e-12)


def _equal(rows: Records, columns: Records, field: str) -> NDArray[Any]:
    return np.asarray(rows[field][:, None] == columns[field])
