# Set-up and checks. Needs Python 3.11 or newer, git, make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# CPU build of torch by default; `make install TORCH_INDEX=` takes the usual one, with CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH ?= torch==2.13.0

.PHONY: install search test lint format types bench eval clean

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

bench: install
	$(BIN)/python scripts/measure_repos.py

eval: install
	$(BIN)/python scripts/evaluate.py --help

clean:
	rm -rf $(VENV) .index build *.egg-info
