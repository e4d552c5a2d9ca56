"""What each signal of the ranking gives, and what its constants are worth on unseen repositories.

    python scripts/tune_ranking.py DIR --index HOME [--no-save]

DIR is the repo-search data, HOME holds the indexes that `evaluate.py repo-search` made. Besides
its questions there are two sets made here from the indexed functions: error messages that a
function raises, and lines of its middle with other names. Candidates are found once; then

- `ablation`: each signal is taken away,
- `neighbours`: each constant has another value,
- `cross_validation`: for every fold of repositories all constants are learned on the other folds,
  from a start where no signal but vectors and words speaks, and measured on the fold.

Figures are NDCG@10, means over repositories. The last line printed is JSON.
"""

import argparse
import json
import random
import re
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesearch import ranking
from codesearch.answer import OpenIndex, Searcher
from codesearch.candidates import NO_FILTERS, Found, find
from codesearch.ranking import QueryTerms, read_terms
from codesearch.search import rank
from evaluate import TOP_K, answers_with, as_target, target_rank
from indexer.sources.listing import Selection
from indexer.storage.home import IndexHome
from models.checkpoint import CheckpointError
from models.metrics import ndcg_at_k
from provenance import provenance, save
from ranking_model import EXACT, Features, Settings, present

FOLDS = 6
OWN_QUESTIONS = 8  # of each kind for each repository
# From here the constants are learned, one at a time, over and over: vectors and words alone.
NEUTRAL = {
    "RANK_OFFSET": 60.0,
    **dict.fromkeys(("SECOND_HAND", "PROSE", "DECLARATIONS"), 1.0),
    **dict.fromkeys(("FILE_NAME", "FOLDER_NAME", "SIZE", "DEPTH", "WHOLE_FILE"), 0.0),
    **dict.fromkeys(("SYMBOL_WORDS", "MENTIONED_SYMBOL", "PHRASE"), 0.0),
    **dict.fromkeys(ranking.SIGNAL_WEIGHTS, 1.0),
}
GRID = {
    "FILE_NAME": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "SIZE": (0.0, 0.02, 0.05, 0.08),
    "SYMBOL_WORDS": (0.0, 0.1, 0.15, 0.2, 0.3),
    "WHOLE_FILE": (0.0, 0.1, 0.2, 0.3, 0.4),
    "SECOND_HAND": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
    "PROSE": (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
    "DEPTH": (0.0, 0.02, 0.04, 0.06, 0.08),
    "FOLDER_NAME": (0.0, 0.1, 0.15, 0.2, 0.3),
    "RANK_OFFSET": (40.0, 60.0, 80.0, 100.0, 130.0),
    "DECLARATIONS": (0.6, 0.7, 0.8, 0.9, 1.0),
    "MENTIONED_SYMBOL": (0.0, 0.25, 0.4, 0.6, 0.8),
    "PHRASE": (0.0, 0.3, 0.6, 0.9, 1.2),
    "prose": (0.8, 1.0, 1.2, 1.4, 1.6),
    "mixed": (0.8, 1.0, 1.2, 1.4, 1.6),
    "name": (0.85, 1.0, 1.15),
    "error": (0.2, 0.4, 0.7, 1.0, 1.3),
    "snippet": (0.2, 0.4, 0.7, 1.0, 1.3),
}
# These are learned by the questions made here too.
OF_PASTED = frozenset({"PHRASE", "error", "snippet"})
ROUNDS = 3
LEAST_GAIN = 1e-4
ABLATIONS = {
    "no vectors": dict.fromkeys(ranking.SIGNAL_WEIGHTS, 0.0),
    "no words": dict.fromkeys(ranking.SIGNAL_WEIGHTS, 2.0),
    "no exact symbols": {EXACT: 0.0},
    "no words of symbols": {"MENTIONED_SYMBOL": 0.0, "SYMBOL_WORDS": 0.0},
    "no file and folder names": {"FILE_NAME": 0.0, "FOLDER_NAME": 0.0},
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


@dataclass(frozen=True)
class Question:
    """A question with its candidates, found once, and what the constants weigh of them."""

    repo: str
    category: str
    language: str
    terms: QueryTerms
    found: list[Found]
    targets: list[tuple[str, int | None, int | None]]
    features: Features

    def shipped_score(self) -> float:
        """NDCG@10 of the ranking itself."""
        results = tuple(rank(self.found, self.terms)[:TOP_K])
        return ndcg_at_k([target_rank(target, results) for target in self.targets], TOP_K)

    def score(self, constants: Settings) -> float:
        """NDCG@10 with other constants."""
        return self.features.ndcg(constants, TOP_K)


def question(
    repo: str, category: str, language: str, terms: QueryTerms, found: list[Found], targets: list
) -> Question:
    """A question whose answers are at some targets."""
    places = [as_target(target) for target in targets]
    answers = [[answers_with(item.chunk, place) for place in places] for item in found]
    features = Features.of(terms, found, np.array(answers, dtype=bool).reshape(len(found), -1))
    return Question(repo, category, language, terms, found, places, features)


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
    check_model(asked)
    report["constants"] = shipped()
    report["as_shipped"] = figures(public, shipped()) | {
        "own": figures(own, shipped())["by_category"]
    }
    report["ablation"] = {name: ablated(public, own, off) for name, off in ABLATIONS.items()}
    report["neighbours"] = neighbours(public, own)
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
            found = find(terms, [item.target(vector)], NO_FILTERS)
            yield question(name, category, repos[name]["language"], terms, found, targets)
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


def shipped() -> Settings:
    """The constants as they are."""
    return {name: present(name) for name in NEUTRAL}


def check_model(asked: list[Question]) -> None:
    """End unless the model of the ranking gives each question what the ranking does."""
    constants = shipped()
    unlike = [q.terms.text for q in asked if abs(q.score(constants) - q.shipped_score()) > 1e-9]
    print(f"{len(asked)} questions, {len(unlike)} scored otherwise", file=sys.stderr)
    if unlike:
        sys.exit(f"error: ranking_model.py ranks otherwise than the program: {unlike[:5]}")


def figures(asked: list[Question], constants: Settings) -> dict:
    """NDCG@10 in the mean over repositories, by kind of question and by language."""
    scored = [(question, question.score(constants)) for question in asked]
    per_repo = grouped(scored, "repo")
    languages: dict[str, list[float]] = {}
    for one in {q.repo: q for q in asked}.values():
        languages.setdefault(one.language, []).append(per_repo[one.repo])
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
    constants = shipped() | off
    found = figures(public, constants)["ndcg_at_10"]
    return {"ndcg_at_10": found, **figures(own, constants)["by_category"]}


def mean_score(asked: list[Question], constants: Settings) -> float:
    scored = [(question, question.score(constants)) for question in asked]
    return statistics.mean(grouped(scored, "repo").values())


def neighbours(public: list[Question], own: list[Question]) -> dict:
    """What each constant's other values give: the benchmark, and the questions made here."""
    constants = shipped()
    return {
        name: {
            str(value): [
                round(mean_score(asked, constants | {name: value}), 4) for asked in (public, own)
            ]
            for value in values
        }
        for name, values in GRID.items()
    }


def learned(public: list[Question], own: list[Question]) -> Settings:
    """The best constants found from a neutral start, one changed at a time."""
    constants = dict(NEUTRAL)
    for _ in range(ROUNDS):
        before = dict(constants)
        for name, values in GRID.items():
            constants[name] = best_value(name, values, constants, public, own)
        if constants == before:
            break
    return constants


def best_value(
    name: str,
    values: tuple[float, ...],
    constants: Settings,
    public: list[Question],
    own: list[Question],
) -> float:
    """The value with the best mean; the present one where others are hardly better."""

    def mean(value: float) -> float:
        tried = constants | {name: value}
        means = [mean_score(asked, tried) for asked in (public, own)[: 1 + (name in OF_PASTED)]]
        return statistics.mean(means)

    best, most = constants[name], mean(constants[name])
    for value in values:
        found = most if value == constants[name] else mean(value)
        if found > most + LEAST_GAIN:
            best, most = value, found
    return best


def cross_validated(public: list[Question], own: list[Question]) -> dict:
    """All constants learned from nothing on the other folds, measured on each fold."""
    repos = sorted({question.repo for question in public})
    random.Random(0).shuffle(repos)
    held_out: dict[str, float] = {}
    pasted: list[tuple[Question, float]] = []
    chosen = []
    for fold in range(FOLDS):
        inside = set(repos[fold::FOLDS])
        constants = learned(*([q for q in a if q.repo not in inside] for a in (public, own)))
        chosen.append(constants)
        scored = [(q, q.score(constants)) for q in public if q.repo in inside]
        held_out |= grouped(scored, "repo")
        pasted += [(q, q.score(constants)) for q in own if q.repo in inside]
        print(
            f"fold {fold}: {statistics.mean(grouped(scored, 'repo').values()):.4f}",
            constants,
            file=sys.stderr,
        )
    return {
        "ndcg_at_10": round(statistics.mean(held_out.values()), 4),
        "own": rounded(grouped(pasted, "category")),
        "folds": FOLDS,
        "learned": chosen,
        "per_repo": rounded(dict(sorted(held_out.items()))),
    }


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
