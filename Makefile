# Everything a user or developer runs. `make help` lists it.
export CARGO_TARGET_DIR := $(CURDIR)/target
PYTHON := .deps/venv/bin/python
PEAKRDL := $(CURDIR)/.deps/venv/bin/peakrdl
CARGO_FLAGS := --release --locked

.PHONY: help build demo test soak vm-test check bench deps generate lint-rtl formal cocotb mutants synth fmax clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

build: deps ## release binaries in target/release
	cargo build $(CARGO_FLAGS) --workspace --bins

demo: build ## clients, a router, the card and four backends on this machine
	target/release/guideway-demo

check: deps ## format, clippy, RTL lint, generated files, unit tests: for daily work
	cargo fmt --all --check
	tools/test-deps.sh
	tools/lint-rtl.sh
	PEAKRDL=$(PEAKRDL) hdl-bindings/generate.sh --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	cargo test $(CARGO_FLAGS) --workspace --lib --bins

test: check build ## everything
	$(PYTHON) hdl-bindings/formal/run.py
	$(PYTHON) hdl-bindings/formal/run.py --mutants
	cargo test $(CARGO_FLAGS) --workspace
	$(PYTHON) tests/cocotb/run.py
	target/release/guideway-demo
	@if why=$$(tools/vm-deps.sh 3>&1 1>&2 2>&3); then target/release/guideway-vm-test; \
	else echo "vm-test: skipped ($$why); with a network, make vm-test fetches what it needs"; fi

soak: build ## ten million random frames, hosts that die at every write (hours)
	GUIDEWAY_CRASH_STRIDE=2 cargo test $(CARGO_FLAGS) --workspace --test driver -- crash
	GUIDEWAY_FRAMES=10000000 GUIDEWAY_WORLD=20000 cargo test $(CARGO_FLAGS) --workspace --test rtl -- agrees_with --nocapture

vm-test: build ## the host on kernel VFIO, in a virtual machine (61 MB of downloads, once)
	tools/vm-deps.sh
	target/release/guideway-vm-test

bench: build ## figures: tables here, JSON in target/bench
	target/release/guideway-bench
	cargo test $(CARGO_FLAGS) --workspace --test learning -- --nocapture fill

deps: ## probe what is missing, and install it
	@tools/deps.sh

generate: deps ## regenerate register block, Rust API, register page and layout package
	PEAKRDL=$(PEAKRDL) hdl-bindings/generate.sh

lint-rtl: deps ## Verilator -Wall and yosys read_slang on gw_core and gw_card
	tools/lint-rtl.sh

formal: deps ## the RTL's proofs, and that each can fail
	$(PYTHON) hdl-bindings/formal/run.py
	$(PYTHON) hdl-bindings/formal/run.py --mutants

cocotb: deps ## the RTL's module benches alone
	$(PYTHON) tests/cocotb/run.py

mutants: deps ## that the module benches can fail: planted bugs, each of which one must meet (a quarter of an hour)
	$(PYTHON) tests/cocotb/run.py --mutants

synth: deps ## what the card takes of a U55C, module by module (yosys)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tools/requirements-synth.txt
	nice -n 19 $(PYTHON) hdl-bindings/synth/synth.py

fmax: deps ## the clock at which the path routes on an ECP5-85K, and its worst paths (nextpnr; hours)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tools/requirements-synth.txt -r tools/requirements-fmax.txt
	nice -n 19 $(PYTHON) hdl-bindings/synth/fmax.py

clean: ## remove what was built (not .deps)
	rm -rf target
