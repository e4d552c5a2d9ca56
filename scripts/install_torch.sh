#!/bin/sh
# Install a CPU build of torch, unless torch is there: PYTHON REQUIREMENT INDEX_URL
#
# The package registry's torch for Linux brings several GB of CUDA. The CPU index has the build
# without; where that index cannot be reached, pip's own configuration may know a local wheel. An
# empty INDEX_URL takes the registry's build on purpose (for a GPU).
set -eu
python=$1 requirement=$2 index=$3

if "$python" -c "import torch" 2>/dev/null; then
    exit 0
fi
if [ -z "$index" ]; then
    exec "$python" -m pip install --quiet torch
fi
if "$python" -m pip install --quiet --no-index --no-deps "$requirement" 2>/dev/null; then
    exit 0 # a wheel that pip already knows of (find-links); its dependencies follow with ours
fi
if "$python" -m pip install --quiet --index-url "$index" "$requirement"; then
    exit 0
fi
echo "torch could not be installed from $index." >&2
echo "Install a CPU build of $requirement into this environment, then run make again." >&2
exit 1
