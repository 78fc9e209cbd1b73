# `make studio` starts the studio, `make test` checks it. Both set up what is missing first and
# are quick when nothing changed. Without make: see "Without make" in README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed-runtime
DEVELOPMENT := $(VENV)/.installed-development
SYSTEM := $(VENV)/.installed-system

.DEFAULT_GOAL := help
.PHONY: help studio test lint types imports tests format screenshots clean

help:
	@echo "make studio        start DermaFlux Studio (sets up what is missing)"
	@echo "make test          every check and test (sets up what is missing)"
	@echo "make format        let ruff format and mend the code"
	@echo "make screenshots   take the pictures of docs/ from the real studio"
	@echo "make clean         remove the virtual environment and caches, never the workspace"

studio: $(RUNTIME)
	@$(BIN)/python app.py

test: lint types imports tests

lint: $(DEVELOPMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPMENT)
	$(BIN)/mypy

imports: $(DEVELOPMENT)
	$(BIN)/lint-imports

tests: $(DEVELOPMENT) $(SYSTEM)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest \
		-n 2 --dist loadfile --no-loadscope-reorder tests/web tests/service tests/unit

format: $(DEVELOPMENT)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshots: $(DEVELOPMENT) $(SYSTEM)
	$(BIN)/python -m docs.take_screenshots

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.txt | $(BIN)/python
	@echo "Installing what the studio runs on; this takes a few minutes the first time."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(DEVELOPMENT): requirements-dev.txt requirements-ray.txt $(RUNTIME)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(SYSTEM): .ci/system $(DEVELOPMENT)
	@sh .ci/system $(BIN)/python
	@touch $@
