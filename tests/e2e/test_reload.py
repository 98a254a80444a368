"""Reloading: all or nothing, and no request notices."""

import os
import subprocess
import threading
import time

import pytest

from client import Closed, Connection
from gateway import build_dir, refuses_connections
from ports import free_port
from waiting import wait_until

# How long reloads and streams run against each other; `make test-long` asks for more.
STORM_SECONDS = float(os.environ.get("GATEWAYD_STORM_SECONDS", "3"))


def generation(gateway):
    return gateway.gwctl_json("status")["generation"]


@pytest.mark.parametrize("how", ["gwctl", "SIGHUP"])
def test_a_new_model_is_there_in_every_worker(gateway, how):
    before = generation(gateway)
    assert gateway.chat(model="new").status == 404
    gateway.write_ini({"model:new": {"targets": "mock/mock-chat"}})
    if how == "gwctl":
        assert "new" in gateway.reload().stdout, "the caller sees what changed"
    else:
        gateway.sighup()
        wait_until(lambda: generation(gateway) == before + 1, "the new generation")
    assert generation(gateway) == before + 1
    assert [gateway.chat(model="new").status for _ in range(8)] == [200] * 8


def test_an_equal_file_is_a_no_op(gateway):
    before = generation(gateway)
    gateway.reload()
    assert generation(gateway) == before


def test_a_changed_secret_is_a_change(gateway, mock):
    before = generation(gateway)
    gateway.write_secret("sk-rotated-provider-secret")
    gateway.reload()
    assert generation(gateway) == before + 1
    assert gateway.chat().status == 200
    assert mock.bill()[-1]["credential"] == "sk-rotated-provider-secret"


def test_the_pause_of_the_ledger_changes_at_once(make_gateway):
    gateway = make_gateway({"store": {"commit_interval": "10s"}})
    for count in (1, 2):
        assert gateway.chat().status == 200
        if count == 1:
            wait_until(lambda: len(gateway.ledger()) == 1, "the first commit, which waits for none before it")
    began = time.monotonic()
    gateway.write_ini({"store": {"commit_interval": "1ms"}})
    gateway.reload()
    wait_until(lambda: len(gateway.ledger()) == 2, "the second")
    assert time.monotonic() - began < 8


BAD = """[gateway]
listen = 127.0.0.1:1
no_such_key = 1

[http]
max_body = a lot
max_body = 1MiB

[model:broken]
targets = nobody/gpt

[nonsense]
a = b
"""


def test_a_bad_file_changes_nothing_and_every_error_is_named(gateway):
    before = generation(gateway)
    gateway.write_raw_ini(BAD)
    result = gateway.reload(check=False)
    assert result.returncode == 1
    said = result.stdout + result.stderr
    for place in ("gatewayd.ini:3", "gatewayd.ini:6", "gatewayd.ini:7", "gatewayd.ini:10", "gatewayd.ini:12"):
        assert place in said, f"{place} isn't in:\n{said}"
    assert generation(gateway) == before
    assert gateway.chat().status == 200
    gateway.sighup()
    gateway.wait_log("gatewayd.ini:10")
    assert gateway.chat().status == 200
    assert gateway.process.poll() is None


@pytest.mark.parametrize("damage", ["missing secret", "readable secret", "no file", "missing certificate"])
def test_what_can_not_be_read_changes_nothing(gateway, damage):
    gateway.write_ini({"http": {"max_body": "1MiB"}})
    if damage == "missing secret":
        gateway.secret.unlink()
    elif damage == "readable secret":
        gateway.secret.chmod(0o644)
    elif damage == "no file":
        gateway.ini.unlink()
    else:
        gateway.write_ini({"tls": {"certificate": "/nonexistent.crt", "key": "/nonexistent.key"}})
    before = generation(gateway)
    assert gateway.reload(check=False).returncode == 1
    assert generation(gateway) == before
    assert gateway.chat().status == 200


def test_check_option(gateway, make_gateway):
    ok = subprocess.run([build_dir() / "gatewayd", "-t", "-c", gateway.ini], capture_output=True, text=True)
    assert ok.returncode == 0, ok
    gateway.write_raw_ini(BAD)
    bad = subprocess.run([build_dir() / "gatewayd", "-t", "-c", gateway.ini], capture_output=True, text=True)
    assert bad.returncode == 2
    assert "gatewayd.ini:12" in bad.stdout + bad.stderr


