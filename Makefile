# make install   virtual environment with everything, in .venv, as requirements.lock pins it
# make test      style, types, layering, documents and all tests
# make docs      the documentation, in docs/_build/html
# make demo      simulate records, explain and evaluate them with the shipped model
# make app       open the dashboard
# make lock      pin the newest versions that the ranges allow, for Python 3.11 on Linux

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 2

.PHONY: install lock test lint types layers docs unit demo app clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

lock:
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet "uv>=0.9,<1"
	$(VENV)/lock/bin/uv pip compile pyproject.toml --extra dev --python-version 3.11 --python-platform linux \
		--upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
		--output-file requirements.lock
	rm -rf $(VENV)/lock

test: lint types layers docs unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

docs: $(STAMP)
	rm -rf docs/reference/generated
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

unit: $(STAMP)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadscope

demo: $(STAMP)
	$(BIN)/ecgxai demo --jobs $(JOBS)

app: $(STAMP)
	$(BIN)/python -m streamlit run app/main.py

clean:
	rm -rf $(VENV) docs/_build docs/reference/generated .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
