# Two commands for a new user: `make run`, and in another shell `make demo`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run demo test test-long faults faults-full faults-bundles faults-sessions faults-log reproduce-long lint format bench bench-quick bench-report bench-peers bench-memory bench-sessions bench-log bench-backtest policy-test bundle clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# Policies that others wrote, which a test goes through; what would run them is not needed.
PUBLISHED := scubagoggles==1.1.0

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps '$(PUBLISHED)'
	@touch $@ $(VENV)/.runtime

run: $(VENV)/.runtime ## serve on 127.0.0.1:8080, making what is missing first
	@exec $(BIN)/scopebound-engine serve

demo: $(VENV)/.runtime ## walk an allow and every denial against the running server
	@exec $(BIN)/scopebound-engine demo

# The Rego engine and google-re2 abort when they share a process, in the service and in tests.
ENGINE_TESTS := tests/rego tests/bundle

# Tests wait nearly as long as they compute: three processes keep two cores busy. Each begins with a
# third of the files and helps out with another's at its end, so that what a file's tests share is
# made once.
PYTEST := $(BIN)/pytest -n 3 --dist worksteal

test: $(VENV)/.dev ## the whole suite; what touches the database runs on SQLite and PostgreSQL
	$(PYTEST) $(ENGINE_TESTS)
	$(PYTEST) $(addprefix --ignore=,$(ENGINE_TESTS))

test-long: $(VENV)/.dev ## the differential campaign with 50,000 examples, long walks of the API, 1,000 explanations
	SCOPEBOUND_TEST_EXAMPLES=50000 $(BIN)/pytest tests/differential
	SCOPEBOUND_TEST_WALKS=500 $(BIN)/pytest tests/api/test_api_walk.py
	SCOPEBOUND_TEST_MUTANTS=all $(BIN)/pytest -s tests/author/test_author_mutation_mutate.py
	SCOPEBOUND_TEST_EXPLAINED=1000 $(BIN)/pytest tests/rego/test_rego_tracing.py
	SCOPEBOUND_TEST_OFFERED=1000 $(BIN)/pytest -s tests/author/test_author_explaining_counterfactual.py

faults: $(VENV)/.dev ## a load that is judged, while everything is killed, stopped, cut and filled up, for a minute
	@exec $(BIN)/python -m tests.rig

# Of a million decisions without a wrong one, fewer than three in a million are wrong, at 95 %.
faults-full: $(VENV)/.dev ## the same over a million decisions; SCOPEBOUND_TEST_SEED repeats one
	@exec $(BIN)/python -m tests.rig --decisions 1005000 --rate 500 --stopped 10 --out tests/bench/results

faults-bundles: $(VENV)/.dev ## 200 kills and 200 activations under load, while bundles change
	SCOPEBOUND_TEST_FAULTS=200 SCOPEBOUND_TEST_ACTIVATIONS=100 $(BIN)/pytest -s tests/live/test_live_bundle_faults.py tests/live/test_live_activation.py

faults-sessions: $(VENV)/.dev ## 10,000 sessions hammered, and their state away for 1, 10 and 60 s
	SCOPEBOUND_TEST_SESSIONS=10000 $(BIN)/pytest -s tests/live/test_live_accounting.py
	SCOPEBOUND_TEST_OUTAGES=1,10,60 $(BIN)/pytest -s tests/live/test_live_outages.py

faults-log: $(VENV)/.dev ## the decision log: 100 kills under load, failing disks, 1,000 tamperings, a dead receiver
	SCOPEBOUND_TEST_FAULTS=100 $(BIN)/pytest -s tests/live/test_live_log_faults.py
	SCOPEBOUND_TEST_LOG_SYNC=timer,each $(BIN)/pytest tests/live/test_live_journal_faults.py
	SCOPEBOUND_TEST_JOURNAL_KILLS=100 $(BIN)/pytest tests/log/test_log_journal_kills.py
	SCOPEBOUND_TEST_TAMPERINGS=1000 $(BIN)/pytest tests/log/test_log_verify.py
	SCOPEBOUND_TEST_DENIALS=10000 $(BIN)/pytest -s tests/live/test_live_webhooks.py

reproduce-long: $(VENV)/.dev ## 10,000 random decisions by three bundles, made again from the log
	SCOPEBOUND_TEST_DECISIONS=10000 $(BIN)/pytest -s tests/log/test_log_reproduce.py -k comes_out_alike

lint: $(VENV)/.dev ## ruff, mypy strict, the layers, and the style of policies/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/scopebound-engine policy fmt --check policies

format: $(VENV)/.dev ## let ruff format the tree, and policies/ be put in style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/scopebound-engine policy fmt policies

$(VENV)/.bench: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	@touch $@ $(VENV)/.dev $(VENV)/.runtime

bench: $(VENV)/.dev ## what deciding costs, in all dimensions (10 min; wrk); what authors wait for
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.author_bench

bench-quick: $(VENV)/.dev ## a few of these rows, none recorded (90 s)
	@$(BIN)/python -m tests.bench --quick

bench-report: $(VENV)/.dev ## plots and the README's figures, from what benchmarks have recorded
	@$(BIN)/python -m tests.bench.report

bench-peers: $(VENV)/.bench ## the same decision by other engines, in plain Python, and by none (2 min)
	@$(BIN)/python -m tests.bench.peers

bench-memory: $(VENV)/.dev ## memory of every process over 1,000,000 calls and 200 activations (30 min)
	@$(BIN)/python -m tests.bench.memory

bench-sessions: $(VENV)/.dev ## what 10,000 sessions cost nodes and the database they share
	@SCOPEBOUND_TEST_SESSIONS=10000 $(BIN)/python -m tests.session_bench

bench-log: $(VENV)/.dev ## a decision log of 1,000,000 records: usage, searches, exports
	@exec $(BIN)/python -m tests.log_read_bench

bench-backtest: $(VENV)/.dev ## 100,000 recorded decisions decided again with a candidate
	@exec $(BIN)/python -m tests.backtest_bench

policy-test: $(VENV)/.runtime ## run the Rego tests of policies/
	$(BIN)/scopebound-engine policy test policies

bundle: $(VENV)/.runtime ## build policies/ into bundles/
	$(BIN)/scopebound-engine bundle build policies --out bundles/

clean: ## remove the environment and caches; run-time data stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
