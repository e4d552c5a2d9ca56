"""A repository that tries to run a program, to be read elsewhere, or to have itself changed."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.errors import CodesearchError
from indexer.sources.git import _HARDENED as hardening
from indexer.sources.repository import clone, find_repository, head, resolve_ref
from indexer.sources.walk import WORKING_TREE, BlobReader, Listing, Selection, list_files
from tests.git_repositories import ENVIRONMENT, git, make_repository, snapshot, write

HOOKS = (
    "fsmonitor-watchman",
    "post-checkout",
    "post-index-change",
    "pre-auto-gc",
    "query-watchman",
    "reference-transaction",
)


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that exists once a program of the repository ran: it must not, after the test."""
    marker = tmp_path / "marker"
    yield marker
    assert not marker.exists()


@pytest.fixture
def root(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dirty repository whose configuration names a program wherever one can be named."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = make_repository(tmp_path / "hostile", {"a.py": "a\n", "src/b.py": "b\n"})
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    evil.chmod(0o755)
    hooks = root / "hooks"
    for folder in (hooks, root / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for name in HOOKS:
            (folder / name).write_text(evil.read_text())
            (folder / name).chmod(0o755)
    write(root, {".gitattributes": "* filter=evil diff=evil merge=evil text\n"})
    write(root, {"a.py": "dirty\n", ".git/info/attributes": "* filter=evil diff=evil\n"})
    write(tmp_path, {"elsewhere/a.py": "stolen\n", "included": f"[core]\n\tpager = {evil}\n"})
    for key, value in {
        "core.fsmonitor": str(evil),
        "core.hooksPath": str(hooks),
        "core.worktree": str(tmp_path / "elsewhere"),
        "core.pager": str(evil),
        "core.editor": str(evil),
        "core.askPass": str(evil),
        "core.sshCommand": str(evil),
        "core.gitProxy": str(evil),
        "core.alternateRefsCommand": str(evil),
        "core.untrackedCache": "true",
        "pager.ls-files": str(evil),
        "pager.ls-tree": str(evil),
        "alias.ls-files": f"!{evil}",
        "alias.rev-parse": f"!{evil}",
        "filter.evil.clean": str(evil),
        "filter.evil.smudge": str(evil),
        "filter.evil.process": str(evil),
        "filter.evil.required": "true",
        "diff.external": str(evil),
        "diff.evil.textconv": str(evil),
        "diff.evil.command": str(evil),
        "merge.evil.driver": str(evil),
        "credential.helper": f"!{evil}",
        "gpg.program": str(evil),
        "uploadpack.packObjectsHook": str(evil),
        "include.path": str(tmp_path / "included"),
        "protocol.ext.allow": "always",
    }.items():
        git(root, "config", key, value)
    return root


def use_everything(root: Path) -> dict[str, Listing]:
    """Every operation on a repository; returns the listings by ref."""
    repository, _ = find_repository(root)
    listings = {}
    for ref in (None, "main"):
        found = list_files(repository, ref, Selection())
        listings[found.ref] = found
        with BlobReader(repository) as reader:
            for path, blob_id in found.files.items():
                reader.read(path, blob_id, found.ref)
    head(repository)
    with pytest.raises(CodesearchError):
        resolve_ref(repository, "no-such-ref")
    return listings


def test_the_trap_is_armed(root: Path, marker: Path) -> None:
    with_traps = ENVIRONMENT | {"GIT_WORK_TREE": str(root), "GIT_DIR": str(root / ".git")}
    subprocess.run(["git", "status"], cwd=root, env=with_traps, capture_output=True, check=False)
    assert marker.exists()
    marker.unlink()


def test_no_program_runs_and_nothing_is_changed(root: Path, marker: Path) -> None:
    before = snapshot(root)
    listings = use_everything(root)
    assert snapshot(root) == before
    assert list(listings["main"].files) == ["a.py", "src/b.py"]
    assert {"a.py", "src/b.py", ".gitattributes"} <= listings[WORKING_TREE].files.keys()


def test_the_files_are_those_beside_the_git_folder(root: Path, marker: Path) -> None:
    repository, _ = find_repository(root / "src")
    assert repository.root == root
    found = list_files(repository, None, Selection())
    with BlobReader(repository) as reader:
        assert reader.read("a.py", found.files["a.py"], WORKING_TREE) == b"dirty\n"


@pytest.mark.parametrize("is_old_git", [False, True])
@pytest.mark.parametrize("url", ["ext::{evil}", "file://{place}", "ssh://host/x", "evil@host:x"])
def test_a_promisor_remote_is_not_asked_for_missing_objects(
    root: Path,
    marker: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    is_old_git: bool,
) -> None:
    if is_old_git:  # one that has not heard of the variable
        monkeypatch.delitem(hardening, "GIT_NO_LAZY_FETCH")
    missing = git(root, "rev-parse", "main:src/b.py")
    git(root, "config", "core.repositoryFormatVersion", "1")
    git(root, "config", "extensions.partialClone", "origin")
    git(root, "config", "remote.origin.promisor", "true")
    git(root, "config", "remote.origin.uploadpack", str(tmp_path / "evil.sh"))
    git(root, "config", "remote.origin.url", url.format(evil=tmp_path / "evil.sh", place=root))
    (root / ".git" / "objects" / missing[:2] / missing[2:]).unlink()
    before = snapshot(root)
    repository, _ = find_repository(root)
    found = list_files(repository, "main", Selection())
    assert found.files["src/b.py"] == missing
    with BlobReader(repository) as reader:
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                reader.read("src/b.py", missing, "main")
            assert reader.read("a.py", found.files["a.py"], "main") == b"a\n"
    after = snapshot(root)
    if is_old_git:  # its own fetch, before it is refused, notes the filter that it would use
        del before[".git/config"], after[".git/config"]
    assert after == before


def test_a_missing_tree_is_told(root: Path, marker: Path) -> None:
    tree = git(root, "rev-parse", "main:src")
    (root / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(CodesearchError, match="cannot list commit"):
        list_files(find_repository(root)[0], "main", Selection())


def test_a_folder_replaced_by_a_link_to_the_outside_is_not_followed(
    root: Path, marker: Path, tmp_path: Path
) -> None:
    write(tmp_path, {"outside/b.py": "b\n"})
    repository, _ = find_repository(root)
    listed = list_files(repository, None, Selection()).files["src/b.py"]
    (root / "src" / "b.py").unlink()
    (root / "src").rmdir()
    (root / "src").symlink_to(tmp_path / "outside")
    found = list_files(repository, None, Selection())
    assert not any(path.startswith("src") for path in found.files)
    assert found.skipped["src"] == "symlink leaving the repository"
    with BlobReader(repository) as reader, pytest.raises(FileNotFoundError):
        reader.read("src/b.py", listed, WORKING_TREE)


def test_paths_of_a_forged_index_do_not_leave_the_root(
    root: Path, marker: Path, tmp_path: Path
) -> None:
    write(tmp_path, {"zz/secret": "s"})
    (root / "zz").mkdir()
    (root / ".gitattributes").unlink()  # update-index would run the filters
    (root / ".git" / "info" / "attributes").unlink()
    blob = git(root, "rev-parse", "main:a.py")
    for path in ("xx/zz/secret", "yyyy/config"):
        git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    index = root / ".git" / "index"
    forged = index.read_bytes().replace(b"xx/zz/secret", b"../zz/secret")
    index.write_bytes(_signed(forged.replace(b"yyyy/config", b".git/config")))
    found = list_files(find_repository(root)[0], None, Selection())
    assert not [path for path in found.files if path.startswith(("..", ".git/"))]
    assert "a.py" in found.files
    with BlobReader(find_repository(root)[0]) as reader:
        for path in ("../zz/secret", ".git/config", "/etc/passwd", "src/../a.py", ""):
            with pytest.raises(OSError):  # noqa: PT011
                reader.read(path, "0" * 40, WORKING_TREE)


def _signed(index: bytes) -> bytes:
    """An index with the checksum that its bytes need."""
    return index[:-20] + hashlib.sha1(index[:-20]).digest()


def test_paths_of_a_forged_tree_are_not_listed(root: Path, marker: Path) -> None:
    blob = bytes.fromhex(git(root, "rev-parse", "main:a.py"))
    entries = b"".join(
        b"100644 " + name + b"\0" + blob for name in (b"..", b".git", b"ok.py", b"x/../../y")
    )
    (root / "forged").write_bytes(entries)
    tree = git(root, "hash-object", "-w", "-t", "tree", "--literally", "forged")
    commit = git(root, "commit-tree", tree, "-m", "forged")
    assert list(list_files(find_repository(root)[0], commit, Selection()).files) == ["ok.py"]


def test_replaced_objects_are_not_believed(root: Path, marker: Path) -> None:
    before = list_files(find_repository(root)[0], "main", Selection()).files
    original = git(root, "rev-parse", "main:a.py")
    git(root, "replace", original, git(root, "rev-parse", "main:src/b.py"))
    assert list_files(find_repository(root)[0], "main", Selection()).files == before
    with BlobReader(find_repository(root)[0]) as reader:
        assert reader.read("a.py", original, "main") == b"a\n"


def test_git_variables_of_the_calling_shell_are_not_heard(
    root: Path, marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = use_everything(root)
    for name in git(root, "rev-parse", "--local-env-vars").split():
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(tmp_path / "evil.sh"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor'='{tmp_path / 'evil.sh'}'")
    monkeypatch.setenv("GIT_PAGER", str(tmp_path / "evil.sh"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    assert use_everything(root) == expected


def test_cloning_and_fetching_runs_none_of_the_remotes_programs(
    root: Path, marker: Path, tmp_path: Path
) -> None:
    git(root, "config", "--unset", "core.worktree")
    for _ in range(2):
        made = clone(root.as_uri(), tmp_path / "clones")
        assert list(list_files(made, None, Selection()).files) == ["a.py", "src/b.py"]
    assert not [path for path in (made.root / "hooks").glob("*") if os.access(path, os.X_OK)]
