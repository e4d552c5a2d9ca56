"""Which licence a text grants, told by the sentences that lawyers do not vary.

Only permissive licences have a name here. Anything else, a copyleft licence or one that is not
known, is no licence to learn from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LICENCE_FILE = re.compile(
    r"(?:[\w-]+[-_.])?(?:un)?licen[cs]e(?:[-_.][\w-]+)*|copying(?:[-_.][\w-]+)*"
    r"|copyright(?:\.\w+)?|mit\.txt",
    re.IGNORECASE,
)
_PERMISSIVE = {
    "Apache-2.0": r"apache license,?\s*version 2\.0",
    "MIT": r"permission is hereby granted, free of charge, to any person obtaining a copy"
    r"|under either the terms of the mit license|released under the mit licen[cs]e",
    "BSD": r"redistribution and use in source and binary forms,? with or without"
    r"|redistribution and use of this software in source and binary forms",
    "ISC": r"permission to use, copy, modify, and(?:/or)? distribute this software for any\s+"
    r"purpose with or without fee is hereby granted",
    "PostgreSQL": r"permission to use, copy, modify, and distribute this software and its\s+"
    r"documentation for any purpose, without fee, and without a written agreement",
    "Zlib": r"this software is provided ['\"`]*as-is['\"`]*, without any express or implied",
    "Unlicense": r"this is free and unencumbered software released into the public domain",
    "BSL-1.0": r"boost software license",
    "CC0-1.0": r"cc0 1\.0 universal|creativecommons\.org/publicdomain/zero",
}
_REFUSED = re.compile(
    r"gnu (?:lesser |affero |library )?general public licen[cs]e|mozilla public license"
    r"|business source license|server side public license|elastic license|commons clause"
    r"|eclipse public license|common development and distribution|functional source license"
    r"|attribution-noncommercial|european union public licence"
    r"|spdx-license-identifier:\s*(?:a?l?gpl|mpl|busl|sspl|epl|cddl|cc-by-nc)",
    re.IGNORECASE,
)
_CHOICE = re.compile(
    r"apache-2\.0 or gpl|\bdual[- ]licen[cs]|either the terms|under either|at your option"
    r"|\bor\b[^.\n]{0,40}\bgpl|may select, at your option",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?:MIT|BSD|Apache|ISC|zlib)\b")
_HEADER_CHARS = 3000
_COMPILED = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _PERMISSIVE.items()}


@dataclass(frozen=True, slots=True)
class Licence:
    """What the licence files of a folder say.

    Attributes:
        name: The permissive licences to choose from, " OR " between; "" if refused.
        reason: Why it is refused; "" if it is not.
    """

    name: str = ""
    reason: str = ""


def classify(text: str) -> str:
    """The permissive licence that a text grants first; "" where it grants none."""
    flat = " ".join(text.split())
    found = sorted(
        (match.start(), name)
        for name, pattern in _COMPILED.items()
        if (match := pattern.search(flat)) is not None
    )
    if not found:
        return ""
    refused = _REFUSED.search(flat)
    # Apache's own text, or a notice of bundled parts, may name the GPL far below the grant.
    if refused is not None and refused.start() < found[0][0] and not _CHOICE.search(flat):
        return ""
    return found[0][1]


def is_licence_file(name: str) -> bool:
    """Whether a file of this name, without its folder, holds a licence."""
    stem, _, suffix = name.rpartition(".")
    if suffix.lower() in {"txt", "md", "rst", "markdown", "mkd"}:
        name = stem
    return LICENCE_FILE.fullmatch(name) is not None or name.lower() in {"mit", "unlicense"}


def licence_of(files: Mapping[str, str]) -> Licence:
    """The licence of a folder from its licence files, text by name.

    The main file (`LICENSE`, with any suffix) decides alone; without one, all others are a choice.
    """
    if not files:
        return Licence(reason="no licence file")
    main = {name: text for name, text in files.items() if _is_main(name)}
    texts = main or files
    names = sorted({classify(text) for text in texts.values()} - {""})
    if not names:
        return Licence(reason=f"{min(texts)} is not a permissive licence known here")
    return Licence(" OR ".join(names))


def refused_folders(files: Mapping[str, str]) -> tuple[str, ...]:
    """The folders below the root whose own licence file grants nothing permissive."""
    folders: dict[str, list[str]] = {}
    for path, text in files.items():
        folder = path.rpartition("/")[0]
        if folder:
            folders.setdefault(folder, []).append(text)
    return tuple(sorted(f"{f}/" for f, texts in folders.items() if not any(map(classify, texts))))


def header_refuses(source: str) -> bool:
    """Whether a file's own header puts it under a licence that is not permissive."""
    header = source[:_HEADER_CHARS]
    return _REFUSED.search(header) is not None and _NAMED.search(header) is None


def licence_files(paths: Iterable[str]) -> list[str]:
    """The paths of licence files, anywhere in the repository."""
    return [path for path in paths if is_licence_file(path.rpartition("/")[2])]


def _is_main(name: str) -> bool:
    return re.fullmatch(r"licen[cs]e(?:\.(?:txt|md|rst|markdown))?", name, re.I) is not None
