# Two commands for a fresh machine with Python 3.11 or later, git and make: `make quickstart` and `make test`.
PYTHON ?= python3
RANKS ?= 2
PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin

.PHONY: environment quickstart test lint clean

environment: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "thermoda needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[mpi,dev]'
	touch $@

quickstart: environment
	$(BIN)/mpirun -n $(RANKS) $(BIN)/python -m mpi4py -m da run experiments/quickstart.yaml --overwrite
	$(BIN)/python -m da evaluate runs/quickstart

test: environment lint
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadgroup

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info
