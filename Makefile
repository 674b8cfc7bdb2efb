# SPDX-License-Identifier: Apache-2.0 OR MIT
# The commands of the repository. `make test` and `make demo` start from a fresh Debian 12 or 13 with git, make and Rust.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Namespaces and packages are root's business.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: build test lint demo bench install-deps

build:
	$(CARGO) build --workspace --release

test: install-deps
	$(CARGO) xtask test

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(CARGO) xtask tidy
	$(CARGO) xtask codegen --check

demo: install-deps
	$(CARGO) build --package virtus-daemons --package virtus-tests
	$(SUDO) $(TARGET)/debug/demo

bench: install-deps
	$(CARGO) build --workspace --release
	$(SUDO) $(TARGET)/release/side-by-side
	$(SUDO) $(TARGET)/release/wire 10 docs/performance.svg

install-deps:
	tests/install.sh
