# `make demo` and `make test` each do all their own set-up; a second run does not do it again.
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
INPUTS := pyproject.toml constraints.txt

# Tests and benchmarks on real data find it through DYNMM_DATA, and skip with a reason where it is not set.
ifeq ($(origin DYNMM_DATA),undefined)
ifneq ($(wildcard ../shared/data/.),)
export DYNMM_DATA := $(abspath ../shared/data)
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo senses test lint bench clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.ready-demo  ## fit, evaluate and recommend on MovieLens; writes demo/report.html
	$(BIN)/dynmm demo --data examples/movielens --out demo

senses: $(VENV)/.ready-demo  ## the same on a small simulated world with pictures; writes demo/senses/report.html
	$(BIN)/dynmm demo --out demo/senses

test: lint $(VENV)/.has-servers  ## every check: ruff, mypy, import rules, pytest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

lint: $(VENV)/.ready-dev  ## ruff, mypy and the import rules, without the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready-dev  ## every benchmark, one after the other; writes benchmarks/results/*.json
	@mkdir -p benchmarks/results
	@set -e; for file in benchmarks/[a-z]*.py; do \
	  name=$$(basename $$file .py); echo "== $$name"; \
	  $(BIN)/python $$file --out benchmarks/results/$$name.json; \
	done

clean:  ## remove the virtual environment, caches and outputs
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.has-torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt torch==2.13.0
	touch $@

# Logs on servers are tested on real ones. Where these cannot be had, the tests skip with the reason.
$(VENV)/.has-servers: $(VENV)/.has-torch
	@PATH="$$PATH:/usr/sbin"; if command -v redis-server && command -v nats-server; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    redis-server nats-server || echo "no Redis and NATS to test with"; \
	else echo "no Redis and NATS to test with: install redis-server and nats-server"; fi
	touch $@

$(VENV)/.ready-demo: $(VENV)/.has-torch $(INPUTS)
	$(PIP) -c constraints.txt -e '.[eval,llm]'
	touch $@

$(VENV)/.ready-dev: $(VENV)/.has-torch $(INPUTS)
	$(PIP) -c constraints.txt -e '.[eval,dev]'
	touch $@
