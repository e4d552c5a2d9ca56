"""Index and query real repositories as a user would: whole processes, timed from outside.

    python scripts/measure_repos.py CHECKOUTS [--only NAME …]

CHECKOUTS holds a checkout per name in `real_repositories.json`. Every repository is indexed into a
fresh home, then indexed again with nothing changed, then asked its questions. A question is
answered when one of its expected places (`path` or `path:symbol`) is among the first five results;
of a file that is one result, each unit that the result lists counts. Peak memory is that of the
largest process. Figures go to `results/`; the last line printed is JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from provenance import provenance, save

HERE = Path(__file__).parent
FIRST = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", type=Path)
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    repositories = json.loads((HERE / "real_repositories.json").read_text())
    measured = {}
    for repository in repositories:
        name = repository["name"]
        if arguments.only and name not in arguments.only:
            continue
        with tempfile.TemporaryDirectory() as home:
            measured[name] = measure(repository, (arguments.checkouts / name).resolve(), home)
        print(f"{name}: {measured[name]['answered']}", file=sys.stderr)
    report = provenance("real-repositories", "python scripts/measure_repos.py CHECKOUTS")
    report["repositories"] = measured
    save(report)
    print(json.dumps(report))


def measure(repository: dict, folder: Path, home: str) -> dict:
    first = run(["codesearch", "index", str(folder), "--index", home, "--quiet"], folder)
    again = run(["codesearch", "index", str(folder), "--index", home, "--quiet"], folder)
    status = json.loads(output(["codesearch", "status", "--index", home, "--json"], folder))
    answers = [ask(item, folder, home) for item in repository["queries"]]
    return {
        "repository": repository["repository"],
        "commit": output(["git", "rev-parse", "HEAD"], folder),
        "language": repository["language"],
        "tracked_files": len(output(["git", "ls-files"], folder).splitlines()),
        "indexed_files": status["files"],
        "chunks": status["chunks"],
        "tokens": status["tokens"],
        "split_units": status["split_units"],
        "index_seconds": first["seconds"],
        "index_peak_mb": first["peak_mb"],
        "unchanged_seconds": again["seconds"],
        "index_mb": round(status["size_bytes"] / 1e6, 1),
        "query_seconds_median": statistics.median(answer["seconds"] for answer in answers),
        "query_peak_mb": max(answer["peak_mb"] for answer in answers),
        "answered": f"{sum(answer['rank'] is not None for answer in answers)} of {len(answers)}",
        "queries": answers,
    }


def ask(item: dict, folder: Path, home: str) -> dict:
    done = run(
        ["codesearch", "query", item["query"], "-k", str(FIRST), "--json", "--index", home], folder
    )
    results = json.loads(done["stdout"])["results"]
    rank = next((r["rank"] for r in results if any(fits(r, e) for e in item["expected"])), None)
    return {
        "query": item["query"],
        "rank": rank,
        "first": f"{results[0]['path']}:{results[0]['symbol']}",
        "seconds": done["seconds"],
        "peak_mb": done["peak_mb"],
    }


def fits(result: dict, expected: str) -> bool:
    path, _, symbol = expected.partition(":")
    units = [result["symbol"], *(unit["symbol"] for unit in result["more"][:3])]
    return result["path"] == path and (not symbol or symbol in units)


def run(command: list[str], folder: Path) -> dict:
    """Run a command; its wall time and the peak memory of its largest process."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        out.seek(0)
        stdout = out.read().decode()
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit(f"{' '.join(command)} failed")
    return {
        "seconds": round(seconds, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "stdout": stdout,
    }


def output(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
