# gatewayd: build, run, test, install.
#
#   make            release build into build/
#   make run        install what is missing, build, start with etc/demo.ini, print a first request
#   make test       install the test dependencies, build, run every test
#   make debug|asan build/debug/, build/asan/ (ASan + UBSan)
#   make help       every target
#
# Sources are found by wildcard: a new .c file in a folder below needs no line here.

VARIANT ?= release
CC      ?= gcc
PREFIX  ?= /usr
DESTDIR ?=
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)

ifeq ($(VARIANT),release)
B := build
else
B := build/$(VARIANT)
endif
OBJ := $(B)/obj

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
        -Wpointer-arith -Wwrite-strings -Wundef -Wno-unused-parameter
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
UNIT_LIBS     := -lcmocka $(GATEWAYD_LIBS)

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
UNIT_BIN     := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
FUZZ_BIN     := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))

PROGRAMS := $(if $(GATEWAYD_SRC),$(B)/gatewayd) $(if $(GWCTL_SRC),$(B)/gwctl) $(if $(MOCKLLM_SRC),$(B)/mockllm)

.PHONY: all debug asan tsan unit clean
.DELETE_ON_ERROR:
all: $(PROGRAMS)

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

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# One cmocka program a file; it links whatever it needs of the two libraries.
$(B)/unit/%: $(OBJ)/tests/unit/%.o $(LIBGATEWAYD) $(LIBGW)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(UNIT_LIBS)
unit: $(UNIT_BIN)
	@fail=0; for t in $(UNIT_BIN); do $$t || fail=1; done; exit $$fail

# With clang (VARIANT=fuzz) these are libFuzzer programs; any other variant links a replay main
# that runs every file named on the command line through the same entry point.
FUZZ_MAIN := $(if $(filter fuzz,$(VARIANT)),,$(OBJ)/tests/fuzz/replay_main.o)
$(B)/fuzz/%: $(OBJ)/tests/fuzz/%.o $(FUZZ_MAIN) $(LIBGATEWAYD) $(LIBGW)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(GATEWAYD_LIBS)
.PHONY: fuzz
fuzz: $(FUZZ_BIN)

debug asan tsan:
	$(MAKE) VARIANT=$@ all

clean:
	rm -rf build

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
