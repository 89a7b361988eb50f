# `make run`, `make demo` and `make test` each set up what they need and do their job. Only Python >= 3.11 is assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is applied to a cluster; the other two are for kustomize and for the service.
MANIFESTS := $(filter-out %/kustomization.yaml %/remediator.yaml,$(wildcard deploy/kubernetes/*.yaml deploy/kubernetes/several/*.yaml))

.PHONY: run demo test chaos soak bench lint format lock docs site clean help

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: $(VENV)/.runtime  ## run the service on the embedded store with the rules of rules/ (ARGS='-c FILE': other settings)
	$(BIN)/remediator $(ARGS) serve

demo: $(VENV)/.runtime  ## play the whole story in this terminal (ARGS=--yes without one)
	$(BIN)/remediator demo $(ARGS)

test: $(VENV)/.development  ## run every test, against the real services (WORKERS=N: how many at once; 0 for one after the other)
	tests/install-services
	$(BIN)/pytest -n $(or $(WORKERS),3) --dist loadfile $(ARGS)

soak: $(VENV)/.development  ## kill it 500 times on each store (SOAK_DIR=FOLDER goes on where it was, SOAK_KILLS=N: fewer)
	tests/install-services
	$(BIN)/python -m tests.crash.soak

chaos: $(VENV)/.development  ## the tests of outages and storms, longer and larger (SCALE=8), with what they measure
	tests/install-services
	CHAOS_SCALE=$(or $(SCALE),8) $(BIN)/pytest tests/chaos tests/integration/test_alertmanager_storms.py \
		tests/contract/test_limits_hold.py \
		-o timeout=3600 -o log_cli=true -o log_cli_level=info $(ARGS)

bench: $(VENV)/.development  ## measure it, and write the tables of docs/performance.md (WHAT=accept: one alone; all: about 40 minutes)
	tests/install-services
	$(BIN)/python -m bench $(or $(WHAT),all) --write docs/performance.md -o $(VENV)/bench $(ARGS)

lint: $(VENV)/.development  ## ruff, mypy, import contracts, shipped files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/remediator check rules
	promtool check rules deploy/prometheus/*.yml
	$(if $(wildcard deploy/prometheus/tests/*.yml),promtool test rules deploy/prometheus/tests/*.yml)
	promtool check config --syntax-only deploy/compose/prometheus.yml
	amtool check-config alertmanager-example.yml deploy/compose/alertmanager.yml
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/compose-lint check --quiet --fail-on low --skip-suppressed --strict-config \
		--config deploy/compose/.compose-lint.yml deploy/compose/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet $(MANIFESTS)
	$(BIN)/mkdocs build --strict --site-dir $(VENV)/site

format: $(VENV)/.development  ## write all code the way `lint` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.development  ## write the reference pages from the code
	$(BIN)/python docs/reference.py

site: $(VENV)/.development  ## build the pages as a site, in site/
	$(BIN)/mkdocs build --strict

lock: $(VENV)/.development  ## resolve the requirements anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		pyproject.toml --extra apprise --group build -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		pyproject.toml --extra apprise --group build --group dev -c requirements.lock -o requirements-dev.lock

clean:  ## forget the environment and caches
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "remediator needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "setting up $(VENV), once"
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: $(VENV)/bin/python requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.development: $(VENV)/bin/python requirements-dev.lock pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime
