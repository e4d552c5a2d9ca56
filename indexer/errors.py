"""Everything a user can do something about, as one tree.

CodesearchError                 exit code 2: one line why, one line what to do
├── RepositoryError             a path or URL that cannot be indexed
├── RefNotFound                 a branch, tag or commit that the repository lacks
├── UnknownLanguage             a language name that no file can have
├── IndexNotFound               no index where one was expected
├── IndexMismatch               an index made by another model or schema
├── IndexDamaged                an index file that cannot be read
├── StorageError                a disk that is full or cannot be written
├── WorkersFailed               processes that the machine does not let live
└── UsageError                  an argument outside its range

`models` stands below this package and has one error of the same form, `CheckpointError`.
"""


class CodesearchError(Exception):
    """What went wrong (`args[0]`) and what the user can do next (`hint`)."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class RepositoryError(CodesearchError):
    """The path or URL cannot be indexed."""


class RefNotFound(CodesearchError):
    """The repository has no such branch, tag or commit."""


class UnknownLanguage(CodesearchError):
    """No supported language has this name."""


class IndexNotFound(CodesearchError):
    """There is no index for what was asked."""


class IndexMismatch(CodesearchError):
    """The index was made by another model or another version of the schema."""


class IndexDamaged(CodesearchError):
    """A file of the index cannot be read."""


class StorageError(CodesearchError):
    """The disk is full or the index home cannot be written."""


class WorkersFailed(CodesearchError):
    """Worker processes end without having done anything."""


class UsageError(CodesearchError):
    """An argument is outside its range."""
