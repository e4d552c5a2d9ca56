import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.errors import RefNotFound, RepositoryError
from indexer.sources import commit_tree
from indexer.sources import disk as disk_module
from indexer.sources.disk import Disk, NotRegularFile
from indexer.sources.git import GitFailed
from indexer.sources.ignore import escape_glob
from indexer.sources.repository import find_repository
from indexer.sources.walk import (
    WORKING_TREE,
    BlobReader,
    FileChanged,
    Listing,
    Selection,
    list_files,
)
from tests.git_repositories import commit_all, git, make_repository, snapshot, write

ALL = Selection()


@pytest.fixture(autouse=True)
def _plain_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def listing(root: Path, ref: str | None = None, selection: Selection = ALL) -> Listing:
    return list_files(find_repository(root)[0], ref, selection)


def names(root: Path, ref: str | None = None, selection: Selection = ALL) -> list[str]:
    return list(listing(root, ref, selection).files)


def make_old(root: Path) -> None:
    for file in root.rglob("*"):
        os.utime(file, (1_600_000_000, 1_600_000_000), follow_symlinks=False)


def test_the_working_tree_is_what_the_user_sees(tmp_path: Path) -> None:
    root = make_repository(
        tmp_path, {".gitignore": "*.tmp\n", "a.py": "a", "gone.py": "g", "src/b.py": "b"}
    )
    (root / "gone.py").unlink()
    write(root, {"new.py": "n", "x.tmp": "x", "a.py": "changed"})
    git(root, "add", "-N", "new.py")
    assert names(root) == [".gitignore", "a.py", "new.py", "src/b.py"]
    assert listing(root).skipped == {}
    assert (listing(root).ref, listing(root).commit) == (WORKING_TREE, None)


def test_blob_ids_are_gits_own(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"a.py": "a\r\n", "b/c.py": "é"})
    head = listing(root, "main")
    assert head.files == listing(root).files
    assert head.files["a.py"] == git(root, "rev-parse", "HEAD:a.py")
    assert head.commit == git(root, "rev-parse", "HEAD")
    assert head.stamps == {}


def test_blob_ids_of_sha256_repositories_are_gits_own(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"a.py": "a"}, "--object-format=sha256")
    assert listing(root).files == listing(root, "HEAD").files
    with BlobReader(find_repository(root)[0]) as reader:
        assert reader.read("a.py", listing(root).files["a.py"], "HEAD") == b"a"


def test_a_conflicted_file_is_listed_once(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"a.py": "base"})
    git(root, "checkout", "-q", "-b", "other")
    write(root, {"a.py": "other"})
    commit_all(root)
    git(root, "checkout", "-q", "main")
    write(root, {"a.py": "main"})
    commit_all(root)
    with pytest.raises(AssertionError, match="merge"):
        git(root, "merge", "other")
    assert names(root) == ["a.py"]


def test_sparse_files_are_not_listed(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"in/a.py": "a", "out/b.py": "b"})
    git(root, "sparse-checkout", "set", "--cone", "--sparse-index", "in")
    assert names(root) == ["in/a.py"]
    assert names(root, "main") == ["in/a.py", "out/b.py"]


def test_an_empty_repository_has_only_its_untracked_files(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {})
    assert names(root) == []
    write(root, {"a.py": "a"})
    assert names(root) == ["a.py"]
    with pytest.raises(RefNotFound, match="no commits"):
        names(root, "HEAD")


def test_a_plain_folder_has_no_refs(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "a"})
    with pytest.raises(RefNotFound, match="not a git repository"):
        names(tmp_path, "main")


def test_a_bare_repository_is_listed_by_its_head(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "a", {"a.py": "a"})
    git(tmp_path, "clone", "-q", "--bare", "a", "b.git")
    assert listing(tmp_path / "b.git").files == listing(root).files
    assert listing(tmp_path / "b.git").ref == "HEAD"


def test_a_shallow_clone_lists_what_it_has(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "a", {"a.py": "a"})
    write(root, {"b.py": "b"})
    commit_all(root)
    git(tmp_path, "clone", "-q", "--depth=1", root.as_uri(), "b")
    assert names(tmp_path / "b") == names(tmp_path / "b", "HEAD") == ["a.py", "b.py"]


def test_a_worktree_lists_its_own_files(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "a", {"a.py": "a"})
    git(root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "b"))
    write(tmp_path / "b", {"only.py": "x"})
    commit_all(tmp_path / "b")
    assert names(tmp_path / "b") == ["a.py", "only.py"]
    assert names(root) == ["a.py"]


