"""From shards to batches: what is packed, held out, mixed and measured."""

from __future__ import annotations

import json
import random
import runpy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

import indexer.training.course
from indexer.errors import UsageError
from indexer.heading import headed
from indexer.mining.pairs import MASK
from indexer.mining.shards import Pair, encoded_links, write_pairs
from indexer.training.augmented import (
    NO_QUESTIONS,
    Questions,
    augmented,
    documented,
    heading_of,
)
from indexer.training.course import Course, Lesson
from indexer.training.development import dev_rows, measure, ranks_of
from indexer.training.journal import Journal
from indexer.training.mixture import LONG, Batches, Mixture
from indexer.training.negatives import load_negatives, mine_negatives, save_negatives
from indexer.training.pack import MAX_QUERY_TOKENS, VARIANTS, held_out, is_headed, pack
from indexer.training.packed import Packed
from indexer.training.phrasing import imperative, phrase
from indexer.training.records import RECORD, alike, not_negatives, weights_of
from indexer.training.run import STATE
from indexer.training.taught import (
    CODE,
    PART,
    WAYS,
    Plan,
    Subject,
    Syllabus,
    teach,
)
from models.architecture import load_model
from models.checkpoint import Checkpoint, open_checkpoint
from models.inputs import encoder_input
from models.tokenizer import Tokenizer
from models.training_state import load_state
from tests.small_models import save_model

ROOT = Path(__file__).parent.parent
TEXT = "open read write close path file json user list find sort load save print test"
WORDS = TEXT.split()
DEV = held_out(["own/app", "own/lib", "own/web"])


def pair(number: int, repo: str, **changes: object) -> Pair:
    """The pair of a function whose words are its own; every eighth is long."""
    rng = random.Random(f"{number} {repo}")
    place = " ".join(WORDS[int(digit)] for digit in f"{number:02}")
    lines = 130 if number % 8 == 0 else 3
    body = "".join(f"    {rng.choice(WORDS)} = {rng.choice(WORDS)}\n" for _ in range(lines))
    plain = Pair(
        query=f"Returns the {place}.",
        code=f"def f{number}(path):\n{body}",
        language=("python", "java", "python", "python")[number % 4],
        kind=("docstring", "name")[number % 2],
        repo=repo,
        commit="0" * 40,
        path=f"{number}.py",
        symbol=f"Store.f{number}",
        start_line=1,
        end_line=lines,
        licence="MIT",
        tokens=0,
        links=encoded_links(np.array([[0, len(body)], [4, 8]], dtype=np.int32)),
    )
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("model")
    sizes = {"block_size": 16, "window_blocks": 3, "top_k_blocks": 2, "head_blocks": 2}
    sizes |= {"full_up_to": 0, "max_tokens": 2048}
    return open_checkpoint(save_model("bert", folder, sasa=sizes))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mined")
    for repo in ("own/app", "own/lib", "own/web"):
        pairs = [pair(number, repo) for number in range(40)]
        write_pairs(folder / f"{repo.replace('/', '+')}.jsonl.zst", pairs)
    return folder


@pytest.fixture(scope="module")
def packed(shards, model, tmp_path_factory) -> Packed:
    folder = tmp_path_factory.mktemp("data") / "packed"
    pack(shards, folder, model)
    return Packed(folder, model)


def test_a_packed_code_is_what_the_encoder_would_read(packed, model):
    repo = packed.about["repos"][0]
    tokenizer = Tokenizer(model)
    assert len({is_headed(pair(number, repo)) for number in range(9)}) == 2
    for number in range(9):
        source = pair(number, repo)
        heading = heading_of(source) if is_headed(source) else ""
        (tokens,) = headed(tokenizer, tokenizer.tokenize([source.code]), [heading])
        links = np.array(
            [[0, len(source.code) - len("def f(path):\n") - len(str(number))], [4, 8]]
        )
        expected = encoder_input(tokens, links.astype(np.int32), model.sasa, has_head=True)
        found = packed.code(number)
        assert found.ids.tolist() == expected.ids.tolist()
        assert found.pattern.dense().tolist() == expected.pattern.dense().tolist()
    assert not packed.code(0).pattern.covers_all_pairs
    assert packed.code(1).pattern.covers_all_pairs


def test_the_first_way_to_ask_is_the_authors_own(packed, model):
    asked = pair(3, packed.about["repos"][0]).query
    assert packed.query(3, 0).ids.tolist() == Tokenizer(model).tokenize([asked])[0].ids.tolist()


def test_a_long_question_keeps_its_closing_token(model, tmp_path):
    long = pair(1, "own/app", long_query="open the file " * 200)
    write_pairs(tmp_path / "own+app.jsonl.zst", [long])
    pack(tmp_path, tmp_path / "packed", model)
    ids = Packed(tmp_path / "packed", model).query(0, VARIANTS - 1).ids
    assert len(ids) == MAX_QUERY_TOKENS
    assert ids[-1] == Tokenizer(model).tokenize([""])[0].ids[-1]


