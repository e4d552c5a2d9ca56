# Set-up and checks. Needs Python 3.11 or newer, git, make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# CPU build of torch by default; `make install TORCH_INDEX=` takes the usual one, with CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH ?= torch==2.13.0
# What `measure` and `eval` read: benchmark data, and a checkout of each repository that it names.
BENCHMARKS ?= data/bench
CHECKOUTS ?= data/repo-search
DEVICE ?= cpu

# What `paper` trains and tests on: what `scripts/mine_tasks.py` wrote.
TASKS ?= data/tasks

.PHONY: install search test lint format types bench measure eval paper clean

install: $(VENV)/installed

# pip tries the places of its own configuration first, so a local wheel needs no network.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	scripts/install_torch.sh $(BIN)/python "$(TORCH)" "$(TORCH_INDEX)"
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

search: install
	CODESEARCH_INDEX=.index $(BIN)/codesearch index .
	CODESEARCH_INDEX=.index $(BIN)/codesearch query "choose which blocks of tokens attend to each other" -k 3

test: install lint types
	$(BIN)/python -m pytest -q

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install
	$(BIN)/mypy

# How fast it is, against full attention and sentence-transformers; `DEVICE=cuda` on a GPU.
bench: install
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python scripts/bench.py all --device $(DEVICE)

# Real repositories, indexed and asked as a user would.
measure: install
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python scripts/measure_repos.py $(CHECKOUTS)

eval: install
	$(BIN)/python scripts/evaluate.py repo-search $(BENCHMARKS)/repo-search --checkouts $(CHECKOUTS)
	$(BIN)/python scripts/evaluate.py cosqa $(BENCHMARKS)/cosqa

# Four long-code tasks, every system with three seeds; goes on where it was interrupted.
paper: install
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python scripts/paper.py $(TASKS)

clean:
	rm -rf $(VENV) .index build *.egg-info
