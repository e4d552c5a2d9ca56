"""Worker processes: a crash costs one file, and nothing outlives the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import indexer.prepare
from indexer.prepare import Preparer, SourceFile
from indexer.workers import CRASHED, available_cores, prepare_files

ROOT = Path(__file__).parent.parent
# A worker that imports this module as its main one dies on a file of this name.
PROGRAM = """
    import os, sys, time
    from indexer.prepare import Preparer, SourceFile
    from indexer.workers import prepare_files
    from models.checkpoint import open_checkpoint

    original = Preparer.prepare

    def prepare(self, file):
        if "crash" in file.path:
            os.abort()
        if "slow" in file.path:
            os.write(1, f"worker {os.getpid()}\\n".encode())  # whole, beside another worker's
            time.sleep(60)
        return original(self, file)

    Preparer.prepare = prepare

    def files(special, count=200):
        for i in range(count):
            name = f"{special[i]}{i}.py" if i in special else f"m{i}.py"
            yield SourceFile(name, f"{i:040d}", f"def f{i}():\\n    return {i}\\n".encode())
"""


def start(tmp_path: Path, main: str, above: str = "") -> subprocess.Popen[str]:
    script = tmp_path / "program.py"
    body = textwrap.indent(textwrap.dedent(main).strip(), "    ")
    script.write_text(f"{textwrap.dedent(PROGRAM)}{above}\nif __name__ == '__main__':\n{body}\n")
    return subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


needs_workers = pytest.mark.skipif(available_cores() == 1, reason="one core has no workers")


@needs_workers
def test_a_file_that_kills_its_worker_is_skipped_and_the_rest_goes_on(tmp_path):
    program = start(
        tmp_path,
        """
        for file in prepare_files(open_checkpoint(), files({3: "crash", 150: "crash"})):
            print(file.path, file.language, file.skipped, len(file.chunks))
        """,
    )
    lines = program.communicate(timeout=120)[0].splitlines()
    assert len(lines) == 200
    assert [line for line in lines if CRASHED in line] == [
        f"crash3.py python {CRASHED} 0",
        f"crash150.py python {CRASHED} 0",
    ]
    assert [int(line.split(".")[0].lstrip("mcrash")) for line in lines] == list(range(200))
    assert sum(line.endswith("None 2") for line in lines) == 198


@needs_workers
def test_where_no_worker_lives_no_file_is_to_blame(tmp_path):
    program = start(
        tmp_path,
        """
        from indexer.errors import WorkersFailed
        try:
            print(len(list(prepare_files(open_checkpoint(), files({})))))
        except WorkersFailed as error:
            print(error, error.hint, sep="; ")
        """,
        above="if __name__ != '__main__': os._exit(1)",
    )
    said = program.communicate(timeout=120)[0]
    assert said.startswith("the processes that read files end as soon as they start; free some")


@needs_workers
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_the_run(tmp_path, kill):
    program = start(
        tmp_path,
        """
        import signal
        signal.signal(signal.SIGINT, lambda *_: os._exit(1))
        list(prepare_files(open_checkpoint(), files({0: "slow", 8: "slow"})))
        """,
    )
    assert program.stdout is not None
    worker = int(program.stdout.readline().split()[1])
    program.send_signal(kill)
    program.wait(timeout=30)
    end = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    program.stdout.close()


def test_closing_early_ends_the_workers(checkpoint):
    source = (
        SourceFile(f"m{i}.py", f"{i:040d}", f"def f{i}():\n    return {i}\n".encode())
        for i in range(2000)
    )
    prepared = prepare_files(checkpoint, source)
    assert next(prepared).path == "m0.py"
    prepared.close()
    assert next(source).path != "m1999.py"


def test_few_files_start_no_workers(checkpoint, monkeypatch):
    calls = []
    original = Preparer.prepare
    monkeypatch.setattr(
        indexer.prepare.Preparer, "prepare", lambda *a: calls.append(1) or original(*a)
    )
    source = [SourceFile(f"m{i}.py", f"{i:040d}", b"x = 1\n") for i in range(20)]
    assert len(list(prepare_files(checkpoint, source))) == len(calls) == 20