def test_a_start_with_a_bad_file_ends_with_2(make_gateway):
    gateway = make_gateway(start=False)
    gateway.write_raw_ini(BAD)
    gateway.spawn()
    assert gateway.process.wait(20) == 2
    assert "gatewayd.ini:10" in gateway.log_text()


def test_a_request_keeps_the_generation_that_it_began_with(make_gateway, mock):
    gateway = make_gateway({"model:going": {"targets": "mock/mock-chat"}})
    with gateway.stream("tokens=6,hold=e2", model="going") as (connection, head):
        events = connection.events(head)
        next(events)
        gateway.write_ini({"model:going": None})
        gateway.reload()
        assert gateway.chat(model="going").status == 404
        mock.release()
        assert list(events)[-1] == b"data: [DONE]\n\n"
    assert gateway.access_line(head.header("x-request-id"))["generation"] == 1


def test_a_kept_alive_connection_gets_the_new_generation(gateway):
    with gateway.connect() as connection:
        assert gateway.chat(connection=connection).status == 200
        gateway.write_ini({"model:later": {"targets": "mock/mock-chat"}})
        gateway.reload()
        assert gateway.chat(model="later", connection=connection).status == 200


def test_another_number_of_workers(make_gateway):
    """Fewer, and back to as many as there were at the start."""
    gateway = make_gateway(workers=3)
    for count in (1, 2, 3):
        gateway.write_ini({"gateway": {"workers": str(count)}})
        gateway.reload()
        gateway.wait_workers(count)
        assert gateway.chat().status == 200


def test_a_listener_comes_and_goes(gateway):
    extra = free_port()
    gateway.write_ini({"gateway": {"listen": f"127.0.0.1:{gateway.port}, 127.0.0.1:{extra}"}})
    gateway.reload()
    with Connection(extra) as connection:
        assert gateway.chat(connection=connection).status == 200
    gateway.write_ini({"gateway": {"listen": f"127.0.0.1:{gateway.port}"}})
    gateway.reload()
    wait_until(lambda: refuses_connections(extra), "the listener to close")
    assert gateway.chat().status == 200


def test_reloads_under_load_fail_no_request_and_keep_no_memory(make_gateway):
    """50 reloads a second while streams and whole answers run."""
    # A sanitizer keeps what was freed: at its default of 256 MiB a process that would be the figure.
    gateway = make_gateway(environment={
        "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:quarantine_size_mb=4:malloc_context_size=8"})
    stop, failures, done = threading.Event(), [], [0, 0]

    def streams():
        while not stop.is_set():
            try:
                with gateway.stream("tokens=20,gap=2ms") as (connection, head):
                    events = list(connection.events(head))
                if head.status != 200 or events[-1] != b"data: [DONE]\n\n":
                    failures.append((head, events[-1]))
                done[0] += 1
            except (OSError, Closed, IndexError, AssertionError) as error:
                failures.append(error)

    def whole():
        while not stop.is_set():
            try:
                answer = gateway.chat()
                if answer.status != 200:
                    failures.append(answer)
                done[1] += 1
            except (OSError, Closed, AssertionError) as error:
                failures.append(error)

    def storm(seconds):
        end = time.monotonic() + seconds
        number = 0
        while time.monotonic() < end:
            due = time.monotonic() + 0.02
            number += 1
            gateway.write_ini({"model:storm": {"targets": f"mock/storm-{number}"}})
            gateway.sighup()
            stop.wait(max(0, due - time.monotonic()))

    first = generation(gateway)
    threads = [threading.Thread(target=streams) for _ in range(4)] + [threading.Thread(target=whole)]
    for thread in threads:
        thread.start()
    storm(STORM_SECONDS / 3)
    before = gateway.anonymous_kib()
    storm(STORM_SECONDS * 2 / 3)
    after = gateway.anonymous_kib()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    assert done[0] > 5 and done[1] > 5, done
    assert generation(gateway) > first + 2, "reloads happened"
    assert after < before * 1.25 + 4096, f"{before} KiB before, {after} KiB after"

