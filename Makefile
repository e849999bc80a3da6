# Set-up, run, test. A fresh Debian 12 needs Rust, Python 3 and npm; these targets install the rest, or say what to install.

CARGO ?= cargo
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/faceline/tools
# Programs for use and measurement, and those of the tests, which are built faster.
RELEASE := target/release
DEV := target/debug

.DEFAULT_GOAL := help
.PHONY: help run test conformance fuzz lint bench chaos evaluate build models manifests image-roots clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: packages-build ## Build what is missing, then serve on 127.0.0.1:8080 with embedded defaults
	@echo "The first build takes 10 to 20 minutes on two cores, later ones seconds. The first after 'make test' is slow, too."
	$(CARGO) build --release -p faceline -p faceline-model-tool
	@$(RELEASE)/faceline-models fetch
	@exec $(RELEASE)/faceline

test: packages-test models-for-tests ## Run all tests, on RabbitMQ and Redis servers of their own
	@deploy/dev/tools.sh $(TOOLS) test
	node --test gateway/web/sdk/test/*.test.mjs
	@# One more test of a program than cores at a time, since many wait for servers.
	CARGO='$(CARGO)' RUST_TEST_THREADS=$$(($$(nproc) + 1)) deploy/dev/run-tests.py

conformance: packages-test models-for-tests ## Send 2,000 requests generated from the OpenAPI description to the service
	@deploy/dev/tools.sh $(TOOLS) test
	CASES=2000 $(CARGO) test --workspace --test it conformance -- --nocapture

# libFuzzer instruments all crates, for which the stable compiler needs permission. AddressSanitizer would see nothing: the programs'
# allocator is jemalloc.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(notdir $(basename $(wildcard deploy/fuzz/cargo-fuzz/fuzz_targets/*.rs)))
fuzz: packages-build ## Search for inputs that break a parser: make fuzz FUZZ_SECONDS=60 FUZZ_TARGETS="jwe multipart"
	@deploy/dev/tools.sh $(TOOLS) fuzz
	$(CARGO) run --release -p faceline-fuzz -- target/fuzz/corpus
	for target in $(FUZZ_TARGETS); do \
		RUSTC_BOOTSTRAP=1 $(TOOLS)/bin/cargo-fuzz run --fuzz-dir deploy/fuzz/cargo-fuzz --target-dir target/fuzz --sanitizer none $$target \
			target/fuzz/corpus/$$target deploy/fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=10 || exit 1; \
	done

lint: packages-build ## Check formatting, clippy, module cycles, file lengths, paths in documents, licences, unused dependencies, spelling, Dockerfile, scripts, JavaScript and its types
	@deploy/dev/tools.sh $(TOOLS) lint
	$(CARGO) fmt --all --check
	deploy/dev/module-cycles.py --self-test
	deploy/dev/module-cycles.py
	deploy/dev/file-lengths.py --self-test
	deploy/dev/file-lengths.py
	deploy/dev/borders.py
	deploy/dev/document-paths.py
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(TOOLS)/bin/cargo-deny --log-level error check bans licenses sources
	$(TOOLS)/bin/cargo-machete
	$(TOOLS)/typos/bin/typos
	@# Read as modules, which Node.js 18 does not recognise by their content.
	for script in $$(find gateway/web deploy/e2e/browser -name '*.js' -o -name '*.mjs'); do node --input-type=module --check <$$script || exit 1; done
	$(TOOLS)/typescript/node_modules/.bin/tsc --project gateway/web/sdk
	$(TOOLS)/hadolint/bin/hadolint deploy/images/Dockerfile
	$(TOOLS)/shellcheck/bin/shellcheck deploy/dev/*.sh deploy/images/*.sh deploy/compose/*.sh loadtest/peers/*.sh

bench: packages-test models-for-use ## Compare the service with the bare pipeline, a bare route and peers, in one run: make bench BENCH="--check peers"
	$(RELEASE)/faceline-loadtest bench $(BENCH)

# CHAOS_PREVIOUS is a folder with the programs of the release before; with CHAOS_STRICT=1 a skipped fault is an error (docs/chaos.md).
chaos: packages-test models-for-use ## Ten minutes of faults under load: what is lost, done twice, mixed up. CHAOS_SECONDS, CHAOS_SEED, CHAOS_PREVIOUS, CHAOS_STRICT
	@deploy/dev/packages.sh chaos
	$(RELEASE)/faceline-loadtest chaos --seconds $(or $(CHAOS_SECONDS),600) --seed $(or $(CHAOS_SEED),17) \
		$(if $(CHAOS_PREVIOUS),--previous $(CHAOS_PREVIOUS)) $(if $(filter 1,$(CHAOS_STRICT)),--strict)

evaluate: models ## Measure verification accuracy on a folder of pictures: make evaluate DATASET=DIR
	$(RELEASE)/faceline-models evaluate verification --dataset $(DATASET)

image-roots: packages-test models-for-use ## As root: execute the Dockerfile's steps and start the systemd units in fresh Debians, without Docker
	@deploy/dev/packages.sh images
	@deploy/dev/tools.sh $(TOOLS) images
	PATH=$(TOOLS)/bin:$$PATH deploy/dev/image-root.py || [ $$? = 77 ]
	deploy/dev/unit-root.py || [ $$? = 77 ]

build: packages-build ## Build all programs
	$(CARGO) build --release --workspace

models: packages-build ## Build the model tool; download, check and convert the models
	$(CARGO) build --release -p faceline-model-tool
	@$(RELEASE)/faceline-models fetch

# Tests and benchmarks start all programs, so they use the model tool of the build of the whole workspace. Its set of features
# is that of `cargo test --workspace`: no dependency is compiled twice.
.PHONY: models-for-tests models-for-use
models-for-tests: packages-build
	$(CARGO) build --workspace
	@$(DEV)/faceline-models fetch

models-for-use: build
	@$(RELEASE)/faceline-models fetch

.PHONY: packages-build packages-test
packages-build:
	@deploy/dev/packages.sh build

packages-test: packages-build
	@deploy/dev/packages.sh test

manifests: ## Render deploy/kubernetes from the Helm chart
	@deploy/dev/tools.sh $(TOOLS) test
	deploy/dev/manifests.py render

clean: ## Remove what was built
	$(CARGO) clean
