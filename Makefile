# Each target works from a fresh clone: Python 3.11 or later, git and make are enough.
#   make PYTHON=/path/to/python3.12 test     another interpreter
#   make JOBS=0 test                         tests one after the other, in one process

BIN := .venv/bin
STAMP := .venv/.installed
JOBS ?= 2

export PYTHON
unexport PYTHONHOME PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help setup docker demo test test-slow lint lock upgrade bench wheel clean

help:
	@echo "make demo      a finished adaptive session of a scripted agent in Docker, and its report"
	@echo "make test      lint, types, doctests, unit and integration tests"
	@echo "make test-slow what takes minutes, such as hundreds of kills at every boundary"
	@echo "make lint      ruff and mypy only"
	@echo "make bench     speed and accuracy against other programs: takes about an hour"
	@echo "make setup     .venv with the locked dependencies, nothing else"
	@echo "make docker    see to a Docker engine, or say what to do next"
	@echo "make lock      write requirements.lock anew (make upgrade: with newer versions)"
	@echo "make wheel     source distribution and wheel in dist/"
	@echo "make clean     remove .venv, caches and build products; runs/ stays"

$(STAMP): requirements.lock pyproject.toml scripts/venv.sh scripts/python.sh
	@sh scripts/venv.sh
	@touch $@

setup: $(STAMP)

docker: $(STAMP)
	@$(BIN)/cat-harness doctor --fix

demo: docker
	$(BIN)/cat-harness run --bank item_banks/coding-starter --agent persona:1.0 \
		--stop "sd<0.5" --max-items 8 --seed 1
	$(BIN)/cat-harness report "$$(ls -td runs/*/ | head -n 1)"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One BLAS thread: on a busy machine two of them wait for each other most of the time.
# Docker is there by now, so a test that cannot reach it fails instead of skipping.
# Docker tests share images and count what is left behind: one after the other, and last.
PYTEST := OPENBLAS_NUM_THREADS=1 CAT_HARNESS_REQUIRE_DOCKER=1 $(BIN)/pytest
test: lint docker
	$(PYTEST) -n $(JOBS) -m "not docker and not slow"
	$(PYTEST) -m "docker and not slow"

test-slow: docker
	$(PYTEST) -m slow

bench: $(STAMP)
	@set -e; for file in benchmarks/[!_]*.py; do \
		echo "== $$file"; $(BIN)/python "$$file"; \
	done

lock:
	@sh scripts/lock.sh

upgrade:
	@sh scripts/lock.sh --upgrade

# hatchling is in the lock, so building needs no isolated environment and no network.
wheel: $(STAMP)
	$(BIN)/hatchling build

clean:
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