def test_pairs_without_a_question_are_not_packed(model, tmp_path):
    pool = [pair(1, "own/app"), pair(2, "own/app", query="", kind="function")]
    write_pairs(tmp_path / "own+app.jsonl.zst", pool)
    assert pack(tmp_path, tmp_path / "packed", model)["pairs"] == 1


def test_whole_repositories_are_held_out_and_never_trained_on(packed):
    of_dev = packed.records["is_dev"]
    repos = np.array(packed.about["repos"])[packed.records["repo"]]
    assert set(repos[of_dev]) == DEV
    assert not set(repos[~of_dev]) & DEV
    batches = Batches(packed, Mixture(pairs=16))
    assert not any(of_dev[batches.rows(step)].any() for step in range(50))


def test_about_a_fiftieth_of_many_repositories_is_held_out_whatever_else_there_is():
    many = [f"own/app{number}" for number in range(3000)]
    assert 30 < len(held_out(many)) < 90
    assert held_out(many[:1500]) <= held_out(many)


def test_a_batch_depends_on_seed_and_step_alone(packed):
    def drawn(seed: int) -> list[list[int]]:
        batches = Batches(packed, Mixture(pairs=12, seed=seed))
        return [batches.rows(step).tolist() for step in (5, 0, 3)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len({tuple(rows) for rows in drawn(1)}) == 3
    ways = [Batches(packed, Mixture(pairs=12)).batch(step).queries for step in (0, 1)]
    assert [len(item) for item in ways[0]] != [len(item) for item in ways[1]]
    one, other = (Batches(packed, Mixture(pairs=12)).batch(2) for _ in range(2))
    assert [item.ids.tolist() for item in one.queries] == [i.ids.tolist() for i in other.queries]


def test_a_batch_has_no_pair_twice_and_its_share_of_long_code(packed):
    batches = Batches(packed, Mixture(pairs=20, long_share=0.1))
    for step in range(20):
        rows = batches.rows(step)
        assert len(set(rows.tolist())) == 20
        assert (packed.records["code_length"][rows] > LONG).sum() == 2


def test_long_code_can_be_of_some_kinds_alone(packed):
    names, kinds = packed.about["kinds"], packed.records["kind"]

    def of_long(**chosen: tuple[str, ...]) -> set[str]:
        batches = Batches(packed, Mixture(pairs=20, long_share=0.2, **chosen))
        rows = np.concatenate([batches.rows(step) for step in range(20)])
        assert set(kinds[rows]) == set(kinds)  # short code is of any
        return {names[kinds[row]] for row in rows if packed.records["code_length"][row] > LONG}

    assert of_long() == of_long(long_kinds=("docstring",)) == {"docstring"}
    assert of_long(long_kinds=("name",)) == set()
    with pytest.raises(UsageError, match="no pair is of kind 'prose'"):
        of_long(long_kinds=("prose",))


def test_batches_of_one_language_and_of_one_repository_come_up(packed):
    def most_common(field: str, **shares: float) -> list[int]:
        mixture = Mixture(pairs=6, long_share=0, **shares)
        batches = Batches(packed, mixture)
        counts = (Counter(packed.records[field][batches.rows(s)].tolist()) for s in range(20))
        return [count.most_common(1)[0][1] for count in counts]

    assert set(most_common("language", one_language=1, one_repo=0)) == {6}
    assert set(most_common("repo", one_language=0, one_repo=1)) == {6}
    assert set(most_common("repo", one_language=0, one_repo=0)) != {6}


def test_a_rare_language_is_seen_more_often_than_its_share(packed):
    mixture = Mixture(pairs=10, long_share=0, one_language=0, one_repo=0)
    batches = Batches(packed, mixture)
    rows = np.concatenate([batches.rows(step) for step in range(200)])
    java = packed.about["languages"].index("java")
    is_java = packed.records["language"] == java
    names = packed.records["kind"] == packed.about["kinds"].index("name")
    assert is_java[rows[names[rows]]].mean() > is_java[names].mean() * 0.7
    assert 0.1 < names[rows].mean() < 0.4  # half of the pairs, but worth less than docstrings


def test_within_a_kind_a_language_counts_by_the_root_of_its_pairs():
    records = np.zeros(10, dtype=RECORD)
    records["language"][9] = 1  # nine pairs of one language, one of another
    weights = weights_of(records, ["docstring"])
    assert weights[9] / weights[:9].sum() == pytest.approx(1 / 3)


def test_no_hard_negative_is_a_pair_of_its_own_batch(packed):
    everyone = np.tile(np.flatnonzero(~packed.records["is_dev"])[:4], (len(packed.records), 1))
    batches = Batches(packed, Mixture(pairs=60), everyone)
    for step in range(10):
        inside = set(batches.rows(step).tolist())
        extra = len(batches.batch(step).codes) - 60
        assert extra <= len(set(everyone[0].tolist()) - inside)


def test_what_may_answer_a_question_is_no_negative(model, tmp_path):
    first = pair(1, "own/app", path="a.py", symbol="A.load", start_line=5, end_line=9)
    twins = [
        first,
        replace(first, code="def g():\n  other", path="b.py", symbol="B.load"),  # same question
        replace(first, query="Something else.", path="c.py"),  # same code
        replace(first, query="The whole file.", code="all", start_line=1, end_line=99, symbol=""),
        replace(first, query="Its neighbour.", code="near", start_line=10, symbol="A.save"),
    ]
    write_pairs(tmp_path / "own+app.jsonl.zst", twins)
    pack(tmp_path, tmp_path / "packed", model)
    records = Packed(tmp_path / "packed", model).records
    assert not_negatives(records, records)[0].tolist() == [True, True, True, True, False]
    assert alike(records, records)[0].tolist() == [True, True, True, False, False]
    assert not alike(records, records)[3].any()  # the nameless have no namesakes


def test_a_batch_says_which_of_its_codes_may_answer(model, tmp_path):
    first = pair(1, "own/app", path="a.py")
    write_pairs(tmp_path / "own+app.jsonl.zst", [first, replace(first, code="x", symbol="g")])
    pack(tmp_path, tmp_path / "packed", model)
    both = np.arange(2)
    batch = Packed(tmp_path / "packed", model).batch(both, both * 0, both[:0])
    assert batch.not_negative.all()
    assert batch.alike.tolist() == [[True, False], [False, True]]


def test_ranks_count_ties_against_the_model_and_leave_twins_out():
    scores = np.array([[2, 2, 1], [3, 1, 0], [0, 1, 2]], dtype=np.float32)
    twins = np.eye(3, dtype=bool)
    assert ranks_of(scores, twins).tolist() == [2, 2, 1]
    twins[0, 1] = twins[1, 0] = True
    assert ranks_of(scores, twins).tolist() == [1, 1, 1]


def test_dev_is_measured_by_length_and_by_phrasing(packed):
    rows = dev_rows(packed, 20)
    assert (packed.records["code_length"][rows] > LONG).sum() == 4
    knows = {packed.code(row).ids.tobytes(): row for row in rows.tolist()}
    knows |= {packed.query(row, 0).ids.tobytes(): row for row in rows.tolist()}

    def embed(inputs):  # right for questions as written, lost for any other
        return np.stack([np.eye(200)[knows.get(i.ids.tobytes(), 199)] for i in inputs])

    found = measure(packed, rows, embed)
    assert found["mrr"] == 1
    assert found["mrr_typed"] < 0.5
    assert {"mrr_128", "mrr_1024"} <= found.keys()


def test_hard_negatives_are_wrong_codes_near_the_question(packed, tmp_path):
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(~packed.records["is_dev"])[:30]

    def embed(inputs):
        vectors = rng.normal(size=(len(inputs), 16)) + 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    found = mine_negatives(packed, rows, embed)
    assert (found[rows] >= 0).any()
    assert set(found[found >= 0].tolist()) <= set(rows.tolist())
    assert not (found == np.arange(len(found))[:, None]).any()
    save_negatives(tmp_path / "n.npz", packed, found)
    batch = Batches(packed, Mixture(pairs=8), load_negatives(tmp_path / "n.npz", packed)).batch(0)
    assert len(batch.queries) == 8
    assert batch.not_negative.shape == (8, len(batch.codes))
    save_negatives(tmp_path / "n.npz", packed, found[:, :1])
    with pytest.raises(UsageError, match="numbers other pairs"):
        load_negatives(tmp_path / "n.npz", packed)
    (tmp_path / "n.npz").write_bytes(b"PK broken")
    with pytest.raises(UsageError, match="cannot be read"):
        load_negatives(tmp_path / "n.npz", packed)


def test_hard_negatives_belong_to_one_pack_and_leave_twins_out(model, tmp_path):
    first = pair(1, "own/app", path="a.py")
    twins = [first, replace(first, query="Another way.", path="b.py"), pair(2, "own/app")]
    write_pairs(tmp_path / "own+app.jsonl.zst", twins)
    pack(tmp_path, tmp_path / "packed", model)
    small = Packed(tmp_path / "packed", model)

    def embed(inputs):  # all nearly alike: the first ones score highest
        return np.linspace(1, 0.5, len(inputs))[:, None]

    found = mine_negatives(small, np.arange(3), embed)
    assert found[0].tolist() == [2, -1, -1, -1]  # not 1, which has the same code
    save_negatives(tmp_path / "n.npz", small, found)
    pack(tmp_path, tmp_path / "half", model)
    other = Packed(tmp_path / "half", model)
    other.about["pack"] = "another"
    with pytest.raises(UsageError, match="numbers other pairs"):
        load_negatives(tmp_path / "n.npz", other)


def lengths_as_vectors(dimension: int):
    """An encoder whose vectors are told from an input's length alone."""

    def embed(inputs):
        rows = [np.random.default_rng(len(item)).normal(size=dimension) for item in inputs]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32)

    return embed


