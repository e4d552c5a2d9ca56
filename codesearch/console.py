"""The two streams, and text that is safe on them: repository content never reaches them as markup.

Control characters and bidirectional overrides are made visible: a file name or a line of code
must not move the cursor, set a title, or show one thing and mean another.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_TAB, _NEWLINE = 9, 10
_C0 = {code: 0x2400 + code for code in range(32) if code not in (_TAB, _NEWLINE)} | {127: 0x2421}
_C1 = dict.fromkeys(range(0x80, 0xA0), "\ufffd")
_BIDIRECTIONAL = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # bytes that were not UTF-8
_HARMFUL: dict[int, int | str] = {**_C0, **_C1, **_BIDIRECTIONAL, **_SURROGATES}
_LINE_BREAKS = {_TAB: 0x2409, _NEWLINE: 0x240A}


def stdout() -> Console:
    """Where data goes; nothing in it is read as markup."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)


def stderr() -> Console:
    """Where everything else goes."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def printable(text: str) -> str:
    """Text without control characters, but for tabs and line ends."""
    return text.translate(_HARMFUL)


def one_line(text: str) -> str:
    """Text without any control character, for a name inside a line."""
    return printable(text).translate(_LINE_BREAKS)


def tell_fault(problem: str, hint: str) -> None:
    """What went wrong and what to do next, a line each, to stderr."""
    lines = f"codesearch: {one_line(problem)}\n  {one_line(hint)}\n"
    sys.stderr.flush()
    sys.stderr.buffer.write(lines.encode("utf-8", "replace"))
    sys.stderr.buffer.flush()


def write_line(line: str) -> None:
    """One line to stdout in UTF-8, whatever the locale and the width."""
    sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")
