"""`codesearch mcp`: what a coding agent is told, and what it cannot do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from codesearch import agents
from codesearch.agents import Tools, make_server
from codesearch.background import BackgroundIndexing
from indexer.storage.home import IndexHome
from tests.command_line import FILES, Place, codesearch, environment
from tests.git_repositories import make_repository, write

Ask = Callable[..., tuple[bool, str]]


async def told(client: Client, tool: str, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Whether a call was answered, and the text."""
    result = await client.call_tool(tool, arguments)
    (content,) = result.content
    return not result.is_error, content.text


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Place], Ask]]:
    """Starts a server in this process, where a place's user stands."""
    with ThreadPoolExecutor(1) as worker:
        opened: list[Tools] = []

        def start(place: Place) -> Ask:
            monkeypatch.chdir(place.root)
            for name, value in environment(place.home, {}).items():
                monkeypatch.setenv(name, value)
            tools = worker.submit(Tools, IndexHome(place.home)).result()
            opened.append(tools)

            def call(make: Callable[[], str]) -> asyncio.Future[str]:
                return asyncio.get_running_loop().run_in_executor(worker, make)

            async def ask(tool: str, arguments: dict[str, Any]) -> tuple[bool, str]:
                async with Client(make_server(call, tools)) as client:
                    return await told(client, tool, arguments)

            return lambda tool, **arguments: asyncio.run(ask(tool, arguments))

        yield start
        for tools in opened:
            worker.submit(tools.close).result()


def test_an_agent_finds_what_a_user_finds(library, asked):
    ask = asked(library)
    is_answered, text = ask("search", query="retry until it succeeds", limit=1)
    assert is_answered
    head, *code = text.splitlines()
    assert head.startswith("1. web/retry.go:3-11  function Retry  (score ")
    assert code[:2] == [
        "     3  // Retry calls f until it succeeds.",
        "     4  func Retry(f func() error) error {",
    ]
    everything = [line for line in ask("search", query="config")[1].splitlines() if ". " in line]
    by_user = library.paths("config", "-k", str(agents.RESULTS))
    found = [line.split(". ")[1].split(":")[0] for line in everything if line[0].isdigit()]
    assert found == by_user


def test_filters_narrow_the_search(library, asked):
    ask = asked(library)
    only = {"languages": ["go"], "kinds": ["function"], "paths": ["web/"]}
    assert "1. web/retry.go" in ask("search", query="configuration", **only)[1]
    assert ask("search", query="configuration", paths=["nowhere/"]) == (True, "nothing found")
    assert "read as 'config" in ask("search", query="configuratoin")[1]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"query": " "}, "the query is empty"),
        ({"query": "a", "kinds": ["x"]}, "unknown kind 'x'; use one of"),
        ({"query": "a", "ref": "nowhere"}, "ref 'nowhere' of app is not indexed"),
        ({"query": "a", "repo": "nowhere"}, "'nowhere' is not indexed (indexed: app)"),
        ({"query": "a", "limit": 0}, "greater than or equal to 1"),
    ],
)
def test_a_fault_says_what_to_do(library, asked, arguments, problem):
    is_answered, text = asked(library)("search", **arguments)
    assert not is_answered
    assert problem in text


def test_similar_code_is_that_of_the_index(library, asked, tmp_path):
    ask = asked(library)
    text = ask("similar", path="app/net.py", line=4)[1]
    assert text.startswith("1. app/net.py:7-8  function Client.send")
    outside = tmp_path / "secret.py"
    outside.write_text("password = 1\n")
    for path in (str(outside), "../secret.py", "/etc/passwd", "app/none.py"):
        is_answered, text = ask("similar", path=path, line=1)
        assert not is_answered
        assert "index" in text
        assert "password" not in text