SYLLABUS = Syllabus(pairs=30, most_tokens=40, long_share=0.2)
FACTS = {"teacher": "one", "teacher_tokens": 60}
PLAN = Plan(SYLLABUS, lengths_as_vectors(12), lengths_as_vectors(8), FACTS)


def plan_of(subject: Subject, pairs: int = 30) -> Plan:
    most_tokens = 4096 if subject == "codes" else SYLLABUS.most_tokens
    syllabus = replace(SYLLABUS, subject=subject, pairs=pairs, most_tokens=most_tokens)
    return replace(PLAN, syllabus=syllabus)


def learned(packed: Packed, folder: Path, plan: Plan = PLAN) -> Lesson:
    teach(packed, plan, folder, None, lambda _: None)
    return Lesson.read(packed, folder)


@pytest.fixture(scope="module")
def chunks(model, tmp_path_factory) -> Packed:
    """Chunks of a repository that gave pairs too: every other one is of a pair's lines."""
    folder = tmp_path_factory.mktemp("chunks")
    bare = {"query": "", "kind": "chunk"}
    few = [pair(number, "own/app", **bare) for number in range(20)]
    few += [pair(number, "own/app", **bare, path=f"other{number}.py") for number in range(20)]
    write_pairs(folder / "own+app.jsonl.zst", few)
    write_pairs(folder / "own+lib.jsonl.zst", [pair(1, "own/lib", **bare)])
    pack(folder, folder / "packed", model, dev=())
    return Packed(folder / "packed", model)


