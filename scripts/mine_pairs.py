"""Mine training pairs, a question and the code that answers it, from git repositories.

    python scripts/mine_pairs.py REPO… --never-train LIST --exclude PATH…
    python scripts/mine_pairs.py REPO… --held-out
    python scripts/mine_pairs.py REPO… --chunks --never-train LIST --exclude PATH…

REPO is the folder of a repository (bare ones too), `owner/name=FOLDER`, or a folder named
`owner+name`. Pairs go to `data/mined`, one shard per repository; a repository that was mined at
its commit with the same settings is skipped. With `--held-out` every function goes to
`data/longcode/pool.jsonl.zst`, with a question where it is documented. With `--chunks` a sample of
what an index holds goes to `data/chunks`, without questions. `--exclude` takes shards, JSON of
functions, and folders of checkouts; no function in them is mined, nor one like it.
`--report` writes the table of what was mined into a document. The last line printed is JSON.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import RepositoryError
from indexer.mining.candidates import Finder, repository_licence
from indexer.mining.dedupe import Excluded, never_train_names
from indexer.mining.pairs import functions
from indexer.mining.report import describe, markdown, summary
from indexer.mining.repository import Miner, Origin, Settings, with_unique_questions
from indexer.mining.shards import Shards, read_pairs, write_pairs
from indexer.sources.repository import Repository, find_repository, resolve_ref
from indexer.syntax.tree import parse
from models.checkpoint import open_checkpoint
from models.replacing import replacing
from models.tokenizer import Tokenizer
from provenance import write_below

# Where what is mined goes, and how much of a repository.
DEFAULTS = {
    "pairs": (Path("data/mined"), 8000),
    "functions": (Path("data/longcode"), 0),
    "chunks": (Path("data/chunks"), 250),
}
TABLE_MARK = "<!-- written by scripts/mine_pairs.py --report -->"


def main() -> None:
    arguments = read_arguments()
    shards = Shards(arguments.out)
    repositories = [found(text) for text in arguments.repositories]
    if repositories:
        mine_all(repositories, shards, arguments)
    total = summary(shards.descriptions())
    with replacing(arguments.out / "summary.json") as beside:
        beside.write_text(json.dumps(total, indent=1) + "\n", "utf-8")
    if arguments.offer == "functions":
        write_pool(shards)
    if arguments.report:
        write_below(arguments.report, TABLE_MARK, markdown(shards.descriptions()))
    print(json.dumps(total))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repositories", nargs="*", metavar="REPO")
    parser.add_argument("--never-train", type=Path, help="repositories to refuse, one per line")
    parser.add_argument("--exclude", nargs="*", type=Path, default=[])
    parser.add_argument("--out", type=Path)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--held-out", action="store_const", dest="offer", const="functions")
    kinds.add_argument("--chunks", action="store_const", dest="offer", const="chunks")
    parser.add_argument("--max-pairs", type=int, help="of a repository; 0: all")
    parser.add_argument("--max-commits", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path)
    parser.set_defaults(offer="pairs")
    arguments = parser.parse_args()
    out, max_pairs = DEFAULTS[arguments.offer]
    if arguments.out is None:
        arguments.out = out
    if arguments.max_pairs is None:
        arguments.max_pairs = max_pairs
    return arguments


@dataclass(frozen=True)
class Run:
    """What one call of this program mines with, and where to."""

    miner: Miner
    shards: Shards
    settings: Settings
    key: str
    refused: frozenset[str]


def mine_all(
    repositories: list[tuple[str, Repository]], shards: Shards, arguments: argparse.Namespace
) -> None:
    refused = never_train_names(arguments.never_train) if arguments.never_train else frozenset()
    excluded = Excluded(code for path in arguments.exclude for code in codes(path))
    print(f"{len(excluded):,} functions excluded", file=sys.stderr)
    settings = Settings(
        max_pairs=arguments.max_pairs,
        max_commits=arguments.max_commits,
        seed=arguments.seed,
        offer=arguments.offer,
    )
    miner = Miner(settings, Tokenizer(open_checkpoint()), excluded)
    run = Run(miner, shards, settings, settings.key(excluded), refused)
    to_mine = [item for item in repositories if not is_mined(run, *item)]
    remember(run, {name for name, _ in to_mine})
    for name, repository in to_mine:
        print(f"{name}: {mine_one(run, name, repository)}", file=sys.stderr, flush=True)


def is_mined(run: Run, name: str, repository: Repository) -> bool:
    description = run.shards.description(name)
    commit = resolve_ref(repository, "HEAD")
    return (description.get("settings"), description.get("commit")) == (run.key, commit)


def remember(run: Run, to_mine: set[str]) -> None:
    """Takes in the shards that stay as they are, so that nothing in them is mined again."""
    for description in run.shards.descriptions():
        if not description.get("refused") and description["repo"] not in to_mine:
            run.miner.remember(read_pairs(run.shards.path(description["repo"])))


def mine_one(run: Run, name: str, repository: Repository) -> str:
    """Mines a repository and stores what it gave; says in a line how that went."""
    licence = repository_licence(repository)
    commit = resolve_ref(repository, "HEAD")
    description = {"repo": name, "commit": commit, "licence": licence.name, "settings": run.key}
    reason = "" if run.settings.offer == "functions" else licence.reason
    if name.lower() in run.refused:
        reason = "is never trained on"
    if reason:
        run.shards.describe(name, description | {"refused": reason})
        return f"refused, {reason}"
    mined = run.miner.mine(repository, Origin(name, licence.name))
    counts = describe(mined.pairs, mined.dropped, run.settings.long_tokens)
    run.shards.write(name, mined.pairs, description | counts)
    return f"{counts['pairs']:,} pairs, {counts['long']:,} long, {counts['kinds']}"


def found(text: str) -> tuple[str, Repository]:
    """The name and the repository that an argument means."""
    name, separator, folder = text.partition("=")
    path = Path(folder if separator else text)
    repository, _ = find_repository(path)
    if not separator:
        parts = [part for part in path.resolve().parts if re.fullmatch(r"[\w.-]+\+[\w.-]+", part)]
        owner_and_name = path.resolve().parts[-2:]
        name = parts[-1].replace("+", "/", 1) if parts else "/".join(owner_and_name)
    return name.removesuffix(".git"), repository


def codes(path: Path) -> Iterator[str]:
    """The functions that a shard, a JSON file of functions or a folder of repositories holds."""
    if path.is_dir():
        for folder in sorted(path.iterdir()):
            yield from codes_of_repository(folder)
    elif path.name.endswith(".zst"):
        yield from (pair.code for pair in read_pairs(path))
    else:
        for source in json.loads(path.read_text("utf-8")):
            yield source
            tree = parse(source, "python")
            assert tree is not None
            yield from (unit.code.text(source) for unit in functions(tree))


def codes_of_repository(folder: Path) -> Iterator[str]:
    try:
        repository, _ = find_repository(folder)
    except RepositoryError:
        return
    finder = Finder(Excluded(), offer="functions", max_chars=0)
    for candidates in finder.find(repository, 0):
        yield from (candidate.code for candidate in candidates)


def write_pool(shards: Shards) -> None:
    names = [item["repo"] for item in shards.descriptions() if not item.get("refused")]
    pairs = (pair for name in names for pair in read_pairs(shards.path(name)))
    write_pairs(shards.folder / "pool.jsonl.zst", with_unique_questions(pairs))


if __name__ == "__main__":
    main()
