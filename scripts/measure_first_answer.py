"""How soon a new repository can be searched: ask again and again while it is indexed.

    python scripts/measure_first_answer.py FOLDER … [--seconds 120]

Indexing starts in a fresh home as a process of its own, and a query process is started every
second. Told are the seconds to the first answer, and to the first one that searches the words of
all files; vectors follow while that works already. Figures go to `results/`; the last line printed
is JSON.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare_tools import codesearch, files
from measure_repos import output
from provenance import provenance, save

QUESTION = "parse command line arguments"
PATIENCE = 5.0  # seconds for one answer; without an index yet a query would make it itself


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0, help="give up after so many")
    parser.add_argument("--no-save", action="store_true")
    arguments = parser.parse_args()
    report = provenance("first-answer", "python scripts/measure_first_answer.py FOLDER …")
    report["folders"] = {}
    for folder in arguments.folders:
        measured = measure(folder.resolve(), arguments.seconds)
        report["folders"][folder.resolve().name] = measured
        print(f"{folder.name}: {measured}", file=sys.stderr)
    if not arguments.no_save:
        save(report)
    print(json.dumps(report))


def measure(folder: Path, limit: float) -> dict:
    """Index one folder from nothing, until all of it is found by words."""
    with tempfile.TemporaryDirectory() as home:
        started = time.perf_counter()
        command = [*codesearch("index"), str(folder), "--index", home, "--quiet"]
        indexing = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        first = whole = None
        while whole is None and time.perf_counter() - started < limit:
            time.sleep(1)
            answer = ask(folder, home)
            seconds = round(time.perf_counter() - started, 1)
            if answer is not None and answer["results"] and first is None:
                first = seconds
            if answer is not None and not answer["stale"]:
                whole = seconds
        indexing.send_signal(signal.SIGINT)
        indexing.wait()
        asked = [*codesearch("status"), str(folder), "--index", home, "--json"]
        status = json.loads(output(asked, folder))
    texts = [path for path in files(folder) if ".git" not in path.parts]
    return {
        "files": status["files"],
        "chunks": status["chunks"],
        "tokens": status["tokens"],
        "bytes": sum(path.stat().st_size for path in texts),
        "first_answer_seconds": first,
        "all_words_seconds": whole,
        "encoded_by_then": status["chunks"] - status["pending"],
    }


def ask(folder: Path, home: str) -> dict | None:
    """An answer, if there is one soon."""
    if not list(Path(home).glob("repos/*/text.idx")):
        return None
    command = [*codesearch("query"), QUESTION, "--index", home, "--json"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=PATIENCE)
        return json.loads(done.stdout) if done.stdout else None
    except subprocess.TimeoutExpired:
        return None


if __name__ == "__main__":
    main()
