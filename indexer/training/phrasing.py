"""What an author wrote about code, as somebody who looks for it would type it.

"Returns the user's open sessions." is documentation; people type "get open sessions of user", "how
to return the user's open sessions in python", "user open sessions". Rules only, no model; the same
`rng` state gives the same phrase.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from indexer.words import parts


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SPOKEN = {
    "cpp": "c++",
    "csharp": "c#",
    "tsx": "react",
    "bash": "shell",
    "go": "golang",
    "text": "",
    "markdown": "",
    "rst": "",
}
_MARKUP = re.compile(r"\{@\w+\s+([^}]*)\}|:\w+:`~?([^`]*)`|</?\w+>|[`*]|''")
_SENTENCE_END = re.compile(r"(?<=[\w)\]])[.!?:](?=\s+\S|$)|\n\s*\n")
_CLAUSE_END = re.compile(r"\s+[-–—(]|[,;]\s")  # noqa: RUF001 - dashes as people write them
_IDENTIFIER = re.compile(r"\b[A-Za-z]+(?:_[A-Za-z0-9]+|[a-z0-9][A-Z][A-Za-z0-9]*)+\b|\b_\w+\b")
_NO_VERB = _words(
    "this is its as has was does class address process access alias status always across less "
    "press miss pass focus cross progress success bus canvas css https params args kwargs"
)
_NO_BASE = re.compile(r"(?:ing|ed|er|or|ion)$")  # of a verb
_IRREGULAR = {"does": "do", "has": "have", "is": "be", "goes": "go", "tries": "try"}
_STOP = _words(
    "a an the of to for is are be in on and or if from with by this that it its as at all any "
    "which when whether into using given should will can has have no only each one new "
    "we you i there then called callback"
)
_FILLER = _words("return returns get gets")
_LEADING = re.compile(
    r"(?:(?:this|the|a)\s+(?:function|method|class|module|helper|file)\s+(?:is used to|will|"
    r"can be used to|is|to)?|(?:helper|utility|convenience)\s+(?:function|method)?\s*"
    r"(?:to|for|that)|(?:used|allows (?:you|the user)) to|a wrapper (?:around|for|that))\s+",
    re.IGNORECASE,
)
_RETURNS = re.compile(r"(?:returns?|gets?|retrieves?|fetche?s?)\s+(?:(?:a|an|the)\s+)?", re.I)
_RETURN = re.compile(r"^return ", re.IGNORECASE)
_MAX_KEYWORDS = 7


def phrase(query: str, language: str, rng: random.Random) -> str:
    """One of the ways to ask for what `query` describes; never empty for a query with a letter.

    Args:
        query: Documentation, a commit's subject or the words of a name.
        language: The code's, as `indexer.syntax.languages` names it; sometimes named.
        rng: Decides how.
    """
    text = _plain(query)
    if rng.random() < 0.3:
        text = _CLAUSE_END.split(text, maxsplit=1)[0]
    if rng.random() < 0.5:
        text = _IDENTIFIER.sub(lambda match: " ".join(parts(match[0])), text)
    form = rng.choices(_FORMS, weights=[4, 3, 2, 2, 2])[0]
    asked = form(text).strip() or text
    if rng.random() < 0.9:
        asked = asked.lower()
    return _with_language(asked, language, form is _how_to, rng) or query


def imperative(text: str) -> str:
    """`Returns the size` is "Return the size": only a third person at the start is changed."""
    first, space, rest = text.partition(" ")
    word = first.lower()
    if word in _IRREGULAR:
        return _IRREGULAR[word] + space + rest
    if not re.fullmatch(r"[a-z]+[^su\W]s", word) or word in _NO_VERB or not rest:
        return text
    if re.search(r"(?:ch|sh|x|z|ss)es$", word):
        return first[:-2] + space + rest
    if word.endswith("ies"):
        return first[:-3] + "y" + space + rest
    return first[:-1] + space + rest


def _plain(query: str) -> str:
    """The first sentence, without markup, with the words it opens with cut off."""
    text = _MARKUP.sub(lambda match: match[1] or match[2] or "", query).strip()
    text = " ".join(_SENTENCE_END.split(text, maxsplit=1)[0].split())
    return _LEADING.sub("", text, count=1).strip(" .!?:;") or query.strip()


def _as_it_is(text: str) -> str:
    return text


def _how_to(text: str) -> str:
    asked = imperative(text)
    first = asked.partition(" ")[0].lower()
    is_verb = first.isalpha() and first not in _STOP | _NO_VERB and not _NO_BASE.search(first)
    return f"how to {_RETURN.sub('get ', asked)}" if is_verb else asked


def _noun(text: str) -> str:
    return _RETURNS.sub("", text, count=1)


def _keywords(text: str) -> str:
    words = re.findall(r"[\w+#.'-]*\w[+#]*", imperative(text))
    kept = [word for word in words if word.lower() not in _STOP | _FILLER]
    return " ".join(kept[:_MAX_KEYWORDS]) if len(kept) >= 2 else text


_FORMS: list[Callable[[str], str]] = [_as_it_is, imperative, _how_to, _noun, _keywords]


def _with_language(text: str, language: str, is_question: bool, rng: random.Random) -> str:
    name = SPOKEN.get(language, language)
    if not name or rng.random() >= 0.25 or re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
        return text
    if is_question or rng.random() < 0.4:
        return f"{text} in {name}"
    return f"{name} {text}"
