# Every target sets up first; a second set-up finds everything in place and takes a blink.
# PYTHON=python3.12 chooses the interpreter, PIGEON_DEVICE=cpu|gpu the build of the packages.

PYTHON ?= python3
OUT ?= out/demo
BIN := .venv/bin
# KAFKA=1 starts a broker, KAFKA=host:port takes that one.
BROKER := $(if $(filter-out 1,$(KAFKA)),PIGEON_KAFKA="$(KAFKA)") $(BIN)/python -m kafka_broker

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench kafka clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv, or bring it up to date
	@$(PYTHON) setup_env.py

demo: setup  ## run the whole product; DATA=folder USERS=number OUT=folder KAFKA=1 are optional
	@$(if $(KAFKA),$(PYTHON) setup_env.py --with-kafka-packages && $(BROKER) --run) \
		$(BIN)/pigeon-recsys demo $(if $(KAFKA),--kafka {}) --out "$(OUT)" $(if $(DATA),--data "$(DATA)") $(if $(USERS),--users "$(USERS)")

test:  ## set up what the tests need, then run them; ARGS="-k mask" is passed to pytest
	@$(PYTHON) setup_env.py --with-system-packages
	@$(BROKER) --fetch-only
	$(BIN)/python -m $(if $(ARGS),pytest $(ARGS),tests.side_by_side)

check: setup  ## lint, formatting, types and the import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The slot's latency is measured on the demo.
out/demo/slot.yaml:
	@$(MAKE) demo OUT=out/demo

bench: setup out/demo/slot.yaml  ## run every benchmark; each writes out/bench/NAME.json
	@for name in $(basename $(notdir $(wildcard benchmarks/[a-z]*.py))); do \
		$(BIN)/python -m benchmarks.$$name --out out/bench/$$name.json || exit 1; \
	done

kafka:  ## run a Kafka broker until Ctrl-C; PORT=number is optional
	@$(PYTHON) setup_env.py --with-kafka-packages
	@$(BROKER) $(if $(PORT),--port $(PORT))

clean:  ## remove outputs and caches; .venv stays
	rm -rf out dist build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
