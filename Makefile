# Set-up, run, test: everything a fresh Debian 12 with Rust, Python 3 and npm needs is installed or named here.

CARGO ?= cargo
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/faceline/tools
RELEASE := target/release

.DEFAULT_GOAL := help
.PHONY: help run test conformance lint bench evaluate build models clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: models ## Set up what is missing, then serve on 127.0.0.1:8080 with embedded defaults
	@exec $(RELEASE)/faceline

test: packages-test models ## All tests, on real RabbitMQ and Redis servers of their own
	@deploy/dev/tools.sh $(TOOLS) test
	$(CARGO) test --release --workspace

conformance: packages-test models ## 2,000 requests, made by the description of the API, against the service
	@deploy/dev/tools.sh $(TOOLS) test
	CASES=2000 $(CARGO) test --release --workspace --test it conformance -- --nocapture

lint: packages-build ## Formatting, clippy, licences, unused dependencies, spelling
	@deploy/dev/tools.sh $(TOOLS) lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	$(TOOLS)/bin/cargo-deny --log-level error check bans licenses sources
	$(TOOLS)/bin/cargo-machete
	$(TOOLS)/typos/bin/typos

bench: packages-test models ## Throughput of the whole service over that of the bare pipeline, in one run
	$(RELEASE)/faceline-loadtest bench

evaluate: models ## Verification accuracy on a folder of pictures: make evaluate DATASET=DIR
	$(RELEASE)/faceline-models evaluate verification --dataset $(DATASET)

build: packages-build
	$(CARGO) build --release --workspace

models: build ## Fetch, check and convert the models
	@$(RELEASE)/faceline-models fetch

.PHONY: packages-build packages-test
packages-build:
	@deploy/dev/packages.sh build

packages-test: packages-build
	@deploy/dev/packages.sh test

clean: ## Remove what was built
	$(CARGO) clean
