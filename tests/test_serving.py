"""`codesearch serve`: the same answers at once, fresh, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codesearch.client import GREETING, connect, socket_path
from tests.command_line import Place, finish, start
from tests.git_repositories import make_repository, write

QUERIES = [
    ("read the json configuration", "--json"),
    ("retry until success", "--jsonl", "-k", "2"),
    ("load_config", "-l"),
    ("load_config", "--vimgrep", "--lang", "python"),
    ("talks http", "-k", "1", "--explain"),
    ("zzzz", "--lang", "zig"),
]


def serving(place: Place, *options: str):
    left = made_at(place.home)  # by a server that was killed: it is not the one to wait for
    process = start("serve", *options, home=place.home, cwd=place.root)
    deadline = time.monotonic() + 60
    while made_at(place.home) == left or not connect_closed(place.home):
        assert process.poll() is None, finish(process)
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def made_at(home: Path) -> int | None:
    """When the socket was made, ns; None: there is none."""
    path = socket_path(home)
    return path.stat().st_ctime_ns if path.exists() else None


def connect_closed(home: Path) -> bool:
    connection = connect(home)
    if connection is not None:
        connection.close()
    return connection is not None


def stopped(process, how: int = signal.SIGTERM):
    process.send_signal(how)
    return finish(process)


@pytest.fixture
def server(own: Place) -> Iterator[Place]:
    process = serving(own)
    yield own
    ended = stopped(process)
    assert ended.code == 0, ended
    assert not socket_path(own.home).exists()


def in_process(place: Place, *arguments: str, **options):
    return finish(start(*arguments, home=place.home, cwd=place.root, **options))


def without_time(out: str) -> str:
    if not out.startswith('{"query"'):
        return out
    return json.dumps(json.loads(out) | {"elapsed_ms": 0})


def test_a_served_query_is_the_query(own):
    alone = [own.run("query", *arguments) for arguments in QUERIES]
    process = serving(own)
    try:
        for arguments, expected in zip(QUERIES, alone, strict=True):
            for _ in range(2):
                found = own.run("query", *arguments)
                assert (found.code, without_time(found.out), found.err) == (
                    expected.code,
                    without_time(expected.out),
                    expected.err,
                )
    finally:
        stopped(process)


def test_a_fault_is_told_as_ever(server):
    assert "unknown kind 'x'" in server.run("query", "a", "--kind", "x").fault()
    assert "exclude each other" in server.run("query", "a", "--json", "-l").fault()
    assert "is not indexed" in server.run("query", "a", "--repo", "nowhere").fault()
    assert server.run("query", "load_config", "-l").code == 0


def found_first(place: Place) -> list[str]:
    return place.run("query", "brew coffee", "-l", "-k", "1").lines


def wait_for(condition: Callable[[], bool]) -> None:
    """On a busy machine a check is not quick, and is made between queries."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(2.5)


def test_a_change_is_seen(server):
    assert server.run("query", "brew coffee", "-l", "-k", "1").lines != ["app/coffee.py"]
    write(server.root, {"app/coffee.py": "def brew_coffee(cup):\n    return cup\n"})
    wait_for(lambda: found_first(server) == ["app/coffee.py"])
    (server.root / "app/coffee.py").unlink()
    wait_for(lambda: found_first(server) != ["app/coffee.py"])


def test_a_large_change_is_read_beside_it(server):
    tea = {f"app/tea_{i}.py": f"def brew_tea_{i}():\n    return {i}\n" for i in range(50)}
    write(server.root, tea)
    wait_for(lambda: "50 files have changed" in server.run("query", "brew_tea_7").err)
    wait_for(lambda: not server.run("query", "brew_tea_7").err)
    found = server.run("query", "brew_tea_7", "-l", "-k", "1")
    assert (found.lines, found.err) == (["app/tea_7.py"], "")


def test_a_rebuilt_index_is_opened_anew(server):
    assert server.run("query", "load_config", "-l").code == 0
    assert server.run("index", "--rebuild", "--path", "web", "-q").code == 0
    assert server.run("query", "configuration", "-l", "--all").lines == ["web/retry.go"]


def test_paths_are_those_of_where_the_user_stands(server):
    assert server.run("query", "load_config", "-l", "-k", "1", at="web").lines == [
        "../app/config.py"
    ]
    assert server.run("query", "load_config", "-l", "-k", "1", at="app").lines == ["config.py"]


