# Everything a developer runs.  `make` alone lists the targets.

PYTHON  ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
             $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN     := .venv/bin
TESTS   ?= tests
WORKERS ?= 3
COMPILE  = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
             --no-emit-index-url --custom-compile-command "make lock" $(UPGRADE)

# Where it is set, each program that a test or a measurement starts would compile all of ours again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit bench fmt lint types imports kafka connect lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.installed ## make .venv with the locked dependencies and this package

.venv/.installed: requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make setup PYTHON=/path/to/it" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## a live migration under load, on a server of its own
	$(BIN)/switchback demo

test: lint types imports kafka connect ## all checks and all tests, with real servers
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(TESTS)

unit: setup ## the tests that need no server
	$(BIN)/pytest tests/unit tests/architecture

bench: setup kafka ## measure, side by side in one run
	$(BIN)/python -m tests.bench

fmt: setup ## format, and repair what lint can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup ## static types
	$(BIN)/mypy

imports: setup ## who may import whom
	$(BIN)/lint-imports --no-logo

kafka: ## fetch the jars of a Kafka broker, once
	@deploy/kafka/broker fetch

connect: ## fetch the jars of a Kafka Connect worker with Debezium's JDBC sink, once
	@deploy/connect/connect fetch

lock: setup ## write the lock files anew; UPGRADE=--upgrade takes newer versions
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --extra embedded --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) --group build --constraint requirements-dev.lock --output-file requirements-build.lock

clean: ## remove what was made here, but for the jars
	rm -rf .venv .demo .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
