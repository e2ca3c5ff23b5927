# make demo   audit the quantized versions of a model of scikit-learn's digits; prints where the report is
# make test   everything that CI checks, before make wheel and make chaos
# make docs  the documentation, in docs/_build/html; a warning is an error
# make bench  the benchmarks that need nothing else, half an hour of two quiet cores: theory, attacks, training,
#             quantizers, scale, subsets; each writes its section of benchmarks/RESULTS.md
# make bench-deployed   the quantizers of other libraries; needs QUANTMIS_DATA, a folder of real data
# make bench-fidelity   which number to trust; needs QUANTMIS_DATA, keeps its tables in FOLDER, goes on where it was
# make bench-peers      the race against other tools, whose environments stand in FOLDER: docs/guides/peers.md
# make bench-own-tools   files that llama.cpp and gptqmodel made; needs QUANTMIS_DATA, and their environments in FOLDER:
#             docs/guides/audit-a-quantized-file.md
#             the studies of the paper are commands: quantmis reproduce synthetic, quantmis reproduce admet
# make chaos  audits that are killed, starved and harmed for MINUTES
# make wheel  the wheel in dist/, built and tried in fresh environments
# make clean  remove what the others made

PYTHON ?= python3
BIN := .venv/bin
OUT ?= quantmis-demo

.PHONY: demo test check bench bench-deployed bench-fidelity bench-own-tools bench-peers clean browser docs chaos wheel

demo: .venv/installed
	$(BIN)/quantmis demo --out $(OUT)

test: browser check

check: .venv/installed
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist worksteal

docs: .venv/installed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html
	@echo "documentation: $(CURDIR)/docs/_build/html/index.html"

bench: .venv/installed
	$(BIN)/python benchmarks/theory.py
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/quantizers.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/subsets.py

bench-deployed: .venv/installed
	$(BIN)/python benchmarks/deployed.py

bench-fidelity: .venv/installed
	$(BIN)/python benchmarks/fidelity_tables.py "$(FOLDER)"
	$(BIN)/python benchmarks/fidelity_truth.py "$(FOLDER)"
	$(BIN)/python benchmarks/fidelity.py "$(FOLDER)"

bench-own-tools: .venv/installed
	$(BIN)/python benchmarks/own_tools.py "$(FOLDER)"

bench-peers: .venv/installed
	$(BIN)/python benchmarks/peers.py "$(FOLDER)"

# MINUTES of audits that are killed, starved and harmed: no wrong table, no traceback, no lost group
MINUTES ?= 5
chaos: .venv/installed
	$(BIN)/python benchmarks/chaos.py --minutes $(MINUTES)

# Built by pip in an environment of its own, installed with CI's versions into another, and used there far from the source.
WHEEL = build/wheel
wheel: .venv/installed
	rm -rf $(WHEEL)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(WHEEL)/dist .
	$(PYTHON) -m venv $(WHEEL)/venv
	$(WHEEL)/venv/bin/python -m pip install --quiet --constraint constraints.txt $(WHEEL)/dist/quantmis-*.whl
	cd $(WHEEL) && venv/bin/python -I $(CURDIR)/benchmarks/wheel.py
	mkdir -p dist && mv $(WHEEL)/dist/quantmis-*.whl dist
	rm -rf $(WHEEL)

clean:
	rm -rf .venv $(OUT) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache

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