def test_foreign_repositories_inside_are_named_and_not_entered(tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner", {"i.py": "i"})
    root = make_repository(tmp_path / "outer", {"a.py": "a"})
    git(root, "submodule", "add", "-q", str(inner), "module")
    commit_all(root)
    make_repository(root / "nested", {"n.py": "n"})
    assert listing(root).skipped == {"module": "submodule", "nested": "nested repository"}
    assert listing(root, "main").skipped == {"module": "submodule"}
    assert names(root) == names(root, "main") == [".gitmodules", "a.py"]
    git(root, "submodule", "deinit", "-q", "-f", "module")
    assert listing(root).skipped["module"] == "submodule"


def test_a_folder_in_place_of_a_tracked_file_is_no_submodule(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"a": "file"})
    (root / "a").unlink()
    write(root, {"a/b.py": "b"})
    assert names(root) == ["a/b.py"]
    assert listing(root).skipped == {}


def test_symlinks_are_named_by_where_they_lead(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"a.py": "a", "d/b.py": "b"})
    for link, target in {
        "in": "a.py",
        "d/up": "../a.py",
        "folder": "d",
        "out": "../outside",
        "d/out": "../../x",
        "absolute": "/etc/passwd",
    }.items():
        (root / link).symlink_to(target)
    commit_all(root)
    (root / "loop").symlink_to("loop")
    inside, outside = "symlink", "symlink leaving the repository"
    expected = {"in": inside, "d/up": inside, "folder": inside}
    expected |= {"out": outside, "d/out": outside, "absolute": outside}
    assert listing(root, "main").skipped == expected
    assert listing(root).skipped == expected | {"loop": inside}
    assert names(root) == ["a.py", "d/b.py"]


NO_UTF8 = os.fsdecode(b"latin\xe9.py")
STRANGE = [
    "new\nline.py",
    'quote".py',
    "[bold].py",
    "--help.py",
    "tab\t.py",
    " space .py",
    unicodedata.normalize("NFD", "é.py"),
    "é.py",
    NO_UTF8,
    "-n/-x.py",
    "a\\b.py",
]


@pytest.mark.parametrize("is_plain", [False, True])
def test_strange_names_come_through_unchanged(tmp_path: Path, is_plain: bool) -> None:
    write(tmp_path, {name: name.encode("utf-8", "surrogateescape") for name in STRANGE})
    refs: list[str | None] = [None]
    if not is_plain:
        make_repository(tmp_path, {"z.py": "z"})
        refs.append("main")
    repository, _ = find_repository(tmp_path)
    for ref in refs:
        found = list_files(repository, ref, Selection(excludes=("z.py",)))
        assert sorted(found.files) == sorted(set(STRANGE) - {NO_UTF8})
        assert found.skipped == {NO_UTF8: "file name is not UTF-8"}
        with BlobReader(repository) as reader:
            for name, blob_id in found.files.items():
                assert reader.read(name, blob_id, found.ref) == os.fsencode(name)


def test_one_reason_is_given_for_each_file_left_out(tmp_path: Path) -> None:
    files = {"a.py": "a", ".env": "KEY=1", "big.py": b"x" * 50, "empty.py": "", "x.png": "p"}
    root = make_repository(tmp_path, dict(files))
    repository, _ = find_repository(root)
    for ref in (None, "main"):
        found = list_files(repository, ref, ALL, max_bytes=49)
        assert list(found.files) == ["a.py"]
        assert found.skipped == {
            ".env": "secret",
            "big.py": "too large",
            "empty.py": "empty",
            "x.png": "binary",
        }


TREES: dict[str, Callable[[Path], str | None]] = {
    "plain folder": lambda root: None,
    "working tree": lambda root: (make_repository(root, {}), None)[1],
    "commit": lambda root: (make_repository(root, {}), commit_all(root))[1],
}


@pytest.fixture(params=list(TREES))
def tree(request: pytest.FixtureRequest) -> Callable[[Path], str | None]:
    """Turns a folder of files into each kind of tree; returns the ref to list."""
    return TREES[request.param]


