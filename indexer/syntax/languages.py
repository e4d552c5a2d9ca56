"""Which language a file is written in: by its name, its suffix, then its `#!` line.

Pure tables and no imports beyond the standard library's smallest: the query path reads this.
"""

import re
from difflib import get_close_matches

from indexer.errors import UnknownLanguage

FILE_NAMES = {
    "bash": ".bashrc .bash_profile .bash_aliases .profile .zshrc .zshenv .zprofile PKGBUILD",
    "python": "SConstruct SConscript wscript .pythonrc",
    "ruby": (
        "Rakefile Gemfile Guardfile Capfile Vagrantfile Podfile Brewfile Fastfile Appfile "
        "Dangerfile Berksfile Thorfile Puppetfile Steepfile .irbrc .pryrc"
    ),
}

SUFFIXES = {
    "python": "py pyi pyw pyx pxd bzl",
    "javascript": "js mjs cjs jsx es6 jsm",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "java": "java",
    "go": "go",
    "rust": "rs",
    "c": "c h",
    "cpp": "cpp cc cxx c++ hpp hh hxx h++ inl ipp tpp txx ixx cppm cu cuh ino",
    "csharp": "cs csx cake",
    "php": "php phtml php3 php4 php5 php7 phps inc",
    "ruby": "rb rake gemspec ru rbw podspec thor jbuilder rabl",
    "kotlin": "kt kts",
    "swift": "swift",
    "scala": "scala sc sbt",
    "bash": "sh bash zsh bats ksh ebuild",
    "lua": "lua rockspec luau",
    "haskell": "hs lhs hsc hs-boot",
    "elixir": "ex exs",
    "zig": "zig zon",
    "markdown": "md markdown mdx mdown mkd mkdn",
    "rst": "rst rest",
}

ALIASES = {
    "python": "py python3 cython",
    "javascript": "js jsx node ecmascript",
    "typescript": "ts",
    "go": "golang",
    "rust": "rs",
    "c": "h",
    "cpp": "c++ cxx cc hpp cplusplus",
    "csharp": "c# cs c-sharp",
    "php": "php8",
    "ruby": "rb",
    "kotlin": "kt",
    "bash": "sh shell zsh shellscript",
    "haskell": "hs",
    "elixir": "ex exs",
    "markdown": "md mdx",
    "rst": "restructuredtext",
    "text": "txt plain",
}

INTERPRETERS = {
    "python": "python pypy uv",
    "javascript": "node nodejs bun",
    "typescript": "deno ts-node tsx",
    "ruby": "ruby jruby rake",
    "php": "php",
    "bash": "sh bash zsh ksh dash ash bats",
    "lua": "lua luajit",
    "haskell": "runhaskell runghc stack",
    "elixir": "elixir",
    "scala": "scala scala-cli",
    "kotlin": "kotlin",
    "swift": "swift",
}

LANGUAGES = (*SUFFIXES, "text")


def _inverted(table: dict[str, str]) -> dict[str, str]:
    return {word: language for language, words in table.items() for word in words.split()}


_BY_FILE_NAME = _inverted(FILE_NAMES)
_BY_SUFFIX = _inverted(SUFFIXES)
_BY_INTERPRETER = _inverted(INTERPRETERS)
_BY_ALIAS = {**_inverted(ALIASES), **{name: name for name in LANGUAGES}}

_CPP_HEADER = re.compile(
    rb"^\s*(class|namespace|template\s*<|using\s+\w+|public:|private:|protected:)|\bstd::|"
    rb"^\s*#\s*include\s*<(string|vector|memory|map|utility|functional|type_traits|cstd\w+)>|"
    rb"\bconstexpr\b|\bnoexcept\b",
    re.MULTILINE,
)
_HEAD_BYTES = 1024
_SHEBANG = re.compile(rb"#!\s*(\S+)(?:\s+(.*))?")


def language_of(path: str, data: bytes = b"") -> str:
    """Return the language of the file at `path`, "text" for any that is not known.

    Args:
        path: The file's path; only its last part is read.
        data: The file, if at hand: its head tells a C++ header from a C one and a script without
            a suffix by its `#!` line.
    """
    head = data[:_HEAD_BYTES]
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    if name in _BY_FILE_NAME:
        return _BY_FILE_NAME[name]
    language = _BY_SUFFIX.get(suffix.lower()) if dot and stem else None
    if suffix == "h" and _CPP_HEADER.search(head):
        return "cpp"
    if suffix == "inc" and not head.lstrip().startswith(b"<?"):
        return "text"
    return language or _language_of_script(head)


def _language_of_script(head: bytes) -> str:
    """The language that the `#!` line names: `#!/usr/bin/env -S python3 -u` is "python"."""
    match = _SHEBANG.match(head.partition(b"\n")[0])
    if match is None:
        return "text"
    words = [match[1], *(match[2] or b"").split()]
    names = [word.decode("latin-1").rpartition("/")[2] for word in words]
    if names[0] == "env":
        names = [name for name in names[1:] if not name.startswith("-") and "=" not in name]
    interpreter = re.sub(r"[\d.]+$", "", names[0]) if names else ""
    return _BY_INTERPRETER.get(interpreter, "text")


def language_named(name: str) -> str:
    """Return the language that a user calls `name` ("py", "C++", "shell", ...).

    Raises:
        UnknownLanguage: No language has this name; the hint gives the nearest or all names.
    """
    language = _BY_ALIAS.get(name.strip().lower())
    if language is not None:
        return language
    near = get_close_matches(name.strip().lower(), _BY_ALIAS, n=1)
    known = f"known languages: {', '.join(LANGUAGES)}"
    hint = f"did you mean {_BY_ALIAS[near[0]]}? {known}" if near else known
    raise UnknownLanguage(f"no language is called {name!r}", hint)
