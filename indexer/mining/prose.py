"""A comment becomes the words that a person wrote: no marks, no markup, no tags, no licence.

Documentation formats are told apart by what they contain, not by the language: a C# comment has
XML, Javadoc and JSDoc have block tags, Python has sections with underlines or colons.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

MAX_COMMENT_CHARS = 20_000

_LICENCE = re.compile(
    r"copyright|\(c\) ?\d{4}|licen[sc]ed (?:under|to)|spdx-license|all rights reserved"
    r"|redistribution and use|permission is hereby granted|without warranties",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"\A\s*(?:@(?:module|type)?doc\s+(?:~[sS])?|[rRuUbBfF]{1,2}(?=[\"']))?"
    r"(?:\"{3}|'{3}|[\"']|=begin(?: rdoc)?\b|--\[=*\[|\{-\s?\|?)?"
)
_CLOSING = re.compile(r"(?:\"{3}|'{3}|[\"']|^=end\b.*|\]=*\]|-\}|\*+/)\s*\Z", re.MULTILINE)
_LINE_MARK = re.compile(
    r"^[ \t]*(?:/\*[*!]*<?|\*+(?!\*)(?=[ \t]|$)|/{2,}[!<]?|#+[:!']?(?=[ \t]|$)|#(?=\w)"
    r"|--+[ \t]?[|^]?)[ \t]?",
    re.MULTILINE,
)
_RULE = re.compile(r"^[ \t]*([-=*~#_/+.^])\1{2,}[ \t]*\**/?[ \t]*$", re.MULTILINE)
_SUMMARY = re.compile(r"<summary>(.*?)</summary>", re.DOTALL | re.IGNORECASE)
_XML_NAME = re.compile(
    r"<(?:see|seealso|paramref|typeparamref)\s+\w+\s*=\s*[\"'](?:\w:)?([^\"']*)[\"']\s*/?>"
)
_DROPPED = re.compile(
    r"<pre\b.*?</pre>|<code>[^<]*\n.*?</code>|<table\b.*?</table>|^```.*?^```|^~~~.*?^~~~"
    r"|\{\{\{.*?\}\}\}"
    r"|<!--.*?-->|<(?:script|style)\b.*?</(?:script|style)>",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_BREAK = re.compile(r"<(?:/?p|br|/?ul|/?ol|li|/?para|hr|h\d|/?dl|/?remarks)\b[^>\n]*>", re.I)
_TAG = re.compile(r"</?[a-zA-Z][\w.:-]*(?:\s[^<>\n]*)?/?>")
_INLINE_TAG = re.compile(r"\{?@(?:link(?:plain|code)?|code|literal|value|see)\s+([^{}\n]*)\}")
_ROLE = re.compile(r":[a-zA-Z][\w:-]*:`~?!?([^`<\n]*?)(?:\s*<[^`\n]*>)?`")
_MARKDOWN_LINK = re.compile(r"!?\[([^\]\n]*)\](?:\([^)\n]*\)|\[[^\]\n]*\])?")
_INHERITED = re.compile(r"\{?@inheritdoc\}?|<inheritdoc[^>\n]*>", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<![\w*])\*(\w[^*\n]*?)\*(?![\w*])|(?<![\w_])_(\w[^_\n]*?)_(?![\w_])")
_BRIEF = re.compile(r"^[ \t]*[@\\](?:brief|summary|short|desc(?:ription)?|details?)\b[ \t]*", re.M)
_NOT_PROSE = re.compile(
    r"^[ \t]*(?:"
    r"[@\\][a-zA-Z]+\b|:(?:param|type|returns?|rtype|raises?|arg|keyword|var|ivar|cvar|meta)\b"
    r"|\.\. ?[\w-]+::|>>>|\#{1,6}[ \t]+\w|call-seq:|=+[ \t]*(?:examples?|usage)\b"
    r"|(?:args|arguments|parameters?|params|returns?|yields?|raises?|attributes|examples?|usage"
    r"|notes?|see also|references|warnings?|keyword arguments|options|inputs?|outputs?|throws"
    r"|errors|panics|safety)[ \t]*:?[ \t]*(?:$|\n[ \t]*[-=~]{3,}))",
    re.MULTILINE | re.IGNORECASE,
)
_PRAGMA = re.compile(
    r"^[ \t]*(?:eslint|jshint|jslint|istanbul|prettier|tslint|ts-|noqa|pylint|mypy|type:|flake8"
    r"|nolint|lint:|go:|\+build|rubocop|frozen_string_literal|encoding:|-\*-|coding[:=]|vim?:|!"
    r"|clang-format|stylelint|biome|c8 ignore|v8 ignore|phpcs|psalm|phpstan|#?(?:end)?region\b"
    r"|nosec|nosemgrep|pragma|typed:|@?global\b|<reference|:nodoc:|:stopdoc:|:startdoc:|=+>?$).*$",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Prose:
    """The words of a comment: its first paragraph, and all of them up to the first tag."""

    summary: str = ""
    full: str = ""


def prose_of(comment: str) -> Prose:
    """The prose of a comment or docstring as it stands in the source; empty where it has none."""
    comment = comment[:MAX_COMMENT_CHARS].replace("\r\n", "\n").expandtabs(4)
    if is_licence(comment):
        return Prose()
    text = _RULE.sub("", _without_marks(comment))
    match = _SUMMARY.search(text)
    text = _without_markup(match[1] if match else text)
    text = _BRIEF.sub("", text)
    cut = _NOT_PROSE.search(text)
    text = text[: cut.start()] if cut else text
    paragraphs = [_joined(part) for part in re.split(r"\n[ \t]*\n", _PRAGMA.sub("", text))]
    paragraphs = [paragraph for paragraph in paragraphs if any(map(str.isalpha, paragraph))]
    return Prose(paragraphs[0], " ".join(paragraphs)) if paragraphs else Prose()


def is_licence(comment: str) -> bool:
    """Whether a comment speaks of rights rather than of code."""
    return _LICENCE.search(comment) is not None


def without_name(text: str, name: str) -> str:
    """The text without the name in front that C comments repeat: "heap_open - open a heap"."""
    return re.sub(rf"\A{re.escape(name)}(?:\(\))?[ \t]*(?:--?|:|–|—)\s+", "", text)


def plain(markup: str) -> str:
    """Markdown or reStructuredText of one paragraph as words."""
    return _joined(_without_markup(markup))


def _without_marks(comment: str) -> str:
    text = _CLOSING.sub("", _OPENING.sub("", comment, count=1).rstrip())
    return _LINE_MARK.sub("", text)


def _without_markup(text: str) -> str:
    text = _INHERITED.sub("", _DROPPED.sub("\n\n", text))
    text = _XML_NAME.sub(r"\1", text)
    for _ in range(2):  # a link may hold code
        text = _INLINE_TAG.sub(lambda match: _label(match[1]), text)
    text = _TAG.sub("", _BREAK.sub("\n\n", text))
    text = _MARKDOWN_LINK.sub(r"\1", _ROLE.sub(r"\1", text))
    text = _EMPHASIS.sub(r"\1\2", text)
    text = re.sub(r"`{1,2}|\*\*|(?<!\w)\+(\w[\w.:?!]*)\+(?!\w)", r"\1", text)
    return html.unescape(text)


def _label(link: str) -> str:
    """What a reader sees of `{@link Map#put(Object) label}`: the label, or the name."""
    target, _, label = link.strip().partition(" ")
    return label.lstrip("| ") or target.replace("#", ".").strip(".")


def _joined(paragraph: str) -> str:
    """One line; words that are only marks at its ends are dropped."""
    return " ".join(paragraph.split()).strip("*/#-=|<>{} \t")
