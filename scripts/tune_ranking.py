"""What each signal of the ranking gives, and whether its constants hold on unseen repositories.

    python scripts/tune_ranking.py DIR --index HOME [--no-save]

DIR is the repo-search data, HOME holds the indexes that `evaluate.py repo-search` made. Besides
its questions there are two sets made here from the indexed functions: error messages that a
function raises, and lines of its middle with other names. Candidates are found once; then

- `ablation`: each signal is taken away,
- `cross_validation`: for every fold of repositories each constant is chosen on the other folds,
  one at a time, and all choices together are measured on the fold.

Figures are NDCG@10, means over repositories. The last line printed is JSON.
"""

import argparse
import json
import random
import re
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from codesearch import ranking
from codesearch.answer import OpenIndex, Searcher
from codesearch.candidates import Filters, Found, find
from codesearch.ranking import QueryTerms, read_terms
from codesearch.search import rank
from evaluate import TOP_K, as_target, target_rank
from indexer.sources.listing import Selection
from indexer.storage.home import IndexHome
from models.checkpoint import CheckpointError
from models.metrics import ndcg_at_k
from provenance import provenance, save

FOLDS = 6
OWN_QUESTIONS = 8  # of each kind for each repository
# The constants as they are, and the values that are tried.
GRID = {
    "RANK_OFFSET": (60, 80, 100, 130, 170),
    "PHRASE": (0.0, 0.3, 0.6, 0.9),
    "WHOLE_FILE": (0.0, 0.1, 0.2, 0.3),
    "SECOND_HAND": (0.6, 0.7, 0.8),
    "PROSE": (0.5, 0.6, 0.7),
    "DECLARATIONS": (0.7, 0.8, 0.9),
    "SYMBOL_WORDS": (0.1, 0.15, 0.2),
    "ABBREVIATION": (0.0, 0.5, 0.8, 1.0),
    "FILE_NAME": (0.2, 0.3, 0.4),
    "FOLDER_NAME": (0.05, 0.1, 0.15),
    "SIZE": (0.0, 0.03, 0.05, 0.07),
    "DEPTH": (0.0, 0.02, 0.04, 0.06),
    "OWN_FILE": (0.5, 1.0),
    "MENTIONED_SYMBOL": (0.15, 0.25, 0.4),
    "prose": (1.0, 1.2, 1.4, 1.6),
    "mixed": (1.0, 1.2, 1.4, 1.6),
    "name": (0.85, 1.0, 1.15),
    "error": (0.4, 0.7, 1.0, 1.3),
    "snippet": (0.4, 0.7, 1.0, 1.3),
}
ABLATIONS = {
    "no vectors": dict.fromkeys(ranking.SIGNAL_WEIGHTS, 0.0),
    "no words": dict.fromkeys(ranking.SIGNAL_WEIGHTS, 2.0),
    "no symbols": dict.fromkeys(
        (
            *("EXACT_SYMBOL", "OTHER_STYLE", "EXACT_CASE", "OWN_FILE", "CONSTRUCTOR"),
            *("MENTIONED_SYMBOL", "SYMBOL_WORDS"),
        ),
        0.0,
    ),
    "no file and folder names": {"FILE_NAME": 0.0, "FOLDER_NAME": 0.0},
    "no abbreviations": {"ABBREVIATION": 0.0},
    "no standing of tests and prose": {"SECOND_HAND": 1.0, "PROSE": 1.0, "DECLARATIONS": 1.0},
    "no phrases": {"PHRASE": 0.0},
    "no vectors of whole files": {"WHOLE_FILE": 0.0},
    "no size and depth of files": {"SIZE": 0.0, "DEPTH": 0.0},
}
_RAISED = re.compile(
    r"(?:raise|throw|panic|fail|error|abort|die|Errorf|Error|Exception)\w*!?[ (.\w]*"
    r"""["']([A-Za-z][^"'\\\n]{20,120})["']""",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"%[sdvqfrx]|\$?#?\{[^}]*\}")
_NAME = re.compile(r"\b[a-z_][A-Za-z0-9_]{2,}\b")

