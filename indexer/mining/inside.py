"""Questions about what a long function does far inside: a comment there, and the code without it.

Documentation is answered by a function's head. Whoever looks for a step that is taken hundreds of
lines below finds the function only if all of it was read.
"""

from __future__ import annotations

from indexer.mining.clean import is_question
from indexer.mining.prose import prose_of
from indexer.syntax.comments import Comment, comments_in

FEWEST_WORDS, MOST_WORDS = 4, 40


def asked_inside(code: str, language: str, start: int) -> list[tuple[str, str]]:
    """The questions that comments from a character on ask, each with the code without it.

    The comment becomes spaces, so that offsets in the text, those of links too, stay as they are.
    """
    found = []
    for comment in comments_in(code, 0, len(code), language):
        question = prose_of(comment.text).summary
        is_long_enough = FEWEST_WORDS <= len(question.split()) <= MOST_WORDS
        if comment.start >= start and is_long_enough and is_question(question):
            found.append((question, _blanked(code, comment)))
    return found


def _blanked(code: str, comment: Comment) -> str:
    blank = "".join("\n" if character == "\n" else " " for character in comment.text)
    return code[: comment.start] + blank + code[comment.end :]
