"""A query sees what the repository is now, or says that it does not."""

import subprocess
import sys

import pytest

import codesearch.answer
import codesearch.freshness
from tests.command_line import FILES, environment, start
from tests.git_repositories import commit_all, git


def test_an_edit_is_found_at_once_without_torch(own):
    (own.root / "app/net.py").write_text("def freshly_written():\n    return 1\n")
    (own.root / "README.md").unlink()
    program = (
        "import sys; from codesearch.cli import main; sys.argv = sys.argv[1:]\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "codesearch", "query", "freshly_written", "-l"],
        cwd=own.root,
        env=environment(own.home, {"PYTHONPATH": str(__file__).rpartition("/tests/")[0]}),
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.stdout.splitlines()[0] == "app/net.py"
    assert "README.md" not in done.stdout
    assert done.stderr == "False\n"


def test_the_refreshed_text_has_its_vector(own):
    (own.root / "app/net.py").write_text("def freshly_written():\n    return 1\n")
    run = own.run("query", "freshly_written", "-k", "1", "--explain")
    assert "cosine 0." in run.out
    assert run.err == ""
    assert own.run("index").err.endswith("nothing new\n")


def test_a_deleted_file_is_no_result_any_more(own):
    (own.root / "app/config.py").unlink()
    assert "app/config.py" not in own.paths("load_config")


def test_many_changes_are_reported_with_the_command_that_takes_them_in(own):
    for number in range(codesearch.freshness.REFRESH_FILES + 1):
        (own.root / f"new_{number}.txt").write_text("words\n")
    run = own.run("query", "load_config", "--json", "-k", "1")
    assert run.json["stale"] is True
    assert run.json["results"][0]["symbol"] == "load_config"
    command = f"codesearch index {own.root}"
    assert run.err == f"app: 41 files have changed since it was indexed; run `{command}`\n"
    assert own.run("query", "load_config", "-q", "-l").err == ""


def test_one_large_new_file_is_searchable_by_words_at_once(own):
    functions = "\n\n".join(f"def task_{i}(x):\n    return x * {i}" for i in range(300))
    (own.root / "tasks.py").write_text(functions)
    run = own.run("query", "task_77", "-l", "-k", "1")
    assert run.lines == ["tasks.py"]
    assert "are found by words only until they are encoded; run `codesearch index" in run.err


def test_switching_branches_back_and_forth_encodes_nothing(own, monkeypatch):
    git(own.root, "checkout", "-q", "-b", "other")
    (own.root / "app/config.py").write_text(str(FILES["app/net.py"]))
    commit_all(own.root)
    assert own.paths("Client", "-k", "2")

    def refuse(*_: object) -> None:
        raise AssertionError("something is encoded")

    import models.light_encoder

    monkeypatch.setattr(models.light_encoder.LightEncoder, "embed", refuse)
    for branch, has_it in (("main", True), ("other", False), ("main", True)):
        git(own.root, "checkout", "-q", branch)
        run = own.run("query", "load_config", "--kind", "function", "--json", "-k", "1")
        first = run.json["results"][0]
        assert (first["symbol"] == "load_config") == has_it
        assert run.err == ""


def test_a_ref_that_moved_is_reported(own):
    assert own.run("index", "--ref", "main").code == 0
    before = git(own.root, "rev-parse", "HEAD")
    (own.root / "new.py").write_text("x = 1\n")
    after = commit_all(own.root)
    run = own.run("query", "load_config", "--ref", "main", "--json", "-k", "1")
    assert run.json["stale"] is True
    assert run.json["results"][0]["commit"] == before
    assert run.err == (
        f"app: main moved from {before[:12]} to {after[:12]}; "
        f"run `codesearch index {own.root} --ref main`\n"
    )


def test_a_head_beside_the_working_tree_is_named_in_the_command(own):
    assert own.run("index", "--ref", "HEAD").code == 0
    (own.root / "new.py").write_text("x = 1\n")
    commit_all(own.root)
    command = f"codesearch index {own.root} --ref HEAD"
    assert f"run `{command}`" in own.run("query", "load_config", "--ref", "HEAD").err
    assert own.run(*command.split()[1:]).code == 0
    assert own.run("query", "load_config", "--ref", "HEAD", "--json").json["stale"] is False


def test_the_command_repeats_the_options_of_the_index(own):
    assert own.run("index", "--path", "app/", "--exclude", "*.md").code == 0
    for number in range(codesearch.freshness.REFRESH_FILES + 1):
        (own.root / f"app/new {number}.txt").write_text("words\n")
    err = own.run("query", "load_config", "-l").err
    assert f"codesearch index {own.root} --path app/ --exclude '*.md'`" in err


@pytest.mark.parametrize("fault", [OSError("no git"), PermissionError(13, "denied")])
def test_a_check_that_fails_does_not_fail_the_query(own, monkeypatch, fault):
    def failing(*_: object) -> None:
        raise fault

    monkeypatch.setattr(codesearch.freshness, "list_files", failing)
    run = own.run("query", "load_config", "--json", "-k", "1")
    assert run.json["results"][0]["symbol"] == "load_config"
    assert run.json["stale"] is True
    assert run.err.startswith("app: answers come from the index alone: ")


def test_when_checking_takes_long_the_rest_is_searched_unchecked(own, monkeypatch):
    (own.root / "app/config.py").unlink()
    monkeypatch.setattr(codesearch.answer, "FRESHNESS_SECONDS", -1.0)
    run = own.run("query", "load_config", "-l", "-k", "1")
    assert run.lines == ["app/config.py"]
    assert "not checked for changes" in run.err


def test_two_queries_at_once_refresh_once(own):
    (own.root / "app/net.py").write_text("def freshly_written():\n    return 1\n")
    both = [start("query", "freshly_written", "-l", home=own.home, cwd=own.root) for _ in "ab"]
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert own.paths("freshly_written")[0] == "app/net.py"
