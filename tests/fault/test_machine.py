"""A machine that runs out of things: descriptors, disk, room in the database."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from client import Closed
from gateway import KEY, MODEL, build_dir, chat_body
from waiting import wait_until


def test_descriptors_run_out(make_gateway):
    """Surplus connections are turned away, no loop spins, and all is well when some are free again."""
    gateway = make_gateway({"http": {"keepalive_timeout": "60s"}}, workers=1)
    worker, = gateway.pids("worker")
    used = len(os.listdir(f"/proc/{worker}/fd"))
    soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 8, hard))
    held = []
    try:
        for _ in range(40):
            held.append(gateway.connect())
        before = cpu_seconds(worker)
        answered = 0
        for connection in held:
            try:
                connection.socket.settimeout(0.2)
                answered += connection.round_trip("GET", "/healthz").status == 200
            except (OSError, Closed):
                pass
        assert answered >= 1
        assert cpu_seconds(worker) - before < 2, "the worker spins"
    finally:
        for connection in held:
            connection.close()
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: answers(gateway), "the worker to serve again")
    assert gateway.pids("worker") == [worker], "it lived through it"


def test_no_descriptor_for_the_provider(make_gateway, mock):
    """The gateway's own want: a 503 that says to come back, and no other target tried in vain."""
    gateway = make_gateway({f"model:{MODEL}": {"targets": "mock/first tier=1, mock/second tier=2", "retries": "2"}},
                           workers=1)
    worker, = gateway.pids("worker")
    with gateway.connect() as connection:
        assert connection.round_trip("GET", "/healthz").status == 200
        soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, hard))
        answer = gateway.chat(connection=connection)
        assert answer.status == 503, answer
        assert answer.error["code"] == "overloaded"
        assert answer.header("x-should-retry") == "true"
        assert answer.header("retry-after")
        assert answer.header("x-gw-attempts") == "1"
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))
        assert gateway.chat(connection=connection).status == 200
    assert len(mock.bill()) == 1


def answers(gateway):
    try:
        return gateway.chat().status == 200
    except (OSError, Closed):
        return False


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", path], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"can't mount a file system here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_costs_no_record(make_gateway, small_disk):
    """Requests are served or refused with 503; nothing that was served is missing once there is room."""
    gateway = make_gateway({"gateway": {"state_dir": str(small_disk / "state")}}, start=False)
    gateway.state = small_disk / "state"
    gateway.start()
    assert gateway.chat().status == 200
    wait_until(lambda: len(gateway.ledger()) == 1, "the first record")
    ballast = small_disk / "ballast"
    fill(ballast)
    statuses = [gateway.chat().status for _ in range(60)]
    assert set(statuses) <= {200, 503}, statuses
    gateway.wait_log("the ledger can't be written")
    ballast.unlink()
    wait_until(lambda: answers(gateway), "requests to be answered")
    gateway.wait_log("the ledger is written again")
    assert gateway.log_text().count("the ledger can't be written") == 1
    wait_until(lambda: len(gateway.ledger()) >= 1 + statuses.count(200), "every record")


def fill(path):
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass


def test_the_keeper_runs_out_of_memory(make_gateway):
    """It dies and comes back; no request and no record is lost."""
    if "asan" in str(build_dir()):
        pytest.skip("the sanitizer's shadow needs the whole address space")
    gateway = make_gateway()
    keeper, = gateway.pids("keeper")
    assert gateway.chat().status == 200
    in_use = int(open(f"/proc/{keeper}/statm").read().split()[0]) * resource.getpagesize()
    resource.prlimit(keeper, resource.RLIMIT_AS, (in_use, in_use))
    gateway.gwctl("usage", check=False)
    wait_until(lambda: gateway.pids("keeper") not in ([], [keeper]), "a new keeper")
    assert all(gateway.chat().status == 200 for _ in range(10))
    wait_until(lambda: len(gateway.ledger()) == 11, "every record")
    assert gateway.gwctl("usage").returncode == 0


def test_a_provider_whose_backlog_is_full(make_gateway):
    """A port where the kernel drops the SYN: connect_timeout counts, nothing is charged."""
    with socket.socket() as listener, contextlib.ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        gateway = make_gateway({"provider:mock": {"base_url": f"http://127.0.0.1:{address[1]}/v1",
                                                  "connect_timeout": "300ms"}})
        started = time.monotonic()
        answer = gateway.chat()
        assert answer.status in (502, 503, 504), answer
        assert answer.header("x-should-retry") == "true", "nothing was sent"
        assert 0.3 <= time.monotonic() - started < 5
        assert gateway.ledger() == []


def test_the_state_directory_is_gone(make_gateway):
    gateway = make_gateway(start=False)
    gateway.state.write_text("a file where a directory is wanted")
    gateway.spawn()
    assert gateway.process.wait(20) != 0
    assert str(gateway.state) in gateway.log_text()
    gateway.state.unlink()


def test_a_binary_that_is_replaced_while_it_runs(make_gateway, tmp_path, monkeypatch):
    """Children come from the binary that the master was started with."""
    copy = tmp_path / "bin"
    copy.mkdir()
    for program in ("gatewayd", "gwctl", "mockllm"):
        shutil.copy(build_dir() / program, copy / program)
    monkeypatch.setenv("GATEWAYD_BUILD", str(copy))
    gateway = make_gateway()
    (copy / "gatewayd").unlink()
    (copy / "gatewayd").write_text("#!/bin/false\n")
    (copy / "gatewayd").chmod(0o755)
    before = set(gateway.pids("worker"))
    gateway.kill_worker()
    wait_until(lambda: set(gateway.wait_workers(2)) != before, "a new worker")
    assert gateway.chat().status == 200


def test_a_crash_loop_does_not_become_a_fork_bomb(gateway):
    """A worker that dies again and again is started with growing pauses."""
    started = set(gateway.pids("worker"))
    for _ in range(30):
        pids = gateway.pids("worker")
        started.update(pids)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    assert len(started) < 60
    wait_until(lambda: answers(gateway), "requests to be answered", deadline=40)


def test_a_foreign_locale_changes_nothing(make_gateway):
    gateway = make_gateway(environment={"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"})
    headers = {"CONTENT-TYPE": "APPLICATION/JSON", "AUTHORIZATION": f"BEARER {KEY}"}
    assert gateway.call("POST", "/v1/chat/completions", chat_body(temperature=0.5), headers, key=None).status == 200