def test_codesearchignore_files_leave_out_more_at_every_level(
    tmp_path: Path, tree: Callable[[Path], str | None]
) -> None:
    files = {
        ".codesearchignore": "*.txt\n/build/\n!!\n\\\n",
        "a.txt": "x",
        "a.py": "x",
        "build/b.py": "x",
        "build/.codesearchignore": "!b.py\n!deep/\n",
        "build/deep/c.py": "x",
        "build/deep/.codesearchignore": "!c.py\n",
        "sub/build/c.py": "x",
        "sub/.codesearchignore": "!keep.txt\nlocal.py\n",
        "sub/keep.txt": "x",
        "sub/other.txt": "x",
        "sub/local.py": "x",
        "local.py": "x",
    }
    write(tmp_path, dict(files))
    ref = tree(tmp_path)
    found = names(tmp_path, ref, Selection(excludes=(".codesearchignore",)))
    assert found == ["a.py", "local.py", "sub/build/c.py", "sub/keep.txt"]


def test_linguist_marks_leave_out_and_keep(
    tmp_path: Path, tree: Callable[[Path], str | None]
) -> None:
    files = {
        ".gitattributes": "gen/** linguist-generated -linguist-vendored\n"
        "*.py text\n# c linguist-generated\n"
        '"with space/**" linguist-vendored=true\n*_pb2.py -linguist-generated\n'
        "last/** linguist-generated\nlast/word.py -linguist-generated\n",
        "gen/a.py": "x",
        "gen/keep/b.py": "x",
        "gen/keep/.gitattributes": "b.py linguist-generated=false\n",
        "with space/c.py": "x",
        "api_pb2.py": "x",
        "api_pb2.pyi": "x",
        "d.py": "x",
        "last/word.py": "x",
    }
    write(tmp_path, dict(files))
    ref = tree(tmp_path)
    found = listing(tmp_path, ref, Selection(excludes=(".gitattributes",)))
    assert list(found.files) == ["api_pb2.py", "d.py", "gen/keep/b.py", "last/word.py"]
    assert found.skipped == {
        "gen/a.py": "generated",
        "with space/c.py": "vendored",
        "api_pb2.pyi": "generated",
    }


def test_a_plain_folder_is_listed_as_git_would_list_it(tmp_path: Path) -> None:
    files = {
        ".gitignore": "/*.log.py\n*.tmp\n!keep.tmp\nout/\n/only/*\n!/only/me.py\n**/deep/x.py\n",
        "a.log.py": "x",
        "sub/a.log.py": "x",
        "x.tmp": "x",
        "keep.tmp": "x",
        "out/a.py": "x",
        "sub/out/a.py": "x",
        "only/me.py": "x",
        "only/you.py": "x",
        "a/deep/x.py": "x",
        "a/deep/y.py": "x",
        "sub/.gitignore": "!x.tmp\n[ab].py\n",
        "sub/x.tmp": "x",
        "sub/b.py": "x",
        "sub/c.py": "x",
    }
    write(tmp_path / "plain", dict(files))
    write(tmp_path / "git", dict(files))
    make_repository(tmp_path / "git", {})
    assert names(tmp_path / "plain") == names(tmp_path / "git")
    assert "sub/x.tmp" in names(tmp_path / "plain")


def test_a_plain_folder_is_walked_without_entering_traps(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    write(root, {"a.py": "a", "sub/b.py": "b", "node_modules/m/i.js": "m"})
    make_repository(root / "nested", {"n.py": "n"})
    (root / "up").symlink_to("..")
    (root / "self").symlink_to("self")
    os.mkfifo(root / "pipe.py")
    os.mkfifo(root / "sub" / ".gitignore")
    found = listing(root)
    assert list(found.files) == ["a.py", "nested/n.py", "sub/b.py"]
    assert found.skipped == {
        "node_modules": "vendored",
        "pipe.py": "not a regular file",
        "self": "symlink",
        "sub/.gitignore": "not a regular file",
        "up": "symlink leaving the repository",
    }


@pytest.mark.parametrize(
    ("paths", "excludes", "kept"),
    [
        ((), (), ["a.py", "lib/b.py", "lib/c.js", "x/lib/d.py"]),
        (("lib",), (), ["lib/b.py", "lib/c.js", "x/lib/d.py"]),
        (("/lib/",), (), ["lib/b.py", "lib/c.js"]),
        (("./lib/b.py",), (), ["lib/b.py"]),
        (("*.py",), ("lib",), ["a.py"]),
        (("*.py", "!a.py"), (), ["lib/b.py", "x/lib/d.py"]),
        (("nothing",), (), []),
        (("#comment",), (), []),
    ],
)
def test_globs_select_paths(
    paths: tuple[str, ...], excludes: tuple[str, ...], kept: list[str]
) -> None:
    files = ["a.py", "lib/b.py", "lib/c.js", "x/lib/d.py"]
    assert list(filter(Selection(paths, excludes).keeps, files)) == kept


@pytest.mark.parametrize("folder", ["src", "a b", "[x]", "!a", "#b", "st*r", "back\\slash", "sp "])
def test_an_escaped_folder_selects_exactly_itself(folder: str) -> None:
    selection = Selection((escape_glob(folder),))
    assert selection.keeps(f"{folder}/a.py")
    assert not selection.keeps(f"other/{folder}/a.py")
    assert not selection.keeps("start/a.py")


def test_known_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path, {"a.py": "a", "b.py": "b", "c.py": "c"})
    make_old(root)
    repository, _ = find_repository(root)
    first = list_files(repository, None, ALL)
    assert list(first.stamps) == ["a.py", "b.py", "c.py"]
    write(root, {"b.py": "B"})
    os.utime(root / "b.py", (1_600_000_000, 1_600_000_000))  # size and mtime as before
    (root / "c.py").unlink()
    opened: list[str] = []
    read = Disk.read
    monkeypatch.setattr(
        Disk, "read", lambda self, path, *rest: (opened.append(path), read(self, path, *rest))[1]
    )
    second = list_files(repository, None, ALL, first.stamps)
    assert [path for path in opened if path != ".codesearchignore"] == ["b.py"]
    assert second.files == list_files(repository, None, ALL).files
    assert second.files["b.py"] != first.files["b.py"]


