# Everything here sets itself up: `make test` works in a fresh checkout.

PYTHON ?= python3
BIN := .venv/bin
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint guards verifier bench soak lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv with everything pinned by hash
	@tools/setup

demo: setup  ## five people, a real model, and everybody who tries more
	$(BIN)/python demo/demo.py

test:  ## check everything: lint, types, floors, tests, guards
	@tools/setup torch
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n 2 --dist loadgroup --durations 10
	@$(MAKE) --no-print-directory guards
	@$(BIN)/python tools/tcb.py --sums

lint: setup  ## format, lint, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

guards: setup  ## delete each guard of the trusted core once; some test must fail
	$(BIN)/python tools/guards.py

verifier: setup  ## write dist/strongroom-verify.pyz, the offline verifier in one file
	$(BIN)/python tools/verifier

bench:  ## measure speed against other tools
	@tools/setup bench
	$(BIN)/python bench/bench.py

soak: setup  ## the tests that run for long
	$(BIN)/pytest -m soak --timeout 0

lock: setup  ## write requirements/*.txt anew
	@tools/lock

clean:  ## remove what the targets here make
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist src/*.egg-info
	find . -name .git -prune -o -name __pycache__ -type d -exec rm -rf {} +
