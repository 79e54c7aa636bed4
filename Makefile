# Daily commands. Each one sets up .venv first, once, with pip alone:
#   make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PYTHON   ?= python3
PIP_ARGS ?=
JOBS     ?= 2
OUT      ?= demo
VENV     := .venv
STAMP    := $(VENV)/.installed

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

.DEFAULT_GOAL := help
.PHONY: help install format check test demo clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo
	@echo "  PIP_ARGS=...   more arguments for pip, such as another index (see README.md)"
	@echo "  JOBS=2         tests at a time"
	@echo "  OUT=demo       where make demo writes"

install: $(STAMP) ## Make .venv with medfuse and all that its tests need

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("medfuse needs Python 3.11 or newer; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --no-input $(PIP_ARGS) -c constraints.txt -e ".[dev]"
	@touch $@

format: $(STAMP) ## Format the code and mend what can be mended
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

check: $(STAMP) ## Formatting, lint and types (strict)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

test: $(STAMP) ## Run all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

demo: $(STAMP) ## Make a head, align its CT and PET with its MRI, write a page
	$(BIN)/medfuse demo --out $(OUT) --overwrite

clean: ## Remove .venv and what tools left behind
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