def test_a_fresh_file_gets_no_stamp(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"old.py": "a"})
    make_old(root)
    write(root, {"fresh.py": "x"})
    found = listing(root)
    assert list(found.files) == ["fresh.py", "old.py"]
    assert list(found.stamps) == ["old.py"]


def test_what_cannot_be_read_is_counted_and_not_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path, {"a.py": "a", "shut.py": "s"})
    real_open = os.open

    def refuse(path: str, *arguments: int) -> int:
        if str(path).endswith("shut.py"):
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *arguments)

    monkeypatch.setattr(disk_module.os, "open", refuse)
    found = listing(root)
    assert (list(found.files), found.skipped) == (["a.py"], {"shut.py": "unreadable"})


def test_a_damaged_index_is_told(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"a.py": "a"})
    (root / ".git" / "index").write_bytes(b"nonsense")
    with pytest.raises(RepositoryError, match="index"):
        names(root)


def test_a_file_is_read_only_as_what_was_listed(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"a.py": "a", "b.py": "b", "d/c.py": "c"})
    repository, _ = find_repository(root)
    files = list_files(repository, None, ALL).files
    write(root, {"a.py": "changed"})
    (root / "b.py").unlink()
    os.mkfifo(root / "b.py")
    (root / "d").rename(tmp_path / "moved")
    with BlobReader(repository) as reader:
        with pytest.raises(FileChanged):
            reader.read("a.py", files["a.py"], WORKING_TREE)
        with pytest.raises(NotRegularFile):
            reader.read("b.py", files["b.py"], WORKING_TREE)
        with pytest.raises(FileNotFoundError):
            reader.read("d/c.py", files["d/c.py"], WORKING_TREE)
        assert reader.read("a.py", files["a.py"], "main") == b"a"


def test_a_missing_object_does_not_end_the_reading(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"a.py": "a", "b.py": "b\n\0b"})
    files = listing(root).files
    with BlobReader(find_repository(root)[0]) as reader:
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                reader.read("a.py", "0" * 40, "main")
            assert reader.read("b.py", files["b.py"], "main") == b"b\n\0b"
        with pytest.raises(ValueError, match="object name"):
            reader.read("a.py", "HEAD\nHEAD", "main")


def test_listing_changes_nothing_in_the_repository(tmp_path: Path) -> None:
    root = make_repository(tmp_path, {"a.py": "a", "b.py": "b"})
    write(root, {"a.py": "b"})
    before = snapshot(root)
    listing(root), listing(root, "HEAD")
    assert snapshot(root) == before


def test_a_ref_is_listed_where_git_cannot_tell_the_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path / "r", {"a.py": "x\n", "b.py": "y\n"})
    read_git = commit_tree.read_git

    def without_sizes(git_dir: Path, work_tree: Path | None, *arguments: str) -> bytes:
        if "-l" in arguments:  # as git ends when a promisor remote cannot be asked
            raise GitFailed("fatal: could not fetch")
        return read_git(git_dir, work_tree, *arguments)

    monkeypatch.setattr(commit_tree, "read_git", without_sizes)
    listing = list_files(find_repository(root)[0], "main", Selection())
    assert list(listing.files) == ["a.py", "b.py"]
