"""What `index`, `status`, `repos`, `clean`, `eval` and `train` print."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codesearch.console import one_line, write_line
from codesearch.manage import RefStatus, RepoLine, RepoStatus
from indexer.sources.listing import Selection

if TYPE_CHECKING:  # they import what builds an index, which looking at one does not need
    from codesearch.cleaning import Cleaned
    from codesearch.doctor import Finding
    from codesearch.indexing import Outcome
    from codesearch.tuning import Evaluation, Tuning
    from indexer.build import IndexReport

_SHOWN_PATHS = 3
_TELLING = 30  # questions
_MEGABYTE = 1e6


def print_report(console: Console, outcome: Outcome) -> None:
    """A line about what a run did, then what it left out and what it could not read."""
    report = outcome.report
    part = _part(outcome.selection)
    encoded = report.encoded
    done = f"{report.new_files:,} read, {_count(encoded.chunks, 'text')} encoded"
    if not report.new_files and not encoded.chunks:
        done = "nothing new"
    _line(
        console,
        f"{outcome.repository.name}: {_count(report.files, 'file')} at {report.ref}{part}; {done}",
    )
    if not report.files:
        _line(console, "  nothing to index here: no text files, or all are ignored")
    if outcome.skipped:
        _line(console, f"  left out: {_tally(outcome.skipped)}")
    if report.unreadable:
        names = ", ".join(report.unreadable[:_SHOWN_PATHS])
        rest = len(report.unreadable) - _SHOWN_PATHS
        more = f" and {rest} more" if rest > 0 else ""
        _line(console, f"  could not read {names}{more}")
    if encoded.tokens:
        _line(console, f"  {_pace_line(report)}")


def print_status(console: Console, status: RepoStatus, as_json: bool) -> None:
    """The state of one index."""
    if as_json:
        write_line(json.dumps(_status_record(status), ensure_ascii=False))
        return
    counts = status.counts
    _line(console, f"{status.name}  {status.root}")
    rows = {
        "model": f"{status.model} ({status.fingerprint[:12]})",
        "index": f"{status.size_bytes / _MEGABYTE:.1f} MB",
        "files": f"{counts.files:,}{_in_brackets(counts.by_language)}",
        "chunks": f"{counts.chunks:,}{_in_brackets(counts.by_kind)}, {counts.tokens:,} tokens",
        "above the limit": f"{counts.split_units:,} units, encoded in parts",
        "last encoded": status.last_encoding or "nothing",
        "not yet encoded": f"{counts.pending:,} chunks",
        "left out": _tally(status.skipped) or "nothing",
    }
    for name, value in rows.items():
        _line(console, f"  {name:<16} {value}")
    for item in status.refs:
        _line(console, f"  {'ref':<16} {_ref_line(item)}")


def print_repos(console: Console, lines: Sequence[RepoLine], as_json: bool) -> None:
    """All indexes of a home, one line each."""
    if as_json:
        write_line(json.dumps([asdict(line) for line in lines], ensure_ascii=False))
        return
    if not lines:
        _line(console, "nothing is indexed yet; run `codesearch index PATH`")
        return
    _print_table(console, [("repository", "model", "index", "root"), *map(_cells, lines)])


def _print_table(console: Console, rows: Sequence[tuple[str, ...]]) -> None:
    """Rows of cells, the first one the head; in a pipe plain and uncut."""
    if console.is_terminal:
        table = Table.grid(padding=(0, 2), pad_edge=False)
        for _ in rows[0]:
            table.add_column(overflow="fold")
        for number, row in enumerate(rows):
            table.add_row(*map(Text, map(one_line, row)), style=None if number else "bold")
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        write_line("  ".join(cells).rstrip())


def print_finding(console: Console, finding: Finding, as_json: bool) -> None:
    """A line of what was checked; where something is wrong, another of what to do."""
    if as_json:
        write_line(json.dumps(asdict(finding), ensure_ascii=False))
        return
    mark = Text("!! ", style="red") if finding.is_fault else Text("ok ", style="green")
    line = Text(f"{finding.check:<12}{one_line(finding.state)}")
    console.print(mark.append_text(line), soft_wrap=True)
    if finding.is_fault:
        _line(console, f"{'':<15}{finding.hint}")


def print_cleaned(console: Console, cleaned: Cleaned) -> None:
    """What was removed."""
    for name in cleaned.repos:
        _line(console, f"removed the index of {name}")
    for name in cleaned.refs:
        _line(console, f"removed {name}")
    if cleaned.trainings:
        _line(console, f"removed {_count(cleaned.trainings, 'interrupted training')}")
    _line(console, f"removed {_count(cleaned.vectors, 'unused vector')}")


def print_evaluation(console: Console, found: Evaluation, as_json: bool) -> None:
    """MRR and recall by the length of the function, beside plain word search."""
    if as_json:
        write_line(json.dumps(asdict(found), ensure_ascii=False))
        return
    questions = _count(found.questions, "question")
    _line(console, f"{found.model}: {questions}, {_count(found.functions, 'function')}")
    rows = [("tokens", "questions", "MRR", "95 %", "recall@10", "words: MRR", "recall@10")]
    for name, vectors in found.vectors.items():
        words = found.words[name]
        rows.append(
            (
                name,
                f"{vectors.n:,}",
                f"{vectors.mrr:.3f}",
                f"{vectors.low:.3f}–{vectors.high:.3f}",
                f"{vectors.recall_at_10:.3f}",
                f"{words.mrr:.3f}",
                f"{words.recall_at_10:.3f}",
            )
        )
    _print_table(console, rows)
    if found.questions < _TELLING:
        _line(console, f"fewer than {_TELLING} questions: these figures say little")


def print_tuning(console: Console, tuning: Tuning) -> None:
    """Before and after by length, and whether that is a gain."""
    before, after, (gain, low, high) = tuning.before, tuning.after, tuning.gain
    _line(console, f"{_count(tuning.pairs, 'pair')}, {_count(tuning.steps, 'step')}")
    rows = [("tokens", "questions", before.model, after.model)]
    for name, old in before.vectors.items():
        rows.append((name, f"{old.n:,}", f"{old.mrr:.3f}", f"{after.vectors[name].mrr:.3f}"))
    _print_table(console, rows)
    change = f"{gain:+.3f} MRR (95 %: {low:+.3f} to {high:+.3f})"
    if tuning.shows_gain:
        _line(console, f"a gain of {change} on questions that it has not learned from")
        _line(console, f"use it: codesearch index --rebuild --model {tuning.folder}")
    else:
        _line(console, f"no gain is shown: {change}; keep {before.model}")


def _line(console: Console, text: str) -> None:
    console.print(Text(one_line(text)), soft_wrap=True)


def _cells(line: RepoLine) -> tuple[str, ...]:
    size = f"{line.size_bytes / _MEGABYTE:.1f} MB"
    return tuple(map(one_line, (line.name, line.model, size, line.problem or line.root)))


def _pace_line(report: IndexReport) -> str:
    """How fast encoding was, waiting for files and the disk included."""
    encoded = report.encoded
    return (
        f"{encoded.pace}"
        f" ({encoded.model_seconds / encoded.seconds:.0%} of that time in the encoder,"
        f" {encoded.padding_share:.1%} padding)"
    )


def _part(selection: Selection) -> str:
    """Which part of the repository is indexed, where it is not all of it."""
    wanted = ", ".join(path.removeprefix("/") for path in selection.paths)
    only = f" in {wanted}" if wanted else ""
    return only + (f" without {', '.join(selection.excludes)}" if selection.excludes else "")


def _ref_line(item: RefStatus) -> str:
    commit = f" at {item.ref.commit[:12]}" if item.ref.commit else ""
    change = item.change
    state = change.describe() if change.is_stale else "up to date"
    age = _age(item.ref.indexed_at)
    files = _count(item.files, "file")
    part = _part(item.ref.selection)
    return f"{item.ref.name}{commit}: {files}{part}, indexed {age}; {state}"


def _age(moment: float) -> str:
    seconds = max(0.0, time.time() - moment)
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return f"{_count(int(seconds // size), unit)} ago"
    return "just now"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _tally(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {name}" for name, count in ordered)


def _in_brackets(counts: Mapping[str, int]) -> str:
    return f" ({_tally(counts)})" if counts else ""


def _status_record(status: RepoStatus) -> dict[str, object]:
    counts = status.counts
    return {
        "name": status.name,
        "root": status.root,
        "model": status.model,
        "fingerprint": status.fingerprint,
        "last_encoding": status.last_encoding,
        "size_bytes": status.size_bytes,
        "files": counts.files,
        "chunks": counts.chunks,
        "tokens": counts.tokens,
        "pending": counts.pending,
        "split_units": counts.split_units,
        "languages": counts.by_language,
        "kinds": counts.by_kind,
        "skipped": dict(status.skipped),
        "refs": [
            {
                "ref": item.ref.name,
                "commit": item.ref.commit,
                "files": item.files,
                "paths": item.ref.selection.paths,
                "excludes": item.ref.selection.excludes,
                "indexed_at": item.ref.indexed_at,
                "changed": len(item.change.changed),
                "gone": len(item.change.gone),
                "stale": item.change.is_stale,
                "problem": item.change.problem,
            }
            for item in status.refs
        ],
    }
