# Benchmarks: see perf/README.md.
LOADGEN_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(wildcard perf/*.c))

$(B)/loadgen: $(LOADGEN_OBJ)
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto

.PHONY: bench
bench: $(B)/loadgen all ## compare with nginx and the peers installed: see perf/README.md
	python3 perf/bench.py --build $(B)
