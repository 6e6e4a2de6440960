# Everything a user or developer runs. `make help` lists it.
export CARGO_TARGET_DIR := target
PYTHON := .deps/venv/bin/python
PEAKRDL := $(CURDIR)/.deps/venv/bin/peakrdl
CARGO_FLAGS := --release --locked

.PHONY: help build demo test check bench deps generate lint-rtl cocotb clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

build: deps ## release binaries in target/release
	cargo build $(CARGO_FLAGS) --workspace --bins

demo: build ## clients, a router, the card and four backends on this machine
	target/release/guideway-demo

check: deps ## format, clippy, RTL lint, generated files, unit tests: for daily work
	cargo fmt --all --check
	tools/lint-rtl.sh
	PEAKRDL=$(PEAKRDL) hdl-bindings/generate.sh --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	cargo test $(CARGO_FLAGS) --workspace --lib --bins

test: check build ## everything
	cargo test $(CARGO_FLAGS) --workspace
	$(PYTHON) tests/cocotb/run.py
	target/release/guideway-demo

bench: build ## figures: tables here, JSON in target/bench
	target/release/guideway-bench

deps: ## probe what is missing, and install it
	@tools/deps.sh

generate: deps ## regenerate register block, Rust API, register page and layout package
	PEAKRDL=$(PEAKRDL) hdl-bindings/generate.sh

lint-rtl: deps ## Verilator -Wall and yosys read_slang on gw_core and gw_card
	tools/lint-rtl.sh

cocotb: deps ## the RTL's module benches alone
	$(PYTHON) tests/cocotb/run.py

clean: ## remove what was built (not .deps)
	rm -rf target
