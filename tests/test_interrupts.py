"""Ctrl-C that falls where Python drops exceptions."""

import signal

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
