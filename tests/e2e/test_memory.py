"""That memory which a burst took is given back."""

import contextlib
import os
import re

import pytest

from waiting import wait_until

# Freed memory stays in its quarantine.
pytestmark = pytest.mark.skipif(os.environ.get("GATEWAYD_BUILD", "").endswith("asan"), reason="AddressSanitizer")

STREAMS = 300


def worker_kib(gateway):
    pid, = gateway.pids("worker")
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return int(re.search(r"^Pss_Anon:\s+(\d+)", rollup.read(), re.M).group(1))


def test_a_burst_of_streams_gives_its_memory_back(make_gateway, mock):
    gateway = make_gateway(workers=1)
    assert gateway.chat().status == 200
    before = worker_kib(gateway)
    with contextlib.ExitStack() as open_streams:
        for _ in range(STREAMS):
            connection = open_streams.enter_context(gateway.connect())
            connection.send(gateway.chat_bytes("tokens=100000,gap=500ms", stream=True))
        wait_until(lambda: gateway.inflight()[1] == STREAMS, "all streams to run")
        peak = worker_kib(gateway)
        assert peak > before + STREAMS * 10, "this burst says nothing"
    wait_until(lambda: worker_kib(gateway) < before + (peak - before) / 2, "the memory to come back")
    assert gateway.chat().status == 200
