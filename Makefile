# The whole set-up: `make run` and `make test` on a fresh machine with Python 3.11 or newer.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run install install-dev test faults lint screenshots bench clean

run: install
	@$(BIN)/trt-playground

# A stamp a set of packages: a second start takes no network and no install.
install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 run"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.installed
	$(BIN)/pip install --quiet --group dev
	@touch $@

# It ends within 80 minutes, whatever a test does: tests/runner.
test: install-dev lint
	$(BIN)/python -m tests.runner

# Kills, full disks, hostile checkpoints, garbage and random keys, for about twenty minutes.
faults: install-dev
	$(BIN)/python -m tests.faults

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

screenshots: install-dev
	$(BIN)/python -m screenshots.make

bench: install-dev
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf $(VENV)
