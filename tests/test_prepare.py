"""A file becomes what is stored of it: whole units, cut only above the model's limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.heading import MOST_TOKENS
from indexer.prepare import Preparer, SourceFile, split_chunk
from indexer.syntax.chunks import Chunk
from indexer.workers import prepare_files
from models.checkpoint import open_checkpoint
from models.tokenizer import Tokenizer

TOKENIZER = Tokenizer(open_checkpoint())


@pytest.fixture(scope="module")
def preparer(checkpoint):
    return Preparer(checkpoint)


def a_chunk(text: str, start_line: int = 1) -> Chunk:
    borders = tuple(i + 1 for i, char in enumerate(text) if char == "\n" and i + 1 < len(text))
    end_line = start_line + text.count("\n")
    links = np.array([[0, len(text) - 1], [0, 3]], dtype=np.int32)
    owned = ((start_line, end_line),)
    return Chunk("function", "f", start_line, end_line, text, links, borders, owned)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab_(){}= é世", max_size=60), min_size=1, max_size=40))
def test_parts_join_to_the_whole_and_fit_the_limit(lines):
    text = "\n".join(lines) or "x"
    chunk = a_chunk(text, start_line=7)
    parts = list(split_chunk(chunk, TOKENIZER.tokenize([text])[0], max_tokens=40))
    assert "".join(part.text for part in parts) == text
    for part in parts:
        assert len(TOKENIZER.tokenize([part.text])[0]) <= 40
        assert chunk.start_line <= part.start_line <= part.end_line <= chunk.end_line
        assert ((part.links >= 0) & (part.links < len(part.text))).all()


def test_a_cut_is_at_a_line_where_one_fits():
    text = "\n".join(f"    value_{i} = compute({i})" for i in range(60))
    chunk = a_chunk(text, start_line=101)
    parts = list(split_chunk(chunk, TOKENIZER.tokenize([text])[0], max_tokens=128))
    assert len(parts) > 2
    assert all(part.text.endswith("\n") for part in parts[:-1])
    for part in parts:
        first = text.count("\n", 0, text.index(part.text))
        assert part.start_line == 101 + first
        assert part.end_line - part.start_line == len(part.text.splitlines()) - 1


def test_a_part_keeps_the_links_between_its_own_places():
    text = "\n".join(f"    value_{i} = compute({i})" for i in range(60))
    far, near = text.index("value_50"), text.index("value_52")
    chunk = replace(a_chunk(text), links=np.array([[far, near], [0, near]], dtype=np.int32))
    parts = list(split_chunk(chunk, TOKENIZER.tokenize([text])[0], max_tokens=170))
    kept = [(part, pair) for part in parts for pair in part.links.tolist()]
    assert len(kept) == 1
    part, (first, second) = kept[0]
    assert part.text[first:].startswith("value_50")
    assert part.text[second:].startswith("value_52")


def test_a_function_above_the_limit_is_encoded_in_parts(preparer, checkpoint):
    body = "\n".join(f"    total_{i} = load(total_{i - 1}, {i})" for i in range(700))
    source = SourceFile("long.py", "b" * 40, f"def long(total_0):\n{body}\n".encode())
    prepared = preparer.prepare(source)
    parts = [chunk for chunk in prepared.chunks if chunk.kind == "function"]
    assert [part.part for part in parts] == list(range(1, len(parts) + 1))
    assert len(parts) > 1
    assert all(len(part.input) <= checkpoint.sasa.max_tokens for part in parts)
    for part in parts:
        assert TOKENIZER.text(part.input.ids[:8].tolist()).startswith("long. py long")
    assert parts[0].start_line == 1
    assert parts[-1].end_line == 701
    assert not any(len(chunk.input) > checkpoint.sasa.max_tokens for chunk in prepared.chunks)


def test_one_endless_word_is_cut_rather_than_refused(preparer, checkpoint):
    text = "\n".join("x" * 90 + "+" + "9" * 90 for _ in range(100))
    for chunk in preparer.prepare(SourceFile("data.txt", "b" * 40, text.encode())).chunks:
        assert len(chunk.input) <= checkpoint.sasa.max_tokens


def test_a_long_function_is_read_along_its_syntax(preparer):
    body = "\n".join(f"    step_{i} = transform(step_{i // 2}, first)" for i in range(90))
    source = SourceFile("a.py", "b" * 40, f"def run(first, step_0):\n{body}\n".encode())
    function = next(c for c in preparer.prepare(source).chunks if c.kind == "function")
    pattern = function.input.pattern.dense()
    distance = np.abs(np.subtract.outer(np.arange(len(pattern)), np.arange(len(pattern))))
    inner = (distance > 1)[1:-1, 1:-1] & pattern[1:-1, 1:-1]
    assert len(pattern) > 8
    assert inner.any()


def test_the_head_of_code_is_read_by_itself(checkpoint):
    config = replace(checkpoint.sasa, head_blocks=4, full_up_to=512, max_tokens=1024)
    preparer = Preparer(replace(checkpoint, sasa=config))
    headed = {}
    for lines in (48, 400):  # the file is read whole, or as its outline
        body = "\n".join(f"    x[{i}] = y[{i}]" for i in range(lines))
        code = f"def run(x, y):\n{body}\n\n\nclass Filled:\n{body}\n"
        for chunk in preparer.prepare(SourceFile("a.py", "b" * 40, code.encode())).chunks:
            if len(chunk.input) > 4 * config.block_size:
                headed[chunk.kind, chunk.part] = chunk.input.pattern.head_blocks
    assert headed.keys() >= {("function", 0), ("class", 0), ("class", 2), ("file", 0)}
    assert {place for place in headed if headed[place]} == {
        (kind, part) for kind, part in headed if part <= 1
    }
    assert set(headed.values()) == {0, 4}


def test_the_same_text_of_the_same_name_and_file_has_one_key(preparer):
    data = b"def f(x):\n    return x * 2\n\n\ndef g(x):\n    return x\n"
    files = (
        SourceFile("a.py", "1" * 40, data),
        SourceFile("a.py", "2" * 40, b"# moved down\n\n" + data),
        SourceFile("lib/a.py", "1" * 40, data),
    )
    here, below, elsewhere = (
        {c.symbol: c.key for c in preparer.prepare(file).chunks if c.kind == "function"}
        for file in files
    )
    assert here == below
    assert len({*here.values(), *elsewhere.values()}) == 4


def test_code_is_read_behind_its_path_and_name_and_prose_as_it_is(preparer):
    code = SourceFile(
        "src/Http.java", "1" * 40, b"class Http {\n  int retries() {\n    return 3;\n  }\n}\n"
    )
    found = {c.kind: TOKENIZER.text(c.input.ids.tolist()) for c in preparer.prepare(code).chunks}
    assert found["function"].startswith("src / http. java http. retries int retries")
    assert found["class"].startswith("src / http. java http class http")
    assert found["file"].startswith("src / http. java class http")
    prose = SourceFile("docs/a.md", "1" * 40, b"# Install\n\nRun pip.\n")
    (doc,) = preparer.prepare(prose).chunks
    assert TOKENIZER.text(doc.input.ids.tolist()).startswith("# install")


def test_a_long_heading_keeps_its_end(preparer):
    path = "/".join(["deep"] * 200) + "/last.py"
    file = preparer.prepare(SourceFile(path, "1" * 40, b"def f(x):\n    return x\n"))
    (function,) = (c for c in file.chunks if c.kind == "function")
    text = TOKENIZER.text(function.input.ids.tolist())
    assert "deep / last. py f def f ( x )" in text
    assert len(function.input) < MOST_TOKENS + 20


def test_what_is_left_out_says_why(preparer):
    for data, reason in ((b"", "empty"), (b"a\0b" * 10, "binary")):
        file = preparer.prepare(SourceFile("a.py", "b" * 40, data))
        assert (file.skipped, file.chunks, file.text) == (reason, (), "")


def test_workers_give_the_same_in_the_same_order(checkpoint, preparer):
    files = [
        SourceFile(f"m{i}.py", f"{i:040d}", f"def f{i}():\n    return {i}\n".encode())
        for i in range(120)
    ]
    for file, expected in zip(
        prepare_files(checkpoint, files), map(preparer.prepare, files), strict=True
    ):
        assert (file.path, file.text) == (expected.path, expected.text)
        assert [chunk.key for chunk in file.chunks] == [chunk.key for chunk in expected.chunks]
