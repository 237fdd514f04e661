# Two commands matter: `make run` and `make test`. Each makes .venv and installs what is missing.

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed

PYTHON ?=
PORT ?=
ARGS ?=

# Two at a time, each with one thread; a file's tests share its servers and browsers, so they stay
# together. A worker that dies is not replaced: xdist 3.8 waits for ever after that (its issue 1378).
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

BENCHMARKS := $(wildcard benchmarks/[!_]*.py)

SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test test-slow lint format bench audit lock chromium clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile $(if $(BENCHMARKS),,| grep -v '^bench') \
	    | awk -F'\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'
	@echo "Choose the interpreter with PYTHON=/path/to/python3.12 (3.10 to 3.12)."

run: $(RUNTIME)  ## open the page on http://127.0.0.1:7860 (PORT=7861, ARGS="--weights SPEC")
	$(BIN)/python app.py $(if $(PORT),--port $(PORT)) $(ARGS)

test: $(DEVELOPMENT) chromium  ## run the tests (ARGS="-k align" picks some)
	$(PYTEST) $(ARGS)

test-slow: $(DEVELOPMENT) chromium  ## run the tests, the slow ones too
	$(PYTEST) -m "" $(ARGS)

# Gradio writes a stub beside each class that extends one of its components, whenever that is
# imported; mypy would read the stub in place of our code.
lint: $(DEVELOPMENT)  ## check style, types and the arrows between the packages
	@rm -f emotion/ui/*.pyi
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@.ci/javascript/check

format: $(DEVELOPMENT)  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ifneq ($(BENCHMARKS),)
bench: $(DEVELOPMENT)  ## run every benchmark
	@set -e; for file in $(BENCHMARKS); do echo "== $$file"; \
	    $(BIN)/python -m benchmarks.$$(basename $$file .py); done
endif

audit: $(DEVELOPMENT)  ## ask for advisories about what the page is locked to
	@.ci/audit $(BIN)/pip-audit

# uv resolves for all systems at once; it is fetched for this, since nothing else needs it.
lock: $(DEVELOPMENT)  ## write requirements-page.lock anew from the pins of space.yaml
	$(BIN)/python -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet uv
	@sed '/^[^#]/,$$d' requirements-page.lock >$(VENV)/lock/new
	$(BIN)/python -c 'import yaml; pins = yaml.safe_load(open("space.yaml")); \
	    print(*pins["pre_requirements"], *pins["requirements"], sep="\n")' \
	    | $(VENV)/lock/bin/uv pip compile - --universal --python-version 3.11 --generate-hashes \
	        --no-header --no-annotate --quiet >>$(VENV)/lock/new
	mv $(VENV)/lock/new requirements-page.lock

install: $(RUNTIME)  ## only install what the page and the trainer need

clean:  ## remove .venv and the tools' caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .tsc

# An interrupted or failed creation leaves no $(BIN)/python behind (.DELETE_ON_ERROR), and one whose
# interpreter was removed from the system is a dangling link: both are made anew.
$(BIN)/python:
	@without_venv=; \
	for python in $(or $(PYTHON),python3.12 python3.11 python3.10 python3 python); do \
	    "$$python" -c '$(SUPPORTED)' 2>/dev/null || continue; \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null || { without_venv=$$python; continue; }; \
	    echo "Making $(VENV) with $$python"; \
	    exec "$$python" -m venv --clear $(VENV); \
	done; \
	if [ -n "$$without_venv" ]; then \
	    echo "$$without_venv cannot make virtual environments; install them: apt install python3-venv" >&2; \
	else \
	    echo "No Python 3.10, 3.11 or 3.12 found$(if $(PYTHON), as $(PYTHON)); install one" \
	        "and name it: make PYTHON=/path/to/python3.12 ..." >&2; \
	fi; \
	exit 1

# Both OpenCV wheels are dependencies of retinaface-pytorch and share the folder cv2/. The headless
# one goes on top, in the same version: the other needs libGL, which a fresh machine does not have
# (docs/decisions/0006-opencv-wheel.md).
define put_headless_opencv_on_top
$(BIN)/python -m pip install --quiet --force-reinstall --no-deps \
    "opencv-python-headless==$$($(BIN)/python -c \
        'from importlib.metadata import version; print(version("opencv-python"))')"
endef

$(RUNTIME): requirements.txt | $(BIN)/python
	@$(BIN)/python -c 'import pip; $(SUPPORTED)' 2>/dev/null || { \
	    echo "$(VENV) is incomplete or its Python is not 3.10 to 3.12; run make clean, then again" >&2; \
	    exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --requirement requirements.txt
	$(put_headless_opencv_on_top)
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	$(BIN)/python -m pip install --requirement requirements-dev.txt
	$(put_headless_opencv_on_top)
	@touch $@

# Installs Debian's chromium when no browser is there and we may; tests/conftest.py says why the
# browser tests are skipped when there is still none.
chromium:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	    command -v "$$name" >/dev/null && exit 0; \
	done; \
	command -v apt-get >/dev/null || exit 0; \
	if [ "$$(id -u)" = 0 ]; then as_root=; \
	elif sudo -n true 2>/dev/null; then as_root="sudo -n"; \
	else exit 0; fi; \
	echo "Installing chromium for the browser tests"; \
	{ $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes \
	      --no-install-recommends chromium fonts-liberation; } </dev/null >/dev/null || \
	echo "chromium could not be installed" >&2
