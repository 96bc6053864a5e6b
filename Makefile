# Each target sets up what it needs, in .venv, which takes a moment the first time. Wants Python >= 3.11:
#   make reproduce            or, where python3 is older,   make reproduce PYTHON=python3.12

PYTHON ?= python3
UV_VERSION := 0.13.9

BIN := .venv/bin
READY := .venv/.ready
UV_PIP := $(BIN)/uv pip
# pip reads PIP_FIND_LINKS by itself, uv does not
FIND_LINKS := $(addprefix --find-links ,$(PIP_FIND_LINKS))
PEERS := brevitas==0.13.4 dependencies==2.0.1 unfoldnd==0.2.3
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)",$$/\1/p' pyproject.toml)

export PATH := $(CURDIR)/$(BIN):$(PATH)

# A study starts some 150 Python processes: without bytecode their imports alone take minutes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: reproduce decisive smoke drift test reliability lint mutants bench docs publish lock setup

reproduce: $(READY)
	$(BIN)/snakemake --cores all

# As many seeds as config/claims.yaml plans for its verdicts; it takes from `make reproduce` what it can.
decisive: $(READY)
	$(BIN)/snakemake --cores all --configfile config/stand-ins.yaml config/decisive.yaml

smoke: $(READY)
	$(BIN)/snakemake --cores all --configfile config/smoke.yaml

# What moved against the published results, and whether it may; STUDY=smoke for those of `make smoke`.
STUDY ?= default
drift: $(READY)
	$(BIN)/python workflow/scripts/drift.py $(STUDY)

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --durations 10

# docs/RELIABILITY.md, from what those tests did that say so.
reliability: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --write-reliability $$(grep -l '\btried\b' tests/test_*.py)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

# Whether tests notice small changes of the core; those they did not, and a count for each module. What
# was tried is kept in mutants/; some of it: MUTANTS="hetspike.search.space*".
MUTANTS ?=
mutants: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/mutmut run $(MUTANTS)
	$(BIN)/mutmut results
	$(BIN)/mutmut results --all true | sed -E 's/^ *([a-z.]+)\.x.*: /\1 /' | sort | uniq -c

# docs/PERFORMANCE.md, on a quiet machine: a quarter of an hour on two cores. The peers that it compares
# with have an environment of their own.
bench: .bench/.ready
	OMP_NUM_THREADS=1 .bench/bin/python benchmarks/performance.py docs

# README.md, docs/ and the docstrings as pages to search, which open from the disk: site/index.html.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# When results are meant to have moved: those of the smoke study, and of the default and the decisive one
# where they ran, become the ones that `make drift` compares with and that README.md and docs/ show.
publish: smoke
	$(BIN)/python workflow/scripts/publish.py
	$(BIN)/dvc commit --quiet --force smoke $(if $(wildcard results/default/metrics.json),reproduce) \
		$(if $(wildcard results/decisive/metrics.json),decisive)
	$(BIN)/dvc push --quiet

setup: $(READY)

# torch first and alone: its build suits the machine and brings what that build needs. Then
# everything else exactly as locked, without asking for SpikingJelly's torchvision and torchaudio.
define install
	$(UV_PIP) install --quiet --python $(1)/bin/python $(FIND_LINKS) $(TORCH) --constraints requirements.lock
	$(UV_PIP) install --quiet --python $(1)/bin/python --no-deps --requirements requirements.lock
	$(UV_PIP) install --quiet --python $(1)/bin/python --no-deps --no-build-isolation --editable .
endef

# Last, the kernels are compiled.
$(READY): $(BIN)/uv pyproject.toml requirements.lock
	$(call install,.venv)
	TORCH_LOGS=-torch._library.triton $(BIN)/python -m hetspike.study.warm config/smoke.yaml config/stand-ins.yaml
	touch $@

.bench/.ready: $(READY)
	$(BIN)/python -m venv --without-pip .bench
	$(call install,.bench)
	$(UV_PIP) install --quiet --python .bench/bin/python --no-deps $(PEERS)
	touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit("Python %d.%d is too old: hetspike needs 3.11 or newer; name one with PYTHON=" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)

# Keeps what is locked where pyproject.toml still allows it; without the lock everything is renewed.
lock: $(BIN)/uv
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV_PIP) compile --quiet --universal --python-version 3.11 \
		--no-annotate --no-emit-index-url --no-emit-find-links $(FIND_LINKS) \
		pyproject.toml --all-extras --group dev --group docs --output-file requirements.lock
