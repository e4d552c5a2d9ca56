"""Tests of the whole program, with one BLAS thread as `codesearch query` has it."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
