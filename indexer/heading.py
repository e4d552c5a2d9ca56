"""What the encoder reads in front of code: where it stands and what it is called.

A method says little without its class, a file without its name. So the path and the qualified
name stand before each text of code, as tokens of their own: offsets into the text stay what they
were. The same code in another place has another vector.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.tokenizer import Tokenizer, Tokens

MOST_TOKENS = 48  # of a heading; a longer one keeps its end


def headed(tokenizer: Tokenizer, texts: Sequence[Tokens], headings: Sequence[str]) -> list[Tokens]:
    """Each text behind its heading; an empty heading adds nothing."""
    read = tokenizer.tokenize(headings)
    return [
        text.behind(heading.ids[1:-1][-MOST_TOKENS:])
        for text, heading in zip(texts, read, strict=True)
    ]


def heading(path: str, symbol: str) -> str:
    """The heading of what is called `symbol` in a file; a file itself has no symbol."""
    return f"{path} {symbol}".strip()