def test_a_syllabus_has_no_held_out_pair_none_twice_and_its_share_of_long_code(packed):
    rows = SYLLABUS.rows(packed)
    assert len(set(rows.tolist())) == len(rows) == 30
    assert not packed.records["is_dev"][rows].any()
    assert (packed.records["code_length"][rows] > 40).sum() == 6
    assert SYLLABUS.rows(packed).tolist() == rows.tolist()


def test_what_is_taught_is_kept_and_put_together_text_by_text(packed, tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.training.taught.PART", 8)
    assert PART > 8
    assert teach(packed, PLAN, tmp_path, 0, lambda _: None) == 0  # no time for a part
    told: list[str] = []
    assert teach(packed, PLAN, tmp_path, None, told.append) == len(told) == 4
    (tmp_path / "part-00002.npz").unlink()
    assert teach(packed, PLAN, tmp_path, None, told.append) == 4
    assert len(told) == 5
    lesson = Lesson.read(packed, tmp_path)
    assert lesson.rows.tolist() == sorted([*SYLLABUS.rows(packed).tolist()] * (WAYS + 1))
    for row, variant, taught, start in zip(
        lesson.rows, lesson.variants, lesson.taught, lesson.start, strict=True
    ):
        read = packed.code(row) if variant == CODE else packed.query(row, variant)
        share = min(1, 60 / len(read)) if variant == CODE else 1
        assert taught @ PLAN.teacher([read])[0] == pytest.approx(share, abs=0.01)
        assert start @ PLAN.start([read])[0] > 0.99


def test_several_lessons_are_one_in_which_no_text_stands_twice(packed, tmp_path, monkeypatch):
    pairs = learned(packed, tmp_path / "pairs")
    learned(packed, tmp_path / "questions", plan_of("questions", 60))
    both = Lesson.read(packed, tmp_path / "pairs", tmp_path / "questions")
    places = list(zip(both.rows.tolist(), both.variants.tolist(), strict=True))
    assert len(set(places)) == len(places) > len(pairs.rows)
    course = Course.of(both, None, own=0.5)
    assert course.pairs.pairs.tolist() == sorted(SYLLABUS.rows(packed).tolist())
    questions, codes = course.known
    assert len(questions) == len(np.unique(both.rows)) > len(codes) == 30
    monkeypatch.setattr(indexer.training.course, "KNOWN", 20)
    fewer, of_codes = course.known
    assert (fewer[[0, -1]] == questions[[0, -1]]).all()
    assert len(fewer) == len(of_codes) == 20


def test_a_taught_batch_knows_where_its_texts_are_to_lie(packed, chunks, tmp_path):
    pairs = learned(packed, tmp_path / "pairs")
    beside = learned(chunks, tmp_path / "chunks", plan_of("codes", 41))
    course = Course.of(pairs, beside, 0.5, more_questions=7, chunks_per_batch=20)
    assert course.key != replace(course, more_questions=6).key
    mixture = Mixture(pairs=12, long_share=0)
    batches = Batches(packed, mixture, course=course)
    batch, rows = batches.batch(3), batches.rows(3)
    assert len(batch.not_negative) == 12
    assert len(batch.codes) == 12 + 20
    assert 12 * WAYS < len(batch.queries) <= 12 * WAYS + 7
    texts = {}
    for taught in (course.pairs, course.chunks):
        every = taught.texts(np.arange(len(taught.rows)))
        texts |= {read.ids.tobytes(): t for read, t in zip(every, taught.targets, strict=True)}
    found = (*batch.queries, *batch.codes)
    for read, target in zip(found, batch.targets, strict=True):
        assert np.allclose(texts[read.ids.tobytes()], target, atol=1e-3)
    for row, query, code in zip(rows.tolist(), batch.queries, batch.codes, strict=False):
        assert code.ids.tolist() == packed.code(row).ids.tolist()
        ways = [packed.query(row, way).ids.tolist() for way in range(VARIANTS)]
        assert query.ids.tolist() in ways
    again = Batches(packed, mixture, course=course).batch(3)
    assert (again.targets == batch.targets).all()
    Batches(packed, Mixture(pairs=12), course=Course.of(pairs, None, 0.5)).batch(0)
    with pytest.raises(UsageError, match="41 taught chunks are less than 42"):
        Course.of(pairs, beside, 0.5, chunks_per_batch=42)


def test_long_pairs_that_are_not_taught_are_told_apart_and_lie_anywhere(packed, tmp_path):
    course = Course.of(learned(packed, tmp_path), None, 0.5, more_questions=5)
    batches = Batches(packed, Mixture(pairs=12, long_share=0.4), course=course)
    several = [batches.rows(step) for step in range(20)]
    others = [(~np.isin(rows, course.pairs.pairs)).sum() for rows in several]
    assert sum(others) > 20
    batch = batches.batch(int(np.argmax(others)))
    questions, codes = np.split(batch.targets, [len(batch.queries)])
    lost = ~codes.any(axis=1)
    assert 0 < lost.sum() < 6
    assert min(len(batch.codes[place]) for place in np.flatnonzero(lost)) > LONG
    assert np.flatnonzero(~questions.any(axis=1)).tolist() == np.flatnonzero(lost).tolist()
    assert len(batch.codes) == len(batch.not_negative) == 12


def test_a_chunk_with_a_pairs_own_lines_is_not_a_wrong_answer(packed, chunks, tmp_path):
    pairs = learned(packed, tmp_path / "pairs")
    beside = learned(chunks, tmp_path / "chunks", plan_of("codes", 41))
    course = Course.of(pairs, beside, 0.5, chunks_per_batch=41)
    batches = Batches(packed, Mixture(pairs=30, one_language=0, one_repo=0), course=course)
    batch = batches.batch(0)
    codes = [code.ids.tolist() for code in batch.codes]
    for place, code in enumerate(codes[:30]):
        same = [other == code for other in codes[30:]]
        assert not (np.array(same) & ~batch.not_negative[place, 30:]).any()
    assert batch.not_negative[:, 30:].any()
    assert not batch.not_negative[:, 30:].all()


def test_chunks_are_packed_without_questions_and_always_headed(chunks, model):
    source = pair(1, "own/app", query="", kind="chunk")
    tokenizer = Tokenizer(model)
    (tokens,) = headed(tokenizer, tokenizer.tokenize([source.code]), [heading_of(source)])
    assert chunks.code(1).ids.tolist() == tokens.ids.tolist()
    assert {len(chunks.query(1, way)) for way in range(VARIANTS)} == {2}


def test_a_lesson_belongs_to_its_texts_and_its_plan(packed, model, tmp_path):
    with pytest.raises(UsageError, match="holds no lesson"):
        Lesson.read(packed, tmp_path / "nothing")
    learned(packed, tmp_path / "taught")
    other = replace(PLAN, facts=FACTS | {"teacher": "two"})
    with pytest.raises(UsageError, match="was made otherwise"):
        teach(packed, other, tmp_path / "taught", None, lambda _: None)
    with pytest.raises(UsageError, match="was made otherwise"):
        teach(packed, plan_of("questions"), tmp_path / "taught", None, lambda _: None)
    write_pairs(tmp_path / "own+app.jsonl.zst", [pair(n, "own/app") for n in range(8)])
    pack(tmp_path, tmp_path / "packed", model)
    with pytest.raises(UsageError, match="other texts"):
        Lesson.read(Packed(tmp_path / "packed", model), tmp_path / "taught")
    part = tmp_path / "taught/part-00000.npz"
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(UsageError, match="is damaged"):
        Lesson.read(packed, tmp_path / "taught")


@pytest.mark.parametrize("name", ["codes.bin", "queries.bin", "records.npy", "pack.json"])
def test_a_damaged_pack_is_refused(shards, model, tmp_path, name):
    pack(shards, tmp_path / "packed", model)
    path = tmp_path / "packed" / name
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UsageError, match="packed"):
        Packed(tmp_path / "packed", model)


