"""Which files a repository itself calls generated or vendored, in its `.gitattributes`.

These are GitHub Linguist's marks (`linguist-generated`, `linguist-vendored`): set or `=true`
leaves a file out, `-linguist-generated` or `=false` keeps one that its name would leave out. They
are read here and not by git, so that the same code serves working trees, commits and plain
folders. A pattern without a slash names folders as well, which is
what those who write `third_party linguist-vendored` mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from indexer.sources.ignore import ByFolder, compile_globs

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

ATTRIBUTES_FILE = ".gitattributes"
_KINDS = {"linguist-generated": "generated", "linguist-vendored": "vendored"}
_MARK = re.compile(r"(?P<unset>-?)(?P<name>linguist-generated|linguist-vendored)(?:=(?P<to>\S+))?")
_LINE = re.compile(r'\s*(?P<pattern>"(?:[^"\\]|\\.)+"|[^\s"#]\S*)\s+(?P<marks>.*linguist-.*)')


class LinguistMarks:
    """The attributes files found in a tree so far."""

    def __init__(self) -> None:
        self._rules: ByFolder[tuple[GitIgnoreSpec, dict[str, bool]]] = ByFolder()

    def add(self, folder: str, text: str) -> None:
        """Takes in the text of an attributes file that lies in this folder ("" is the root)."""
        for line in text.lstrip("\ufeff").splitlines():
            match = _LINE.fullmatch(line)
            marks = _marks(match["marks"]) if match else {}
            spec = compile_globs([_unquoted(match["pattern"])]) if match and marks else None
            if spec is not None:
                self._rules.add(folder, (spec, marks))  # of one file's lines the last counts

    def verdicts(self, path: str) -> dict[str, bool]:
        """For "generated" and "vendored": True, False, or absent where nothing is said."""
        verdicts: dict[str, bool] = {}
        for start, (spec, marks) in self._rules.of(path):
            if not marks.keys() <= verdicts.keys() and spec.match_file(path[start:]):
                verdicts = marks | verdicts
        return verdicts


def _marks(attributes: str) -> dict[str, bool]:
    """The kinds that a line's attributes set or unset."""
    found = (_MARK.fullmatch(attribute) for attribute in attributes.split())
    return {_KINDS[m["name"]]: not m["unset"] and m["to"] != "false" for m in found if m}


def _unquoted(pattern: str) -> str:
    """The pattern without the quotes that let it hold spaces."""
    if pattern.startswith('"'):
        return re.sub(r"\\(.)", r"\1", pattern[1:-1]).replace(" ", "\\ ")
    return pattern
