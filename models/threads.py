"""How threads of the computing libraries wait for each other, said before these are imported.

What the user has set stays.
"""

from __future__ import annotations

import os

# How often a thread of OpenMP looks whether the others are there before it gives its core up. By
# default it looks for milliseconds, and beside one other busy process a batch is encoded at two
# thirds of this speed (docs/decisions.md, 2026-11-29).
_LOOKS = "3000"


def share_cores() -> None:
    """Many threads, on cores that others may need too."""
    os.environ.setdefault("GOMP_SPINCOUNT", _LOOKS)


def keep_to_one_core() -> None:
    """One thread: what one query computes is too little to be shared.

    Threads that wait for a busy core cost a hundred times what they save.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
