"""Ctrl-C that cannot get lost: Python drops a KeyboardInterrupt that falls into a finalizer.

Importing torch runs thousands of them. So the key is also noted, and long loops ask for it.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_pressed = threading.Event()


def note_interrupts(number: int = signal.SIGINT) -> None:
    """Take over Ctrl-C, or another signal, for the process; call it in the main thread."""
    signal.signal(number, _note)


def check_interrupted() -> None:
    """Raise the KeyboardInterrupt that was dropped, if there was one."""
    if _pressed.is_set():
        raise KeyboardInterrupt


def end_as_told() -> None:
    """Let the process end with its exit code, though there was an interrupt that was caught.

    One that falls into an `exec` of text, as where a dataclass is made, marks a process that was
    started with `python -m` to die of SIGINT at its end; any later `exec` takes that mark away.
    """
    exec("")


def _note(number: int, frame: FrameType | None) -> None:
    _pressed.set()
    raise KeyboardInterrupt
