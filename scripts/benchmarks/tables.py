"""What a benchmark run shows: a table per section, and the targets with what was measured."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table


def print_section(console: Console, section: str, report: dict) -> None:
    """The figures of a section."""
    tables = {
        "attention": lambda: _speeds(report["shapes"], "milliseconds of one call (× sdpa)", True),
        "encoding": lambda: _speeds(report["models"], "tokens/s (× full)", False),
        "memory": lambda: _memory(report),
        "settings": lambda: _speeds(report["models"], "tokens/s (× the default)", False),
        "library": lambda: _library(report),
    }
    for table in tables.get(section, lambda: [_facts(section, report)])():
        console.print(table)


def print_targets(console: Console, reached: list[dict]) -> None:
    """What was hoped for and what was measured."""
    table = Table("target", "goal", "measured", "", title="targets")
    for item in reached:
        mark = "reached" if item["reached"] else "missed"
        table.add_row(item["name"], item["goal"], f"{item['measured']:g}", mark)
    console.print(table)


def _speeds(groups: dict, unit: str, as_milliseconds: bool) -> Iterator[Table]:
    for group, figures in groups.items():
        lengths = figures.get("lengths", figures)
        names = list(dict.fromkeys(n for at in lengths.values() for n in at["systems"]))
        table = Table("tokens", "batch", *names, title=f"{group}: {unit}")
        for length, at in lengths.items():
            cells = [_speed(at["systems"].get(name), as_milliseconds) for name in names]
            table.add_row(length, str(at["batch"]), *cells)
        yield table


def _speed(figures: dict | None, as_milliseconds: bool) -> str:
    if figures is None:
        return "-"
    rate = f"{figures['tokens_per_second']:,}"
    shown = f"{figures['seconds'] * 1000:.1f}" if as_milliseconds else rate
    return f"{shown} ({figures['speedup']:.2f})"


def _memory(report: dict) -> Iterator[Table]:
    for model, lengths in report["models"].items():
        names = list(next(iter(lengths.values()))["systems"])
        table = Table("tokens", "batch", *names, title=f"{model}: peak MB (of them encoding)")
        for length, at in lengths.items():
            cells = [
                f"{case['peak_mb']:,} ({case['added_mb']:,})" if case else "-"
                for case in at["systems"].values()
            ]
            table.add_row(length, str(at["batch"]), *cells)
        yield table
    if report["largest_batch"]:
        title = f"largest batch of 4,096 tokens in {report['memory_gb']:g} GB, by a line"
        table = Table(*report["largest_batch"], title=title)
        table.add_row(
            *(
                f"{case['batch']} ({case['mb_each']} MB)"
                for case in report["largest_batch"].values()
            )
        )
        yield table


def _library(report: dict) -> Iterator[Table]:
    table = Table("tokens of a text", "texts", "tokens", "… of the sample", title="lengths")
    for bucket, shares in report["histogram"]["buckets"].items():
        sample = report["sample"]["buckets"][bucket]
        cells = (shares["texts"], shares["tokens"], sample["tokens"])
        table.add_row(bucket, *(f"{share:.1%}" for share in cells))
    yield table
    title = f"real texts: {report['speedup']:.2f} times as fast"
    table = Table("", "tokens/s", "encoding alone", "peak MB", title=title)
    for name, figures in report["systems"].items():
        keys = ("tokens_per_second", "encoding_tokens_per_second", "peak_mb")
        table.add_row(name, *(f"{figures[key]:,}" for key in keys))
    yield table


def _facts(section: str, report: dict) -> Table:
    """A section without a table of its own: names and values."""
    table = Table("", "", title=section, show_header=False)
    known = {"benchmark", "command", "machine", "date", "changed_files", "device", "versions"}
    for name, value in report.items():
        if name not in known:
            table.add_row(name.replace("_", " "), str(value))
    return table


def targets(reports: dict[str, dict]) -> list[dict]:
    """The targets that the measured sections can show."""
    found: list[dict] = []
    for section, read in _READERS.items():
        if section in reports:
            on_gpu = reports[section]["device"]["type"] == "cuda"
            found += read(reports[section], on_gpu)
    return found


def _target(name: str, measured: float, least: float = 0, most: float = float("inf")) -> dict:
    goal = f">= {least:g}" if least else f"<= {most:g}"
    return {
        "name": name,
        "goal": goal,
        "measured": round(measured, 3),
        "reached": least <= measured <= most,
    }


def _attention(report: dict, on_gpu: bool) -> Iterator[dict]:
    goals = {"4096": 2, "16384": 4} if on_gpu else {"4096": 3.5}
    for shape, lengths in report["shapes"].items():
        for length, goal in goals.items():
            if length in lengths:
                speedup = lengths[length]["systems"]["sasa"]["speedup"]
                yield _target(f"attention {shape} at {length}, times SDPA", speedup, goal)


def _encoding(report: dict, on_gpu: bool) -> Iterator[dict]:
    lengths = report["models"]["default"]["lengths"]
    speedups = {length: at["systems"]["sasa"]["speedup"] for length, at in lengths.items()}
    for length, goal in {"4096": 2.2, "8192": 3.5}.items():
        if length in speedups and not on_gpu:
            yield _target(f"default model at {length}, times full", speedups[length], goal)
    least = min(speedups.values())
    yield _target("default model at its slowest length, times full; 0.03 is noise", least, 0.97)
    each = {int(n): at["systems"]["sasa"]["seconds"] / at["batch"] for n, at in lengths.items()}
    for length in (2048, 4096):
        if length in each and 2 * length in each:
            growth = each[2 * length] / each[length]
            yield _target(f"time of an input, {length} to {2 * length}", growth, most=2.2)


def _memory_targets(report: dict, on_gpu: bool) -> Iterator[dict]:
    systems = report["models"]["default"].get("4096", {}).get("systems", {})
    if systems.get("eager") and systems.get("sasa"):
        share = systems["sasa"]["peak_mb"] / systems["eager"]["peak_mb"]
        yield _target("peak memory at 4096, share of eager", share, most=0.5)


def _library_targets(report: dict, on_gpu: bool) -> Iterator[dict]:
    ours, library = report["systems"]["ours"], report["systems"]["sentence-transformers"]
    yield _target("real texts, times sentence-transformers", report["speedup"], 2)
    share = ours["peak_mb"] / library["peak_mb"]
    yield _target("… peak memory, share of sentence-transformers", share, most=1)
    if on_gpu:
        rate = ours["encoding_tokens_per_second"] / 1e6
        yield _target("encoding real texts, million tokens/s", rate, 3)


def _indexing(report: dict, on_gpu: bool) -> Iterator[dict]:
    share = report["process"]["of_pure_encoding"]
    yield _target("indexing, share of the pure encoding rate", share, 0.8)


def _query(report: dict, on_gpu: bool) -> Iterator[dict]:
    yield _target("cold query, seconds", report["cold_seconds_median"], most=0.5)
    yield _target("cold query, peak MB", report["cold_peak_mb"], most=300)
    yield _target("warm query, ms", report["warm_ms_median"], most=20)


_READERS = {
    "attention": _attention,
    "encoding": _encoding,
    "memory": _memory_targets,
    "library": _library_targets,
    "indexing": _indexing,
    "query": _query,
}
