"""The files of four CodeXGLUE tasks as their authors publish them, and predictions for them.

clone      data.jsonl {idx, func}, {train,valid,test}.txt: idx, idx and label between tabs
defect     {train,valid,test}.jsonl {idx, func, target}
search     {train,valid,test}.jsonl {idx, url, docstring_tokens, code or function}
summarize  {train,valid,test}*.jsonl[.gz] {docstring_tokens, code}

A function's record may name its `language`.

The raw source is read, white space kept: it has to be parsed. Whatever is wrong is told with its
file and line.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANSWERS = 100  # of a search, in its predictions
LANGUAGES = {"clone": "java", "defect": "c", "search": "python", "summarize": "python"}


class TaskDataError(Exception):
    """A file of a task cannot be used; the message names it, and the line."""


@dataclass(frozen=True, slots=True)
class Example:
    """What a task asks, and the answer.

    Attributes:
        key: As predictions name it: a pair of ids, an id, a URL or a line's number.
        codes: The functions to look at: two of a clone, else one.
        language: As `indexer.syntax.languages` names it.
        label: Of a clone or a defect, 0 or 1.
        text: The question of a search, the summary to write.
    """

    key: tuple[str, ...]
    codes: tuple[str, ...]
    language: str
    label: int = 0
    text: str = ""


def read_examples(
    task: str, folder: Path, split: str, language: str | None = None
) -> list[Example]:
    """The examples of a split, in the order of the file.

    Raises:
        TaskDataError: a file is missing, a line is broken, or a label is neither 0 nor 1.
    """
    readers = {"clone": _clones, "defect": _defects, "search": _searches, "summarize": _summaries}
    found = list(readers[task](folder, split, language or LANGUAGES[task]))
    if not found:
        raise TaskDataError(f"{folder}: the split {split!r} has no examples")
    return found


def _clones(folder: Path, split: str, language: str) -> Iterator[Example]:
    functions = {
        str(_field(record, "idx", place)): (str(_field(record, "func", place)), record)
        for place, record in _records(folder / "data.jsonl")
    }
    path = folder / f"{split}.txt"
    for number, line in enumerate(_lines(path), 1):
        place, parts = f"{path}, line {number}", line.split()
        if len(parts) != 3:
            raise TaskDataError(f"{place}: expected two ids and a label, got {line.strip()!r}")
        first, second, label = parts
        for idx in (first, second):
            if idx not in functions:
                raise TaskDataError(f"{place}: {folder / 'data.jsonl'} has no function {idx!r}")
        (code, record), (other, _) = functions[first], functions[second]
        yield Example(
            (first, second), (code, other), _spoken(record, language), _label(label, place)
        )


def _defects(folder: Path, split: str, language: str) -> Iterator[Example]:
    for place, record in _records(folder / f"{split}.jsonl"):
        key, code = str(_field(record, "idx", place)), str(_field(record, "func", place))
        label = _label(_field(record, "target", place), place)
        yield Example((key,), (code,), _spoken(record, language), label)


def _searches(folder: Path, split: str, language: str) -> Iterator[Example]:
    for place, record in _records(folder / f"{split}.jsonl"):
        key = (str(_field(record, "url", place)), str(_field(record, "idx", place)))
        yield _described(key, record, place, language)


def _summaries(folder: Path, split: str, language: str) -> Iterator[Example]:
    paths = sorted(path for path in folder.rglob(f"*{split}*.jsonl*") if path.is_file())
    if not paths:
        raise TaskDataError(f"{folder / split}.jsonl is missing, and {split}*.jsonl.gz too")
    number = 0
    for path in paths:
        for place, record in _records(path):
            yield _described((str(number),), record, place, language)
            number += 1


def write_clones(path: Path, examples: Iterable[Example], labels: Iterable[int]) -> None:
    """Predictions of clones: both ids and the label between tabs."""
    rows = (f"{a}\t{b}\t{label}\n" for (a, b), label in _with_keys(examples, labels))
    path.write_text("".join(rows), "utf-8")


def write_defects(path: Path, examples: Iterable[Example], labels: Iterable[int]) -> None:
    """Predictions of defects: the id and the label between tabs."""
    rows = (f"{key}\t{label}\n" for (key,), label in _with_keys(examples, labels))
    path.write_text("".join(rows), "utf-8")


def write_searches(
    path: Path, examples: Iterable[Example], answers: Iterable[Iterable[str]]
) -> None:
    """Predictions of a search: for each question's URL the ids of the best answers, best first."""
    rows = (
        json.dumps({"url": key[0], "answers": [_number(idx) for idx in best]}) + "\n"
        for key, best in _with_keys(examples, answers)
    )
    path.write_text("".join(rows), "utf-8")


def write_summaries(path: Path, examples: Iterable[Example], texts: Iterable[str]) -> None:
    """Summaries, or what they are to be: the line's number and the text between tabs."""
    rows = (f"{key}\t{' '.join(text.split())}\n" for (key,), text in _with_keys(examples, texts))
    path.write_text("".join(rows), "utf-8")


def _with_keys(examples: Iterable[Example], values: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    return zip((example.key for example in examples), values, strict=True)


def _number(idx: str) -> int | str:
    return int(idx) if idx.isdigit() else idx


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            yield from file
    except FileNotFoundError as error:
        raise TaskDataError(f"{path} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TaskDataError(f"{path} cannot be read: {error}") from error


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's object, and where it stands."""
    for number, line in enumerate(_lines(path), 1):
        place = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise TaskDataError(f"{place} is no JSON: {error}") from error
        if not isinstance(record, dict):
            raise TaskDataError(f"{place}: expected an object, got {line.strip()[:40]!r}")
        yield place, record


def _field(record: dict[str, Any], name: str, place: str) -> Any:
    if name not in record:
        raise TaskDataError(f"{place} has no {name!r}")
    return record[name]


def _label(value: object, place: str) -> int:
    if str(value) not in ("0", "1"):
        raise TaskDataError(f"{place}: the label must be 0 or 1, got {value!r}")
    return int(str(value))


def _spoken(record: dict[str, Any], language: str) -> str:
    return str(record.get("language", language))


def _described(key: tuple[str, ...], record: dict[str, Any], place: str, language: str) -> Example:
    """A function, and what is said of it."""
    code, text = _source(record, place), _words(record, place)
    return Example(key, (code,), _spoken(record, language), text=text)


def _source(record: dict[str, Any], place: str) -> str:
    """The raw source; the tokens joined where a file has nothing else."""
    for name in ("code", "function", "original_string"):
        if isinstance(record.get(name), str):
            return str(record[name])
    tokens = record.get("code_tokens", record.get("function_tokens"))
    if isinstance(tokens, list):
        return " ".join(map(str, tokens))
    raise TaskDataError(f"{place} has no 'code'")


def _words(record: dict[str, Any], place: str) -> str:
    tokens = _field(record, "docstring_tokens", place)
    if not isinstance(tokens, list):
        raise TaskDataError(f"{place}: docstring_tokens must be a list, got {tokens!r}")
    return " ".join(" ".join(map(str, tokens)).split())