Settings = dict[str, float]


@dataclass(frozen=True)
class Question:
    """A question with its candidates, found once."""

    repo: str
    category: str
    language: str
    terms: QueryTerms
    found: list[Found]
    targets: list[tuple[str, int | None, int | None]]

    def score(self) -> float:
        """NDCG@10 of the present ranking."""
        results = tuple(rank(self.found, self.terms)[:TOP_K])
        return ndcg_at_k([target_rank(target, results) for target in self.targets], TOP_K)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--index", type=Path, default=Path("data/evaluate"))
    parser.add_argument("--no-save", action="store_true")
    arguments = parser.parse_args()
    asked = list(all_questions(arguments.folder, IndexHome(arguments.index.resolve())))
    public = [q for q in asked if q.category not in ("error", "snippet")]
    own = [q for q in asked if q.category in ("error", "snippet")]
    report = provenance("ranking", "python scripts/tune_ranking.py DIR --index HOME")
    report |= {"repositories": len({q.repo for q in public}), "questions": len(public)}
    report["as_shipped"] = figures(public) | {"own": figures(own)["by_category"]}
    report["ablation"] = {name: ablated(public, own, off) for name, off in ABLATIONS.items()}
    report["cross_validation"] = cross_validated(public, own)
    if not arguments.no_save:
        save(report)
    print(json.dumps(report))


def all_questions(folder: Path, home: IndexHome) -> Iterator[Question]:
    """Those of the benchmark, and those made of the indexed functions."""
    repos = {repo["name"]: repo for repo in json.loads((folder / "repos.json").read_text())}
    for place in home.repos():
        searcher = Searcher(home)
        try:
            searcher.add(place, None)
        except CheckpointError as error:
            sys.exit(f"error: {error} ({error.hint})")
        (item,) = searcher.indexes
        name = item.reader.name
        if name not in repos:
            continue
        annotations = json.loads((folder / "annotations" / f"{name}.json").read_text())
        asked = [
            (entry["query"], entry["category"], entry["relevant"] + entry["secondary"])
            for entry in annotations
        ]
        for text, category, targets in [*asked, *own_questions(item)]:
            meant, _ = searcher.read(text)
            terms = read_terms(meant)
            vector = searcher.embed(item.checkpoint, meant)
            found = find(terms, [item.target(vector)], Filters())
            places = [as_target(target) for target in targets]
            yield Question(name, category, repos[name]["language"], terms, found, places)
        print(f"{name}: {len(annotations)} questions", file=sys.stderr)


def own_questions(item: OpenIndex) -> Iterator[tuple[str, str, list[dict]]]:
    """Error messages and pasted lines, each with the function that it is from."""
    rng = random.Random(item.reader.name)
    files = set(item.reader.file_ids(item.ref.id, (), Selection()).tolist())
    rows = item.reader.chunks(item.reader.chunk_ids().tolist()).values()
    functions = [
        row
        for row in rows
        if row.kind == "function"
        and row.file_id in files
        and not ranking.is_second_hand(row.path)
        and row.end_line - row.start_line >= 8
    ]
    rng.shuffle(functions)
    left = {"error": OWN_QUESTIONS, "snippet": OWN_QUESTIONS}
    for row in functions:
        lines = item.reader.text(row.file_id).split("\n")[row.start_line - 1 : row.end_line]
        target = [{"path": row.path, "start_line": row.start_line, "end_line": row.end_line}]
        raised = _RAISED.search("\n".join(lines))
        if left["error"] and raised and raised[1].count(" ") >= 3:
            left["error"] -= 1
            yield _PLACEHOLDER.sub(str(rng.randrange(99)), raised[1]), "error", target
        elif left["snippet"] and (pasted := pasted_lines(lines, rng)):
            left["snippet"] -= 1
            yield pasted, "snippet", target


