# Benchmarks: see perf/README.md.
LOADGEN_SRC := perf/loadgen.c perf/response.c
LOADGEN_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(LOADGEN_SRC))

$(B)/loadgen: $(LOADGEN_OBJ)
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto

.PHONY: bench
bench: $(B)/loadgen $(B)/mockllm $(PROGRAMS)
	python3 perf/bench.py --build $(B)