def test_a_model_that_reads_otherwise_is_refused(packed, shards, model, tmp_path):
    pack(shards, tmp_path / "packed", model)
    other = open_checkpoint(save_model("bert", tmp_path / "other"))  # other block sizes
    with pytest.raises(UsageError, match="reads otherwise"):
        Packed(tmp_path / "packed", other)


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Returns the size", "Return the size"),
        ("Copies all files", "Copy all files"),
        ("Matches a path", "Match a path"),
        ("Process the queue", "Process the queue"),
        ("Is it open", "be it open"),
        ("Whether this works", "Whether this works"),
    ],
)
def test_the_third_person_becomes_an_imperative(written, asked):
    assert imperative(written) == asked


def test_a_description_is_asked_for_in_the_ways_that_people_type():
    rng = random.Random(0)
    written = "Returns the {@link UserList} of `openSessions`. Never null."
    asked = {phrase(written, "csharp", rng) for _ in range(300)}
    assert "returns the userlist of opensessions" in asked
    assert "how to get the user list of open sessions in c#" in asked
    assert "user list of open sessions" in asked
    assert "c# user list open sessions" in asked
    assert not any("null" in text or "@" in text or "`" in text for text in asked)


@pytest.mark.parametrize("query", ["x", "Applying it", "a.", "Of the", "...why?", "`code`"])
def test_a_phrase_is_never_empty_and_asks_no_how_to_without_a_verb(query):
    rng = random.Random(0)
    for _ in range(50):
        text = phrase(query, "python", rng)
        assert text.strip()
        assert "how to applying" not in text


