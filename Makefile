# make install   virtual environment with everything, in .venv
# make test      style, types, layering and all tests
# make demo      simulate records, explain and judge them with the shipped model
# make app       open the dashboard

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 2

.PHONY: install test lint types layers unit demo app clean

install: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

test: lint types layers unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadscope

demo: $(STAMP)
	$(BIN)/ecgxai demo --jobs $(JOBS)

app: $(STAMP)
	$(BIN)/python -m streamlit run app/main.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
