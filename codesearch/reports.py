"""What `index`, `status`, `repos` and `clean` print."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codesearch.manage import Cleaned, RefStatus, RepoStatus
from codesearch.render import printable
from indexer.build import IndexReport
from indexer.sources.repository import Repository
from indexer.storage.binding import read_facts
from indexer.storage.home import IndexHome

_SHOWN_PATHS = 3


def print_report(console: Console, repository: Repository, report: IndexReport) -> None:
    """A line about what a run did, and one about what it could not read."""
    done = (
        f"{repository.name}: {report.files:,} files at {report.ref}, {report.new_files:,} read, "
        f"{report.encoded_chunks:,} texts encoded ({report.encoded_tokens:,} tokens)"
    )
    _line(console, done)
    if not report.files:
        _line(console, "  nothing to index here: no text files, or all are ignored")
    if report.unreadable:
        names = ", ".join(report.unreadable[:_SHOWN_PATHS])
        rest = len(report.unreadable) - _SHOWN_PATHS
        more = f" and {rest} more" if rest > 0 else ""
        _line(console, f"  could not read {names}{more}")


def print_status(console: Console, status: RepoStatus, as_json: bool) -> None:
    """The state of one index."""
    if as_json:
        console.print(json.dumps(_status_record(status)), soft_wrap=True, highlight=False)
        return
    counts = status.counts
    _line(console, f"{status.name}  {status.root}")
    rows = {
        "model": f"{status.model} ({status.fingerprint[:12]})",
        "index": f"{status.size_bytes / 1e6:.1f} MB",
        "files": f"{counts.files:,} ({_tally(counts.by_language)})",
        "chunks": f"{counts.chunks:,} ({_tally(counts.by_kind)}), {counts.tokens:,} tokens",
        "above the limit": f"{counts.split_units:,} units, encoded in parts",
        "not yet encoded": f"{counts.pending:,} chunks",
        "left out": _tally(status.skipped) or "nothing",
    }
    for name, value in rows.items():
        _line(console, f"  {name:<16} {value}")
    for item in status.refs:
        _line(console, f"  {'ref':<16} {_ref_line(item)}")


def print_repos(console: Console, home: IndexHome, as_json: bool) -> None:
    """All indexes of a home, one line each."""
    facts = [(folder, read_facts(folder)) for folder in home.repos()]
    if as_json:
        records = [
            {"name": fact.get("name"), "root": fact.get("root"), "model": fact.get("model")}
            for _, fact in facts
        ]
        console.print(json.dumps(records), soft_wrap=True, highlight=False)
        return
    if not facts:
        _line(console, "nothing is indexed yet; run `codesearch index PATH`")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("repository", "model", "index", "root"):
        table.add_column(title, overflow="fold")
    for folder, fact in facts:
        size = sum(file.stat().st_size for file in folder.folder.iterdir()) / 1e6
        cells = (fact.get("name", "?"), fact.get("model", "?"), f"{size:.1f} MB")
        table.add_row(*(Text(printable(cell)) for cell in (*cells, fact.get("root", "?"))))
    console.print(table, soft_wrap=not console.is_terminal)


def print_cleaned(console: Console, cleaned: Cleaned) -> None:
    """What was removed."""
    for name in cleaned.repos:
        _line(console, f"removed the index of {name}")
    for name in cleaned.refs:
        _line(console, f"removed {name}")
    _line(console, f"removed {cleaned.vectors:,} unused vectors")


def _line(console: Console, text: str) -> None:
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def _ref_line(item: RefStatus) -> str:
    commit = f" at {item.ref.commit[:12]}" if item.ref.commit else ""
    change = item.change
    if change.problem:
        state = change.problem
    elif change.is_stale:
        state = f"{len(change.changed):,} files changed, {len(change.gone):,} gone since"
    else:
        state = "up to date"
    age = _age(item.ref.indexed_at)
    return f"{item.ref.name}{commit}: {item.files:,} files, indexed {age}; {state}"


def _age(moment: float) -> str:
    seconds = max(0.0, time.time() - moment)
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _tally(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {name}" for name, count in ordered)


def _status_record(status: RepoStatus) -> dict[str, object]:
    counts = status.counts
    return {
        "name": status.name,
        "root": status.root,
        "model": status.model,
        "fingerprint": status.fingerprint,
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
                "indexed_at": item.ref.indexed_at,
                "changed": len(item.change.changed),
                "gone": len(item.change.gone),
                "stale": item.change.is_stale,
            }
            for item in status.refs
        ],
    }
