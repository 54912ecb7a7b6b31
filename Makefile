# The two commands: `make taxi` and `make test`. Everything else is for those who work on Headrace.
# Needs Python 3.11+ with venv, and nothing more; PYTHON=... names another interpreter.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

.PHONY: taxi taxi-clean debs retail test check format bench bench-micro bench-sampled bench-curves simulation bench-broker bench-faust bench-peers performance nexmark soak plan docs dist \
	differential cut chaos crash-broker fuzz-broker differential-broker kafka-tools clients clean help

help:
	@echo 'make taxi        set up, then run the taxi pipeline on the bundled broker'
	@echo 'make taxi-clean  forget what make taxi stored'
	@echo 'make debs        the DEBS 2015 queries over a million trips, with kills, against a recomputation (ARGS="--count 20000")'
	@echo 'make retail      a year of the shop over many lines, with kills, and its books (ARGS="--lines FILE.csv" for real ones)'
	@echo 'make test        set up, then run the tests (ARGS="-k windows" to choose)'
	@echo 'make check       formatting, lint, types, import contracts, tests'
	@echo 'make bench       measure (ARGS="--records 200000" for a quick look)'
	@echo 'make bench-micro the path stage by stage, ns per record, as a ratio to the run before on this machine'
	@echo 'make bench-sampled  where a worker spends its CPU in whole runs, by py-spy (ARGS="--workload window")'
	@echo 'make bench-peers  Kafka Streams, Quix, Bytewax, Faust and a loop by hand beside ours (ARGS="--broker kafka" for Apache Kafka; resumes)'
	@echo 'make bench-curves  partitions, keys, value sizes, late data, skew, latency, idling, restarts, each varied (ARGS="keys late"; resumes)'
	@echo 'make simulation  a hundred workers, ten thousand partitions, a terabyte of state, out of measured costs'
	@echo 'make performance  docs/performance.md and docs/large-installations.md from the results that are kept'
	@echo 'make bench-broker  the broker measured (ARGS="--against kafka": beside Apache Kafka; ARGS="--scale 0.01" for a quick look)'
	@echo 'make soak MINUTES=60   an even load on broker and workers: memory, open files and latency must stay flat'
	@echo 'make nexmark     the Nexmark queries, checked against DuckDB and measured (ARGS="--query q5" for one)'
	@echo 'make docs        build the documentation into site/, with warnings as errors'
	@echo 'make bench-faust  the same applications on Faust and on streams.compat.faust'
	@echo 'make plan WORKERS=1000 PARTITIONS=10000   what the assignor makes of a large group, and how fast'
	@echo 'make dist        build the wheel'
	@echo 'make differential SEED=1 COUNT=200   random programs, ours against Kafka Streams (needs java and mvn)'
	@echo 'make cut SEED=1 COUNT=200            random programs in batches of one, two, seven and all'
	@echo 'make chaos SEED=1 ROUNDS=3           workers and broker killed at random, exactly-once (AGAINST=kafka: on three nodes of Apache Kafka, its jars from KAFKA_LIBS or Maven)'
	@echo 'make crash-broker SEED=1 ROUNDS=3    the broker killed under load (POWER=1: and what it had not synced is lost)'
	@echo 'make fuzz-broker SEED=1 COUNT=3000   garbage against a live broker'
	@echo 'make differential-broker SEED=1 COUNT=2000   random requests to the broker and to Apache Kafka (needs java and mvn; ODD=0.3: that share with something odd)'
	@echo 'make kafka-tools own tools of Apache Kafka against the broker (needs java and mvn)'
	@echo 'make clients     foreign clients against the broker, each where its toolchain is'

$(STAMP): pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Headrace needs Python 3.11 or later with the venv module; none was found. Install it, or name it: make PYTHON=/path/to/python3.11'; exit 2; }
	@echo 'Setting up $(VENV) with $(PYTHON) (once; takes about a minute) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

taxi: $(STAMP)
	@$(BIN)/python -m examples.taxi $(ARGS)

taxi-clean: $(STAMP)
	@$(BIN)/python -m examples.taxi clean

debs: $(STAMP)
	@$(BIN)/python -m tests.examples.taxi.debs $(ARGS)

retail: $(STAMP)
	@$(BIN)/python -m tests.examples.retail $(ARGS)

test: $(STAMP)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(STAMP)
	@$(BIN)/python -m benchmarks.peers $(ARGS)

performance: $(STAMP)
	@$(BIN)/python -m benchmarks.performance_page $(ARGS)

MINUTES ?= 60

soak: $(STAMP)
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(ARGS)

bench-micro: $(STAMP)
	@$(BIN)/python -m benchmarks --stages-only $(ARGS)

bench-sampled: $(STAMP)
	@$(BIN)/python -m benchmarks.sampled $(ARGS)

bench-curves: $(STAMP)
	@$(BIN)/python -m benchmarks.curves $(if $(ARGS),$(ARGS),all)

simulation: $(STAMP)
	@$(BIN)/python -m benchmarks.simulation $(ARGS)

bench-broker: $(STAMP)
	@$(BIN)/python -m benchmarks.broker $(ARGS)

nexmark: $(STAMP)
	@$(BIN)/python -m benchmarks.nexmark $(ARGS)

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench-faust: $(STAMP)
	@$(BIN)/python -m tests.faust $(ARGS)

WORKERS ?= 1000
PARTITIONS ?= 10000

plan: $(STAMP)
	@$(BIN)/python -m benchmarks.placement --workers $(WORKERS) --partitions $(PARTITIONS) $(ARGS)

dist: $(STAMP)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

SEED ?= 1
COUNT ?= 200
ROUNDS ?= 3

differential: $(STAMP)
	@$(BIN)/python -m tests.differential --seed $(SEED) --count $(COUNT)

cut: $(STAMP)
	@$(BIN)/python -m tests.differential.cutting --seed $(SEED) --count $(COUNT)

chaos: $(STAMP)
	@$(BIN)/python -m tests.chaos --seed $(SEED) --rounds $(ROUNDS) $(if $(AGAINST),--against $(AGAINST))

crash-broker: $(STAMP)
	@$(BIN)/python -m tests.broker.crash --seed $(SEED) --rounds $(ROUNDS) $(if $(POWER),--power)

fuzz-broker: $(STAMP)
	@$(BIN)/python -m tests.broker.fuzz --seed $(SEED) --count $(COUNT)

kafka-tools: $(STAMP)
	$(BIN)/pytest -m tools $(ARGS)

differential-broker: $(STAMP)
	@$(BIN)/python -m tests.broker.differential --seed $(SEED) --count $(COUNT) $(if $(ODD),--odd $(ODD))

clients: $(STAMP)
	$(BIN)/pytest -m clients $(ARGS)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
