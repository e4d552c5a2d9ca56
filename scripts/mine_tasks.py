"""Long-code tasks of the four CodeXGLUE kinds, mined from real repositories, in the same formats.

    python scripts/mine_tasks.py SHARDS --repositories DIR --out FOLDER

SHARDS are those of `mine_pairs.py`, DIR holds the repositories' git folders under the shards'
names (`owner+name`). Only functions above 512 tokens of the default tokenizer take part.
Repositories are split between train, valid and test by a hash of their names.

    clone      a function before and after a commit, or two of one name in two places (1); a
               function and the most similar one of another name (0); names are hidden
    defect     a function before (1) and after (0) a commit whose subject says that it fixes a bug
    search     documentation -> function without it, the names of the function, of its parameters
               and variables hidden, as in AdvTest's tests
    summarize  function without its documentation -> its first sentence; train has shorter
               functions too, for a decoder to begin with

`origins.jsonl` of each task says where each function is from. These are our data, not the paper's.
The last line printed is JSON: how many examples of each task and split.
"""

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice
from pathlib import Path

from indexer.mining.commits import before
from indexer.mining.dedupe import normalised_hash
from indexer.mining.pairs import MASK
from indexer.mining.shards import Pair, read_pairs
from indexer.training.records import key
from indexer.words import parts
from longtasks.hidden_names import with_name, without_names
from models.checkpoint import open_checkpoint
from models.tokenizer import Tokenizer

