# JinBench: `make run` does the main job, `make test` runs every test, `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup browser postgres run test check format lock clean

help: ## list the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

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

browser: ## install Chromium, its driver and a Chinese font, for the tests of pages
	@if command -v chromedriver >/dev/null && { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then \
	  echo "Chromium and chromedriver are here."; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && apt-get install -y -qq chromium chromium-driver fonts-noto-cjk; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
	  sudo -n apt-get update -qq && sudo -n apt-get install -y -qq chromium chromium-driver fonts-noto-cjk; \
	else \
	  echo "Install Chromium, the chromedriver of the same version and Noto Sans CJK, for example:" >&2; \
	  echo "  sudo apt-get install chromium chromium-driver fonts-noto-cjk" >&2; \
	  echo "  brew install --cask chromium chromedriver font-noto-sans-cjk-sc" >&2; \
	  exit 1; \
	fi

postgres: ## install PostgreSQL, for the tests of a desk that keeps its work in it
	@if ls /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin 2>/dev/null | grep -qx initdb || command -v initdb >/dev/null; then \
	  echo "PostgreSQL is here."; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
	  sudo -n apt-get update -qq && sudo -n apt-get install -y -qq --no-install-recommends postgresql; \
	else \
	  echo "Install PostgreSQL, for example:" >&2; \
	  echo "  sudo apt-get install postgresql" >&2; \
	  echo "  brew install postgresql" >&2; \
	  exit 1; \
	fi

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
