from pathlib import Path

import pytest

from indexer.errors import RefNotFound, RepositoryError
from indexer.sources.repository import (
    Repository,
    clone,
    find_repository,
    head,
    is_url,
    resolve_ref,
)
from tests.git_repositories import commit_all, git, make_repository, snapshot, write


@pytest.fixture(autouse=True)
def _plain_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "project", {"src/a.py": "a\n", "README.md": "hello\n"})


def test_a_repository_is_found_from_any_folder_in_it(root: Path) -> None:
    repository, subfolder = find_repository(root / "src")
    assert repository == Repository(root, root / ".git", is_bare=False)
    assert (subfolder, repository.name) == ("src", "project")
    assert find_repository(root) == (repository, "")


def test_a_relative_path_and_a_symlink_lead_to_the_same_repository(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(root / "src")
    monkeypatch.chdir(root / "src")
    assert find_repository(Path(".")) == find_repository(tmp_path / "link")
    assert find_repository(Path("."))[1] == "src"


def test_a_folder_without_git_is_its_own_root(tmp_path: Path) -> None:
    (tmp_path / "plain" / "sub").mkdir(parents=True)
    repository, subfolder = find_repository(tmp_path / "plain" / "sub")
    assert repository == Repository(tmp_path / "plain" / "sub", None, is_bare=False)
    assert subfolder == ""
    assert head(repository) == (None, None)


def test_a_worktree_is_a_repository_of_its_own(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    repository, _ = find_repository(tmp_path / "tree" / "src")
    assert repository.root == tmp_path / "tree"
    assert repository.git_dir == root / ".git" / "worktrees" / "tree"
    assert head(repository)[0] == "other"
    assert resolve_ref(repository, "main") == git(root, "rev-parse", "main")


def test_a_submodule_is_a_repository_of_its_own(root: Path, tmp_path: Path) -> None:
    outer = make_repository(tmp_path / "outer", {"a": "a"})
    git(outer, "submodule", "add", "-q", str(root), "inner")
    repository, subfolder = find_repository(outer / "inner" / "src")
    assert (repository.root, subfolder) == (outer / "inner", "src")
    assert not repository.is_bare
    assert find_repository(outer / ".git" / "modules" / "inner")[0].is_bare


def test_a_bare_repository_is_found_and_named_without_its_ending(
    root: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(root), "bare.git")
    repository, subfolder = find_repository(tmp_path / "bare.git" / "refs")
    assert (repository.root, repository.is_bare, subfolder) == (tmp_path / "bare.git", True, "")
    assert repository.name == "bare"
    assert head(repository) == ("main", git(root, "rev-parse", "HEAD"))


def test_the_git_folder_itself_stands_for_its_working_tree(root: Path) -> None:
    assert find_repository(root / ".git" / "refs") == find_repository(root)


def test_sha256_repositories_are_known_as_such(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "new", {"a.py": "a"}, "--object-format=sha256")
    repository, _ = find_repository(root)
    assert repository.object_format == "sha256"
    assert len(resolve_ref(repository, "main")) == 64


def test_what_is_no_folder_is_refused_with_a_way_out(root: Path) -> None:
    with pytest.raises(RepositoryError, match="does not exist"):
        find_repository(root / "nowhere")
    with pytest.raises(RepositoryError, match="is a file") as caught:
        find_repository(root / "README.md")
    assert str(root) in caught.value.hint
    (root / "loop").symlink_to("loop")
    with pytest.raises(RepositoryError):
        find_repository(root / "loop")


@pytest.mark.parametrize("dot_git", ["gitdir: /nowhere\n", "nonsense", "gitdir:", ""])
def test_a_broken_link_to_a_git_folder_is_told(tmp_path: Path, dot_git: str) -> None:
    write(tmp_path, {"p/.git": dot_git})
    with pytest.raises(RepositoryError, match="not a git repository"):
        find_repository(tmp_path / "p")


def test_a_git_folder_that_git_cannot_open_is_told(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    with pytest.raises(RepositoryError, match="not a git repository"):
        find_repository(tmp_path / "empty")
    git(root, "config", "core.repositoryFormatVersion", "99")
    with pytest.raises(RepositoryError, match="cannot open.*99"):
        find_repository(root)


def test_refs_of_every_kind_are_resolved_to_commits(root: Path) -> None:
    first = git(root, "rev-parse", "HEAD")
    git(root, "tag", "-a", "v1", "-m", "annotated")
    git(root, "branch", "feature/x")
    write(root, {"b.py": "b"})
    second = commit_all(root)
    repository, _ = find_repository(root)
    for ref in ("v1", "feature/x", "refs/tags/v1", "HEAD~1", first, first[:10]):
        assert resolve_ref(repository, ref) == first
    assert resolve_ref(repository, "main") == second
    assert head(repository) == ("main", second)


def test_an_unknown_ref_is_answered_with_near_names(root: Path) -> None:
    git(root, "branch", "feature-search")
    repository, _ = find_repository(root)
    with pytest.raises(RefNotFound, match="'feature-serch'") as caught:
        resolve_ref(repository, "feature-serch")
    assert "feature-search" in caught.value.hint


@pytest.mark.parametrize("ref", ["", "--help", "-h", "^main", "main..main", "a\0b", "HEAD^{tree}"])
def test_what_is_no_ref_is_never_passed_on(root: Path, ref: str) -> None:
    with pytest.raises(RefNotFound):
        resolve_ref(find_repository(root)[0], ref)


def test_a_repository_without_commits_says_so(tmp_path: Path) -> None:
    repository, _ = find_repository(make_repository(tmp_path / "new", {}))
    assert head(repository) == ("main", None)
    with pytest.raises(RefNotFound, match="has no commits"):
        resolve_ref(repository, "HEAD")


def test_a_detached_head_has_a_commit_but_no_branch(root: Path) -> None:
    git(root, "checkout", "-q", "--detach")
    repository, _ = find_repository(root)
    assert head(repository) == (None, git(root, "rev-parse", "HEAD"))


def test_an_unborn_branch_does_not_hide_the_others(root: Path) -> None:
    git(root, "checkout", "-q", "--orphan", "fresh")
    repository, _ = find_repository(root)
    assert head(repository) == ("fresh", None)
    assert resolve_ref(repository, "main") == git(root, "rev-parse", "main")
    with pytest.raises(RefNotFound, match="no ref 'HEAD'"):
        resolve_ref(repository, "HEAD")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("https://github.com/pallets/click", True),
        ("ssh://git@host:22/a/b.git", True),
        ("git://host/a", True),
        ("file:///srv/a.git", True),
        ("git@github.com:pallets/click.git", True),
        ("github.com:pallets/click", True),
        ("ext::sh -c evil", True),
        ("C:\\code\\click", False),
        ("C:/code/click", False),
        ("../click", False),
        ("click", False),
        ("", False),
    ],
)
def test_urls_are_told_from_paths(text: str, answer: bool) -> None:
    assert is_url(text) is answer


def test_a_folder_that_looks_like_a_url_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "git@host:name").mkdir()
    assert not is_url("git@host:name")


