# What a person or a CI job does with this package. `make demo` and `make test` install what they miss on Debian.

SHELL := /bin/bash
CARGO ?= cargo
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
BINARY ?= target/release/saastap
# Real captures for `make conformance`; not part of this package.
CAPTURES ?= ../shared/captures
# Bound on the length of the demo, in seconds; empty: until Ctrl-C.
DEMO_SECONDS ?=
DOSES ?= 50
# For each fuzz target of `make test-long`.
FUZZ_SECONDS ?= 600
# For instance TEST_ARGS="-- --show-output".
TEST_ARGS ?=
# After the first build no test run needs the network; the lock file says which versions are meant.
LOCKED := --locked

# Debian packages by what shows that they are there: a command, or a header.
BUILD_NEEDS := cc:gcc ld:binutils /usr/include/stdio.h:libc6-dev /usr/include/pcap/pcap.h:libpcap-dev
TEST_NEEDS := /usr/sbin/rsyslogd:rsyslog promtool:prometheus amtool:prometheus-alertmanager \
	$(or $(wildcard /usr/lib/*/rsyslog/lmnsd_ossl.so),/usr/lib/rsyslog/lmnsd_ossl.so):rsyslog-openssl ip:iproute2 ss:iproute2 python3:python3 \
	systemd-analyze:systemd setpriv:util-linux
FUZZ_NEEDS := c++:g++ python3:python3
BENCH_NEEDS := python3:python3 valgrind:valgrind

# Readers of messages that others wrote; a test without them is skipped, and says so.
TEST_PYTHON := target/test-python
# A broker that speaks Kafka's protocol.
TEST_BROKER := target/test-broker

.PHONY: build setup setup-test demo lint test-build test test-long conformance bench check install uninstall

build: setup
	$(CARGO) build --release $(LOCKED)

setup:
	@$(call install_missing,$(BUILD_NEEDS))
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }

setup-test: setup
	@$(call install_missing,$(TEST_NEEDS))
	@cmp -s tests/sinks/requirements.txt $(TEST_PYTHON)/requirements.txt || { \
		echo "installing: readers of messages (Python) into $(TEST_PYTHON)"; \
		python3 -m venv $(TEST_PYTHON) && $(TEST_PYTHON)/bin/pip install -q --disable-pip-version-check \
			-r tests/sinks/requirements.txt && cp tests/sinks/requirements.txt $(TEST_PYTHON)/ || \
		echo "they cannot be installed (Debian: python3-venv): the tests that need them are skipped" >&2; }
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy

demo: setup
	$(CARGO) build $(LOCKED)
	$(CARGO) run $(LOCKED) --quiet -- demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

lint: setup-test
	$(CARGO) fmt --check
	$(CARGO) clippy $(LOCKED) --all-targets -- -D warnings

test-build: lint
	$(CARGO) test $(LOCKED) --no-run

test: lint
	$(CARGO) test $(LOCKED) $(TEST_ARGS)

# Damage by chance, kills and rounds of the demo, in many times the doses of `make test`; a real Kafka broker; then each parser
# is fuzzed.
test-long: setup-test $(TEST_BROKER)/bin/tansu
	@$(call install_missing,$(FUZZ_NEEDS))
	SAASTAP_TEST_DOSES=$(DOSES) $(CARGO) test $(LOCKED) --test offline --test daemon -- --show-output
	$(CARGO) test $(LOCKED) --test sinks --test daemon -- --ignored --show-output
	fuzz/run $(FUZZ_SECONDS)

# Builds for some ten minutes, and is kept.
$(TEST_BROKER)/bin/tansu:
	CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install tansu --version 0.6.0 --locked --debug --features dynostore --root $(TEST_BROKER)

conformance: build
	@if [ -x $(CAPTURES)/score.py ] || [ -f $(CAPTURES)/score.py ]; then \
		python3 $(CAPTURES)/score.py target/release/saastap $(CAPTURES); \
	else \
		echo "SKIPPED: $(CAPTURES)/score.py is not there (set CAPTURES=)"; \
	fi

# Instructions a packet of each stage, beside those kept; with CAPTURE=FILE.pcap also the time beside peers that are installed.
bench: build
	@$(call install_missing,$(BENCH_NEEDS))
	benches/generate target/bench.pcap
	benches/stages target/bench.pcap --saastap $(BINARY)
	$(CARGO) bench $(LOCKED) --bench lookup
	@test -z "$(CAPTURE)" || benches/peers $(CAPTURE) --saastap $(BINARY)

# Licences and advisories of dependencies, the configuration, and the unit.
check: setup
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check; \
	else echo "cargo-deny is not installed: licences and advisories not checked"; fi
	$(CARGO) build $(LOCKED)
	$(CARGO) run $(LOCKED) --quiet -- check
	@if command -v systemd-analyze >/dev/null; then \
		systemd-analyze security --offline=true --threshold=20 --no-pager systemd/saastap.service | tail -1; fi

# Needs a built binary (`make build`), so that nothing is compiled as root.
install:
	@test -x "$(BINARY)" || { echo "$(BINARY) is missing: run \`make build\` first" >&2; exit 1; }
	install -D -m 0755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/saastap"
	install -d "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(PREFIX)/share/man/man8" "$(DESTDIR)$(PREFIX)/share/bash-completion/completions" \
		"$(DESTDIR)$(PREFIX)/share/zsh/site-functions" "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d"
	"$(BINARY)" man > "$(DESTDIR)$(PREFIX)/share/man/man8/saastap.8"
	"$(BINARY)" man --directory "$(DESTDIR)$(PREFIX)/share/man/man1" >/dev/null
	rm -f "$(DESTDIR)$(PREFIX)/share/man/man1/saastap.1"
	"$(BINARY)" completions bash > "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/saastap"
	"$(BINARY)" completions zsh > "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_saastap"
	"$(BINARY)" completions fish > "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/saastap.fish"
	install -d "$(DESTDIR)$(PREFIX)/lib/systemd/system"
	sed -e 's|/usr/bin/saastap|$(PREFIX)/bin/saastap|' -e 's|/etc/saastap|$(SYSCONFDIR)/saastap|' \
		systemd/saastap.service > "$(DESTDIR)$(PREFIX)/lib/systemd/system/saastap.service"
	install -D -m 0644 systemd/saastap.sysusers "$(DESTDIR)$(PREFIX)/lib/sysusers.d/saastap.conf"
	install -d "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d"
	sed -e 's|/etc/saastap|$(SYSCONFDIR)/saastap|' systemd/saastap.tmpfiles \
		> "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/saastap.conf"
	install -d "$(DESTDIR)$(PREFIX)/share/doc/saastap/prometheus" "$(DESTDIR)$(SYSCONFDIR)/saastap"
	install -m 0644 LICENSE-MIT LICENSE-APACHE CHANGELOG.md $(wildcard README.md) $(wildcard config/saastap.toml) \
		"$(DESTDIR)$(PREFIX)/share/doc/saastap/"
	install -m 0644 config/prometheus/*.yml "$(DESTDIR)$(PREFIX)/share/doc/saastap/prometheus/"
	@# What receivers need, in the folders in which its own README names it.
	cd config/siem && find . -type f -exec install -D -m 0644 {} "$(DESTDIR)$(PREFIX)/share/doc/saastap/siem/{}" \;
	@# What somebody has edited is never overwritten.
	@if [ -f config/saastap.toml ] && [ ! -e "$(DESTDIR)$(SYSCONFDIR)/saastap/saastap.toml" ]; then \
		install -m 0640 config/saastap.toml "$(DESTDIR)$(SYSCONFDIR)/saastap/saastap.toml"; fi
	@if [ -z "$(DESTDIR)" ]; then \
		echo "next: systemd-sysusers && systemd-tmpfiles --create && chgrp saastap $(SYSCONFDIR)/saastap/saastap.toml"; \
		echo "      edit $(SYSCONFDIR)/saastap/saastap.toml && systemctl enable --now saastap"; fi

# Leaves configuration and state alone.
uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/share/man/man1/saastap-"*.1
	rm -f "$(DESTDIR)$(PREFIX)/bin/saastap" "$(DESTDIR)$(PREFIX)/share/man/man8/saastap.8" \
		"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/saastap" \
		"$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_saastap" \
		"$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/saastap.fish" \
		"$(DESTDIR)$(PREFIX)/lib/systemd/system/saastap.service" \
		"$(DESTDIR)$(PREFIX)/lib/sysusers.d/saastap.conf" "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/saastap.conf"
	rm -rf "$(DESTDIR)$(PREFIX)/share/doc/saastap"

# Installs the packages of `proof:package` pairs whose proof is missing, and asks apt only then. Services that come with
# them are neither started (policy-rc.d) nor left enabled: a test needs the program, not the daemon.
define install_missing
	set -e; missing=""; \
	for need in $(1); do \
		proof="$${need%%:*}"; package="$${need##*:}"; \
		case "$$proof" in \
			/*) [ -e "$$proof" ] || missing="$$missing $$package" ;; \
			*) PATH="$$PATH:/usr/sbin:/sbin" command -v "$$proof" >/dev/null || missing="$$missing $$package" ;; \
		esac; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	command -v apt-get >/dev/null || { echo "please install (named as in Debian):$$missing" >&2; exit 1; }; \
	as_root=""; [ "$$(id -u)" = 0 ] || as_root="sudo"; \
	echo "installing:$$missing"; \
	policy=""; \
	if [ ! -e /usr/sbin/policy-rc.d ]; then \
		policy=/usr/sbin/policy-rc.d; \
		printf '#!/bin/sh\nexit 101\n' | $$as_root tee "$$policy" >/dev/null; $$as_root chmod 0755 "$$policy"; \
		trap '$$as_root rm -f /usr/sbin/policy-rc.d' EXIT; \
	fi; \
	$$as_root apt-get update -qq; \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	for service in rsyslog prometheus prometheus-alertmanager; do \
		case "$$missing" in \
			*"$$service"*) $$as_root systemctl disable --quiet "$$service" 2>/dev/null || true ;; \
		esac; \
	done
endef
