# gatewayd: build, run, test, install.
#
#   make            release build into build/
#   make run        install what is missing, build, start with etc/demo.ini, print a first request
#   make test       install the test dependencies, build, run every test
#   make debug|asan build/debug/, build/asan/ (ASan + UBSan)
#   make install    DESTDIR and PREFIX are honoured
#   make help       every target
#
# Sources are found by wildcard: a new .c file in a folder below needs no line here.

VARIANT ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX  ?= /usr
DESTDIR ?=
PYTHON  ?= /usr/bin/python3
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)

ifeq ($(VARIANT),release)
B := build
else
B := build/$(VARIANT)
endif
OBJ := $(B)/obj

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
        -Wpointer-arith -Wwrite-strings -Wundef -Wno-unused-parameter -Wno-missing-field-initializers
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
CPPFLAGS := -I. -D_GNU_SOURCE -DGW_VERSION='"$(VERSION)"'
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 $(HARDEN)
CFLAGS_debug   := -O0 -g3 -DGW_DEBUG=1 $(HARDEN)
CFLAGS_asan    := -O1 -g -DGW_DEBUG=1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -fPIE
CFLAGS_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -fPIE
CFLAGS_fuzz    := -O1 -g -DGW_DEBUG=1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
LDFLAGS_debug   := $(LDFLAGS_release)
LDFLAGS_asan    := -pie -fsanitize=address,undefined
LDFLAGS_tsan    := -pie -fsanitize=thread
LDFLAGS_fuzz    := -pie -fsanitize=fuzzer,address,undefined
ifeq ($(VARIANT),fuzz)
CC := clang-14
endif
EXTRA_CFLAGS ?=
CFLAGS := -std=gnu11 $(WARN) $(CFLAGS_$(VARIANT)) $(EXTRA_CFLAGS)
LDFLAGS := $(LDFLAGS_$(VARIANT))

COMMON_LIBS   := -llmdb -linih -lcrypto -lpthread
GATEWAYD_LIBS := -levent_core -lhttp_parser -lssl -lcares $(COMMON_LIBS)
GWCTL_LIBS    := -lcurl $(COMMON_LIBS)
MOCKLLM_LIBS  := -lssl -lcrypto -lpthread
UNIT_LIBS     := -lcmocka -lcurl $(GATEWAYD_LIBS)

COMMON_SRC   := $(wildcard common/*.c)
GATEWAYD_SRC := $(wildcard gatewayd/*.c gatewayd/*/*.c)
GWCTL_SRC    := $(wildcard gwctl/*.c)
MOCKLLM_SRC  := $(wildcard tests/mockllm/*.c)
UNIT_SRC     := $(wildcard tests/unit/test_*.c)
FUZZ_SRC     := $(wildcard tests/fuzz/fuzz_*.c)

obj = $(patsubst %.c,$(OBJ)/%.o,$(1))
COMMON_OBJ   := $(call obj,$(COMMON_SRC))
GATEWAYD_OBJ := $(call obj,$(GATEWAYD_SRC))
GWCTL_OBJ    := $(call obj,$(GWCTL_SRC))
MOCKLLM_OBJ  := $(call obj,$(MOCKLLM_SRC))
LIBGW        := $(B)/libgw.a
LIBGATEWAYD  := $(B)/libgatewayd.a
LIBGWCTL     := $(B)/libgwctl.a
UNIT_BIN     := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
FUZZ_BIN     := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))

PROGRAMS := $(if $(GATEWAYD_SRC),$(B)/gatewayd) $(if $(GWCTL_SRC),$(B)/gwctl) $(if $(MOCKLLM_SRC),$(B)/mockllm)

.PHONY: all debug asan tsan unit clean
.DELETE_ON_ERROR:
# Objects of test programs are reached through patterns only: keep them all the same.
.SECONDARY:
all: $(PROGRAMS) ## build into build/

$(B)/gatewayd: $(GATEWAYD_OBJ) $(LIBGW)
	$(CC) $(LDFLAGS) -o $@ $^ $(GATEWAYD_LIBS)
$(B)/gwctl: $(GWCTL_OBJ) $(LIBGW)
	$(CC) $(LDFLAGS) -o $@ $^ $(GWCTL_LIBS)
$(B)/mockllm: $(MOCKLLM_OBJ)
	$(CC) $(LDFLAGS) -o $@ $^ $(MOCKLLM_LIBS)

$(LIBGW): $(COMMON_OBJ)
	@rm -f $@
	ar rcs $@ $^
$(LIBGATEWAYD): $(filter-out $(OBJ)/gatewayd/main.o,$(GATEWAYD_OBJ))
	@rm -f $@
	ar rcs $@ $^
$(LIBGWCTL): $(filter-out $(OBJ)/gwctl/main.o,$(GWCTL_OBJ))
	@rm -f $@
	ar rcs $@ $^

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# One cmocka program a file; it links whatever it needs of the two libraries.
$(B)/unit/%: $(OBJ)/tests/unit/%.o $(LIBGWCTL) $(LIBGATEWAYD) $(LIBGW)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(UNIT_LIBS)
unit: $(UNIT_BIN) ## unit tests (VARIANT=asan for that build)
	@fail=0; for t in $(UNIT_BIN); do \
	  if $$t >$$t.log 2>&1; then echo "$${t##*/}"; grep -a '^\[  PASSED  \]' $$t.log; \
	  else cat $$t.log; echo "FAILED: $$t"; fail=1; fi; \
	done; exit $$fail

