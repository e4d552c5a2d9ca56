"""Which indexes are meant by a path, a name, or a working directory."""

from pathlib import Path

import pytest

from codesearch.scope import choose_ref, find_indexed, find_scope
from indexer.errors import IndexNotFound, RefNotFound, UsageError
from indexer.sources.repository import find_repository
from indexer.storage.binding import facts_of
from indexer.storage.home import IndexHome
from indexer.storage.reader import Reader
from indexer.storage.store import Store
from tests.git_repositories import make_repository


@pytest.fixture
def home(tmp_path: Path) -> IndexHome:
    return IndexHome(tmp_path / "home")


@pytest.fixture
def add(home, checkpoint):
    """Makes an index without any content."""

    def add(root: Path):
        repository, _ = find_repository(root)
        folder = home.repo(repository.root)
        folder.create()
        store = Store(folder.database)
        store.bind(facts_of(repository, checkpoint))
        store.close()
        return folder

    return add


def folders(home, repo):
    return find_scope(home, repo).folders


def test_the_repository_around_the_working_directory(home, add, tmp_path, monkeypatch):
    root = make_repository(tmp_path / "a", {"sub/f.py": "x\n"})
    make_repository(tmp_path / "b", {"f.py": "x\n"})
    a = add(root)
    monkeypatch.chdir(root / "sub")
    assert folders(home, None) == (a,)
    monkeypatch.chdir(tmp_path / "b")
    scope = find_scope(home, None)
    assert scope.folders == ()
    assert scope.unindexed is not None
    assert scope.unindexed.root == tmp_path / "b"


def test_all_repositories_outside_of_any(home, add, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IndexNotFound, match="nothing is indexed yet"):
        find_scope(home, None)
    both = tuple(add(make_repository(tmp_path / name, {"f": "x\n"})) for name in "ab")
    assert folders(home, None) == both


def test_the_innermost_plain_folder_around(home, add, tmp_path, monkeypatch):
    deep = tmp_path / "zz" / "aa" / "deep"
    deep.mkdir(parents=True)
    outer, inner = add(tmp_path / "zz"), add(tmp_path / "zz" / "aa")
    monkeypatch.chdir(deep)
    assert folders(home, None) == (inner,)
    assert find_indexed(home, str(tmp_path / "zz")) == outer


def test_a_repository_inside_an_indexed_folder_is_one_of_its_own(home, add, tmp_path, monkeypatch):
    root = make_repository(tmp_path / "plain" / "repo", {"f": "x\n"})
    add(tmp_path / "plain")
    monkeypatch.chdir(root)
    assert find_scope(home, None).unindexed is not None


def test_by_path_by_name_and_by_the_end_of_a_name(home, add, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = make_repository(tmp_path / "x" / "flask", {"src/flask/f.py": "x\n"})
    flask = add(root)
    store = Store(flask.database)
    store.bind({"name": "pallets/flask"})
    store.close()
    for repo in ("x/flask", str(root / "src"), "pallets/flask", "flask"):
        assert folders(home, repo) == (flask,)
    for repo in ("lask", "pallets", "nowhere/flask"):
        with pytest.raises(IndexNotFound, match=r"indexed: pallets/flask"):
            find_scope(home, repo)


def test_one_is_meant_or_none(home, add, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for parent in "ab":
        add(make_repository(tmp_path / parent / "same", {"f": "x\n"}))
    assert len(folders(home, "same")) == 2
    with pytest.raises(UsageError, match="several repositories are called 'same'"):
        find_indexed(home, "same")
    with pytest.raises(IndexNotFound):
        find_indexed(home, "other")


def test_an_unfinished_first_indexing_has_no_ref(home, add, tmp_path):
    reader = Reader(add(make_repository(tmp_path / "a", {"f": "x\n"})))
    with pytest.raises(IndexNotFound, match="the first indexing of a is not finished"):
        choose_ref(reader, None)
    reader.close()


def test_a_ref_is_the_named_one_else_the_working_tree(own):
    assert own.run("index", "--ref", "main").code == 0
    reader = Reader(IndexHome(own.home).repo(own.root))
    assert choose_ref(reader, None).name == "worktree"
    assert choose_ref(reader, "main").name == "main"
    with pytest.raises(RefNotFound, match="indexed: worktree, main"):
        choose_ref(reader, "v1")
    reader.close()
