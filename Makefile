# make demo   audit the quantized versions of a model of scikit-learn's digits; prints where the report is
# make test   format, lint, types, imports, and the tests but for the slow ones: ten minutes of two quiet cores
# make slow   the slow tests: whole audits, studies, pages of the documentation
# make coverage   the tests again, and which lines and branches they reach: a table, and pages in htmlcov; TESTS names some of them
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
# make wheel  the source archive and the wheel in dist/, built and tried, the wheel in a fresh environment
# make clean  remove what the others made

PYTHON ?= python3
BIN := .venv/bin
OUT ?= quantmis-demo

.PHONY: demo test check slow bench bench-deployed bench-fidelity bench-own-tools bench-peers clean browser coverage docs chaos wheel

demo: .venv/core
	$(BIN)/quantmis demo --out $(OUT)

test: browser check

check: .venv/installed
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

slow: browser .venv/installed
	$(BIN)/pytest -n 2 --dist worksteal -m slow

coverage: browser .venv/installed
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term --cov-report=html $(TESTS)
	@echo "coverage, line by line: $(CURDIR)/htmlcov/index.html"

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

# The archive holds what the tests need: all are collected in it, and those that read its pages are run. The wheel is built
# from it, installed with CI's versions into a fresh environment, and used there far from the source.
WHEEL = build/wheel
wheel: browser .venv/installed
	rm -rf $(WHEEL)
	mkdir -p $(WHEEL)/source dist
	$(BIN)/python -m build --no-isolation --outdir $(WHEEL)/dist . >$(WHEEL)/log 2>&1 || (cat $(WHEEL)/log >&2; exit 1)
	tar -xzf $(WHEEL)/dist/quantmis-*.tar.gz --strip-components=1 -C $(WHEEL)/source
	cd $(WHEEL)/source && PYTHONPATH=src $(abspath $(BIN))/pytest --collect-only >../log || (cat ../log >&2; exit 1)
	cd $(WHEEL)/source && PYTHONPATH=src $(abspath $(BIN))/pytest tests/test_readme.py tests/report/test_report_findings.py
	$(PYTHON) -m venv $(WHEEL)/venv
	$(WHEEL)/venv/bin/python -m pip install --quiet --constraint constraints.txt $(WHEEL)/dist/quantmis-*.whl
	cd $(WHEEL) && venv/bin/python -I $(CURDIR)/benchmarks/wheel.py
	mv $(WHEEL)/dist/quantmis-* dist
	rm -rf $(WHEEL)

clean:
	rm -rf .venv $(OUT) dist build htmlcov .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# The report is opened in a real browser by its tests.
browser:
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium >/dev/null) \
		|| (echo "make test opens the report in Chromium: install it (Debian: apt-get install chromium)" >&2; exit 1)

# What the demo needs, and nothing else.
.venv/core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| (echo "quantmis needs Python 3.11 or newer; name one: make PYTHON=python3.11 ..." >&2; exit 1)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

# The rest: every extra, and what checks the project.
.venv/installed: .venv/core
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@
