# `make help` lists the targets. All of them use the virtual environment that scripts/up and scripts/test make.

VENV ?= .venv
PYTHON_BIN = $(VENV)/bin/python
ENVIRONMENT = SHARDIS_VENV="$(abspath $(VENV))" bash -c 'source scripts/environment.sh && ensure_environment test' make

.DEFAULT_GOAL := help
.PHONY: help env build test lint format rooms bench replication-bench snapshots stalls growth asan fuzz crash drills rolling kubernetes sim docs clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env:
	@$(ENVIRONMENT)

build: env  ## Compile the engine in place
	@$(PYTHON_BIN) setup.py -q build_ext --inplace

test:  ## Run the whole test suite (ARGS= for pytest)
	@SHARDIS_VENV="$(abspath $(VENV))" scripts/test $(ARGS)

lint: env  ## Check style (ruff) and types (mypy)
	@$(PYTHON_BIN) -m ruff check .
	@$(PYTHON_BIN) -m mypy

format: env  ## Format the code
	@$(PYTHON_BIN) -m ruff check --fix .
	@$(PYTHON_BIN) -m ruff format .

rooms: env  ## Draw which rooms know which, and whether any do so in a circle (ARGS= for scripts/rooms)
	@$(PYTHON_BIN) scripts/rooms $(ARGS)

bench: env  ## Measure against redis-server: CPU per request, requests per second, memory (ARGS= for scripts/bench)
	@$(PYTHON_BIN) scripts/bench $(ARGS)

snapshots: env  ## What BGSAVE and a full sync cost in time, memory and latency, beside redis-server (ARGS=)
	@$(PYTHON_BIN) scripts/snapshots $(ARGS)

replication-bench: env  ## A primary with five replicas beside redis-server: CPU per request (ARGS= for the script)
	@$(PYTHON_BIN) scripts/replication-bench $(ARGS)

growth: env  ## Fill tables from tables at two sizes, beside redis-server: is time proportional? (ARGS= for scripts/growth)
	@$(PYTHON_BIN) scripts/growth $(ARGS)

stalls: env  ## How long something big keeps others waiting, beside redis-server (ARGS= for scripts/stalls)
	@$(PYTHON_BIN) scripts/stalls $(ARGS)

asan: env  ## Run the engine's tests under AddressSanitizer
	@PYTHON=$(PYTHON_BIN) scripts/asan $(ARGS)

fuzz: env  ## Fuzz the parsers, and draw thousands of command sequences against redis-server (ARGS= for pytest)
	@SHARDIS_FUZZ=1 $(PYTHON_BIN) -m pytest tests/fuzz tests/compat/test_machine.py $(ARGS)

kubernetes: env  ## Try k8s/ on a real Kubernetes (KUBECTL= INSIDE= OVERLAY= CUT= HEAL=, see tests/kubernetes)
	@SHARDIS_KUBECTL="$(or $(KUBECTL),kubectl)" SHARDIS_INSIDE="$(INSIDE)" SHARDIS_OVERLAY="$(or $(OVERLAY),k8s/base)" \
		SHARDIS_CUT="$(CUT)" SHARDIS_HEAL="$(HEAL)" $(PYTHON_BIN) -m pytest -q -n 0 -s tests/kubernetes $(ARGS)

sim: env  ## Run simulated clusters: make sim SEEDS=1-10000 (ARGS= for python -m tests.simulator)
	@$(PYTHON_BIN) -m tests.simulator --seeds $(or $(SEEDS),1-200) --explain $(ARGS)

crash: build  ## Kill nodes of a million keys at random moments: is all there? (POINTS=50 SEED= ARGS= for pytest)
	@CRASH_POINTS=$(or $(POINTS),50) CRASH_KEYS=1000000 CRASH_SEED=$(SEED) $(PYTHON_BIN) -m pytest -q -n 0 -s \
		tests/server/test_crashes.py $(ARGS)

drills: build  ## Kill, freeze, cut off and restart nodes of real clusters under load: is every acknowledged write there?
	@SHARDIS_DRILLS=1 $(PYTHON_BIN) -m pytest -q -n 0 -s tests/drills $(ARGS)

rolling: build  ## A client writes through rolling restarts of a whole cluster: make rolling COUNT=20
	@SHARDIS_DRILLS=1 ROLLING_COUNT=$(or $(COUNT),3) $(PYTHON_BIN) -m pytest -q -n 0 -s tests/drills/test_restarts.py -k application

docs: build  ## Write the reference pages in docs/ from the tables in the code
	@$(PYTHON_BIN) scripts/docs

clean:  ## Remove what builds and tests leave behind; the environment stays
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find cluster gossip node tests -name __pycache__ -prune -exec rm -rf {} + -o -name "*.so" -exec rm -f {} +
	@rm -f $(VENV)/shardis-built