def test_a_terminal_gets_its_colours_and_its_width(server):
    plain = server.run("query", "load_config", "-k", "1").out
    drawn = server.run(
        "query", "load_config", "-k", "1", env={"FORCE_COLOR": "1", "COLUMNS": "60"}
    ).out
    assert "\x1b[" in drawn
    assert "\x1b[" not in plain


def test_what_is_not_indexed_is_indexed_by_the_client(server):
    other = Place(server.home, make_repository(server.root.parent / "new", {"a.py": "a = 1\n"}))
    found = other.run("query", "a", "-l", "-k", "1")
    assert found.lines == ["a.py"]
    assert "is not indexed yet" in found.err


def test_many_queries_of_stdin_do_not_need_the_server(server):
    found = server.run("query", "-", stdin=b"load_config\nretry\n")
    assert len(found.lines) == 2


def test_a_second_server_is_refused(server):
    found = in_process(server, "serve")
    assert found.fault().startswith(f"{server.home} is served already")


def test_strangers_words_are_declined(server):
    for line in (b"\n", b"[]\n", b'{"protocol": 99}\n', b'{"protocol": 1, "options": {}}\n'):
        connection = connect(server.home)
        assert connection is not None
        with connection, connection.makefile("rwb") as stream:
            assert stream.readline() == GREETING
            stream.write(line)
            stream.flush()
            assert json.loads(stream.readline())["code"] is None
    connection = connect(server.home)  # says nothing and goes away
    assert connection is not None
    connection.close()
    assert server.run("query", "load_config", "-l").code == 0


def test_only_the_user_can_open_the_socket(server):
    path = socket_path(server.home)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_idle_server_stops_and_leaves_nothing(own):
    process = start("serve", "--idle", "0.02", home=own.home, cwd=own.root)
    ended = finish(process)
    assert ended.code == 0
    assert ended.err.startswith("serving at ")
    assert not socket_path(own.home).exists()


def test_what_a_killed_server_left_is_no_obstacle(own):
    process = serving(own)
    process.kill()
    finish(process)
    while connect_closed(own.home):  # a child that was just forked holds the socket until it runs
        time.sleep(0.05)
    assert socket_path(own.home).exists()
    assert own.run("query", "load_config", "-l").code == 0
    assert stopped(serving(own), signal.SIGINT).code == 0
    assert not socket_path(own.home).exists()


def test_a_file_or_a_strangers_socket_is_not_asked(own, tmp_path):
    socket_path(own.home).write_text("not a socket")
    assert connect(own.home) is None
    assert own.run("query", "load_config", "-l").code == 0


def test_a_server_that_breaks_off_is_replaced_by_the_client(own):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(socket_path(own.home)))
        listener.listen(1)
        listener.settimeout(30)
        process = start("query", "load_config", "-l", "-k", "1", home=own.home, cwd=own.root)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(GREETING)
            connection.recv(1 << 16)
            connection.sendall(b'{"code": 0, "out": 99, "err": 0}\nshort')
        assert finish(process).lines == ["app/config.py"]


def test_the_looks_are_those_of_the_client(own, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    process = serving(own)
    monkeypatch.delenv("FORCE_COLOR")
    try:
        assert own.run("query", "load_config", "-k", "1").lines[0].startswith("app/config.py:4-6 ")
    finally:
        assert stopped(process).code == 0


def test_a_server_that_says_nothing_is_not_waited_for(own):
    process = serving(own)
    process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    assert own.run("query", "load_config", "-l", "-k", "1").lines == ["app/config.py"]
    assert time.monotonic() - started < 15  # not the time that an answer may take
    process.send_signal(signal.SIGCONT)
    assert stopped(process).code == 0


def test_changes_are_seen_while_queries_come_without_a_pause(own, monkeypatch, tmp_path):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\nsleep 0.1\nexec {shutil.which("git")} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    process = serving(own)
    try:
        assert own.run("query", "brand_new_zebra", "-l", "-k", "1").code == 0
        (own.root / "zebra.py").write_text("def brand_new_zebra():\n    return 7\n")
        deadline = time.monotonic() + 60
        while own.run("query", "brand_new_zebra", "-l", "-k", "1").lines != ["zebra.py"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        assert stopped(process).code == 0


def test_a_deep_home_listens_elsewhere(tmp_path):
    deep = tmp_path / ("d" * 120)
    assert socket_path(deep).parent != deep
    assert socket_path(deep) != socket_path(tmp_path / ("d" * 121))


@pytest.mark.parametrize("minutes", ["0", "-3"])
def test_an_idle_time_must_be_one(own, minutes):
    assert f"--idle {minutes} is not above 0" in own.run("serve", "--idle", minutes).fault()
