# Everything from a fresh clone: `make demo` and `make test` set up .venv by themselves.
# Needs Python 3.11 or newer, make and a C compiler. On Linux, PyPI's torch may be a CUDA build of several GB;
# `make demo TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"` takes the small one.

PYTHON ?= python3
TORCH_ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install -q -c constraints.txt
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
SYSTEM := espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts codec2 chromium

.PHONY: help demo talk test suite check lint clients models bench golden format clean

help:
	@echo "make demo    hold a spoken conversation with the bundled model and write it to ./demo-out"
	@echo "make talk    open the web page and speak to it yourself; MODEL=open: about anything (fetches 240 MB once)"
	@echo "make test    the whole test suite, with everything that 'make check' runs"
	@echo "make check   format, lint, types, import layers, fast tests, generated tables"
	@echo "make clients environments of the clients that the tests drive (make test makes them too)"
	@echo "make models  other people's models that the tests use where they are there (330 MB, into .venv/data)"
	@echo "make bench   the measurements behind docs/measured.md"
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
	@$(PIP) -e '.[serve,train,eval,dev,hf,open]'
	@touch $@

# Speech programs and a browser, for the tests that use them; those tests skip themselves where they are missing.
.venv/.system: .venv/.base
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  if ! dpkg -s $(SYSTEM) >/dev/null 2>&1; then \
	    echo "installing $(SYSTEM)"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM) >/dev/null; } \
	      || echo "some of these could not be installed; the tests that need them are skipped and say so"; \
	  fi; \
	else \
	  for program in espeak-ng flite festival c2enc chromium; do \
	    command -v $$program >/dev/null || echo "$$program is not installed; the tests that need it are skipped and say so"; \
	  done; \
	fi
	@touch $@

# Clients of OpenAI's interface, each in an environment of its own under .venv/clients; what is there and as pinned costs nothing.
clients: .venv/.dev
	@$(BIN)/python tests/contract/clients/build.py

# Other people's models for the tests, fetched once; whoever names a data folder of their own keeps them there.
MODELS := whisper-base smollm2-135m-instruct kokoro-ja
models: export VIVAVOCE_DATA := $(or $(VIVAVOCE_DATA),$(CURDIR)/.venv/data)
models: export VIVAVOCE_MIRRORS := $(or $(VIVAVOCE_MIRRORS),$(CURDIR)/tests/mirrors.json)
models: .venv/.dev
	@$(BIN)/vivavoce models get $(MODELS)

demo: .venv/.base
	@$(BIN)/vivavoce demo

# `make talk MODEL=open` answers anything: other people's ears and mind, fetched once (240 MB), behind our turns and voice.
talk: .venv/.talk
ifeq ($(MODEL),)
	@$(BIN)/vivavoce talk
else
	@$(PIP) -e '.[serve,open]'
	@$(BIN)/vivavoce models get $(MODEL)
	@$(BIN)/vivavoce talk --model $(MODEL)
endif

lint: .venv/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/cog --check README.md docs/measured.md docs/voices.md

check: lint
	$(BIN)/pytest -q -m "not slow and not network"

# Format and types are checked beside the tests, which wait for servers and clients much of the time.
test: .venv/.system clients
	@$(MAKE) --no-print-directory -j 2 lint suite
	$(BIN)/pytest -q tests/e2e/test_page.py tests/e2e/test_page_general.py    # a browser that speaks and listens in real time needs the machine for itself

suite: .venv/.dev
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not network" --ignore tests/e2e/test_page.py --ignore tests/e2e/test_page_general.py

bench: .venv/.dev
	@for question in bench/[!_]*.py; do echo "== $$question"; $(BIN)/python $$question || exit 1; done

golden: .venv/.dev
	$(BIN)/python -m pytest -q --golden tests/golden tests/rules

format: .venv/.dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:
	rm -rf .venv