def test_a_log_forgets_what_came_after_the_saved_state(tmp_path):
    journal = Journal(tmp_path)
    for step in range(5):
        journal.write({"step": step, "loss": 1 / 3})
    with open(journal.path, "a") as file:
        file.write('{"step": 5, "lo')  # killed while writing
    journal.forget_after(2)
    assert journal.records() == [{"step": step, "loss": 0.333333} for step in range(3)]


class Script:
    """`scripts/train.py`, run in this process and in a folder of its own."""

    def __init__(self, model: Checkpoint, shards: Path, monkeypatch, capsys) -> None:
        self.main = runpy.run_path(str(ROOT / "scripts/train.py"))["main"]
        self.fixed = ["--model", str(model.folder), "--shards", str(shards), "--device", "cpu"]
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def run(self, *arguments: str) -> tuple[dict[str, Any], str]:
        """What it prints last, and all that it tells."""
        self.monkeypatch.setattr("sys.argv", ["train.py", *arguments, *self.fixed])
        self.main()
        printed = self.capsys.readouterr()
        return json.loads(printed.out.splitlines()[-1]), printed.err

    def fault(self, *arguments: str) -> str:
        """The line that it ends with."""
        with pytest.raises(SystemExit) as end:
            self.run(*arguments)
        return str(end.value.code)


@pytest.fixture
def script(model, shards, tmp_path, monkeypatch, capsys) -> Script:
    monkeypatch.chdir(tmp_path)
    return Script(model, shards, monkeypatch, capsys)


def test_the_script_trains_in_slices_and_exports(script, tmp_path):
    settings = ["--steps", "3", "--pairs-per-step", "6", "--dev-pairs", "20"]
    cut, _ = script.run("run", "a", *settings, "--minutes", "0")
    assert cut["step"] == 1
    done, told = script.run("run", "a", *settings)
    assert "1 steps are done" in told
    assert done["step"] == 3
    log = Journal(tmp_path / "data/runs/a").records()
    assert [record["step"] for record in log if "loss" in record] == [1, 2, 3]
    assert [record["step"] for record in log if "mrr" in record] == [0, 1, 3]
    out, _ = script.run("export", "a", "--out", "model")
    assert open_checkpoint(tmp_path / "model").fingerprint == out["fingerprint"]
    assert "--average 2.0" in script.fault("export", "a", "--out", "model", "--average", "2")


