# SPDX-License-Identifier: Apache-2.0 OR MIT
# The commands of the repository. `make test` and `make demo` start from a fresh Debian 12 or 13 with git, make and Rust.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Namespaces and packages are root's business.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Where `make install` puts things, below DESTDIR.
PROFILE ?= release
prefix ?= /usr
sysconfdir ?= /etc
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
libexecdir ?= $(prefix)/libexec
unitdir ?= $(prefix)/lib/systemd/system
mandir ?= $(prefix)/share/man
# The oldest release of systemd that has to understand the units: 253 knows how to reload as they do, and 252 another way.
systemd ?= $(or $(shell systemctl --version 2>/dev/null | awk 'NR == 1 { print $$2 }'),253)

.PHONY: build install rpm deb image test lint demo bench install-deps

build:
	$(CARGO) build --workspace --release --config .cargo/release.toml

# What `make build` has built. A configuration file that is there already stays.
install:
	@test -x $(TARGET)/$(PROFILE)/virtus-packaging || { echo "install: run 'make build' first" >&2; exit 1; }
	$(TARGET)/$(PROFILE)/virtus-packaging --out $(TARGET)/dist --prefix $(prefix) --sysconfdir $(sysconfdir) \
	    --bindir $(bindir) --sbindir $(sbindir) --libexecdir $(libexecdir) --unitdir $(unitdir) --mandir $(mandir) --systemd $(systemd)
	@cat $(TARGET)/dist/packages/*.files | while read -r kind path; do \
	    case $$kind in \
	        program) install -D -m 755 "$(TARGET)/$(PROFILE)/$${path##*/}" "$(DESTDIR)$$path" ;; \
	        config) [ -e "$(DESTDIR)$$path" ] || install -D -m 644 "$(TARGET)/dist/root$$path" "$(DESTDIR)$$path" ;; \
	        *) install -D -m 644 "$(TARGET)/dist/root$$path" "$(DESTDIR)$$path" ;; \
	    esac || exit 1; \
	done

# Packages of what `make build` has built, in $(TARGET)/rpm and $(TARGET)/deb.
rpm deb:
	rm -rf $(TARGET)/tree
	$(MAKE) install DESTDIR=$(abspath $(TARGET))/tree
	packaging/build.sh $@ $(TARGET)/tree $(TARGET)/dist/packages $(TARGET)/$@

# A container image of it.
image:
	rm -rf $(TARGET)/tree
	$(MAKE) install DESTDIR=$(abspath $(TARGET))/tree
	podman build --tag virtus --file packaging/Containerfile $(TARGET)/tree

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

bench: install-deps build
	$(SUDO) $(TARGET)/release/side-by-side
	$(SUDO) unshare --mount sh -c "mount -t tmpfs tmpfs /tmp && exec $(TARGET)/release/containers"
	$(SUDO) $(TARGET)/release/wire 10 docs/performance.svg

install-deps:
	tests/install.sh
