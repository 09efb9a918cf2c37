# JinBench: `make run` does the main job, `make test` runs every test, `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup browser postgres run test test-fast check format lock clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/made-from ## make the environment from the lock file

$(VENV)/made-from: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "JinBench needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Type: make PYTHON=python3.11 run")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

run: setup ## pages → Label Studio → labels → dataset → baselines → leaderboard, compared with what is committed
	$(BIN)/jinbench reproduce

# Where CI is set the machine may be new, and the tests of pages and of PostgreSQL may not be skipped.
test: setup check $(if $(CI),browser postgres) ## every check and every test, the ones with the real Label Studio included
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: setup ## the tests that need no server, browser or database, and are not slow
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not server and not browser and not postgres and not slow"

browser: ## install Chromium, its driver and a Chinese font, for the tests of pages
	@tools/install_system_packages.sh browser

postgres: ## install PostgreSQL, for the tests of a server that keeps its labels in it
	@tools/install_system_packages.sh postgres

check: setup ## format, lint, types, who imports whom
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## renew both lock files (needs the network)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --all-extras --output-file requirements.lock pyproject.toml
	echo "label-studio==$$($(BIN)/python -c 'from jinbench.annotation.exports import VERSION; print(VERSION)')" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file jinbench/labelstudio/server/labelstudio.lock -

clean: ## remove the environment and everything that was made again
	rm -rf $(VENV) build dist
