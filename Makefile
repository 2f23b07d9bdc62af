# Everything from a fresh clone: `make demo` and `make test` set up .venv by themselves.
# Needs Python 3.11 or newer, make and a C compiler. On Linux, PyPI's torch may be a CUDA build of several GB;
# `make demo TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"` takes the small one.

PYTHON ?= python3
TORCH_ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install -q -c constraints.txt
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
NODE := @openai/agents-realtime@0.20.0 zod@4.6.7
SYSTEM := espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts chromium

.PHONY: help demo talk test check lint bench golden format clean

help:
	@echo "make demo    hold a spoken conversation with the bundled model and write it to ./demo-out"
	@echo "make talk    open the web page and speak to it yourself"
	@echo "make test    the whole test suite, with everything that 'make check' runs"
	@echo "make check   format, lint, types, import layers, fast tests, generated tables"
	@echo "make bench   the measurements behind the README's tables"
	@echo "make golden  write the golden files again (give the reason in the commit)"

.venv/.base: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "vivavoce needs Python 3.11 or newer; set PYTHON=/path/to/it" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing torch and the package into .venv"
	@$(PIP) $(TORCH_ARGS) $(TORCH)
	@$(PIP) -e .
	@touch $@

.venv/.talk: .venv/.base
	@$(PIP) -e '.[serve]'
	@touch $@

.venv/.dev: .venv/.talk
	@echo "installing what the tests need into .venv"
	@$(PIP) -e '.[serve,train,eval,dev,hf]'
	@touch $@

# Speech synthesis programs, a browser and a client on Node, for the tests that use them; those tests skip themselves where they are missing.
.venv/.system: .venv/.base
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  if ! dpkg -s $(SYSTEM) >/dev/null 2>&1; then \
	    echo "installing $(SYSTEM)"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM) >/dev/null; } \
	      || echo "some of these could not be installed; the tests that need them are skipped and say so"; \
	  fi; \
	else \
	  for program in espeak-ng flite festival chromium; do \
	    command -v $$program >/dev/null || echo "$$program is not installed; the tests that need it are skipped and say so"; \
	  done; \
	fi
	@if command -v npm >/dev/null; then \
	  echo "installing $(NODE) into node_modules"; \
	  npm install --silent --no-save --no-package-lock --no-audit --no-fund $(NODE) \
	    || echo "these could not be installed; the tests that need them are skipped and say so"; \
	else \
	  echo "npm is not installed; the test of the agents SDK is skipped and says so"; \
	fi
	@touch $@

demo: .venv/.base
	@$(BIN)/vivavoce demo

talk: .venv/.talk
	@$(BIN)/vivavoce talk

lint: .venv/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/cog --check README.md

check: lint
	$(BIN)/pytest -q -m "not slow and not network"

test: lint .venv/.system
	$(BIN)/pytest -q -m "not network"

bench: .venv/.dev
	@for question in bench/[!_]*.py; do echo "== $$question"; $(BIN)/python $$question || exit 1; done

golden: .venv/.dev
	$(BIN)/python -m pytest -q --golden tests/golden tests/rules

format: .venv/.dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:
	rm -rf .venv
