"""`--open`: the user's editor at the first result."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from codesearch.formats import best_source_line
from codesearch.search import Hit
from indexer.errors import UsageError
from indexer.sources.listing import WORKING_TREE

_LINE_ARGUMENTS = {
    "code": ["--goto", "{path}:{line}"],
    "codium": ["--goto", "{path}:{line}"],
    "cursor": ["--goto", "{path}:{line}"],
    "subl": ["{path}:{line}"],
    "hx": ["{path}:{line}"],
    "zed": ["{path}:{line}"],
}
_USUAL_ARGUMENTS = ["+{line}", "{path}"]  # vi, vim, nvim, emacs, nano, kak, micro


def open_in_editor(hit: Hit, query: str) -> None:
    """Open the file of a hit at its best line.

    Raises:
        UsageError: the file is not on disk, no editor is set, or the editor fails.
    """
    root = Path(hit.target.reader.root)
    path = root / hit.chunk.path
    is_inside = path.resolve().is_relative_to(root)
    if hit.target.ref.name != WORKING_TREE or not is_inside or not path.is_file():
        raise UsageError(
            f"{hit.target.ref.name}:{hit.chunk.path} is not a file on disk",
            "leave --open away, or search the working tree",
        )
    line, _ = best_source_line(hit, query)
    command = editor_command(path, line)
    code = subprocess.run(command, check=False).returncode
    if code:
        raise UsageError(
            f"{shlex.join(command)} ended with exit code {code}", "check VISUAL or EDITOR"
        )


def editor_command(path: Path, line: int) -> list[str]:
    """The command of `VISUAL` or `EDITOR` for a place in a file."""
    chosen = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        command = shlex.split(chosen)
    except ValueError:  # a quote without its other half
        command = []
    if not command or shutil.which(command[0]) is None:
        raise UsageError(f"no editor {chosen!r}", "set VISUAL or EDITOR to your editor")
    arguments = _LINE_ARGUMENTS.get(Path(command[0]).stem, _USUAL_ARGUMENTS)
    return command + [part.format(path=path, line=line) for part in arguments]
