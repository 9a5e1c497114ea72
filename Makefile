# Each target sets up what it needs: on a bare Debian with cargo (and, for the tests, Go) nothing else is to be done.

CONFIG ?= config/agent.yaml
TARGET := $(or $(CARGO_TARGET_DIR),target)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: run build test lint bench storm hostile fuzz kernels

# Builds the agent and shows which executables use this machine's CPUs. Ctrl-C ends it.
run: build
	@scripts/foreground.sh $(SUDO) $(TARGET)/release/pipeline --config $(CONFIG)

build:
	@scripts/setup.sh build
	cargo build --release --package pipeline

# Every test. Those that load BPF programs need root, and are left out without it.
test:
	@scripts/setup.sh test
	cargo test --workspace
	@scripts/kernel-tests.sh

lint:
	@scripts/setup.sh lint
	scripts/bpf-headers.sh
	scripts/markdown-lines.py $$(git ls-files '*.md')
	scripts/comment-width.py $$(git ls-files "*.rs" "*.h" "*.c")
	cargo fmt --all --check
	scripts/module-circles.py --self-test
	scripts/module-circles.py
	scripts/dependencies.py --self-test
	scripts/dependencies.py
	scripts/crate-table.py
	cargo clippy --workspace --all-targets -- -D warnings

# Cost per event of each stage, on one core.
bench:
	@scripts/setup.sh build
	cargo bench --workspace

# Storms of short-lived processes, scored against the truth. Needs root.
storm:
	@scripts/setup.sh build
	tests/workloads/storm.sh

# The agent while an unprivileged user does the worst, for nine minutes. Needs root.
hostile:
	@scripts/setup.sh build
	tests/workloads/storm.sh hostile

# The release binary on other kernels, in QEMU: a row of docs/compatibility.md's table for each. Two minutes a kernel on an idle machine.
kernels:
	@scripts/setup.sh kernels
	cargo build --release --package pipeline --package workloads
	@scripts/kernels/run.sh

FUZZ_SECONDS ?= 300

# Each fuzz target for a while, on one core. Needs cargo-fuzz; see fuzz/README.md.
fuzz:
	@scripts/setup.sh build
	cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run config_load corpus/config_load seeds/config_load -- \
		-dict=config_load.dict -max_len=4096 -timeout=10 -max_total_time=$(FUZZ_SECONDS)
	cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run unwind_rows corpus/unwind_rows seeds/unwind_rows -- \
		-max_len=16384 -timeout=10 -rss_limit_mb=512 -max_total_time=$(FUZZ_SECONDS)
	cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run symbols corpus/symbols seeds/symbols -- \
		-max_len=16384 -timeout=10 -rss_limit_mb=512 -max_total_time=$(FUZZ_SECONDS)
	cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run process_context corpus/process_context seeds/process_context -- \
		-max_len=4096 -timeout=10 -rss_limit_mb=512 -max_total_time=$(FUZZ_SECONDS)
	cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run profile_readers corpus/profile_readers seeds/profile_readers -- \
		-max_len=16384 -timeout=10 -rss_limit_mb=1024 -max_total_time=$(FUZZ_SECONDS)
	cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run pods corpus/pods seeds/pods -- \
		-max_len=16384 -timeout=10 -rss_limit_mb=512 -max_total_time=$(FUZZ_SECONDS)
