"""Measure how fast it is: against full attention, rival patterns and sentence-transformers.

    python scripts/bench.py [SECTION] [REPOSITORY …] [--device cuda] [--quick] [--minutes 9]
    python scripts/bench.py plot [RESULT …]

Sections: `attention` (the operation alone), `encoding` (the whole model), `memory` (in processes
of their own), `settings` (other sizes of SASA's blocks), `library` (real texts, against
sentence-transformers), `indexing` and `query` (the program as a user runs it); `all` runs them one
after the other. What is compared takes turns in one run. Each section writes
`results/bench-<section>-<commit>.json`; `docs/bench.png` is drawn from those of `encoding` and
`memory`. Tables go to stderr, the last line printed is JSON. Needs Linux and the extra `bench`.
"""

import argparse
import json
import sys
import tempfile
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from benchmarks.options import Options, Patience
from benchmarks.plot import draw, newest
from benchmarks.processes import in_process
from benchmarks.tables import print_section, print_targets, targets
from models.threads import share_cores
from provenance import ROOT, changed_files, provenance, save

# Section: the function that measures it, its share of --minutes, and about the minutes besides
# on two cores.
SECTIONS = {
    "attention": ("benchmarks.attention.measure", 0.15, 0.3),
    "encoding": ("benchmarks.encoding.measure", 0.5, 0.5),
    "memory": ("benchmarks.memory.measure", 0.0, 4.0),
    "settings": ("benchmarks.settings.measure", 0.15, 0.3),
    "library": ("benchmarks.library.measure", 0.2, 2.0),
    "indexing": ("benchmarks.program.measure_indexing", 0.0, 2.5),
    "query": ("benchmarks.program.measure_query", 0.0, 0.5),
}
LENGTHS = (128, 256, 512, 1024, 2048, 4096, 8192)
MEMORY_LENGTHS = (1024, 4096, 8192)
LONGEST_ON_CUDA = 16_384
ROUNDS = 7
CHECKOUTS = ROOT / "data" / "repo-search"
NAMES = ("flask", "gson", "gin", "zig-clap")
VERSIONS = ("torch", "transformers", "sentence-transformers", "numpy", "faiss-cpu")


def main() -> None:
    arguments = parse()
    if arguments.section == "plot":
        draw(*(arguments.inputs or newest()))
        return
    saves = not (arguments.no_save or arguments.quick)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 130)
    sections = list(SECTIONS) if arguments.section == "all" else [arguments.section]
    tell_plan(sections, arguments)
    reports: dict[str, dict] = {}
    share_cores()  # as the program does, in all processes
    device = in_process(device_facts, arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        for section in sections:
            options = options_for(section, arguments, Path(folder))
            started = time.perf_counter()
            measured = in_process(measure, section, options)
            if measured is None:
                sys.exit(f"{section} was killed")
            seconds = round(time.perf_counter() - started)
            reports[section] = heading(section, arguments) | {"device": device} | measured
            reports[section]["seconds_taken"] = seconds
            print_section(console, section, reports[section])
            if saves:
                save(reports[section])
    if saves and {"encoding", "memory"} <= set(reports):
        draw(*newest())
    reached = targets(reports)
    print_targets(console, reached)
    commit = next(iter(reports.values()))["commit"]
    print(json.dumps({"benchmark": "bench", "commit": commit, "targets": reached}))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="?", default="all", choices=["all", *SECTIONS, "plot"])
    parser.add_argument("inputs", nargs="*", type=Path, help="repositories; of plot, results")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--minutes", type=float, default=9.0, help="for rounds, in `all`")
    parser.add_argument("--memory-gb", type=float, default=4.0, help="for the largest batch")
    parser.add_argument("--tokens", type=int, default=150_000, help="real texts of a round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="see that all runs; saves nothing")
    parser.add_argument("--no-save", action="store_true")
    return parser.parse_args()


def tell_plan(sections: list[str], arguments: argparse.Namespace) -> None:
    """About how long each section takes; `--quick` a part of it."""
    minutes = {}
    for name in sections:
        _, share, besides = SECTIONS[name]
        minutes[name] = share * arguments.minutes + besides
    parts = ", ".join(f"{name} {value:.1f}" for name, value in minutes.items())
    print(f"about {sum(minutes.values()):.0f} minutes: {parts}", file=sys.stderr)


def options_for(section: str, arguments: argparse.Namespace, home: Path) -> Options:
    """What a section is asked to do."""
    longest = (LONGEST_ON_CUDA,) if arguments.device == "cuda" else ()
    lengths, memory_lengths = LENGTHS + longest, MEMORY_LENGTHS + longest
    rounds, seconds = ROUNDS, SECTIONS[section][1] * arguments.minutes * 60
    tokens = arguments.tokens
    if arguments.quick:
        lengths, memory_lengths, rounds, tokens = (128, 2048), (1024, 2048), 1, 10_000
    return Options(
        device=arguments.device,
        lengths=lengths,
        memory_lengths=memory_lengths,
        patience=Patience(rounds, seconds),
        memory_gb=arguments.memory_gb,
        sample_tokens=tokens,
        repositories=repositories(arguments),
        home=home,
        seed=arguments.seed,
    )


def repositories(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """Those given, else the checkouts that are here, else this repository."""
    given = [path.resolve() for path in arguments.inputs]
    here = [CHECKOUTS / name for name in NAMES if (CHECKOUTS / name).is_dir()]
    chosen = given or here or [ROOT]
    return tuple(chosen[-1:] if arguments.quick else chosen)


def measure(section: str, options: Options) -> dict:
    """Run a section; called in a process of its own."""
    module, function = SECTIONS[section][0].rsplit(".", 1)
    return getattr(import_module(module), function)(options)


def heading(section: str, arguments: argparse.Namespace) -> dict:
    """Where the figures come from."""
    words = ["python scripts/bench.py", arguments.section, "--device", arguments.device]
    words += ["--minutes", f"{arguments.minutes:g}", *(["--quick"] if arguments.quick else [])]
    return provenance(f"bench-{section}", " ".join(words)) | {
        "changed_files": changed_files(),
        "versions": {name: installed(name) for name in VERSIONS},
        "seed": arguments.seed,
    }


def device_facts(device: str) -> dict:
    """What decides which kernels run."""
    import torch

    if device == "cuda":
        return {"type": "cuda", "name": torch.cuda.get_device_name()}
    return {
        "type": "cpu",
        "capability": torch.backends.cpu.get_cpu_capability(),
        "amx": torch.cpu._is_amx_tile_supported(),
        "threads": torch.get_num_threads(),
    }


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
