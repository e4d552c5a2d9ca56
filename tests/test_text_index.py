"""The text index: BM25 by a plain sum, filters, growth in any steps, files of any damage."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.storage.text_index import K1, KINDS, B, IndexedTerms, TextIndex, sync_text
from indexer.terms import BODY_WEIGHT, PATH_WEIGHT, SYMBOL_WEIGHT, count_terms, stemmed

BODIES = [
    "parse the config file",
    "load config from path",
    "class Client: connect to a server",
    "config config config",
    "nothing of interest",
]


def a_row(chunk_id: int, body: str, kind: str = "function", file_id: int = 0) -> IndexedTerms:
    terms = count_terms("", "", body)
    return IndexedTerms(
        chunk_id, file_id or chunk_id, kind, terms.stems, terms.weights, terms.words
    )


def built(*rows: IndexedTerms) -> TextIndex:
    ids = np.array(sorted(row.chunk_id for row in rows), dtype=np.int64)
    return TextIndex.empty().updated(1, ids, rows)


def everything(index: TextIndex, *stems: str, top_k: int = 100) -> list[tuple[int, float]]:
    ids, scores = index.search(stems, top_k, np.ones(len(index.ids), dtype=bool))
    return list(zip(ids.tolist(), scores.tolist(), strict=True))


def bm25(bodies: dict[int, str], asked: list[str]) -> dict[int, float]:
    """As the formula has it, one chunk at a time."""
    bags = {i: Counter(stemmed(word) for word in body.split()) for i, body in bodies.items()}
    mean = sum(bag.total() for bag in bags.values()) / len(bags)
    found: dict[int, float] = {}
    for stem in asked:
        having = [i for i, bag in bags.items() if bag[stem]]
        idf = max(1e-6, math.log((len(bags) - len(having) + 0.5) / (len(having) + 0.5)))
        for i in having:
            norm = K1 * (1 - B + B * bags[i].total() / mean)
            part = idf * bags[i][stem] * (K1 + 1) / (bags[i][stem] + norm)
            found[i] = found.get(i, 0.0) + part
    return found


def test_scores_are_bm25_best_first():
    bodies = {10 * i: body for i, body in enumerate(b.lower().replace(":", "") for b in BODIES)}
    index = built(*(a_row(i, body) for i, body in bodies.items()))
    asked = ["config", "pars", "server"]
    expected = bm25(bodies, asked)
    found = everything(index, *asked)
    assert dict(found) == pytest.approx(expected)
    assert [i for i, _ in found] == sorted(expected, key=lambda i: (-expected[i], i))
    assert everything(index, *asked, top_k=2) == found[:2]
    assert everything(index, "config", "config") == everything(index, "config")
    assert everything(index, "zebra") == []


def test_a_word_counts_by_its_field_and_is_stemmed():
    terms = count_terms("Config.parseAll", "app/config.py", "parsing configs of config")
    weights = dict(
        zip(terms.stems.split(), np.frombuffer(terms.weights, dtype=np.uint16), strict=True)
    )
    assert weights["config"] == SYMBOL_WEIGHT + PATH_WEIGHT + 2 * BODY_WEIGHT
    assert weights["pars"] == SYMBOL_WEIGHT + BODY_WEIGHT
    assert weights["app"] == PATH_WEIGHT
    assert terms.words == 4 + 3 + 4


def test_every_word_leaves_a_stem():
    terms = count_terms("", "", "s x ss parser's é 世界 aaas 1 12s")
    assert len(terms.stems.split()) == len(terms.weights) // 2
    assert "s" in terms.stems.split()


def test_filters_are_by_file_and_kind():
    rows = [a_row(i, "config", KINDS[i % 2], file_id=i // 2 + 1) for i in range(6)]
    index = built(*rows)
    files = np.array([1, 3, 99], dtype=np.int64)
    assert index.ids[index.allowed(files, ())].tolist() == [0, 1, 4, 5]
    assert index.ids[index.allowed(files, ("class",))].tolist() == [1, 5]
    assert index.allowed(np.empty(0, dtype=np.int64), ()).sum() == 0
    ids, _ = index.search(["config"], 10, index.allowed(files, ("class",)))
    assert ids.tolist() == [1, 5]


@dataclass
class Database:
    """What the index is a cache of, as a dictionary."""

    chunks: dict[int, str]
    text_generation: int = 1

    def chunk_ids(self):
        return np.array(sorted(self.chunks), dtype=np.int64)

    def terms_after(self, chunk_id):
        return [a_row(i, self.chunks[i]) for i in sorted(self.chunks) if i > chunk_id]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(BODIES), max_size=4), st.sets(st.integers(1, 12))),
        min_size=1,
        max_size=4,
    )
)
def test_growing_in_steps_equals_making_at_once(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("text") / "text.idx"
    database, last = Database({}), 0
    for new, gone in steps:
        database.chunks |= {last + i: body for i, body in enumerate(new, 1)}
        last += len(new)
        for chunk_id in gone:
            database.chunks.pop(chunk_id, None)
        database.text_generation += 1
        grown = sync_text(path, database)
    opened = TextIndex.open(path)
    fresh = sync_text(path.with_name("fresh.idx"), database)
    for index in (grown, opened):
        assert index is not None
        assert index.ids.tolist() == sorted(database.chunks)
        for stem in ("config", "server", "noth"):
            assert everything(index, stem) == everything(fresh, stem)


def test_a_current_file_is_taken_as_it_is_and_a_readers_is_not_written(tmp_path):
    path = tmp_path / "text.idx"
    database = Database({1: "config"})
    sync_text(path, database, save=False)
    assert not path.exists()
    sync_text(path, database)
    database.chunks[2] = "config"  # no new generation: nobody looks
    assert sync_text(path, database).ids.tolist() == [1]
    database.text_generation = 0  # another database, begun anew
    assert sync_text(path, database).ids.tolist() == [1, 2]


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "longer", "other", "sizes"])
def test_a_damaged_file_is_none(tmp_path, damage):
    path = tmp_path / "text.idx"
    sync_text(path, Database(dict(enumerate(BODIES, 1))))
    data = path.read_bytes()
    assert TextIndex.open(path) is not None
    damaged = {
        "empty": b"",
        "cut": data[:-3],
        "longer": data + b"x",
        "other": b"SQLite format 3\0" + data[16:],
        "sizes": data[:24] + b"\xff" * 80 + data[104:],
    }
    path.unlink() if damage == "absent" else path.write_bytes(damaged[damage])
    assert TextIndex.open(path) is None
    assert sync_text(path, Database({7: "config"})).ids.tolist() == [7]
