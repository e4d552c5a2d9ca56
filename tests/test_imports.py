"""Layers import one way, heavy packages have one place, and a query starts without them."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import environment

ROOT = Path(__file__).parent.parent
LAYERS = ("codesearch", "indexer", "models")
FILES = [file for layer in LAYERS for file in sorted((ROOT / layer).rglob("*.py"))]
OWNERS = {
    "torch": ("models/",),
    "transformers": ("models/",),
    "safetensors": ("models/",),
    "tokenizers": ("models/",),
    "faiss": ("indexer/storage/faiss_cache.py",),
    "sqlalchemy": ("indexer/storage/",),
    "filelock": ("indexer/storage/locking.py",),
    "git": ("indexer/sources/git.py",),
    "pathspec": ("indexer/sources/",),
    "tree_sitter": ("indexer/syntax/tree.py",),
    "typer": ("codesearch/cli.py",),
    "rich": ("codesearch/",),
    "mcp": ("codesearch/agents.py",),
    "pydantic": ("codesearch/agents.py",),
    "click": (),
}
TORCH = {"torch", "transformers"}
BUILDING = {"sqlalchemy", "git", "tree_sitter"}


def imported(file: Path) -> set[str]:
    """The modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_layer_imports_only_itself_and_those_below(file):
    layer = file.relative_to(ROOT).parts[0]
    above = set(LAYERS[: LAYERS.index(layer)]) | {"tests", "scripts"}
    assert not {name for name in imported(file) if name.partition(".")[0] in above}


@pytest.mark.parametrize(("package", "owners"), OWNERS.items())
def test_a_heavy_package_has_one_place(package, owners):
    users = {
        file.relative_to(ROOT).as_posix()
        for file in FILES
        if package in {name.partition(".")[0] for name in imported(file)}
    }
    assert all(user.startswith(owners) if owners else False for user in users), users


def loaded_by(arguments: list[str], cwd: Path, home: Path) -> set[str]:
    """The top-level packages that a run of the program imports, in a fresh process."""
    return set(after(arguments, cwd, home, "{name.partition('.')[0] for name in sys.modules}"))


def after(arguments: list[str], cwd: Path, home: Path, expression: str) -> list[str]:
    """The values, in order, of an expression at the end of a run in a fresh process."""
    program = (
        "import json, os, sys\n"
        "sys.argv = ['codesearch', *sys.argv[1:]]\n"
        "from codesearch.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print(json.dumps(sorted({expression})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env=environment(home, {"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_help_imports_nothing_heavy(tmp_path):
    loaded = loaded_by(["--help"], tmp_path, tmp_path)
    assert not loaded & (TORCH | BUILDING | {"faiss", "numpy", "rich", "tokenizers"})


@pytest.mark.parametrize("form", ["--json", "--vimgrep", "--explain"])
def test_a_query_imports_neither_torch_nor_what_builds_an_index(library, form):
    loaded = loaded_by(["query", "configuration", form], library.root, library.home)
    assert "faiss" in loaded
    assert not loaded & (TORCH | BUILDING)


def test_a_query_for_programs_imports_nothing_that_only_people_need(library):
    loaded = loaded_by(["query", "configuration", "--json"], library.root, library.home)
    assert not loaded & {"pathspec", "pydantic", "rich"}


@pytest.mark.parametrize("command", ["status", "repos"])
def test_looking_imports_no_encoder(library, command):
    loaded = loaded_by([command], library.root, library.home)
    assert not loaded & (TORCH | BUILDING | {"faiss"})


def test_indexing_what_is_known_already_imports_no_torch(library):
    assert not loaded_by(["index", "-q"], library.root, library.home) & TORCH


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux does")
@pytest.mark.parametrize("command", ["query configuration", "similar app/config.py:4"])
def test_a_query_keeps_to_one_core(library, command):
    threads = after(command.split(), library.root, library.home, "os.listdir('/proc/self/task')")
    assert len(threads) == 1


def test_threads_that_wait_for_others_give_their_core_up_soon(library):
    show = "[os.environ['GOMP_SPINCOUNT']]"
    assert after(["repos"], library.root, library.home, show) == ["3000"]
    loaded = loaded_by(["--version"], library.root, library.home)
    assert not loaded & {"faiss", "numpy", "torch"}  # which read it when they are loaded
