# `make help` prints every target and every variable below, with the `## ` line above it.

.PHONY: help demo sample download train pipeline test lint format bench bench-train bench-learning wheel-test clean

## Print this list
help:
	@echo "Usage: make TARGET [VARIABLE=value ...]"; echo; echo "Targets:"
	@awk '/^## / { text = substr($$0, 4); next } \
	  /^[a-z][a-z-]*:([^=]|$$)/ { sub(/:.*/, ""); printf "  %-15s %s\n", $$0, text } { text = "" }' Makefile
	@echo; echo "Variables [default]:"
	@awk '/^## / { text = substr($$0, 4); next } \
	  / \?=/ { name = $$1; sub(/^[^=]*= */, ""); printf "  %-15s %s [%s]\n", name, text, $$0 } \
	  { text = "" }' Makefile

# --- installation: one stamp file for the program, one for the development tools ------------------

## Python interpreter that creates the virtual environment, 3.11 or newer
PYTHON ?= python3
## Folder of the virtual environment
VENV ?= .venv
## File with the versions of the packages to install
CONSTRAINTS ?= constraints.txt

BIN := $(VENV)/bin
CACO := $(BIN)/caco-data
# Python compiles the modules that it imports, which are a fraction of those that pip would compile.
INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile -c $(CONSTRAINTS) -e
REQUIREMENTS := setup.cfg setup.py pyproject.toml $(CONSTRAINTS)

$(VENV)/installed: $(REQUIREMENTS)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[train]'
	@touch $@

$(VENV)/installed-dev: $(REQUIREMENTS)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[train,exchange,dev]'
	@touch $(VENV)/installed $@

# --- demo -----------------------------------------------------------------------------------------

DEMO := $(CACO) --config samples/demo.toml

## Sample, download (SOURCE) and train: ten minutes with the simulated archive, no account
demo: $(VENV)/installed
	@mkdir -p demo
	$(DEMO) sample
	$(DEMO) download --source $(SOURCE)
	$(DEMO) train
	$(DEMO) report
	@echo
	@echo "The demo is finished. It wrote:"
	@echo "  demo/locations.png             map of the 10,000 sampled locations"
	@echo "  demo/report.html               page about the data set and the run"
	@echo "  demo/run/encoder.safetensors   trained encoder"
	@echo "  demo/run/loss_curve.png        training loss"
	@echo "  demo/run/change_histogram.png  estimated change of the locations"
	@echo "README.md describes how to use another region, other years and other bands."

# --- pipeline: each step runs only when its output is missing or out of date ----------------------

## Number of locations
N ?= 10k
## Random seed of the sampler
SEED ?= 0
## Output folder of the pipeline
OUT ?= work
## Image source of the demo and the pipeline: simulated, earthengine or stac
SOURCE ?= simulated
## Training device
DEVICE ?= cuda
## Training epochs
EPOCHS ?= 100
## Training batch size
BATCH_SIZE ?= 256
## Further options of caco-data sample
SAMPLE_ARGS ?=
## Further options of caco-data download
DOWNLOAD_ARGS ?=
## Further options of caco-data train
TRAIN_ARGS ?=

## Sample locations
sample: $(OUT)/locations.parquet

## Download the image stacks of the locations
download: $(OUT)/downloaded

## Train an encoder on the downloaded data set
train: $(OUT)/run/encoder.safetensors

## Run the three steps: sample, download, train
pipeline: train

$(OUT)/locations.parquet: | $(VENV)/installed
	@mkdir -p $(OUT)
	$(CACO) sample --n $(N) --seed $(SEED) --out $@ --map $(OUT)/locations.png $(SAMPLE_ARGS)

# A stamp file, because the data set's folder exists before the download is complete.
$(OUT)/downloaded: $(OUT)/locations.parquet
	$(CACO) download --locations $< --out $(OUT)/dataset --source $(SOURCE) $(DOWNLOAD_ARGS)
	@touch $@

$(OUT)/run/encoder.safetensors: $(OUT)/downloaded
	$(CACO) train --data $(OUT)/dataset --out $(OUT)/run --device $(DEVICE) --epochs $(EPOCHS) \
	  --batch-size $(BATCH_SIZE) --resume $(TRAIN_ARGS)

# --- development ----------------------------------------------------------------------------------

## Further pytest options
PYTEST_ARGS ?=

## Run the tests in parallel; print the coverage without child processes, fail below 90 % of lines
test: $(VENV)/installed-dev
	$(BIN)/pytest --cov=caco_data --cov=cli --cov-fail-under=90 $(PYTEST_ARGS)

## Check style, formatting, types, imports and spelling
lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

## Apply ruff's fixes and formatting
format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

## Run all benchmarks except bench-learning
bench: $(VENV)/installed-dev
	@for script in $(filter-out %learning.py,$(wildcard benchmarks/bench_*.py)); do \
	  echo "== $$script"; $(BIN)/python -m $$(echo $${script%.py} | tr / .) || exit 1; done

## Python interpreter of bench-train; another one must have the packages already
BENCH_PYTHON ?= $(VENV)/bin/python
## Options of bench-train, such as --device cuda
BENCH_ARGS ?=

## Measure the training rate by phase
bench-train: $(if $(filter $(BIN)/python,$(BENCH_PYTHON)),$(VENV)/installed-dev)
	$(BENCH_PYTHON) -m benchmarks.bench_train $(BENCH_ARGS)

## Compare the training methods on simulated data: one to two hours, resumable
bench-learning: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.bench_learning --out build/learning

## Build the wheel, check its contents and run it in a separate environment
wheel-test: $(VENV)/installed-dev
	rm -rf build dist
	$(BIN)/python -m pip wheel -q --no-deps -w dist .
	$(BIN)/python tools/check_wheel.py dist/*.whl
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install -q -c $(CONSTRAINTS) dist/*.whl
	cd build && wheel-venv/bin/caco-data sample --n 4 --out locations.parquet --overwrite
	cd build && wheel-venv/bin/caco-data download --source simulated
	cd build && wheel-venv/bin/caco-data verify dataset

## Delete build outputs, the demo's output and caches
clean:
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
