# Kneepoint: `make run` opens the dashboard, `make test` checks the code. Both set up all they need.

PYTHON ?= python3
PIP_ARGS ?=
PORT ?= 8501

# Beside other load, threads that spin for each other take a hundred times longer than threads that sleep.
export GOMP_SPINCOUNT ?= 1000

VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: run fetch test check unit browser screenshots format clean

run: fetch
	@$(BIN)/python -m streamlit run app.py --server.port $(PORT)

fetch: $(RUN_STAMP)
	@$(BIN)/python -m engine fetch

test: check unit

check: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(DEV_STAMP)
	@$(BIN)/python -m engine fetch
	$(BIN)/python -m pytest -m "not browser" -n logical --maxprocesses 4 --dist worksteal

browser: $(DEV_STAMP)
	@$(BIN)/python -m engine fetch
	$(BIN)/python -m pytest -m browser

screenshots: $(DEV_STAMP)
	@$(BIN)/python -m tests.browser.screenshots

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Kneepoint needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another with: make run PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Could not make a virtual environment; on Debian and Ubuntu install the package python3-venv."; exit 2; }

# The stamps are made last, so that a broken installation never counts as done.
$(RUN_STAMP): requirements.txt | $(BIN)/python
	@echo "Installing the requirements into $(VENV): once, some minutes."
	$(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) -r requirements.txt
	@$(BIN)/python -m compileall -q app.py engine pages  # as pip does its own, even where Python is told not to
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) -r requirements-dev.txt
	@touch $@
