"""Where a figure comes from: every file in `results/` says which code, machine and day made it."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
CODE = ("codesearch", "indexer", "models", "scripts")


def provenance(benchmark: str, command: str) -> dict:
    """What every report starts with."""
    return {
        "benchmark": benchmark,
        "command": command,
        "commit": commit(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "date": time.strftime("%Y-%m-%d"),
    }


def commit(folder: Path = ROOT) -> str:
    """Twelve digits of what is checked out."""
    return _git(folder, "rev-parse", "--short=12", "HEAD") or "uncommitted"


def changed_files() -> int:
    """How many files of the code are not as they were committed."""
    return len(_git(ROOT, "status", "--porcelain", "--", *CODE).splitlines())


def save(report: dict) -> Path:
    """Write `results/<benchmark>-<commit>.json`."""
    path = ROOT / "results" / f"{report['benchmark']}-{report['commit']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(path.relative_to(ROOT), file=sys.stderr)
    return path


def write_below(path: Path, mark: str, text: str) -> None:
    """Replace what a page has below a mark; what people wrote above it stays."""
    page = path.read_text("utf-8") if path.exists() else ""
    above = page.partition(mark)[0].rstrip()
    path.write_text(f"{above}\n\n{mark}\n\n{text}".lstrip(), "utf-8")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
