# `make help` says what there is. Everything goes into a virtual environment of its own, VENV.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
# What an installed copy is made of: it is installed again when one of these has changed.
SOURCES := pyproject.toml $(shell find zeroair_pl configs plugins -name '*.py' -o -name '*.yaml')

.DEFAULT_GOAL := help
.PHONY: help demo test docs picture gpu-check clean

help: ## show this help
	@echo "make TARGET [PYTHON=python3.11] [VENV=.venv]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

# pip builds in build/, and would pack whatever an earlier build left there.
define ENVIRONMENT
$(PYTHON) -m venv $(VENV)
rm -rf build
@echo "Installing into $(VENV); the first time this takes some minutes."
endef

$(VENV)/.run: $(SOURCES)
	$(ENVIRONMENT)
	$(PY) -m pip install --quiet .
	touch $@

$(VENV)/.test: pyproject.toml
	$(ENVIRONMENT)
	$(PY) -m pip install --quiet ".[test]"
	touch $@

$(VENV)/.docs: pyproject.toml
	$(ENVIRONMENT)
	$(PY) -m pip install --quiet ".[docs]"
	touch $@

demo: $(VENV)/.run ## install, and restore the example photos with the three task configs
	$(VENV)/bin/zeroair restore --config dehaze
	$(VENV)/bin/zeroair restore --config low_light
	$(VENV)/bin/zeroair restore --config denoise
	@echo
	@echo "Restored photos:      restored/dehaze/  restored/low_light/  restored/denoise/"
	@echo "Before and after:     restored/*/report.html"
	@echo "Look inside the fits: $(VENV)/bin/tensorboard --logdir restored     then open http://localhost:6006"

test: $(VENV)/.test ## install, and run the linters, the type checker and all tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(PY) -m mypy .
	$(PY) -m pytest -n 2 --dist loadfile

docs: $(VENV)/.docs ## install, and build the documentation as a site that needs no network, in site/
	$(PY) docs/draw_benchmarks.py
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet
	@echo "Open site/index.html"

gpu-check: $(VENV)/.run ## for a machine with a GPU: check batches, and train the prior on; nine minutes
	PYTHONPATH=. $(PY) benchmarks/gpu_check.py

picture: $(VENV)/.run ## draw the README's before/after picture again, from what `make demo` restored
	PYTHONPATH=. $(PY) benchmarks/picture.py

clean: ## remove the environment and what tools left behind; restored photos stay
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
