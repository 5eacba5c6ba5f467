# `make` lists the targets. Everything runs in .venv, which the targets create and keep up to date by themselves.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
RUN := $(VENV)/bin/python -m

# Matplotlib draws without a display. Each test process gets one BLAS thread, or JOBS of them would fight over the cores.
TEST_ENV := MPLBACKEND=Agg OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
STRICT := $(wildcard tests/functions tests/nn tests/ops tests/errors tests/registry)
NOTEBOOKS := $(wildcard notebooks/*.ipynb)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-strict test-oracle test-grading test-notebooks build-notebooks notebooks lint format docs bench clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

# The demo's matrix products are too small to be shared out: a second BLAS thread gains nothing on two cores, and costs much
# when other programs want them.
demo: $(VENV)/installed-train ## train a U-Net and three FCNs on image files; pictures and results.json in demo/
	OPENBLAS_NUM_THREADS=$${OPENBLAS_NUM_THREADS:-1} $(VENV)/bin/minivision demo

test: $(VENV)/installed-test ## the whole test suite, then the operations again on the strict stand-in for CuPy
	$(TEST_ENV) $(RUN) pytest -n $(JOBS)
	$(if $(STRICT),$(TEST_ENV) $(RUN) pytest -n $(JOBS) --device strict $(STRICT))

test-strict: $(VENV)/installed-test ## the operations on the strict stand-in for CuPy
	$(TEST_ENV) $(RUN) pytest -n $(JOBS) --device strict $(STRICT)

test-oracle: $(VENV)/installed-test $(VENV)/installed-oracle ## the comparisons with PyTorch
	$(TEST_ENV) $(RUN) pytest -n $(JOBS) -m oracle

test-grading: $(VENV)/installed-test $(VENV)/installed-grading ## homework in nbgrader's and Otter's own hands
	$(TEST_ENV) $(RUN) pytest -n $(JOBS) tests/homework/test_grading_tools.py

test-notebooks: $(VENV)/installed-test ## run every notebook from top to bottom
	$(if $(NOTEBOOKS),$(TEST_ENV) $(RUN) pytest --nbmake --nbmake-timeout=300 $(NOTEBOOKS),@echo "no notebooks yet")

build-notebooks: $(VENV)/installed-notebooks ## make notebooks/*.ipynb anew, outputs included, from notebooks/src
	$(TEST_ENV) $(VENV)/bin/python notebooks/build.py

notebooks: $(VENV)/installed-notebooks ## open JupyterLab on the course notebooks
	$(RUN) jupyterlab --notebook-dir=notebooks

lint: $(VENV)/installed-test ## ruff and mypy
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

format: $(VENV)/installed-test ## let ruff sort the imports and lay out the code
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

docs: $(VENV)/installed-docs ## build the documentation into docs/_build/html
	MPLBACKEND=Agg $(RUN) sphinx -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/installed-bench ## time minivision beside PyTorch (NAME="conv3x3 unet-small" for some, OPTIONS=... for more)
	$(RUN) benchmarks $(NAME) $(OPTIONS)

clean: ## remove what the other targets wrote, except the environment
	rm -rf demo runs build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/results
	find . -path './$(VENV)' -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -exec rm -rf {} +

distclean: clean ## remove the environment too
	@test ! -d $(VENV) || touch $(VENV)/unfinished
	rm -rf $(VENV)

# -- the environment -------------------------------------------------------------------------------------------------
# `unfinished` lies in .venv while something is written there, so an interrupted run is noticed; `home` says where the
# checkout was, because scripts and the editable install hold absolute paths.

define OLD_PYTHON
minivision needs Python 3.11 or newer; '$(PYTHON)' is missing or older.
Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12
endef
define NO_VENV
'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv
endef
export OLD_PYTHON NO_VENV

# Without its pyvenv.cfg the python in .venv would install into the Python outside: there the two prefixes are equal.
USABLE := $(shell test ! -e $(VENV)/unfinished \
	&& $(VENV)/bin/python -c 'import sys, pip; \
		sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)' 2>/dev/null \
	&& test "$$(cat $(VENV)/home 2>/dev/null || pwd)" = "$$(pwd)" && echo yes)

ifneq ($(USABLE),yes)
.PHONY: $(VENV)/made
endif

$(VENV)/made:
ifneq ($(USABLE),yes)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$$OLD_PYTHON" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$$NO_VENV" >&2; exit 1; }
	rm -rf $(VENV)
	@mkdir $(VENV) && touch $(VENV)/unfinished
	$(PYTHON) -m venv $(VENV)
	@rm $(VENV)/unfinished
endif
	@pwd > $(VENV)/home && touch $@

# One stamp per extra: installing `test` after `train` adds to the same environment, and a changed pyproject.toml
# brings each of them up to date. pip compiles what it installs, but not a checkout: without bytecode, and where Python may
# not write it, every start would take 0.1 s longer.
$(VENV)/installed-%: $(VENV)/made pyproject.toml
	@touch $(VENV)/unfinished
	$(RUN) pip install --quiet --disable-pip-version-check --editable '.[$*]'
	$(RUN) compileall -q minivision
	@rm $(VENV)/unfinished && touch $@
