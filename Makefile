# Two commands matter: `make report` and `make test`. Each sets up everything that it needs in .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
BIN := .venv/bin

.PHONY: help report test lint docs lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 10

report: .venv/ready ## fit the default model, record the forecasts, write the reports
	$(BIN)/forecast run

test: .venv/ready ## run every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --dist loadfile

lint: .venv/ready ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: .venv/ready ## rebuild the parts of docs/ that are made from the code and the data
	$(BIN)/python docs/build.py

lock: .venv/ready ## renew requirements.lock
	$(UV) pip compile -q pyproject.toml --extra dev --universal --python-version 3.12 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url -o requirements.lock

clean: ## remove what was built, except the ledger and the reports
	rm -rf build dist .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis

ifeq ($(UV),.uv/bin/uv)
UV_NEEDED := .uv/bin/uv
endif

.venv/ready: requirements.lock pyproject.toml .python-version | $(UV_NEEDED)
	$(UV) venv -q --allow-existing .venv
	$(UV) pip sync -q --require-hashes --compile-bytecode --python $(BIN)/python requirements.lock
	$(UV) pip install -q --no-deps --python $(BIN)/python -e .
	@touch $@

.uv/bin/uv:
	python3 -m pip install -q --target .uv uv
