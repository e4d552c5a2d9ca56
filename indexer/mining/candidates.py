"""What a repository has to offer: clean pairs, before their tokens are counted and some chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from indexer.mining import clean, licences
from indexer.mining.commits import Change, changes
from indexer.mining.dedupe import Excluded
from indexer.mining.pairs import (
    Excerpt,
    Unit,
    file_unit,
    function_unit,
    functions,
    masked,
    name_words,
    outlined,
)
from indexer.mining.prose import Prose
from indexer.mining.sections import examples
from indexer.sources.repository import Repository
from indexer.sources.skip import content_reason, decode
from indexer.sources.walk import BlobReader, Listing, Selection, list_files
from indexer.syntax.chunks import DOCUMENTS, chunk_file
from indexer.syntax.grammars import GRAMMARS
from indexer.syntax.languages import language_of
from indexer.syntax.links import no_links
from indexer.syntax.tree import SyntaxTree, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# "pairs": questions and what answers them; "functions": all of them, asked for or not, as a pool;
# "chunks": what an index holds, which nothing asks for.
Offer = Literal["pairs", "functions", "chunks"]
EVERYTHING = Selection()
LONG_CHARS = 2000  # about what a long function has


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair as it was found; `tree` and `excerpt` give the links of its code, or it has them."""

    kind: str
    query: str
    full: str
    code: str
    language: str
    path: str
    symbol: str
    start_line: int
    end_line: int
    commit: str
    tree: SyntaxTree | None = None
    excerpt: Excerpt | None = None
    own_links: NDArray[np.int32] | None = None

    def links(self) -> NDArray[np.int32]:
        """(n, 2) offsets in characters of the code: what the syntax tree relates."""
        if self.own_links is not None:
            return self.own_links
        if self.tree is None or self.excerpt is None:
            return no_links()
        return self.excerpt.links(self.tree)


