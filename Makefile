# make demo   audit the quantized versions of a model of scikit-learn's digits; prints where the report is
# make test   everything that CI checks
# make docs  the documentation, in docs/_build/html; a warning is an error
# make bench  the slow studies, written to benchmarks/RESULTS.md
# make chaos  audits that are killed, starved and harmed for MINUTES
# make clean  remove what the others made

PYTHON ?= python3
BIN := .venv/bin
OUT ?= quantmis-demo

.PHONY: demo test check bench clean browser docs chaos

demo: .venv/installed
	$(BIN)/quantmis demo --out $(OUT)

test: browser check

check: .venv/installed
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2

docs: .venv/installed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html
	@echo "documentation: $(CURDIR)/docs/_build/html/index.html"

bench: .venv/installed
	$(BIN)/python benchmarks/theory.py
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/quantizers.py

# MINUTES of audits that are killed, starved and harmed: no wrong table, no traceback, no lost group
MINUTES ?= 5
chaos: .venv/installed
	$(BIN)/python benchmarks/chaos.py --minutes $(MINUTES)

clean:
	rm -rf .venv $(OUT) dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# The report is opened in a real browser by its tests.
browser:
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium >/dev/null) \
		|| (echo "make test opens the report in Chromium: install it (Debian: apt-get install chromium)" >&2; exit 1)

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| (echo "quantmis needs Python 3.11 or newer; name one: make PYTHON=python3.11 ..." >&2; exit 1)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@
