"""What a preprocessor would have done, as far as it keeps a parser from seeing the code.

Tree-sitter does not expand macros: `FMT_BEGIN_NAMESPACE` on a line of its own makes the namespace
after it look like a function, `class EXPORT Name {` is no class, and an `#else` in the middle of a
statement opens a second brace. Such words and branches are overwritten by spaces before parsing,
byte for byte, so that every offset stays what it was. C# has the branches too, Haskell directives
between equations, and Kotlin a few words that its grammar does not know.
"""

import re
from dataclasses import dataclass, field

_MACRO = rb"[A-Z][A-Z0-9]*_[A-Z0-9_]*"
_ARGUMENTS = rb"(?:\((?:[^()\n]|\([^()\n]*\))*\))?"

_GOES_ON = rb"(?!\s*(?:[{(:=?.,|&+\-*<>\])]|/[^/*]))"

_OBSTRUCTIONS = (
    # a macro alone on its line, unless what follows needs it: `TEST(A, B)` and, below it, `{`
    rb"^[ \t]*" + _MACRO + _ARGUMENTS + rb"[ \t]*[;:]?[ \t]*\r?$" + _GOES_ON,
    # one that stands for `try`, above its block
    rb"^[ \t]+" + _MACRO + rb"[ \t]*\r?$(?=\s*\{)",
    # `class EXPORT Name`, `struct EXPORT name {`
    rb"(?<=\bclass )" + _MACRO + _ARGUMENTS + rb"(?=\s+\w)",
    rb"(?<=\bstruct )" + _MACRO + _ARGUMENTS + rb"(?=\s+\w+\s*[:{])",
    # `EXPORT static int f(`: in front of a declaration that has a type of its own
    rb"^[ \t]*" + _MACRO + _ARGUMENTS + rb"(?=[ \t]+[\w:]+[\w:<>,*& \t]*[ \t*&]~?[\w:]+\()",
    rb"^[ \t]*\w+_(?:API|EXPORT|EXTERN|FUNC|INLINE|DECL)(?=[ \t]+\w)",
    # `f() const NOEXCEPT_IF(x) {`, `f(int* p LIFETIME_BOUND)`
    rb"(?<=\) )" + _MACRO + _ARGUMENTS + rb"(?=\s*[{;=])",
    rb"(?<=\w )\w+_(?:LIFETIME_BOUND|UNUSED|NONNULL|NOEXCEPT)(?=\s*[,){;])",
)
_OPEN_ENDS = frozenset(bytes([octet]) for octet in b"=?:&|+-*<,(!\\")
_OBSTRUCTION = re.compile(b"|".join(_OBSTRUCTIONS), re.MULTILINE)

_TOKEN = re.compile(
    rb"//[^\n]*|/\*.*?\*/"
    rb"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    rb"|^[ \t]*#[ \t]*(?P<directive>\w+)(?:\\\r?\n|[^\n])*"
    rb"|(?P<mark>[{};])",
    re.MULTILINE | re.DOTALL,
)
# Braces inside which the grammar understands `#if`.
_OPEN_SCOPE = re.compile(rb"\b(?:namespace|extern|class|struct|union|enum)\b[^()=]*$")


_DIRECTIVE = re.compile(rb"^#[ \t]*(?:if|el|endif|define|undef|include)[^\n]*$", re.MULTILINE)
_KOTLIN_UNKNOWN = re.compile(rb"\$\$+(?=\")|\bactual\b(?=\s+constructor\b)")


def preprocessed(data: bytes, language: str) -> bytes:
    """The same number of bytes, newlines where they were, with what obstructs blank."""
    if language in {"c", "cpp"}:
        data = _without_branches(data, in_bodies_only=True)
        return _OBSTRUCTION.sub(
            lambda m: m[0] if _is_operand(data, m.start()) else _blank(m[0]), data
        )
    if language == "csharp":
        return _without_branches(data, in_bodies_only=False)
    if language == "haskell":
        return _DIRECTIVE.sub(lambda m: _blank(m[0]), data)
    if language == "kotlin":
        return _KOTLIN_UNKNOWN.sub(lambda m: _blank(m[0]), data)
    return data


def _is_operand(data: bytes, start: int) -> bool:
    """Whether the text above leaves an expression open, so that the word completes it."""
    above = data[max(start - 200, 0) : start].rstrip()
    last_line = above[above.rfind(b"\n") + 1 :]
    return above[-1:] in _OPEN_ENDS and b"//" not in last_line


def _blank(text: bytes) -> bytes:
    return re.sub(rb"[^\r\n]", b" ", text)


@dataclass(slots=True)
class _Branches:
    """The state of one pass over a file."""

    in_bodies_only: bool
    braces: list[bool] = field(default_factory=list)  # per open brace: hides the top level
    inside: list[bool] = field(default_factory=list)  # per open #if: it stands in a body
    blanks: list[tuple[int, int]] = field(default_factory=list)
    skipping: int = 0  # depth of the #if whose other branch is being passed over
    skip_start: int = 0


def _without_branches(data: bytes, in_bodies_only: bool) -> bytes:
    """Keep the first branch of each `#if` only; those around whole definitions on request too."""
    if b"#" not in data:
        return data
    state, statement_start = _Branches(in_bodies_only), 0
    for match in _TOKEN.finditer(data):
        directive, mark = match["directive"], match["mark"]
        if directive:
            _on_directive(state, directive, match.start(), match.end())
        elif mark and not state.skipping:
            if mark == b"{":
                before = data[statement_start : match.start()]
                state.braces.append(_OPEN_SCOPE.search(before) is None)
            elif mark == b"}" and state.braces:
                state.braces.pop()
            statement_start = match.end()
    clean = bytearray(data)
    for start, end in state.blanks:
        clean[start:end] = _blank(data[start:end])
    return bytes(clean)


def _on_directive(state: _Branches, directive: bytes, start: int, end: int) -> None:
    if directive.startswith(b"if"):
        state.inside.append(not state.in_bodies_only or any(state.braces))
        if state.inside[-1] and not state.skipping:
            state.blanks.append((start, end))
    elif directive.startswith(b"el") and state.inside:
        if state.inside[-1] and not state.skipping:
            state.skipping, state.skip_start = len(state.inside), start
    elif directive == b"endif" and state.inside:
        if state.skipping == len(state.inside):
            state.blanks.append((state.skip_start, end))
            state.skipping = 0
        elif state.inside[-1] and not state.skipping:
            state.blanks.append((start, end))
        state.inside.pop()
