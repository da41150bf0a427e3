# Everything that is done to this repository. The work is in scripts/; each
# script says at its top what it does.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build all binaries into bin/
	@scripts/build

.PHONY: test
test: build ## run all tests; installs, starts and stops the servers they need
	@scripts/test

.PHONY: demo
demo: build ## show the main job in a temporary directory
	@bin/orderport demo

.PHONY: check
check: lint proto-check alone connector-docs-check test torture-ci ## what CI runs: lint, generated code, each module alone, cross builds, tests, a short torture

.PHONY: lint
lint: ## check format and lint rules
	@scripts/lint

.PHONY: fmt
fmt: ## format Go code and .proto files
	@scripts/lint --fix
	@scripts/proto format

.PHONY: proto
proto: ## generate the code of the Port's .proto files
	@scripts/proto generate

.PHONY: proto-check
proto-check: ## check that generated code is current and the Port stays compatible
	@scripts/proto check

.PHONY: connector-docs
connector-docs: ## write the reference pages of the connectors
	@scripts/connector-docs generate

.PHONY: connector-docs-check
connector-docs-check: ## check that the reference pages say what the connectors do
	@scripts/connector-docs check

.PHONY: alone
alone: ## build and vet each module by itself, and for other platforms
	@scripts/alone

.PHONY: bench
bench: build ## measure against the floor (BENCH_ORDERS, BENCH_ROUNDS, BENCH_ONLY)
	@scripts/bench

.PHONY: torture
TORTURE ?= -db postgres -for 60s
torture: build ## kill, cut and fill at random, then reconcile (TORTURE="-db sqlite -kills 200")
	@scripts/with-services go run -buildvcs=false ./scripts/lab/torture -dir /var/tmp $(TORTURE)

.PHONY: torture-control
torture-control: build ## show that torture finds the doubles of a connector without checkpoints
	@scripts/with-services scripts/torture-control

.PHONY: torture-ci
torture-ci: build ## the short torture of make check: both databases, both targets, the control
	@scripts/with-services scripts/torture-ci

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin .cache/bin .cache/services