def pasted_lines(lines: list[str], rng: random.Random) -> str:
    """Three lines of the middle; their most frequent name is another one."""
    middle = [line for line in lines[3:-1] if len(line.strip()) > 12]
    if len(middle) < 3:
        return ""
    start = rng.randrange(len(middle) - 2)
    text = "\n".join(middle[start : start + 3])
    names = _NAME.findall(text)
    if not names:
        return ""
    most = max(sorted(set(names)), key=names.count)
    return re.sub(rf"\b{most}\b", "value", text)


@contextmanager
def changed(settings: Settings) -> Iterator[None]:
    """Rank with other constants; a kind of query stands for the weight of its vectors."""
    weights = ranking.SIGNAL_WEIGHTS
    before = {name: getattr(ranking, name) for name in settings if name not in weights}
    kinds = dict(weights)
    try:
        for name, value in settings.items():
            if name in weights:
                weights[name] = (value, 2.0 - value)
            else:
                setattr(ranking, name, value)
        yield
    finally:
        weights.update(kinds)
        for name, value in before.items():
            setattr(ranking, name, value)


def figures(asked: list[Question]) -> dict:
    """NDCG@10 in the mean over repositories, by kind of question and by language."""
    scored = [(question, question.score()) for question in asked]
    per_repo = grouped(scored, "repo")
    languages: dict[str, list[float]] = {}
    for question in {q.repo: q for q in asked}.values():
        languages.setdefault(question.language, []).append(per_repo[question.repo])
    return {
        "ndcg_at_10": round(statistics.mean(per_repo.values()), 4),
        "by_category": rounded(grouped(scored, "category")),
        "by_language": {k: round(statistics.mean(v), 4) for k, v in sorted(languages.items())},
    }


def grouped(scored: list[tuple[Question, float]], attribute: str) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for question, score in scored:
        groups.setdefault(getattr(question, attribute), []).append(score)
    return {name: statistics.mean(scores) for name, scores in groups.items()}


def ablated(public: list[Question], own: list[Question], off: Settings) -> dict:
    """The benchmark without a signal, and the questions made here."""
    with changed(off):
        return {"ndcg_at_10": figures(public)["ndcg_at_10"], **figures(own)["by_category"]}


def cross_validated(public: list[Question], own: list[Question]) -> dict:
    """Constants chosen on the other folds, one at a time, measured together on each fold.

    The weights for error messages and snippets are chosen by the questions made here.
    """
    tried: dict[tuple[str, float], dict[str, float]] = {}
    for name, values in GRID.items():
        asked = own if name in ("error", "snippet") else public
        for value in values:
            with changed({name: value}):
                tried[name, value] = grouped([(q, q.score()) for q in asked], "repo")
        print(f"{name}: {means(tried, name)}", file=sys.stderr)
    repos = sorted({question.repo for question in public})
    random.Random(0).shuffle(repos)
    held_out: dict[str, float] = {}
    chosen = []
    for fold in range(FOLDS):
        inside = set(repos[fold::FOLDS])
        settings = {name: best_value(tried, name, inside) for name in GRID}
        chosen.append({k: v for k, v in settings.items() if v != present(k)})
        with changed(settings):
            scored = [(q, q.score()) for q in public if q.repo in inside]
        held_out |= grouped(scored, "repo")
    return {
        "ndcg_at_10": round(statistics.mean(held_out.values()), 4),
        "folds": FOLDS,
        "chosen_unlike_shipped": chosen,
        "tried": {name: means(tried, name) for name in GRID},
        "per_repo": rounded(dict(sorted(held_out.items()))),
    }


def best_value(tried: dict, name: str, held_out: set[str]) -> float:
    """The value with the best mean outside a fold; the present one where others are no better."""

    def mean(value: float) -> float:
        scores = tried[name, value]
        return statistics.mean(score for repo, score in scores.items() if repo not in held_out)

    return max(GRID[name], key=lambda value: (round(mean(value), 6), value == present(name)))


def present(name: str) -> float:
    weights = ranking.SIGNAL_WEIGHTS
    return weights[name][0] if name in weights else getattr(ranking, name)


def means(tried: dict, name: str) -> dict[str, float]:
    return {str(v): round(statistics.mean(tried[name, v].values()), 4) for v in GRID[name]}


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
