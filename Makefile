# Works with GNU make from 3.81 on (macOS) and BSD make: nothing but POSIX here.
PYTHON_BIN = .venv/bin
STAMP = .venv/installed
EXTRA_PINS = tinylm/sweeps/executors/requirements.txt
TIMES = results/bench/times.json

.PHONY: help setup data reproduce book serve lab notebooks lint unit test test-portable bench clean

help:
	@minutes() { awk -F '[:,]' -v key="\"$$1_seconds\"" \
	  'index($$0, key) { printf "%.0f minutes", $$2 / 60 }' $(TIMES) 2>/dev/null || :; }; \
	reproduce=`minutes reproduce`; test=`minutes test`; unknown="time not measured yet"; \
	echo "make reproduce  repeat the quick experiments and build the book from them"; \
	echo "                ($${reproduce:-$$unknown});"; \
	echo "                PROFILE=paper repeats the runs that the book shows (some hours)"; \
	echo "make test       every check: code, notebooks, book, browser ($${test:-$$unknown})"
	@echo
	@echo "make setup      install the pinned packages into .venv (done by the others, once);"
	@echo "                EXTRAS=ray,slurm adds what a sweep on a cluster needs"
	@echo "make data       prepare corpora and tokenizers under data/"
	@echo "make book       build the book from the committed results into _build/html"
	@echo "make serve      show the built book on http://127.0.0.1:8000; PORT=8001 elsewhere"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make notebooks  execute all chapters again and rewrite their .ipynb"
	@echo "make lint       ruff, mypy, the import rule, and drift between the files of each chapter"
	@echo "make unit       the tests that need neither notebooks nor a browser"
	@echo "make test-portable  the numerical tests and the notebooks again, as a processor without"
	@echo "                AVX would compute them"
	@echo "make bench      measure speed on an idle machine, and intervals (hours); results/bench/"
	@echo "make clean      remove what the commands above can build again, but no results"

# Installed once; again only when the pins, the checkout's place or the interpreter change, or
# when extras are asked for that are not there. Extras stay.
setup:
	@set -e; \
	sound() { grep -q "`pwd -P`/.venv" .venv/pyvenv.cfg && $(PYTHON_BIN)/python -c 'import pip'; }; \
	extras="$(EXTRAS)"; \
	if [ -z "$$extras" ] && [ -f $(STAMP) ]; then extras=`sed -n 2p $(STAMP)`; fi; \
	want=`cat requirements.txt pyproject.toml $(EXTRA_PINS) | cksum; echo "$$extras"`; \
	if ! sound 2>/dev/null; then rm -f $(STAMP); fi; \
	if [ -f $(STAMP) ] && [ "`cat $(STAMP)`" = "$$want" ]; then exit 0; fi; \
	if ! sound 2>/dev/null; then \
	  found=; unable=; \
	  for name in $$PYTHON python3 python3.13 python3.12 python3.11 python3.14 python; do \
	    "$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	      2>/dev/null || continue; \
	    if "$$name" -c 'import ensurepip, venv' 2>/dev/null; then found=$$name; break; fi; \
	    unable=$$name; \
	  done; \
	  if [ -z "$$found" ] && [ -n "$$unable" ]; then \
	    echo "$$unable cannot make virtual environments: install python3-venv" \
	      "(sudo apt-get install python3-venv) and try again." >&2; exit 1; fi; \
	  if [ -z "$$found" ]; then \
	    echo "No Python 3.11 to 3.14 found: install one, or name it with PYTHON=path." >&2; \
	    exit 1; fi; \
	  echo "Making .venv with `$$found --version`"; \
	  "$$found" -m venv --clear .venv; \
	fi; \
	rm -f $(STAMP); \
	echo "Installing the pinned packages into .venv (2 GB, some minutes, once) ..."; \
	$(PYTHON_BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt; \
	$(PYTHON_BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .; \
	if [ -n "$$extras" ]; then \
	  $(PYTHON_BIN)/python -m pip install --disable-pip-version-check -q \
	    -c requirements.txt -c $(EXTRA_PINS) -e ".[$$extras]"; \
	fi; \
	echo "$$want" > $(STAMP)

data: setup
	@$(PYTHON_BIN)/tinylm data

reproduce: setup
	@profile="$(PROFILE)"; $(PYTHON_BIN)/tinylm reproduce --profile "$${profile:-quick}"

book: setup
	@profile="$(PROFILE)"; $(PYTHON_BIN)/tinylm book --profile "$${profile:-paper}"

serve: setup
	@profile="$(PROFILE)"; port="$(PORT)"; \
	$(PYTHON_BIN)/tinylm serve --profile "$${profile:-paper}" --port "$${port:-8000}"

lab: setup
	@$(PYTHON_BIN)/jupyter lab notebooks

notebooks: setup
	@$(PYTHON_BIN)/tinylm notebooks

lint: setup
	@$(PYTHON_BIN)/ruff check
	@$(PYTHON_BIN)/ruff format --check
	@$(PYTHON_BIN)/mypy
	@$(PYTHON_BIN)/python -m pytest -q tests/test_structure.py
	@$(PYTHON_BIN)/tinylm pairs

SIDE_BY_SIDE = -n logical --maxprocesses 4
PYTEST = OMP_NUM_THREADS=1 $(PYTHON_BIN)/python -m pytest $(SIDE_BY_SIDE)

unit: setup
	@$(PYTEST) -m "not browser and not notebook"

# The static checks and the book side by side, then all tests; the last line is pytest's.
test: setup
	@$(MAKE) -j 2 lint book PROFILE=paper
	@TINYLM_BOOK_HTML=_build/html $(PYTEST)

# What rests on floating point, with the least kernels of numpy, OpenBLAS, torch, oneDNN and MKL.
test-portable: setup
	@OMP_NUM_THREADS=1 $(PYTHON_BIN)/python tests/lesser_processor.py $(SIDE_BY_SIDE) \
	  -m "numerical or notebook"

bench: setup
	@$(PYTHON_BIN)/tinylm bench

clean:
	rm -rf _build results/*/book results/*/book-src results/smoke
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find tinylm tests notebooks -name __pycache__ -prune -exec rm -rf {} +
