"""Every git process that this program starts, hardened against the repository it looks at.

A repository may be hostile: its configuration names programs (`core.fsmonitor`, filters, hooks,
pagers, `core.sshCommand`) and places (`core.worktree`) of its own. So local reads run plumbing
that neither checks out nor compares, in an environment of their own: the folders are given, hooks
and the file monitor are off, no protocol is allowed (a promisor remote cannot be asked), no lock
is taken, and git variables of the calling shell (a hook's `GIT_INDEX_FILE`) are not passed on.

Clones go through GitPython. Local reads do not: it passes the whole environment on, refuses
SHA-256 repositories, and takes longer to import than the files of a repository to be listed.
"""

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

_PROTOCOLS = "https:http:ssh:git:file"
_OVERRIDES = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.untrackedCache": "false",
    "core.pager": "cat",
    "core.alternateRefsCommand": "true",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
_HARDENED = {
    "LC_ALL": "C",
    "LANGUAGE": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_COUNT": str(len(_OVERRIDES)),
    **{f"GIT_CONFIG_KEY_{i}": key for i, key in enumerate(_OVERRIDES)},
    **{f"GIT_CONFIG_VALUE_{i}": value for i, value in enumerate(_OVERRIDES.values())},
}
_INHERITED = frozenset(
    {"GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"}
)
_GENERAL = "fatal: Could not read from remote repository"
_OBJECT_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class GitFailed(Exception):
    """git ended with an error; the message is the last line that it wrote."""


def read_git(git_dir: Path, work_tree: Path | None, *arguments: str) -> bytes:
    """What a plumbing command writes to stdout.

    Args:
        git_dir: The folder with `HEAD` and the index (for a worktree its own, not the shared one).
        work_tree: The folder with the files; None leaves it to git, for questions about objects.
        *arguments: The command and its arguments, none of them taken from outside unchecked.

    Raises:
        GitFailed: git said no.
        FileNotFoundError: There is no git on this machine.
    """
    done = subprocess.run(
        ["git", "--no-pager", *arguments],
        cwd=work_tree or git_dir,
        env=_local_environment(git_dir, work_tree),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise GitFailed(_last_line(done.stderr.decode("utf-8", "replace")))
    return done.stdout


class ObjectReader:
    """Objects of one repository by name, through one `git cat-file --batch` that stays open.

    Not for use by several threads at once.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str) -> bytes:
        """The bytes of the object with this full hash.

        Raises:
            FileNotFoundError: The repository does not have it (a partial clone, a damaged one).
        """
        if not _OBJECT_NAME.fullmatch(name):
            raise ValueError(f"not an object name: {name!r}")
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{name}\n".encode())
            process.stdin.flush()
        except BrokenPipeError:
            self.close()
            raise FileNotFoundError(f"git cannot read object {name}") from None
        header = process.stdout.readline().split()
        if len(header) != 3:
            if not header:  # git gives up altogether on what a promisor remote should have
                self.close()
            raise FileNotFoundError(f"object {name} is not in the repository")
        return process.stdout.read(int(header[2]) + 1)[:-1]

    def close(self) -> None:
        """Ends the process; reading again starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.__exit__(None, None, None)

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, started where there is none."""
        if self._process is None:
            self._process = subprocess.Popen(
                ["git", "--no-pager", "cat-file", "--batch"],
                cwd=self._git_dir,
                env=_local_environment(self._git_dir, None),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process


def talk_to_remote(
    git_dir: Path, arguments: Sequence[str], progress: Callable[[str], None] | None = None
) -> str:
    """Runs a command that may use the network, on a repository of our own.

    Args:
        git_dir: The bare repository that is made or changed.
        arguments: The command and its arguments.
        progress: Gets each line that git writes on the way, for a person to read.

    Returns:
        What git wrote to stdout.

    Raises:
        GitFailed: git said no.
    """
    import git

    command = git.Git(str(git_dir.parent))
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line.strip())
        if progress is not None and line.strip():
            progress(line.strip())

    running = command.execute(
        ["git", "--no-pager", *arguments],
        as_process=True,
        universal_newlines=True,
        env=_remote_environment(git_dir),
    )
    process = running.proc  # ends with `running`, which is kept for that
    assert process is not None
    output: list[str] = []
    with process:
        try:
            git.cmd.handle_process_output(process, output.append, hear, None, decode_streams=False)
            status = process.wait()
        finally:
            process.kill()
    if status != 0:
        raise GitFailed(_last_line("\n".join(lines)))
    return "".join(output)


def _local_environment(git_dir: Path, work_tree: Path | None) -> dict[str, str]:
    """For reading: nothing of git's is inherited, no protocol is allowed."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _INHERITED
    }
    place = {"GIT_DIR": str(git_dir), "GIT_ALLOW_PROTOCOL": "none"}
    if work_tree is not None:
        place["GIT_WORK_TREE"] = str(work_tree)
    return inherited | _HARDENED | place


def _remote_environment(git_dir: Path) -> dict[str, str]:
    """For clone and fetch: GitPython inherits everything, so each place is given again."""
    return _HARDENED | {
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
        "GIT_DIR": str(git_dir),
        "GIT_COMMON_DIR": str(git_dir),
        "GIT_OBJECT_DIRECTORY": str(git_dir / "objects"),
        "GIT_INDEX_FILE": str(git_dir / "index"),
        "GIT_SHALLOW_FILE": str(git_dir / "shallow"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_NAMESPACE": "",
    }


def _last_line(text: str) -> str:
    """The last line in which git says what went wrong, without its prefix."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    general = next((i for i, line in enumerate(lines) if line.startswith(_GENERAL)), None)
    lines = lines[:general] or lines  # the cause stands above it, advice below
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    last = (fatal or lines or ["git gave no reason"])[-1]
    return last.removeprefix("fatal: ").removeprefix("error: ")