def test_files_elsewhere_have_paths_that_open(library, own, asked, tmp_path):
    other = make_repository(tmp_path / "other", {"a.py": FILES["app/config.py"]})
    assert codesearch("index", str(other), home=own.home, cwd=own.root).code == 0
    ask = asked(own)
    assert f"1. {other}/a.py:4-6" in ask("search", query="load_config", repo="other")[1]
    assert ask("repositories")[1].splitlines() == [f"app  {own.root}", f"other  {other}"]


def test_text_of_a_repository_is_text(own, asked):
    write(own.root, {"app/evil.py": "def evil():\n    return '\x1b]0;x\x07[red]'\n"})
    text = asked(own)("search", query="evil", limit=1)[1]
    assert "return '␛]0;x␇[red]'" in text


def test_the_own_repository_is_indexed_when_it_is_asked(own, asked):
    root = make_repository(own.root.parent / "new", {"a.py": FILES["app/config.py"]})
    is_answered, text = asked(Place(own.home, root))("search", query="load_config")
    assert is_answered, text
    assert text.startswith("1. a.py:4-6  function load_config")


def test_no_other_repository_is_indexed(own, asked):
    ask = asked(own)
    other = make_repository(own.root.parent / "other", {"a.py": "a = 1\n"})
    for repo in (str(other), "../other"):
        is_answered, text = ask("search", query="a", repo=repo)
        assert not is_answered
        assert "is not indexed" in text
    assert ask("repositories")[1] == f"app  {own.root}"


def test_why_it_cannot_be_indexed_is_told(own, asked):
    root = make_repository(own.root.parent / os.fsdecode(b"caf\xe9"), {"a.py": "a = 1\n"})
    is_answered, text = asked(Place(own.home, root))("search", query="a")
    assert not is_answered
    assert "cannot be indexed; " in text
    assert "is not UTF-8; rename the folder" in text


def test_a_large_change_is_read_in_the_background(own, asked):
    ask = asked(own)
    write(
        own.root, {f"app/tea_{i}.py": f"def brew_tea_{i}():\n    return {i}\n" for i in range(50)}
    )
    text = ask("search", query="brew_tea_7")[1]
    assert "note: these changes are being read now" in text
    assert "50 files have changed" in text
    for _ in range(300):
        text = ask("search", query="brew_tea_7", limit=1)[1]
        if text.startswith("1. app/tea_7.py"):
            break
    else:
        pytest.fail(text)


def test_over_stdin_and_stdout_and_nothing_is_left(library):
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "codesearch", "mcp", str(library.root / "web")],
        env=environment(library.home, {}),
    )

    async def ask() -> tuple[list[str], tuple[bool, str]]:
        async with Client(command) as client:
            tools = (await client.list_tools()).tools
            assert all(tool.annotations.read_only_hint for tool in tools)
            assert all(tool.description for tool in tools)
            return [tool.name for tool in tools], await told(
                client, "search", {"query": "retry until it succeeds"}
            )

    names, (is_answered, text) = asyncio.run(ask())
    assert names == ["search", "similar", "repositories"]
    assert is_answered
    assert text.startswith("1. retry.go:3-11  function Retry")


def test_what_is_under_way_is_stopped_and_goes_on_later(own):
    root = make_repository(own.root.parent / "new", {"a.py": FILES["app/config.py"]})
    indexing = BackgroundIndexing(IndexHome(own.home))
    indexing.index(root)
    assert indexing.is_running
    indexing.index(root)  # one at a time
    indexing.stop()
    assert not indexing.is_running
    assert Place(own.home, root).run("query", "load_config", "-l").lines == ["a.py"]


def test_it_ends_with_stdin(library):
    done = subprocess.run(
        [sys.executable, "-m", "codesearch", "mcp"],
        cwd=library.root,
        env=environment(library.home, {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_what_is_missing_is_told(library, monkeypatch, tmp_path):
    assert "no folder" in library.run("mcp", str(tmp_path / "none")).fault()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "mcp must be installed" in library.run("mcp").fault()
