# caco-data: `make demo` and `make test` do everything on a fresh machine.
#
#   make demo                    sample, download (simulated archive), train: ten minutes, no account
#   make test                    install with the test tools and run the tests
#   make pipeline N=1k OUT=work  the same three steps with your settings, each only when needed
#
# PYTHON names the interpreter that .venv is made with (3.11 or newer).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CACO := $(BIN)/caco-data
INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e

# The pipeline's settings; more options of a command go into SAMPLE_ARGS, DOWNLOAD_ARGS, TRAIN_ARGS.
N ?= 10k
SEED ?= 0
OUT ?= work
SOURCE ?= simulated
DEVICE ?= cuda
EPOCHS ?= 100
BATCH_SIZE ?= 256

.PHONY: demo test lint format bench bench-train bench-learning wheel-test sample download train pipeline clean help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,8p'

# --- installation: one stamp for the program, one for the tools ---------------------------------

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[train]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) '.[train,dev]'
	@touch $@

# --- the demo -------------------------------------------------------------------------------------

DEMO := $(CACO) --config samples/demo.toml

demo: $(VENV)/installed
	@mkdir -p demo
	$(DEMO) sample
	$(DEMO) download
	$(DEMO) train
	$(DEMO) report
	@echo
	@echo "The demo is done. Look at"
	@echo "  demo/locations.png             where the 10,000 locations are"
	@echo "  demo/stacks.png                five early and five late tiles of some locations"
	@echo "  demo/run/loss_curve.png        how the training went"
	@echo "  demo/run/change_histogram.png  what it thinks has changed"
	@echo "and at README.md for your own region, years and bands."

# --- the pipeline: each target is up to date when its output is ----------------------------------

sample: $(OUT)/locations.parquet
download: $(OUT)/downloaded
train: $(OUT)/run/encoder.safetensors
pipeline: train

$(OUT)/locations.parquet: | $(VENV)/installed
	@mkdir -p $(OUT)
	$(CACO) sample --n $(N) --seed $(SEED) --out $@ --map $(OUT)/locations.png $(SAMPLE_ARGS)

# A stamp, because the folder is there, unfinished, as soon as a download begins.
$(OUT)/downloaded: $(OUT)/locations.parquet
	$(CACO) download --locations $< --out $(OUT)/dataset --source $(SOURCE) $(DOWNLOAD_ARGS)
	@touch $@

$(OUT)/run/encoder.safetensors: $(OUT)/downloaded
	$(CACO) train --data $(OUT)/dataset --out $(OUT)/run --device $(DEVICE) --epochs $(EPOCHS) \
	  --batch-size $(BATCH_SIZE) --resume $(TRAIN_ARGS)

# --- development ----------------------------------------------------------------------------------

test: $(VENV)/installed-dev
	$(BIN)/pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# All but the hours of bench_learning.
bench: $(VENV)/installed-dev
	@for script in $(filter-out %learning.py,$(wildcard benchmarks/bench_*.py)); do \
	  echo "== $$script"; $(BIN)/python -m $$(echo $${script%.py} | tr / .) || exit 1; done

# Where nothing can be installed: BENCH_PYTHON=python3 make bench-train BENCH_ARGS="--device cuda".
BENCH_PYTHON ?= $(BIN)/python
bench-train: $(if $(filter $(BIN)/python,$(BENCH_PYTHON)),$(VENV)/installed-dev)
	$(BENCH_PYTHON) -m benchmarks.bench_train $(BENCH_ARGS)

# What each method learns, with the truth known: an hour or two on two cores, goes on if stopped.
bench-learning: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.bench_learning --out build/learning

# The wheel, in an environment of its own: what it holds, and that it runs without the checkout.
wheel-test: $(VENV)/installed-dev
	rm -rf build dist
	$(BIN)/python -m pip wheel -q --no-deps -w dist .
	$(BIN)/python tools/check_wheel.py dist/*.whl
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install -q -c constraints.txt dist/*.whl
	cd build && wheel-venv/bin/caco-data sample --n 4 --out locations.parquet --overwrite
	cd build && rm -rf dataset && wheel-venv/bin/caco-data download --source simulated
	cd build && wheel-venv/bin/caco-data verify dataset

clean:
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache
