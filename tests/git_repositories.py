"""Real git repositories for tests, apart from the machine's own git configuration."""

import hashlib
import os
import subprocess
from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
}


def git(folder: Path, *arguments: str) -> str:
    """Runs git for a test, whose own steps must not set off the traps of a hostile repository."""
    settings = {
        "user.name": "A",
        "user.email": "a@b.c",
        "protocol.file.allow": "always",
        "core.hooksPath": os.devnull,
        "core.fsmonitor": "false",
    }
    options = [option for key, value in settings.items() for option in ("-c", f"{key}={value}")]
    command = ["git", *options, *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"git {arguments[0]}: {done.stderr.decode()}{done.stdout.decode()}")
    return done.stdout.decode().strip()


def write(root: Path, files: dict[str, str | bytes]) -> None:
    """Writes files, with the folders that they need."""
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def make_repository(root: Path, files: dict[str, str | bytes], *init: str) -> Path:
    """A repository with one commit of these files on `main`; none without files."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main", *init)
    write(root, files)
    if files:
        commit_all(root)
    return root


def commit_all(root: Path, message: str = "change") -> str:
    """Commits all there is, and returns the commit."""
    git(root, "add", "-A", "-f")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


def snapshot(folder: Path) -> dict[str, str]:
    """What every file below a folder holds, to see that none was touched."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
    }
