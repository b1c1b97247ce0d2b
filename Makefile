# farback: `make demo` and `make test` do all the set-up; a bare `make` lists the targets.
VENV := .venv
BIN  := $(VENV)/bin
UV   := $(BIN)/uv
GIVEN := $(filter-out undefined,$(origin NAME))
NAME ?= demo
# NAME is used exactly as typed: neither make nor a shell expands it
override NAME := $(value NAME)
export NAME
TORCH := torch==2.13.0

export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export UV_COMPILE_BYTECODE := 1
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.DEFAULT_GOAL := help
.PHONY: help named demo run search report claims calibrate backtest ui dashboard test test-all test-faults test-lowest coverage lint smoke bench docs docs-links audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

named:
	@case "$$NAME" in ''|-*|*[!A-Za-z0-9_-]*) \
		printf "NAME must be the name of a config in configs/ or configs/claims/: letters, digits, - and _; got '%s'\n" "$$NAME" >&2; exit 2;; \
	esac

demo: $(VENV)/.ok ## run the main experiment: how far back do four networks remember? (3 minutes)
	$(BIN)/farback run configs/demo.yaml

run: named $(VENV)/.ok ## train the trials of the config NAME that have no result yet, then write results/NAME (NAME=horizon)
	$(BIN)/farback run "$$NAME"

search: named $(VENV)/.ok ## run the search of configs/NAME.yaml, or resume it, then report its winners on fresh seeds (NAME=tune)
	$(BIN)/farback search "$$NAME"

report: named $(VENV)/.ok ## rebuild results/NAME from the store, training nothing (NAME=horizon)
	$(BIN)/farback report "$$NAME"

claims: $(VENV)/.ok ## check published claims: train what is missing, then write results/claims
	$(BIN)/farback claims

calibrate: $(VENV)/.ok ## check measures and statistics where the answer is known (a minute); fails when a number is wrong
	$(BIN)/farback calibrate

backtest: $(VENV)/.ok ## test the law of learning time on every stored sweep (a minute): does it predict trainings at longer lags?
	$(BIN)/farback backtest

ui: named $(VENV)/.ok ## browse every run in the MLflow UI on 127.0.0.1 (NAME=horizon)
	$(BIN)/farback ui "$$NAME"

dashboard: named $(VENV)/.ok ## browse searches in optuna-dashboard on 127.0.0.1 (NAME=tune shows only that search)
	$(BIN)/farback dashboard $(if $(GIVEN),"$$NAME")

test: $(VENV)/.ok ## run the tests (7 minutes)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not faults"

test-all: $(VENV)/.ok ## run all tests, the slow ones too
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not faults"

test-faults: $(VENV)/.ok ## kill sweeps and searches at random moments, at least 200 times, and write the table of docs/reliability.md (45 minutes)
	$(BIN)/python -m pytest tests/faults -n 2 --dist worksteal -m faults --faults-table docs/reliability.md

test-lowest: $(VENV)/.ok ## run each main command once with the lowest and once with the newest allowed versions of the libraries (10 minutes)
	@for versions in lowest-direct highest; do \
		$(UV) venv -q --clear build/$$versions && export VIRTUAL_ENV=$(CURDIR)/build/$$versions && \
		{ $(UV) pip install -q --torch-backend=auto --resolution $$versions -e . 'pytest>=8.4' 2>/dev/null \
			|| $(UV) pip install -q --resolution $$versions -e . 'pytest>=8.4'; } && \
		echo "$$versions:" && $(UV) pip list 2>/dev/null | grep -E '^(torch|numpy|pandas|mlflow|optuna|pydantic) ' && \
		build/$$versions/bin/python -m pytest --noconftest tests/test_short_run.py || exit 1; \
	done

coverage: $(VENV)/.ok ## measure the branch coverage of the tests; fails below 90 %
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not faults" --cov --cov-report=term:skip-covered

lint: $(VENV)/.ok ## check style, types, and which package imports which
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

smoke: $(VENV)/.ok ## run the smallest sweep, from config to report (seconds)
	$(BIN)/farback run configs/smoke.yaml

bench: $(VENV)/.ok ## compare the speed of training with torch.nn, JAX and a plain script; needs an idle machine (half an hour)
	$(UV) pip install -q -c constraints.txt -e '.[bench]'
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed

docs: $(VENV)/.docs ## build the guide and the reference as a site in build/docs; warnings are errors
	$(BIN)/python docs/config_reference.py docs/reference/config.md
	$(BIN)/sphinx-build -q -E -W --keep-going -c docs -d build/doctrees . build/docs
	@echo "open build/docs/index.html"

docs-links: $(VENV)/.docs ## check every external link of the guide; needs a network
	$(BIN)/sphinx-build -q -b linkcheck -c docs -d build/doctrees . build/docs-links

audit: $(VENV)/.ok ## ask a vulnerability service about every installed package; exit code 3 if no service answers
	$(BIN)/python .ci/audit.py

clean: ## delete caches and the environment, never results
	rm -rf $(VENV) build dist .ruff_cache .mypy_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests experiments -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.docs: $(VENV)/.ok
	$(UV) pip install -q -c constraints.txt -e '.[docs]'
	@touch $@

$(VENV)/.ok: pyproject.toml constraints.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "farback needs Python 3.11 or later as python3 (found: $$(python3 --version 2>&1))"; exit 1; }
	@echo "installing farback, PyTorch, MLflow, Optuna and others into $(VENV): 1 to 2 GB, some minutes, only this once"
	@python3 -m venv $(VENV) || { echo "python3 -m venv failed: on Debian or Ubuntu, apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -qq 'uv>=0.9' # -qq: errors, but no warnings about the settings of this machine's pip
	@echo "installing PyTorch, the largest part ..."
	$(UV) pip install -q --torch-backend=auto $(TORCH) 2>/dev/null || $(UV) pip install -q $(TORCH)
	@echo "installing the other packages ..."
	$(UV) pip install -q -c constraints.txt -e '.[search,dask,postgres]' --group dev
	@touch $@
