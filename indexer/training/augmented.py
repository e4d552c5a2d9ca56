"""More questions to one code: what else a mined function can teach than its own documentation.

People also look for functions as they stand in a repository, documentation included, and rarely
know the author's words. So a documented function is asked for once more by the words of its name,
which is hidden, a long one by what it does far inside, and some by questions that a language model
wrote for them (`scripts/written_questions.jsonl`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.errors import UsageError
from indexer.heading import heading
from indexer.mining.inside import asked_inside
from indexer.mining.pairs import MASK
from indexer.mining.shards import Pair
from indexer.training.records import key
from indexer.words import parts

MIN_NAME_WORDS = 3
HEAD_TOKENS = 560  # what encoders of 512 read, and some more
_HASH = frozenset({"python", "ruby", "bash", "elixir", "php"})  # `#` opens a comment
_PYTHON_HEAD = re.compile(r"(?:@[^\n]*\n|\s)*(?:async )?def .*?:[ \t]*\n", re.DOTALL)

Place = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions that were written for mined code, by where it lies."""

    by_place: Mapping[Place, tuple[str, ...]]

    @classmethod
    def read(cls, path: Path) -> Questions:
        """Read one JSON object per line: repo, path, start_line, kind, questions.

        Raises:
            UsageError: a line is none; the message names it.
        """
        found: dict[Place, tuple[str, ...]] = {}
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            try:
                record = json.loads(line)
                place = (record["repo"], record["path"], record["start_line"], record["kind"])
                found[place] = tuple(map(str, record["questions"]))
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(
                    f"{path}, line {number} holds no questions: {error!r}", "restore the file"
                ) from error
        return cls(found)

    def of(self, pair: Pair) -> Sequence[str]:
        """Those for a pair's code; empty where there are none."""
        return self.by_place.get((pair.repo, pair.path, pair.start_line, pair.kind), ())


NO_QUESTIONS = Questions({})


def augmented(pair: Pair, questions: Questions) -> Iterator[Pair]:
    """The pair, then what else asks for its code: kinds "documented", "inside" and "written".

    The written questions of one code are joined by line breaks. Code with syntax links stays as
    it is, because they are offsets in its text.
    """
    yield pair
    if pair.kind == "chunk":  # nobody asks for it
        return
    written = questions.of(pair)
    if written:
        code = pair.code if pair.links or pair.kind != "docstring" else documented(pair)
        yield replace(pair, kind="written", query="\n".join(written), long_query="", code=code)
    if pair.links and (found := asked_inside(pair.code, pair.language, beyond_head(pair))):
        asked, code = found[key(f"{pair.repo} {pair.path} {pair.start_line}") % len(found)]
        yield replace(pair, kind="inside", query=asked, long_query="", code=code)
    name = pair.symbol.rpartition(".")[2]
    name_words = parts(name)
    if pair.kind == "docstring" and not pair.links and len(name_words) >= MIN_NAME_WORDS:
        hidden = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", MASK, documented(pair))
        asked = " ".join(name_words).lower()
        yield replace(pair, kind="documented", query=asked, long_query="", code=hidden)


def heading_of(pair: Pair) -> str:
    """What the encoder reads in front of a pair's code; a hidden name is hidden there too."""
    if not pair.is_code:
        return ""
    if pair.kind not in ("name", "documented"):
        return heading(pair.path, pair.symbol)
    scope, dot, _ = pair.symbol.rpartition(".")
    return heading(pair.path, f"{scope}{dot}{MASK}")


def beyond_head(pair: Pair) -> int:
    """About where in a long code its first `HEAD_TOKENS` tokens have ended, in characters."""
    return len(pair.code) * HEAD_TOKENS // max(1, pair.tokens)


def documented(pair: Pair) -> str:
    """A documented function's code with the documentation in place again."""
    prose = (pair.long_query or pair.query).strip()
    if pair.language == "python" and (head := _PYTHON_HEAD.match(pair.code)):
        return f'{head[0]}    """{prose}"""\n{pair.code[head.end() :]}'
    mark = "#" if pair.language in _HASH else "//"
    return "".join(f"{mark} {line}\n" for line in prose.splitlines()) + pair.code
