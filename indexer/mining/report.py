"""What was mined, in figures: a description per repository, a summary, a table in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from indexer.mining.shards import Pair

KINDS = ("docstring", "name", "commit", "section", "file", "function")
_OF_FUNCTIONS = frozenset({"docstring", "name", "commit", "function"})


def describe(
    pairs: Sequence[Pair], dropped: Mapping[str, int], long_tokens: int
) -> dict[str, Any]:
    """The counts of a repository's pairs."""
    long = [pair for pair in pairs if pair.tokens > long_tokens]
    of_functions = [pair for pair in pairs if pair.kind in _OF_FUNCTIONS]
    return {
        "pairs": len(pairs),
        "kinds": dict(sorted(Counter(pair.kind for pair in pairs).items())),
        "languages": dict(sorted(Counter(pair.language for pair in pairs).items())),
        "long": len(long),
        "long_asked": sum(1 for pair in long if pair.query),
        "functions": len(of_functions),
        "long_functions": sum(1 for pair in long if pair.kind in _OF_FUNCTIONS),
        "long_kinds": dict(sorted(Counter(pair.kind for pair in long).items())),
        "dropped": dict(sorted(dropped.items())),
    }


def summary(descriptions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The same counts over all repositories."""
    every = list(descriptions)
    taken = [item for item in every if not item.get("refused")]
    total: dict[str, Any] = {
        "repositories": len(taken),
        "refused": {item["repo"]: item["refused"] for item in every if item.get("refused")},
    }
    for name in ("pairs", "long", "long_asked", "functions", "long_functions"):
        total[name] = sum(item[name] for item in taken)
    for name in ("kinds", "languages", "long_kinds", "dropped"):
        counts: Counter[str] = Counter()
        for item in taken:
            counts.update(item[name])
        total[name] = dict(counts.most_common())
    return total


def markdown(descriptions: Iterable[Mapping[str, Any]]) -> str:
    """The totals and a line per repository."""
    every = sorted(descriptions, key=lambda item: str(item["repo"]).lower())
    total = summary(every)
    kinds = [kind for kind in KINDS if kind in total["kinds"]]
    what = "functions" if "function" in kinds else "pairs"
    parts = [
        f"{total['pairs']:,} {what} from {total['repositories']} repositories; "
        f"{_percent(total['long_functions'], total['functions'])} of the functions are long.",
        _table(
            ["kind", what, "of them long"],
            [[kind, total["kinds"][kind], total["long_kinds"].get(kind, 0)] for kind in kinds],
        ),
        _table(["language", what], [list(item) for item in total["languages"].items()]),
        _table(
            ["repository", "commit", "licence", what, *kinds, "long"],
            [_row(item, kinds) for item in every if not item.get("refused")],
        ),
    ]
    if total["refused"]:
        lines = [f"- {repo}: {reason}" for repo, reason in total["refused"].items()]
        parts.append("Refused:\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _row(item: Mapping[str, Any], kinds: Sequence[str]) -> list[object]:
    counts = [item["kinds"].get(kind, 0) for kind in kinds]
    return [
        item["repo"],
        item["commit"][:12],
        item["licence"],
        item["pairs"],
        *counts,
        item["long"],
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"
