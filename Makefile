# Everything runs in .venv, which is made on first use. Needed beforehand: Python >= 3.11, git, make.
# `make run` and `make test` do all that they need by themselves.

PYTHON ?= $(firstword $(shell command -v python3 python3.14 python3.13 python3.12 python3.11 python) python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
# pip is pinned where the other versions are.
PIP_PIN := $(shell grep '^pip==' constraints.txt)
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help sync run test pytest lint format types layers lit docs check bench bench-kernels bench-runtime clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "nnc needs Python >= 3.11: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_PIN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . --group dev
	@touch $@

sync: $(STAMP) ## make .venv with the pinned versions

run: sync ## fetch a trained model, compile it, classify files of this repository with it
	$(BIN)/python examples/classify_files.py

test: lint types layers pytest ## everything that must hold: lint, types, layers, all tests

pytest: sync ## all tests
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

lint: sync ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: sync ## put the formatting right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: sync ## pyright, strict
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: sync ## who may import whom (docs/layout.md)
	$(BIN)/lint-imports

lit: sync ## the lit tests, each as programs of their own (slow; pytest runs the same files)
	$(BIN)/lit -v tests/lit

docs: sync ## the documentation as a site, in build/site
	rm -rf build/site build/doctrees  # every page shows the list of all pages
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs build/site
	@echo build/site/index.html

check: lint types layers ## what needs no run

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group bench
	@touch $@

# The whole takes half an hour and goes into the README; make bench BENCH="--only mlp --quick" does a part.
BENCH ?= --picture docs/bench.svg --readme README.md

bench: $(BENCH_STAMP) ## against other runtimes: installs them, measures, puts the table into the README
	$(BIN)/python benchmarks/peers.py $(BENCH)
	$(BIN)/python benchmarks/kernels_peers.py
	$(BIN)/python benchmarks/overhead.py

bench-kernels: sync ## two kernels against the machine's measured FMA peak
	$(BIN)/python benchmarks/kernels.py

bench-runtime: sync ## what a call, a barrier, a wake-up and a model from the cache cost
	$(BIN)/python benchmarks/runtime.py

clean: ## remove what was made here
	rm -rf $(VENV) build dist *.egg-info src/*.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
