# make demo   sets everything up and takes a small network from training to a profiled run on a virtual board
# make test   static checks and the default tests;  make test-all  the slow ones too

VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' && \
	{ echo $$p; break; }; done)
BIN := $(VENV)/bin
# Tests at a time. Each of them may hold TensorFlow, about 1.5 GB.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
READY := $(VENV)/.ready-$(shell cksum < pyproject.toml | cut -d' ' -f1)

.PHONY: demo test test-slow test-all lint setup clean help

help:
	@sed -n '1,3p' Makefile

demo: setup
	PATH="$(abspath $(BIN)):$$PATH" sh examples/digits/demo.sh demo-output

test: lint
	$(PYTEST) -m "not slow"

test-slow: setup
	$(PYTEST) -m slow

test-all: lint
	$(PYTEST)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(READY)
	@$(BIN)/python -c 'import sys, edgeq, pathlib; sys.exit(pathlib.Path(edgeq.__file__).parent.parent != pathlib.Path.cwd())' \
	|| $(BIN)/python -m pip install --quiet --no-deps --editable .

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "edgeq needs Python 3.10, 3.11 or 3.12; name one with make PYTHON=..." >&2; exit 4; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "$(PYTHON) has no venv module: apt-get install python3-venv" >&2; exit 4; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "installing edgeq and what it needs into $(VENV) (TensorFlow is the large part, about 600 MB) ..."
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@rm -f $(VENV)/.ready-* && touch $@

clean:
	rm -rf $(VENV) demo-output build .mypy_cache .ruff_cache .pytest_cache
