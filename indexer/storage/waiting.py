"""The inputs that wait to be encoded: the table `pending`, each function inside a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from indexer.storage.schema import Pending
from models.blocks import BlockPattern
from models.inputs import EncoderInput

_PAGE = 10_000
_LOOKUP_BATCH = 500  # SQLite allows so many variables, and more


def add(session: Session, inputs: Mapping[bytes, EncoderInput]) -> None:
    """Let inputs wait; one that waits already stays as it is."""
    rows = [
        {
            "vector_key": key,
            "tokens": len(item),
            "ids": item.ids.tobytes(),
            "block_index": item.pattern.block_index.tobytes(),
            "block_count": item.pattern.block_count.tobytes(),
        }
        for key, item in inputs.items()
    ]
    if rows:
        session.connection().execute(insert(Pending).prefix_with("OR IGNORE"), rows)


def keys_after(session: Session, key: bytes) -> list[bytes]:
    """A page of the keys behind `key`, ascending."""
    behind = select(Pending.vector_key).where(Pending.vector_key > key)
    return list(session.scalars(behind.order_by(Pending.vector_key).limit(_PAGE)))


def tokens(session: Session) -> int:
    """The tokens of all inputs."""
    return session.scalar(select(func.coalesce(func.sum(Pending.tokens), 0))) or 0


def longest(session: Session, limit: int) -> list[tuple[bytes, int]]:
    """Key and tokens of the longest inputs, ties in the order of their keys."""
    order = (Pending.tokens.desc(), Pending.vector_key)
    found = session.execute(
        select(Pending.vector_key, Pending.tokens).order_by(*order).limit(limit)
    )
    return [(key, count) for key, count in found]


def inputs(session: Session, keys: Sequence[bytes]) -> dict[bytes, EncoderInput]:
    """The inputs of those keys that are there, in the order of the keys."""
    columns = (Pending.vector_key, Pending.ids, Pending.block_index, Pending.block_count)
    found = {}
    for batch in _batches(keys):
        rows = session.execute(select(*columns).where(Pending.vector_key.in_(batch)))
        found.update({key: _unpack(*arrays) for key, *arrays in rows})
    return {key: found[key] for key in keys if key in found}


def remove(session: Session, keys: Sequence[bytes]) -> None:
    """Take inputs off."""
    for batch in _batches(keys):
        session.execute(delete(Pending).where(Pending.vector_key.in_(batch)))


def _unpack(ids: bytes, block_index: bytes, block_count: bytes) -> EncoderInput:
    count = np.frombuffer(block_count, dtype=np.int32)
    index = np.frombuffer(block_index, dtype=np.int32).reshape(len(count), -1)
    return EncoderInput(np.frombuffer(ids, dtype=np.int32), BlockPattern(index, count))


def _batches(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _LOOKUP_BATCH):
        yield keys[start : start + _LOOKUP_BATCH]
