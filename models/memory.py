"""Memory that was freed goes back to the system.

Batches have hundreds of shapes. What one of them frees, the next one's buffers do not fit, and
small objects that live on keep the pieces apart: glibc then holds several times what is in use.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def release_free_memory() -> None:
    """Give back every free page of the heap, where the C library is one that can."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
