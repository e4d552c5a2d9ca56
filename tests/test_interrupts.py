"""Ctrl-C that falls where Python drops exceptions, or remembers them for too long."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from indexer import interrupts


@pytest.fixture
def _own_handler(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    interrupts.note_interrupts()
    yield
    signal.signal(signal.SIGINT, before)
    interrupts._pressed.clear()


@pytest.mark.usefixtures("_own_handler")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_key_pressed_inside_a_finalizer_is_told_later():
    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    interrupts.check_interrupted()
    Finalized()
    with pytest.raises(KeyboardInterrupt):
        interrupts.check_interrupted()


@pytest.mark.usefixtures("_own_handler")
def test_a_key_pressed_anywhere_else_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_was_caught_does_not_decide_how_the_process_ends(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import signal, sys
from indexer.interrupts import end_as_told, note_interrupts

note_interrupts()
try:
    exec("signal.raise_signal(signal.SIGINT)")
except KeyboardInterrupt:
    pass
end_as_told()
sys.exit(0)
""")
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"}
    ended = subprocess.run([sys.executable, "-m", "program"], env=environment, check=False)
    assert ended.returncode == 0
