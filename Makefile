# `make` lists the targets. Everything runs in .venv; nothing is installed outside this folder,
# but for `make test`, which needs some system packages (tests/provision.sh).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export UV_PYTHON_DOWNLOADS := never
# A notice about the future of MkDocs that drowns its real warnings.
export NO_MKDOCS_2_WARNING := 1

# The first Python that is new enough and can make an environment; PYTHON=… overrides.
FIND_PYTHON = for p in "$${PYTHON:-}" python3 python3.13 python3.12 python3.11; do \
	if [ -n "$$p" ] && "$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo "$$p"; exit 0; fi; done; \
	echo "Kinlore needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv)" >&2; exit 1

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

.PHONY: setup
setup: $(STAMP) ## Install everything into .venv (again only when the lock or pyproject.toml changed)

$(STAMP): requirements.lock pyproject.toml
	@py="$$($(FIND_PYTHON))"; \
	if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Making $(VENV) with $$("$$py" --version)"; rm -rf $(VENV); "$$py" -m venv $(VENV); fi
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --no-deps -e .
	@touch $@

.PHONY: demo
demo: setup ## Ingest a real sample, serve it, print the address
	@$(BIN)/kinlore demo

.PHONY: test
test: provision lint ## Lint and run every test
	$(BIN)/python -m pytest

.PHONY: provision
provision: setup ## Make sure of what the tests run for real: system packages, Neo4j, the source tools
	@tests/provision.sh
	@$(BIN)/python -m tests.neo4j_server --prepare
	@$(BIN)/python -m tests.tool_venvs

.PHONY: bench
bench: setup ## Measure, as ratios from one run
	$(BIN)/python -m tests.benchmarks

.PHONY: soak
soak: provision ## The long tests
	$(BIN)/python -m pytest -m soak

.PHONY: lint
lint: setup ## Style, types, import rules, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

.PHONY: wheels
wheels: setup ## Build Kinlore and its client into dist/
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --outdir dist ingestors/client

.PHONY: docs
docs: setup ## Build the docs into site/
	$(BIN)/mkdocs build --strict

.PHONY: lock
lock: ## Work out requirements.lock anew
	@[ -x $(BIN)/uv ] || { py="$$($(FIND_PYTHON))"; "$$py" -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	$(BIN)/uv pip compile pyproject.toml --extra semantic --extra dev --upgrade --quiet \
		--universal --python-version 3.11 --fork-strategy fewest \
		--no-header --no-annotate --output-file requirements.lock

.PHONY: clean
clean: ## Remove what was built; .cache (Neo4j's jars, tools for tests) stays
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.cache/*' -prune -exec rm -rf {} +
