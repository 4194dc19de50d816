# One verb a command; `make help` lists them. The environment is made from the hashed lock.
PYTHON ?= python3
VENV ?= .venv
HOME_FOLDER ?= var
CONFIG ?= examples/demo.toml
PORT ?= 50051
BIN := $(VENV)/bin
RECSVC := $(BIN)/recsvc --home $(HOME_FOLDER) --config $(CONFIG)
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint proto freeze nightly serve bench bench-quick lock clean

help: ## Say what each verb does
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo 'Set on the line: PYTHON=$(PYTHON) VENV=$(VENV) HOME_FOLDER=$(HOME_FOLDER) CONFIG=$(CONFIG) PORT=$(PORT)'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.11")'
	@echo 'making the environment $(VENV) from requirements.lock: a minute or more, without a word'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(STAMP) ## From raw orders to served recommendations and a selection report
	$(RECSVC) demo

test: $(STAMP) ## Run every test
	$(BIN)/pytest -n 2

lint: $(STAMP) ## Check style, types, protos, and that no caller of the released contract breaks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python proto/generate.py --check

proto: $(STAMP) ## Generate recsvc/v1 from proto/ again
	$(BIN)/python proto/generate.py

freeze: $(STAMP) ## Make the contract in proto/ the released one, which later ones may not break
	$(BIN)/python proto/generate.py --release

nightly: $(STAMP) ## Run the nightly job on the imported tables of HOME_FOLDER
	$(RECSVC) nightly

serve: $(STAMP) ## Serve the published snapshot of HOME_FOLDER on PORT
	$(RECSVC) serve --port $(PORT)

bench: $(STAMP) ## Measure every claim about serving (half an hour, 14 GB of disk); fails where a limit is breached
	$(BIN)/python benchmarks/serving.py

bench-quick: $(STAMP) ## The same with a small shop and generous limits, in two minutes
	$(BIN)/python benchmarks/serving.py --quick

lock: $(STAMP) ## Resolve requirements.lock again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--all-extras --no-header --no-annotate --upgrade pyproject.toml -o requirements.lock

clean: ## Delete the environment and everything the demo wrote
	rm -rf $(VENV) $(HOME_FOLDER)
