# JinBench: `make run` does the main job, `make test` runs every test, `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup browser postgres run leaderboard test test-fast versions check format lock clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "JinBench needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Type: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	@if [ -e $@ ] || [ ! -e $(BIN)/python ]; then $(PYTHON) -m venv --clear $(VENV); fi
	@echo "Installing $$(grep -c '^[a-z]' $<) packages into $(VENV) …"
	@$(PIP) --require-hashes --requirement $<
	@$(PIP) --no-build-isolation --editable .
	@touch $@
endef

setup: $(VENV)/made-from ## make the environment of developers from the lock file

$(VENV)/made-from: requirements.lock pyproject.toml
	$(install)

$(VENV)/made-from-run: requirements-run.lock pyproject.toml
	$(install)

# The main job needs a part of the environment of developers, and is content with that where it is.
run: leaderboard $(VENV)/made-from$(if $(wildcard $(VENV)/made-from),,-run) ## pages → Label Studio → labels → dataset → baselines → leaderboard, compared with what is committed
	$(BIN)/jinbench reproduce

leaderboard: ## print the leaderboard as committed
	@cat leaderboard/leaderboard.md

# Where CI is set the machine may be new, and the tests of pages and of PostgreSQL may not be skipped.
test: setup check $(if $(CI),browser postgres versions) ## every check and every test, the ones with the real Label Studio included
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: setup ## the tests that need no server, browser or database, and are not slow
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not server and not browser and not postgres and not slow"

browser: ## install Chromium, its driver and a Chinese font, for the tests of pages
	@tools/install_system_packages.sh browser

postgres: ## install PostgreSQL, for the tests of a server that keeps its labels in it
	@tools/install_system_packages.sh postgres

versions: setup ## the lowest and the newest versions of the dependencies, on each Python that is here
	$(BIN)/python tools/check_versions.py

check: setup ## format, lint, types, who imports whom
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## renew the lock files (needs the network)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --all-extras --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --extra run --constraint requirements.lock --output-file requirements-run.lock pyproject.toml
	echo "label-studio==$$($(BIN)/python -c 'from jinbench.annotation.exports import VERSION; print(VERSION)')" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file jinbench/labelstudio/server/labelstudio.lock -

clean: ## remove the environment and everything that was made again
	rm -rf $(VENV) build dist
