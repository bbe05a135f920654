# Everything a user needs: make run, make test, make ui, make bench, make lint, make clean.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Byte code is made of what is used, when it is used: of everything it would take a quarter of the space and of the time.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install --no-compile --progress-bar off --constraint constraints.txt --editable
# uv installs the same lock in a tenth of pip's time. It is fetched by pip, is no part of the environment, and where it
# is not to be had, or does not find what only pip's own settings name, pip installs instead.
UV_RELEASE := 0.13.9
UV := $(VENV)/uv/bin/uv
INSTALL_LOG := $(VENV)/install.log
TORCH_LOG := $(VENV)/torch.log
# The build of torch for processors. The + keeps every index from giving the one for graphics cards, which weighs gigabytes.
TORCH_BUILD = $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)+cpu
TORCH_INDEX := https://download.pytorch.org/whl/cpu
export TRADING_DAG_STATE ?= $(CURDIR)/.dagster
export DAGSTER_HOME ?= $(CURDIR)
export DAGSTER_DISABLE_TELEMETRY = yes
# Without byte code every process that starts translates the libraries anew: three seconds of processor time each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test quick-tests test-all coverage lint style types layers checked bench ui dashboard site clean install install-dev torch browser docs pictures lock least-versions

help:  ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# What pip says, unless it fails: then its reason, and what to do. A quiet pip would keep the cause of a conflict to itself.
define install_pinned
	@$(PIP) install --quiet --no-compile --target $(VENV)/uv 'uv==$(UV_RELEASE)' >$(INSTALL_LOG) 2>&1; \
	{ test -x $(UV) && $(UV) pip install --system-certs --no-progress --python $(BIN)/python \
		--constraint constraints.txt --editable $(1) >>$(INSTALL_LOG) 2>&1; } || \
	$(INSTALL) $(1) >>$(INSTALL_LOG) 2>&1 || { \
		echo "The installation failed. The end of $(INSTALL_LOG):"; tail -n 25 $(INSTALL_LOG) | sed 's/^/  /'; \
		echo "What to do: no connection, or a proxy: see that pip reaches its index, and run the same again."; \
		echo "  No space left: the libraries need 1.1 GB. No matching version, or a conflict: the pins hold for"; \
		echo "  Python 3.11.2 to 3.13, this is $$($(BIN)/python -V 2>&1); another one: rm -rf $(VENV); make run PYTHON=python3.12"; \
		exit 1; }
	@rm -rf $(VENV)/uv
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 2))' || { \
		echo "$(PYTHON) is missing or older than Python 3.11.2, which the project needs: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment (on Debian: apt-get install python3-venv)"; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the pinned libraries into $(VENV) (a minute the first time)"
	$(call install_pinned,.)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the development tools"
	$(call install_pinned,'.[dev]')
	@touch $@

# First from wherever pip looks by itself, then from the index of PyTorch; a torch that is there, of any build, stays.
# Without one everything but the deep models runs, so its absence fails nothing.
$(VENV)/.torch: $(VENV)/.installed
	@case "$(TORCH)" in no) echo "TORCH=no: the deep models stay off; make torch adds them";; *) \
		$(BIN)/python -c 'import sys; from importlib.util import find_spec; sys.exit(find_spec("torch") is None)' || { \
		echo "Installing torch for the deep models (its build for processors, 0.7 GB; TORCH=no leaves it out)"; \
		$(PIP) install --no-compile --progress-bar off --constraint constraints.txt '$(TORCH_BUILD)' >$(TORCH_LOG) 2>&1 || \
		$(PIP) install --no-compile --progress-bar off --constraint constraints.txt --retries 1 --timeout 20 \
			--extra-index-url $(TORCH_INDEX) '$(TORCH_BUILD)' >>$(TORCH_LOG) 2>&1 || { \
		echo "No build of torch for processors can be had here ($(TORCH_LOG) says why): the deep models stay off,"; \
		echo "  everything else runs. They come with: make torch"; }; };; esac
	@touch $@

install: $(VENV)/.installed $(VENV)/.torch  ## The project and its pinned libraries, in .venv; TORCH=no leaves torch out
install-dev: $(VENV)/.installed-dev $(VENV)/.torch  ## The same with the development tools
torch:  ## Try again to install torch, which the deep models need
	@rm -f $(VENV)/.torch
	@$(MAKE) --no-print-directory $(VENV)/.torch

run: install  ## The main job on the sample source: from bytes to backtest
	$(BIN)/trading-dag run

ui: install  ## The Dagster UI on 127.0.0.1:3000 over everything that was run
	$(BIN)/trading-dag ui

dashboard: install  ## The morning page on 127.0.0.1:8501 over everything that was run
	$(call install_pinned,'.[dashboard]')
	$(BIN)/trading-dag dashboard