@dataclass(slots=True)
class Finder:
    """Looks through one repository.

    Attributes:
        excluded: Codes that must not be among the pairs.
        offer: What is looked for.
        max_chars: A file longer than this is read as its outline.
        any_licence: Read what is under any licence: the repository is the user's own.
        dropped: How often each rule left something out.
    """

    excluded: Excluded
    offer: Offer
    max_chars: int
    any_licence: bool = False
    dropped: Counter[str] = field(default_factory=Counter)

    def find(
        self, repository: Repository, max_commits: int, selection: Selection = EVERYTHING
    ) -> Iterator[list[Candidate]]:
        """The candidates of each selected file at HEAD, then those of history.

        A folder without git is read as it lies there, and has no history.
        """
        ref = None if repository.git_dir is None else "HEAD"
        listing = list_files(repository, ref, selection)
        with BlobReader(repository) as blobs:
            wants = clean.is_own_code if self.any_licence else _wanted(listing, blobs)
            for path, blob in listing.files.items():
                if not wants(path):
                    self.dropped["files: tests, vendored or not free"] += 1
                    continue
                try:
                    data = blobs.read(path, blob, listing.ref)
                except OSError:  # a partial clone
                    self.dropped["files: missing among the objects"] += 1
                    continue
                yield self.of_file(path, data, listing.commit or "")
        if repository.git_dir is not None and listing.commit and self.offer == "pairs":

            def is_code(path: str) -> bool:
                return language_of(path) in GRAMMARS and selection.keeps(path) and wants(path)

            yield from self._of_history(repository.git_dir, listing.commit, max_commits, is_code)

    def of_file(self, path: str, data: bytes, commit: str) -> list[Candidate]:
        """The candidates of a file; never raises on its content."""
        if content_reason(path, data) is not None:
            return []
        text, language = decode(data), language_of(path, data)
        if self._is_refused(text):
            self.dropped["files: header with another licence"] += 1
            return []
        if language in DOCUMENTS:
            return list(self._of_document(text, language, path, commit))
        tree = parse(text, language)
        if tree is None:
            return []
        return self._of_code(tree, path, commit)

    def _of_document(
        self, text: str, language: str, path: str, commit: str
    ) -> Iterator[Candidate]:
        if self.offer == "pairs":
            yield from _sections(text, language, path, commit)
        elif self.offer == "chunks":
            yield from self._chunks(text, language, path, commit)

    def _of_code(self, tree: SyntaxTree, path: str, commit: str) -> list[Candidate]:
        found: list[Candidate] = []
        is_copied = False
        for unit in functions(tree):
            code = unit.code.text(tree.source)
            if not clean.is_worth_finding(unit, code):
                self.dropped["functions: short, standard or a test"] += 1
            elif code in self.excluded:
                self.dropped["functions: never train"] += 1
                is_copied = True
            elif self.offer != "chunks":
                found += self._of_function(tree, unit, code, path, commit)
        if is_copied:
            return found
        if self.offer == "chunks":
            found += self._chunks(tree.source, tree.language, path, commit)
        elif self.offer == "pairs":
            found += self._of_whole(tree, path, commit)
        return found

    def _chunks(self, text: str, language: str, path: str, commit: str) -> Iterator[Candidate]:
        """What an index makes of a file."""
        for chunk in chunk_file(text, language, path, self.max_chars):
            yield Candidate(
                kind="chunk",
                query="",
                full="",
                code=chunk.text,
                language=language,
                path=path,
                symbol=chunk.symbol,
                start_line=chunk.start_line,
                end_line=chunk.end_line,
                commit=commit,
                own_links=chunk.links,
            )

    def _of_function(
        self, tree: SyntaxTree, unit: Unit, code: str, path: str, commit: str
    ) -> Iterator[Candidate]:
        if clean.is_question(unit.prose.summary):
            yield _candidate("docstring", tree, unit, code, path, commit)
            if len(code) > LONG_CHARS and self.offer == "pairs":  # rare: asked for twice
                yield from self._of_name(tree, unit, code, path, commit)
        elif self.offer == "functions":
            yield _candidate("function", tree, replace(unit, prose=Prose()), code, path, commit)
        else:
            yield from self._of_name(tree, unit, code, path, commit)

    def _of_name(
        self, tree: SyntaxTree, unit: Unit, code: str, path: str, commit: str
    ) -> Iterator[Candidate]:
        words = name_words(unit)
        enough = clean.has_enough_lines(code, clean.MIN_NAMED_LINES)
        if not enough or not clean.is_question(words):
            self.dropped["functions: nothing asks for them"] += 1
            return
        named = replace(unit, prose=Prose(words, words), code=masked(tree.source, unit))
        yield _candidate("name", tree, named, named.code.text(tree.source), path, commit)

    def _of_whole(self, tree: SyntaxTree, path: str, commit: str) -> Iterator[Candidate]:
        unit = file_unit(tree)
        if not clean.is_question(unit.prose.summary):
            return
        code, is_outline = unit.code.text(tree.source), False
        if len(code) > self.max_chars:
            code, is_outline = outlined(code, tree.language, self.max_chars), True
        if clean.has_enough_lines(code, clean.MIN_NAMED_LINES):
            found = _candidate("file", tree, unit, code, path, commit)
            yield replace(found, tree=None) if is_outline else found

    def _of_history(
        self, git_dir: Path, head: str, limit: int, is_code: Callable[[str], bool]
    ) -> Iterator[list[Candidate]]:
        """One candidate for each function that history tells of, as its newest commit left it."""
        seen: set[tuple[str, str]] = set()
        for change in changes(git_dir, head, limit, is_code):
            found = self._of_change(change)
            if found is not None and (found.path, found.symbol) not in seen:
                seen.add((found.path, found.symbol))
                yield [found]

    def _of_change(self, change: Change) -> Candidate | None:
        tree, definition = change.tree, change.definition
        unit = function_unit(tree, definition)
        bare = unit.code.text(tree.source)
        if not clean.is_question(change.subject) or not clean.is_worth_finding(unit, bare):
            return None
        if self._is_refused(tree.source):
            return None
        if bare in self.excluded:
            self.dropped["functions: never train"] += 1
            return None
        whole = Excerpt(definition.start, definition.end)
        told = replace(unit, prose=Prose(change.subject, change.subject), code=whole)
        code = whole.text(tree.source)
        return _candidate("commit", tree, told, code, change.path, change.commit)

    def _is_refused(self, source: str) -> bool:
        return not self.any_licence and licences.header_refuses(source)


def _candidate(
    kind: str, tree: SyntaxTree, unit: Unit, code: str, path: str, commit: str
) -> Candidate:
    return Candidate(
        kind=kind,
        query=unit.prose.summary,
        full=unit.prose.full,
        code=code,
        language=tree.language,
        path=path,
        symbol=unit.symbol,
        start_line=unit.start_line,
        end_line=unit.end_line,
        commit=commit,
        tree=tree,
        excerpt=unit.code,
    )


def _sections(text: str, language: str, path: str, commit: str) -> Iterator[Candidate]:
    for example in examples(text, language):
        if clean.is_question(example.query) and clean.has_enough_lines(example.code):
            yield Candidate(
                kind="section",
                query=example.query,
                full=example.query,
                code=example.code,
                language=example.language,
                path=path,
                symbol="",
                start_line=example.start_line,
                end_line=example.end_line,
                commit=commit,
            )


def _wanted(listing: Listing, blobs: BlobReader) -> Callable[[str], bool]:
    """Whether a path may be mined: own code, and under no other licence than the repository."""
    refused = licences.refused_folders(_licence_texts(listing, blobs))
    return lambda path: clean.is_own_code(path) and not path.startswith(refused)


def _licence_texts(listing: Listing, blobs: BlobReader) -> dict[str, str]:
    texts = {}
    for path in licences.licence_files(listing.files):
        with suppress(OSError):
            texts[path] = decode(blobs.read(path, listing.files[path], listing.ref))
    return texts


def repository_licence(repository: Repository) -> licences.Licence:
    """What the licence files in the root of a repository's HEAD say."""
    listing = list_files(repository, "HEAD", Selection())
    with BlobReader(repository) as blobs:
        texts = _licence_texts(listing, blobs)
    return licences.licence_of({path: text for path, text in texts.items() if "/" not in path})
