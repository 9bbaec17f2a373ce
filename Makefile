# Branchline. `make up` starts it, `make test` proves it; both set up whatever is missing first.
# Variables: PORT= and DATA= (for up), PYTHON=, CHROMIUM=, ARGS= (for pytest and bench).

SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python

# An environment whose Python is gone is made anew.
ifneq ($(wildcard .venv),)
ifneq ($(shell $(PY) -c 'print(1)' 2>/dev/null),1)
$(shell rm -f .venv/.installed-base .venv/.installed-dev)
endif
endif

canvas_sources := $(shell find designer/canvas -name node_modules -prune -o -type f -print 2>/dev/null)

.PHONY: help up test check bench chaos pictures lock fmt clean

help:
	@echo "make up [PORT=8000] [DATA=.branchline]   start everything, print the address"
	@echo "make test [ARGS=...]                      the whole suite"
	@echo "make check                                formats, lints, types, contracts"
	@echo "make bench | chaos | pictures | lock | fmt | clean"

up: .venv/.installed-base static/island/.built
	@exec $(PY) manage.py up

test: .venv/.installed-dev static/island/.built
	@chromium=$$(.ci/chromium) && CHROMIUM="$$chromium" $(PY) -m pytest $(ARGS)
	@.ci/canvas test

check: .venv/.installed-dev static/island/.built
	@.ci/check

bench: .venv/.installed-base static/island/.built
	@exec $(PY) manage.py bench $(ARGS)

chaos: .venv/.installed-dev
	@exec env BRANCHLINE_CHAOS=long $(PY) -m pytest -s -m chaos $(ARGS)

pictures: .venv/.installed-dev static/island/.built
	@chromium=$$(.ci/chromium) && CHROMIUM="$$chromium" $(PY) -m docs.pictures.take

lock: .venv/.installed-dev
	@for name in tools base tracing dev node; do \
		echo "requirements/$$name.txt"; \
		$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			--no-emit-index-url --no-emit-find-links requirements/$$name.in -o requirements/$$name.txt || exit; \
	done
	@node=$$(.ci/node) && cd designer/canvas && PATH="$$node:$$PATH" npm install --package-lock-only --omit-lockfile-registry-resolved

fmt: .venv/.installed-dev
	@$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format --quiet .
	@templates=$$(find templates -name '*.html'); \
		.venv/bin/djade --target-version 5.2 $$templates || true; .venv/bin/djhtml $$templates || true
	@.ci/canvas install && cd designer/canvas && PATH="$$(../../.ci/node):$$PATH" npx biome check --write .

clean:
	@rm -rf .venv static/island designer/canvas/node_modules .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	@echo "Kept: .branchline (your data). Remove it yourself to start anew."

.venv/.installed-base: requirements/tools.txt requirements/base.txt
	@.ci/python base

.venv/.installed-dev: requirements/tools.txt requirements/base.txt requirements/dev.txt
	@.ci/python dev

static/island/.built: $(canvas_sources) requirements/node.txt | .venv/.installed-base
	@.ci/canvas build
