"""What can be known of devices without importing torch."""

from __future__ import annotations

import ctypes
import sys


def has_cuda_driver() -> bool:
    """Whether there may be an NVIDIA GPU; whether torch can use it, only torch can tell."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