def test_a_url_is_cloned_bare_and_later_brought_up_to_date(root: Path, tmp_path: Path) -> None:
    url, lines = root.as_uri(), list[str]()
    made = clone(url, tmp_path / "clones", lines.append)
    assert made.root == tmp_path / "clones" / "localhost" / f"{str(root)[1:]}.git"
    assert (made.is_bare, made.name) == (True, f"{str(root)[1:]}")
    assert made == find_repository(made.root)[0]
    assert any("Cloning" in line for line in lines)

    git(root, "branch", "gone")
    clone(url, tmp_path / "clones")
    assert resolve_ref(made, "gone") == head(made)[1]
    git(root, "branch", "-D", "gone")
    git(root, "branch", "-m", "main", "trunk")
    write(root, {"new.py": "x"})
    commit = commit_all(root)
    clone(url, tmp_path / "clones")
    assert head(made) == ("trunk", commit)
    with pytest.raises(RefNotFound):
        resolve_ref(made, "gone")


def test_an_empty_remote_can_be_cloned(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "empty", {})
    for _ in range(2):
        assert head(clone(root.as_uri(), tmp_path / "clones")) == ("main", None)


def test_a_failed_clone_leaves_nothing_behind_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="does not exist|not appear") as caught:
        clone((tmp_path / "nowhere").as_uri(), tmp_path / "clones")
    assert caught.value.hint
    assert [path for path in (tmp_path / "clones").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "clones").rglob(".cloning*")) == []


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch marker'",
        "fd::17",
        "-oProxyCommand=touch@host:a/b",
        "ssh://-oProxyCommand=touch/a",
        "-x@host:a/b",
        "--upload-pack=touch",
        "https://host/../../etc/name",
        "https://../name",
        "git@host:../../name",
        "https://host/a/../b",
        "https://host/..",
        "https://host/a.git/hooks",
        "https://host/a\\..\\b",
        "ftp://host/a",
    ],
)
def test_urls_that_run_programs_or_leave_the_folder_are_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "indexer.sources.clones.talk_to_remote", lambda *_: pytest.fail("git was asked")
    )
    with pytest.raises(RepositoryError):
        clone(url, tmp_path / "clones")
    assert snapshot(tmp_path) == {}


def test_a_token_in_a_url_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError) as caught:
        clone("https://me:ghp_token@localhost:1/owner/name", tmp_path / "clones")
    assert "ghp_token" not in str(caught.value)
    assert "localhost:1/owner/name" in str(caught.value)


def test_a_clone_does_not_hear_the_git_variables_of_a_hook(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other", {"x": "x"})
    before = snapshot(other)
    for name, place in (("DIR", ""), ("OBJECT_DIRECTORY", "objects"), ("INDEX_FILE", "index")):
        monkeypatch.setenv(f"GIT_{name}", str(other / ".git" / place))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    made = clone(root.as_uri(), tmp_path / "clones")
    clone(root.as_uri(), tmp_path / "clones")
    monkeypatch.undo()
    assert git(made.root, "cat-file", "-t", "main") == "commit"
    assert snapshot(other) == before
