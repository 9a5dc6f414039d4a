# SPDX-License-Identifier: Apache-2.0
# Every target does the set-up it needs; `make` alone lists them.

SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
.DEFAULT_GOAL := help
.PHONY: help env demo test check lint rules layout types mypy pyright layers contract unit embedded kafka long long-kafka soak bench bench-kafka format proto baseline docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##/\1	/p' Makefile | expand -t 12

env:  # Python, uv and .venv; a second run takes a tenth of a second
	@command -v $(PYTHON) >/dev/null || { echo "singlepool needs Python 3.11 or newer, and '$(PYTHON)' is not here: install it, or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "singlepool needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1): install a newer one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) tools/bootstrap.py

demo: env  ## play a real training trace, fenced and as one pool; ARGS='--output json' for options
	$(BIN)/singlepool demo $(ARGS)

test: check unit  ## everything that must hold before a commit

check: lint types layers contract  ## all of that but the tests

lint: rules layout  ## style and layout

rules: env
	$(BIN)/ruff check .

layout: env
	$(BIN)/ruff format --check .

types: mypy pyright  ## mypy strict and pyright strict

mypy: env
	$(BIN)/mypy

pyright: env
	$(BIN)/basedpyright

layers: env  ## who may import whom
	$(BIN)/lint-imports

contract: env  ## generated code, promises to readers, generated pages
	$(BIN)/python -m tools.protos check
	$(BIN)/python -m tools.contract check
	$(BIN)/python -m tools.event_page check
	$(BIN)/python -m tools.topic_page check
	$(BIN)/python -m tools.asyncapi check
	$(BIN)/python -m tools.examples check

# Tests on a real broker have whole processes and their silences in them: they get the machine to themselves.
KAFKA_TESTS = tests/kafka tests/intake tests/live tests/operate tests/upstream

unit: embedded kafka  ## the quick tests alone

embedded: env
	$(BIN)/pytest -n $(WORKERS) -m 'not long' $(KAFKA_TESTS:%=--ignore=%)

kafka: env  ## those of them on a real Kafka
	$(BIN)/pytest -n 1 -m 'not long' $(KAFKA_TESTS)

long: env  ## the tests that take minutes
	$(BIN)/pytest -n $(WORKERS) -m long --hypothesis-profile=long $(KAFKA_TESTS:%=--ignore=%)

long-kafka: env  ## the same on a real Kafka, where processes die
	$(BIN)/pytest -n 1 -m 'long and not soak' $(KAFKA_TESTS)

soak: env  ## the longest of those: a hundred kills of each process, two days of a trace
	$(BIN)/pytest -n 1 -m soak $(KAFKA_TESTS)

# Those that start a broker of their own: a file says so by importing what starts one.
KAFKA_BENCHES = $(shell grep -l 'tests.kafka.conftest' tests/bench/bench_*.py)
BENCHES = $(filter-out $(KAFKA_BENCHES),$(wildcard tests/bench/bench_*.py))

bench: env  ## measure; one JSON object a line
	@for bench in $(BENCHES); do $(BIN)/python -m $$(echo $${bench%.py} | tr / .) || exit 1; done

bench-kafka: env  ## the same, for what needs a real broker
	@for bench in $(KAFKA_BENCHES); do $(BIN)/python -m $$(echo $${bench%.py} | tr / .) || exit 1; done

format: env  ## sort imports, lay out code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: env  ## generate the wire types from schemas/v1/*.proto
	$(BIN)/python -m tools.protos write

baseline: env  ## accept the contract as it is now, if it breaks nobody
	$(BIN)/python -m tools.contract accept

docs: env  ## write the pages that are made from contract, topics and views
	$(BIN)/python -m tools.event_page write
	$(BIN)/python -m tools.topic_page write
	$(BIN)/python -m tools.asyncapi write
	$(BIN)/python -m tools.examples write
	$(BIN)/python -m analytics.view_page > docs/views.md

clean:  ## remove environments and caches
	rm -rf .venv .venv-tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