LONG = 512
LANGUAGES = ("c", "cpp", "java", "python", "go", "csharp")
VALID, TEST = 0.1, 0.3  # shares of the repositories, by hash: below the first, below the second
MOST_OF_ONE = 150  # examples of one repository and task
MOST_SHORT_OF_ONE = 1000
MOST_OF_NAME = 3  # functions of one name
ALIKE = (0.3, 0.85)  # share of words that two functions of one name have in common
COMPARED = 200  # functions among which the most similar one is looked for
_FIX = re.compile(
    r"(?i)\b(fix(e[sd]|ing)?|bug|crash(es|ed)?|leak(s|ed)?|overflow|null pointer|npe|deadlock|race"
    r"|use.after.free|out.of.bounds|segfault|regression|incorrect(ly)?|wrong(ly)?|broken)\b"
)
_NO_FIX = re.compile(
    r"(?i)\b(typos?|docs?|comments?|tests?|lint|style|format(ting)?|warnings?|build|ci|merge|revert"
    r"|spelling|whitespace|compil(e|ation|er))\b"
)
_TOKEN = re.compile(r"\w+|[^\s\w]")
_WORD = re.compile(r"[A-Za-z_]\w+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


@dataclass(frozen=True)
class Function:
    """A function of a task, and where it is from."""

    code: str
    language: str
    repo: str
    commit: str
    path: str
    symbol: str
    licence: str
    version: str = ""  # before or after `commit`

    @property
    def name(self) -> str:
        """Its own name, without what encloses it."""
        return self.symbol.rpartition(".")[2]

    @cached_property
    def words(self) -> set[str]:
        """The words of its code, its name left out."""
        return set(_WORD.findall(self.code)) - {self.name}

    def origin(self) -> dict:
        """Where it is from, as `origins.jsonl` has it."""
        fields = ("language", "repo", "commit", "path", "symbol", "licence", "version")
        return {name: getattr(self, name) for name in fields if getattr(self, name)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--repositories", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES))
    arguments = parser.parse_args()
    tasks = Tasks(arguments.out)
    tokenizer = Tokenizer(open_checkpoint())
    for shard in sorted(arguments.shards.glob("*+*.jsonl.zst")):
        git_dir = arguments.repositories / shard.name.removesuffix(".jsonl.zst")
        pairs = [
            pair
            for pair in read_pairs(shard)
            if pair.language in arguments.languages and pair.path
        ]
        long = [pair for pair in pairs if pair.tokens > LONG]
        if long and git_dir.is_dir():
            mine(long, git_folder(git_dir), tokenizer, tasks)
            add_short([pair for pair in pairs if pair.tokens <= LONG], tasks)
            print(f"{shard.name}: {dict(tasks.counts)}", file=sys.stderr)
    tasks.write()
    print(json.dumps({f"{task} {split}": n for (task, split), n in sorted(tasks.counts.items())}))


def git_folder(folder: Path) -> Path:
    """Where git keeps the objects: the folder itself, the one in it, or that of a checkout."""
    if (folder / "HEAD").is_file():
        return folder
    inside = sorted(place.parent for place in folder.glob("*/HEAD"))
    return inside[0] if inside else folder / ".git"


def split_of(repo: str) -> str:
    place = key(f"task {repo.lower()}") / 2**64
    return "valid" if place < VALID else "test" if place < TEST else "train"


class Tasks:
    """The examples so far, and the functions that were seen."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._lines: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._functions: dict[str, int] = {}  # code → its id among the clones
        self._seen: set[tuple[str, bytes]] = set()
        self._numbers: Counter[str] = Counter()
        self.counts: Counter[tuple[str, str]] = Counter()

    def is_new(self, task: str, function: Function) -> bool:
        """Whether a task has not had this text yet."""
        place = (task, normalised_hash(function.code))
        is_new = place not in self._seen
        self._seen.add(place)
        return is_new

    def clone(self, first: Function, second: Function, label: int) -> None:
        """Two functions that are one in two versions, or are not."""
        ids = [self._clone_id(function) for function in (first, second)]
        self._add("clone", split_of(first.repo), "\t".join([*map(str, ids), str(label)]))

    def defect(self, function: Function, target: int) -> None:
        """A function with a bug, or without it."""
        number = self._next("defect", function)
        record = {"idx": number, "func": function.code, "target": target}
        record["language"] = function.language
        self._add("defect", split_of(function.repo), json.dumps(record))

    def documented(self, function: Function, question: str) -> None:
        """One example of search, and one of summarize."""
        split = split_of(function.repo)
        number = self._next("search", function)
        code = without_names(function.code, function.language, function.name)
        record = {"idx": number, "url": f"{function.repo}/{function.path}#{number}", "code": code}
        record |= {"language": function.language, "docstring_tokens": tokens(question)}
        self._add("search", split, json.dumps(record))
        self.summarized(function, question)

    def summarized(self, function: Function, question: str, counted: str = "") -> None:
        """One example of summarize; it counts as one of its split, or of `counted`."""
        number = self._next("summarize", function)
        record = {"idx": number, "code": function.code, "language": function.language}
        record["docstring_tokens"] = tokens(_SENTENCE.split(question)[0])
        self._add("summarize", split_of(function.repo), json.dumps(record), counted)

    def _clone_id(self, function: Function) -> int:
        if function.code not in self._functions:
            number = self._next("clone", function)
            self._functions[function.code] = number
            code = with_name(function.code, function.name, MASK)
            record = {"idx": str(number), "func": code, "language": function.language}
            self._lines["clone", "data"].append(json.dumps(record))
        return self._functions[function.code]

    def _next(self, task: str, function: Function) -> int:
        number = self._numbers[task]
        self._numbers[task] += 1
        self._lines[task, "origins"].append(json.dumps({"idx": number, **function.origin()}))
        return number

    def _add(self, task: str, split: str, line: str, counted: str = "") -> None:
        self._lines[task, split].append(line)
        self.counts[task, counted or split] += 1

    def write(self) -> None:
        """Write all files."""
        for (task, name), lines in self._lines.items():
            folder = self._out / task
            folder.mkdir(parents=True, exist_ok=True)
            is_pairs = task == "clone" and name not in ("data", "origins")
            path = folder / f"{name}.{'txt' if is_pairs else 'jsonl'}"
            path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def mine(pairs: list[Pair], git_dir: Path, tokenizer: Tokenizer, tasks: Tasks) -> None:
    """The examples of one repository."""
    functions = [as_function(pair) for pair in pairs]
    documented = [
        (function, pair.query)
        for function, pair in zip(functions, pairs, strict=True)
        if pair.kind == "docstring" and tasks.is_new("search", function)
    ]
    for function, question in documented[:MOST_OF_ONE]:
        tasks.documented(function, question)
    changed = [place for place, pair in enumerate(pairs) if pair.kind == "commit"]
    fixes = clones = 0
    for old, new, subject in versions([pairs[i] for i in changed], git_dir, tokenizer):
        if fixes < MOST_OF_ONE and is_fix(subject) and tasks.is_new("defect", new):
            fixes += 1
            tasks.defect(old, 1)
            tasks.defect(new, 0)
        if clones < MOST_OF_ONE and tasks.is_new("clone", new):
            clones += 1
            add_clones(old, new, functions, tasks)
    for one, other in islice(reimplemented(functions), MOST_OF_ONE):
        if tasks.is_new("clone", one):
            add_clones(one, other, functions, tasks)


def add_short(pairs: list[Pair], tasks: Tasks) -> None:
    """The documented functions of a training repository that are not long."""
    functions = ((as_function(pair), pair.query) for pair in pairs if pair.kind == "docstring")
    new = (
        (function, question)
        for function, question in functions
        if split_of(function.repo) == "train" and tasks.is_new("search", function)
    )
    for function, question in islice(new, MOST_SHORT_OF_ONE):
        tasks.summarized(function, question, "short")


def add_clones(one: Function, other: Function, functions: list[Function], tasks: Tasks) -> None:
    """A pair that is one function twice, and a pair that only looks like it."""
    tasks.clone(one, other, 1)
    similar = most_similar(other, functions)
    if similar is not None:
        tasks.clone(other, similar, 0)


def reimplemented(functions: list[Function]) -> Iterator[tuple[Function, Function]]:
    """Two functions of one telling name in two places that share words without being copies."""
    by_name: dict[tuple[str, str], dict[str, Function]] = {}
    for function in functions:
        if len(parts(function.name)) > 1:
            same = by_name.setdefault((function.language, function.name), {})
            same.setdefault(f"{function.path} {function.symbol}", function)
    for same in by_name.values():
        few = list(same.values())[:MOST_OF_NAME]
        for one, other in combinations(few, 2):
            if ALIKE[0] <= shared(one.words, other.words) <= ALIKE[1]:
                yield one, other


def versions(
    pairs: list[Pair], git_dir: Path, tokenizer: Tokenizer
) -> Iterator[tuple[Function, Function, str]]:
    """Each function before its commit and after it, where both are long and differ."""
    places = [(pair.commit, pair.path, pair.symbol) for pair in pairs]
    for place, subject, code in before(git_dir, places):
        new = as_function(pairs[place], "after")
        if " ".join(code.split()) == " ".join(new.code.split()):
            continue
        if len(tokenizer.tokenize([code])[0]) > LONG:
            yield as_function(pairs[place], "before", code), new, subject


def as_function(pair: Pair, version: str = "", code: str | None = None) -> Function:
    place = (pair.repo, pair.commit, pair.path, pair.symbol, pair.licence)
    return Function(pair.code if code is None else code, pair.language, *place, version)


def is_fix(subject: str) -> bool:
    """Whether a commit's subject says that it mends the code's behaviour."""
    return _FIX.search(subject) is not None and _NO_FIX.search(subject) is None


def most_similar(function: Function, others: list[Function]) -> Function | None:
    """Another function of the repository and language that shares most of its words."""
    rest = [
        other
        for other in others
        if other.name != function.name and other.language == function.language
    ][:COMPARED]
    return max(rest, key=lambda other: shared(function.words, other.words), default=None)


def shared(one: set[str], other: set[str]) -> float:
    """The share of two sets of words that both have."""
    return len(one & other) / max(1, len(one | other))


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


if __name__ == "__main__":
    main()