lint: style types layers  ## ruff, mypy, import-linter
style: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
types: install-dev
	$(BIN)/mypy
layers: install-dev
	$(BIN)/lint-imports

checked: install-dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync types style layers browser

# mypy takes one processor for a minute, so the tests begin beside it, after what is quick.
# Three processes on two cores: many tests wait for processes of their own, and for the disc.
test: install-dev style browser  ## Lint and every test but the longest few
	@$(MAKE) --no-print-directory --jobs 2 types layers quick-tests

quick-tests: install-dev
	$(BIN)/pytest -m "not long" --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-all: checked  ## Those too: killed servers and daemons, every signal at every moment, more examples of each property
	$(BIN)/pytest --hypothesis-profile=thorough --numprocesses 3 --dist loadfile --no-loadscope-reorder

# Only what runs in the process of the tests is seen: what a command runs in workers of its own is not.
# SUMMARY=FILE appends the same table to a file as Markdown.
coverage: install-dev  ## Lines and branches that the quick tests execute, by module; writes nothing into the folder
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && COVERAGE_FILE="$$folder/lines" $(BIN)/pytest $(TESTS) \
		-m "not slow and not browser" --numprocesses 2 --dist loadfile --no-loadscope-reorder --cov-branch \
		--cov trading_dag --cov resources --cov assets --cov-report term-missing:skip-covered \
		$(if $(SUMMARY),--cov-report markdown-append:$(SUMMARY))

least-versions:  ## The lower bounds of pyproject.toml: tests of the domain and one slice on the oldest direct dependencies
	$(PYTHON) -m venv .venv-least && .venv-least/bin/python -m pip install --quiet uv
	.venv-least/bin/uv pip compile --quiet --resolution lowest-direct --only-binary :all: --all-extras --no-annotate \
		--no-emit-package torch --python .venv-least/bin/python pyproject.toml --output-file .venv-least/least.txt
	.venv-least/bin/uv pip sync --quiet --python .venv-least/bin/python .venv-least/least.txt
	.venv-least/bin/python -m ensurepip && .venv-least/bin/python -m pip install --quiet --no-deps --editable .
	.venv-least/bin/pytest -m "not slow and not browser" tests/trading_dag
	.venv-least/bin/trading-dag run --tickers SPX --horizons 24h

browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests"; \
		apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else echo "No Chromium here: the browser tests will be skipped"; fi
	@test -f $(VENV)/axe/node_modules/axe-core/axe.min.js || ! command -v npm >/dev/null || \
		npm install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core@4.14 || \
		echo "No axe-core to be had here: the test of accessibility will be skipped"

bench: install-dev  ## The measured ratios; writes docs/benchmarks.md; ONLY=plans,quotes measures some
	$(BIN)/python -m tests.bench.run $(if $(ONLY),--only $(ONLY))

lock: $(BIN)/python  ## constraints.txt anew, for every Python that the project claims; UPGRADE=--upgrade moves the pins
	$(PIP) install --quiet uv==$(UV_RELEASE)
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11.2 --all-extras \
		--no-annotate $(UPGRADE) pyproject.toml --output-file constraints.txt

site: install-dev  ## The documentation as web pages, in site/; nothing of it is loaded from outside
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "Open site/index.html"

docs: install-dev  ## What is generated: the pages of tables, features, metrics, settings, commands, exits and models, and the snapshot of the asset graph
	$(BIN)/python -m trading_dag.reporting.table_docs
	$(BIN)/python -m trading_dag.features.formulas > docs/features.md
	$(BIN)/python -m trading_dag.reporting.exit_docs > docs/exits.md
	$(BIN)/python -m trading_dag.reporting.metric_docs > docs/metrics.md
	$(BIN)/python -m trading_dag.reporting.settings_docs > docs/settings.md
	$(BIN)/python -m trading_dag.cli.command_docs > docs/commands.md
	$(BIN)/python -m trading_dag.reporting.model_families > docs/models.md
	@TRADING_DAG_ACCEPT_GRAPH=1 $(BIN)/pytest --quiet --no-header tests/assets/test_graph.py -k pinned
	@git --no-pager diff --stat -- docs tests/assets/graph.json  # read the whole diff before it is committed

# They show the simulated market and the sample, never a vendor's data.
pictures: install-dev browser  ## The pictures of the README and the docs anew, in docs/pictures; a quarter of an hour
	$(BIN)/python -m tests.pictures.make $(PICTURES)
	@git --no-pager diff --stat -- docs/pictures  # look at each before it is committed

clean:  ## Remove everything that was made, but not the virtual environment
	rm -rf data models training warehouse.duckdb .dagster .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