def test_two_checkpoints_are_mixed_weight_by_weight(script, model, tmp_path):
    settings = ["--steps", "2", "--pairs-per-step", "6", "--dev-pairs", "0", "--lr", "1e-2"]
    script.run("run", "a", *settings)
    script.run("export", "a", "--average", "1", "--out", "whole")
    script.run("mix", "whole", "--average", "0.25", "--out", "quarter")
    start, whole, quarter = (
        dict(load_model(open_checkpoint(tmp_path / folder)).named_parameters())
        for folder in (model.folder, "whole", "quarter")
    )
    for name, weight in quarter.items():
        expected = 0.75 * start[name] + 0.25 * whole[name]
        torch.testing.assert_close(weight, expected, atol=2e-3, rtol=2e-3)
    save_model("bert", tmp_path / "longer", sasa={"max_tokens": 4096})
    assert "has not the shape" in script.fault("mix", str(tmp_path / "longer"), "--out", "no")


def test_slices_end_where_one_long_run_ends(script, tmp_path):
    settings = ["--steps", "3", "--pairs-per-step", "6", "--dev-pairs", "0", "--dtype", "float32"]
    script.run("run", "straight", *settings)
    for _ in range(3):
        script.run("run", "slices", *settings, "--minutes", "0")
    one, other = (
        load_state(tmp_path / f"data/runs/{name}/{STATE}") for name in ("straight", "slices")
    )
    assert one.step == other.step == 3
    assert all((one.weights[name] == other.weights[name]).all() for name in one.weights)


def test_other_settings_than_the_runs_own_are_one_line(script):
    script.run("run", "a", "--steps", "2", "--pairs-per-step", "6", "--dev-pairs", "0")
    line = script.fault("run", "a", "--steps", "2", "--pairs-per-step", "6", "--seed", "5")
    assert "seed 0, not 5" in line
    assert "\n" not in line


def test_a_round_with_hard_negatives_is_a_run_of_its_own(script):
    script.run("mine-negatives", "--out", "n.npz", "--sample", "50")
    settings = ["--steps", "1", "--pairs-per-step", "6", "--dev-pairs", "0"]
    done, _ = script.run("run", "a", *settings, "--hard-negatives", "n.npz")
    assert done["step"] == 1
    assert "hard_negatives" in script.fault("run", "a", *settings)


def test_a_teacher_is_trained_from_some_layer_on_and_teaches_then(script, tmp_path):
    folder = save_model("bert", tmp_path / "teacher")
    settings = ["--steps", "3", "--pairs-per-step", "6", "--dev-pairs", "20", "--lr", "1e-2"]
    settings += ["--most-tokens", "60", "--long-share", "0"]
    of = ["--teacher", str(folder), "--frozen-layers", "1"]
    script.run("run", "t", *of, *settings, "--minutes", "0")
    done, told = script.run("run", "t", *of, *settings)
    assert "1 steps are done" in told
    assert done["step"] == 3
    assert "frozen_layers 1, not 0" in script.fault("run", "t", *of[:3], "0", *settings)
    script.run("export", "t", *of[:2], "--average", "1", "--weights", "last", "--out", "tuned")
    before, after = (
        dict(AutoModel.from_pretrained(path).named_parameters())
        for path in (folder, tmp_path / "tuned")
    )
    trained = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in trained if "layer.1." in name}
    assert not {name for name in trained if "layer.0." in name or "embeddings" in name}
    state = load_state(tmp_path / "data/runs/t" / STATE)
    assert all(torch.equal(state.weights[name], after[name]) for name in trained)
    assert script.run("teach", "tuned", "--pairs", "20", "--most-tokens", "60")[0]["parts"] == 1


def test_pairs_with_long_code_can_be_left_out(packed):
    batches = Batches(packed, Mixture(pairs=12, long_share=0.5, most_tokens=100))
    assert packed.records["code_length"][batches.rows(0)].max() <= 100


def test_a_run_that_is_taught_learns_where_its_teacher_puts_texts(script, tmp_path):
    folder = save_model("bert", tmp_path / "teacher")
    teacher = AutoModel.from_pretrained(folder)
    torch.manual_seed(3)
    torch.nn.init.normal_(teacher.embeddings.word_embeddings.weight)  # pieces far apart
    teacher.save_pretrained(folder)
    settings = ["--pairs", "20", "--most-tokens", "60"]
    done, told = script.run("teach", str(folder), *settings)
    assert done["parts"] == 1
    assert "part 1 of 1" in told
    settings = ["--steps", "30", "--pairs-per-step", "6", "--dev-pairs", "0", "--lr", "3e-3"]
    settings += ["--taught", "data/taught", "--contrast", "0", "--agreement", "0.1"]
    script.run("run", "a", *settings, "--distillation", "20")
    steps = [record for record in Journal(tmp_path / "data/runs/a").records()]
    distances = [step["distillation"] for step in steps]
    assert sum(distances[15:]) < 0.9 * sum(distances[:15])
    assert steps[-1]["agreement"] > 0
    assert "own 1.0, not 0.9" in script.fault("run", "a", *settings, "--own", "0.9")