# With clang (VARIANT=fuzz) these are libFuzzer programs; any other variant links a replay main
# that runs every file named on the command line through the same entry point.
FUZZ_MAIN := $(if $(filter fuzz,$(VARIANT)),,$(OBJ)/tests/fuzz/replay_main.o)
$(B)/fuzz/%: $(OBJ)/tests/fuzz/%.o $(FUZZ_MAIN) $(LIBGATEWAYD) $(LIBGW)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(GATEWAYD_LIBS)
.PHONY: fuzz fuzz-replay fuzz-run
fuzz: $(FUZZ_BIN) ## build the fuzz targets (VARIANT=fuzz: libFuzzer)
fuzz-replay: $(FUZZ_BIN) ## run every fuzz target once over its corpus
	@fail=0; for t in $(FUZZ_BIN); do \
	  .ci/fuzz-replay $$t tests/fuzz/corpus/$$(basename $$t | sed s/^fuzz_//) || fail=1; \
	done; exit $$fail
FUZZ_SECONDS ?= 60
fuzz-run: ## fuzz each target for FUZZ_SECONDS; new inputs go to build/fuzz/new/
	$(MAKE) VARIANT=fuzz fuzz
	.ci/fuzz-run build/fuzz/fuzz $(FUZZ_SECONDS)

debug asan tsan: ## build/debug/, build/asan/ (ASan + UBSan), build/tsan/
	$(MAKE) VARIANT=$@ all

# ---- run and test ---------------------------------------------------------------------------

JOBS := $(shell nproc 2>/dev/null || echo 2)
.PHONY: run deps test-deps test test-long lint format e2e sdk fault
deps:
	@.ci/deps build
test-deps:
	@.ci/deps build test
run: deps ## install what is missing, build, start with etc/demo.ini and show a first request
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@.ci/run-demo
test: test-deps ## install the test dependencies, build, run every test
	@.ci/test
test-long: test-deps ## what takes longer than `make test` may: soaks, kill runs, full sanitizer sweeps
	@.ci/test long
lint: ## formatting, who may include what, headers, sizes, scripts
	@.ci/lint/run
.PHONY: docs
docs: $(B)/unit/test_conf_reference $(B)/unit/test_dialects ## docs/configuration.md, docs/translation.md, .json and etc/gatewayd.ini from their tables
	$(B)/unit/test_conf_reference write
	$(B)/unit/test_dialects write
format: ## let clang-format rewrite the sources
	clang-format-14 -i $(shell git ls-files '*.c' '*.h')

PYTEST := $(PYTHON) -B -m pytest -p no:cacheprovider -q
PYTEST_ARGS ?=
e2e: all ## real processes, real sockets (GATEWAYD_BUILD=build/asan for another build)
	GATEWAYD_BUILD=$(or $(GATEWAYD_BUILD),$(B)) $(PYTEST) tests/e2e tests/mockllm $(PYTEST_ARGS)
fault: all ## kills, hangs, full disks
	GATEWAYD_BUILD=$(or $(GATEWAYD_BUILD),$(B)) $(PYTEST) tests/fault $(PYTEST_ARGS)
sdk: all ## the official clients through the gateway
	GATEWAYD_BUILD=$(or $(GATEWAYD_BUILD),$(B)) tests/sdk/run

# ---- install --------------------------------------------------------------------------------

sbindir     := $(PREFIX)/sbin
bindir      := $(PREFIX)/bin
sysconfdir  ?= /etc
# Units, users and tmpfiles of a local PREFIX are still looked up in /usr/lib or /etc.
unitdir     ?= $(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/systemd/system
sysusersdir ?= $(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/sysusers.d
tmpfilesdir ?= $(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/tmpfiles.d
completions := $(PREFIX)/share/bash-completion/completions
docdir      := $(PREFIX)/share/doc/gatewayd

.PHONY: install uninstall
install: all ## programs, configuration (an existing one is kept), units, completion, docs
	install -d $(DESTDIR)$(sbindir) $(DESTDIR)$(bindir) $(DESTDIR)$(sysconfdir)/gatewayd \
	  $(DESTDIR)$(unitdir) $(DESTDIR)$(sysusersdir) $(DESTDIR)$(tmpfilesdir) \
	  $(DESTDIR)$(completions) $(DESTDIR)$(docdir)
	install -m 0755 $(B)/gatewayd $(DESTDIR)$(sbindir)/gatewayd
	install -m 0755 $(B)/gwctl $(DESTDIR)$(bindir)/gwctl
	@if [ -e $(DESTDIR)$(sysconfdir)/gatewayd/gatewayd.ini ]; then \
	  echo "keeping $(DESTDIR)$(sysconfdir)/gatewayd/gatewayd.ini"; \
	else \
	  install -v -m 0644 etc/gatewayd.ini $(DESTDIR)$(sysconfdir)/gatewayd/gatewayd.ini; \
	fi
	for unit in systemd/*.service systemd/*.socket; do \
	  sed 's|/usr/sbin/gatewayd|$(sbindir)/gatewayd|g; s|/usr/bin/gwctl|$(bindir)/gwctl|g' $$unit \
	    > $(DESTDIR)$(unitdir)/$$(basename $$unit) && \
	  chmod 0644 $(DESTDIR)$(unitdir)/$$(basename $$unit) || exit 1; \
	done
	install -m 0644 systemd/gatewayd.sysusers $(DESTDIR)$(sysusersdir)/gatewayd.conf
	install -m 0644 systemd/gatewayd.tmpfiles $(DESTDIR)$(tmpfilesdir)/gatewayd.conf
	install -m 0644 etc/completions/gwctl.bash $(DESTDIR)$(completions)/gwctl
	install -m 0644 README.md LICENSE docs/*.md docs/*.yaml etc/gatewayd.ini $(DESTDIR)$(docdir)
	@if [ -z "$(DESTDIR)" ]; then .ci/activate; fi
uninstall: ## takes the installed files away; configuration, state and the user stay
	rm -f $(DESTDIR)$(sbindir)/gatewayd $(DESTDIR)$(bindir)/gwctl \
	  $(DESTDIR)$(unitdir)/gatewayd.service $(DESTDIR)$(unitdir)/gatewayd.socket \
	  $(DESTDIR)$(sysusersdir)/gatewayd.conf $(DESTDIR)$(tmpfilesdir)/gatewayd.conf \
	  $(DESTDIR)$(completions)/gwctl
	rm -rf $(DESTDIR)$(docdir)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile $(wildcard perf/bench.mk)

clean: ## takes build/ away
	rm -rf build

-include perf/bench.mk
-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