def test_what_is_no_teacher_is_one_line(script, tmp_path):
    assert "is no teacher" in script.fault("teach", str(tmp_path / "nothing"))


def test_missing_shards_are_one_line(script, tmp_path):
    script.fixed[3] = str(tmp_path / "none")
    line = script.fault("run", "a")
    assert line.startswith("error: no shards in")
    assert "\n" not in line


@pytest.mark.parametrize("option", [["--steps", "0"], ["--pairs-per-step", "1"], ["--lr", "-1"]])
def test_a_setting_out_of_range_is_one_line(script, option):
    assert "error: " in script.fault("run", "a", *option)


def tokens_of(text: str, model: Checkpoint) -> list[int]:
    return list(Tokenizer(model).tokenize([text])[0].ids)


def test_a_documented_function_is_asked_for_by_its_hidden_name():
    code = "def load_json_file(a):\n    b\n"
    plain = pair(2, "own/app", symbol="Store.load_json_file", code=code, links=())
    same, named = augmented(plain, NO_QUESTIONS)
    assert same == plain
    assert (named.kind, named.query) == ("documented", "load json file")
    assert named.code == f'def f(a):\n    """{plain.query}"""\n    b\n'


def test_documentation_stands_above_what_is_no_python():
    java = pair(1, "own/app", language="java", code="int f() {\n}\n", long_query="Adds.\nTwice.")
    assert documented(java) == "// Adds.\n// Twice.\nint f() {\n}\n"


BODY = "".join(f"    value_{i} = compute(value_{i - 1}, {i})\n" for i in range(1, 120))
LONG_CODE = f"""def run(value_0):
    # reads the first value of all
    {BODY.strip()}
    # wait until every worker has given its answer back
    join(workers)  # no question
    return value_119
"""


def test_a_long_function_is_asked_for_by_what_it_does_far_inside():
    links = encoded_links(np.array([[0, 40], [50, len(LONG_CODE) - 5]], dtype=np.int32))
    long = pair(2, "own/app", code=LONG_CODE, tokens=1500, links=links)
    inside = [more for more in augmented(long, NO_QUESTIONS) if more.kind == "inside"]
    assert [more.query for more in inside] == ["wait until every worker has given its answer back"]
    assert "worker has" not in inside[0].code
    assert len(inside[0].code) == len(LONG_CODE)
    assert inside[0].code.count("\n") == LONG_CODE.count("\n")
    assert inside[0].links == links
    short = replace(long, links=())
    assert all(more.kind != "inside" for more in augmented(short, NO_QUESTIONS))


def test_written_questions_ask_for_their_code(model, tmp_path):
    path = tmp_path / "questions.jsonl"
    record = {"repo": "own/app", "path": "2.py", "start_line": 1, "kind": "docstring"}
    path.write_text(json.dumps(record | {"questions": ["python load it", "where is it"]}) + "\n")
    pairs = [pair(number, "own/app", links=()) for number in range(4)]
    write_pairs(tmp_path / "own+app.jsonl.zst", pairs)
    pack(tmp_path, tmp_path / "packed", model, questions=Questions.read(path))
    packed = Packed(tmp_path / "packed", model)
    (row,) = np.flatnonzero(packed.records["kind"] == packed.about["kinds"].index("written"))
    assert [packed.query(row, variant).ids.tolist() for variant in range(VARIANTS)] == [
        tokens_of("python load it", model),
        tokens_of("where is it", model),
    ] * 2
    assert packed.code(row).ids.tolist()[-9:] == tokens_of(documented(pairs[2]), model)[-9:]


def test_a_name_that_is_asked_for_is_hidden_in_the_heading_too():
    plain = replace(pair(2, "own/app"), kind="docstring", path="src/a.py", symbol="Store.load_all")
    assert heading_of(plain) == "src/a.py Store.load_all"
    for kind in ("name", "documented"):
        assert heading_of(replace(plain, kind=kind)) == f"src/a.py Store.{MASK}"
        assert heading_of(replace(plain, kind=kind, symbol="load_all")) == f"src/a.py {MASK}"
    assert heading_of(replace(plain, kind="file", symbol="")) == "src/a.py"


@pytest.mark.parametrize("line", ["{", "[]", '{"repo": "a/b"}'])
def test_a_broken_line_of_questions_is_named(tmp_path, line):
    path = tmp_path / "questions.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(UsageError, match=r"questions\.jsonl, line 1 holds no questions"):
        Questions.read(path)


def test_the_written_questions_of_the_project_can_be_read():
    found = Questions.read(ROOT / "scripts" / "written_questions.jsonl").by_place
    assert len(found) > 15_000
    assert all(1 <= len(asked) <= 3 and all(asked) for asked in found.values())
