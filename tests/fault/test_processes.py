"""Processes that die, hang or are told to go: what clients notice, and that nothing is lost."""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from client import Closed
from gateway import build_dir, is_alive, refuses_connections
from ports import free_port
from waiting import wait_until


class Load:
    """Threads that send whole requests on fresh connections until stopped, and count failures by
    whether the connection could be made."""

    def __init__(self, gateway, threads=4):
        self.gateway, self.done, self.refused, self.broken = gateway, 0, [], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self):
        while not self._stop.is_set():
            try:
                connection = self.gateway.connect()
            except OSError as error:
                self.refused.append(error)
                continue
            with connection:
                try:
                    if self.gateway.chat(connection=connection).status == 200:
                        self.done += 1
                    else:
                        self.broken.append("status")
                except (OSError, Closed) as error:
                    self.broken.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.done > 20, "the load to run")
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_killed_worker_under_load(gateway):
    """No new connection is refused; what breaks is what the dead worker held."""
    with Load(gateway) as load:
        for _ in range(3):
            before = set(gateway.pids("worker"))
            gateway.kill_worker()
            started = time.monotonic()
            wait_until(lambda: len(now := gateway.pids("worker")) == 2 and set(now) != before, "a new worker")
            assert time.monotonic() - started < 2
            gateway.wait_workers(2)
            at = load.done
            wait_until(lambda: load.done > at + 10, "requests to be answered")
    assert not load.refused, load.refused[:3]
    assert len(load.broken) <= 3 * 4, load.broken


def test_killed_keeper_is_not_noticed(gateway):
    with Load(gateway) as load:
        old = gateway.pids("keeper")
        os.kill(old[0], signal.SIGKILL)
        wait_until(lambda: admin_answers(gateway) and gateway.pids("keeper") != old, "a new keeper")
        at = load.done
        wait_until(lambda: load.done > at + 20, "requests to be answered")
    assert not load.refused and not load.broken, (load.refused[:3], load.broken[:3])


def admin_answers(gateway):
    return gateway.gwctl("status", check=False).returncode == 0


def test_killed_worker_charges_its_streams_once(gateway, mock):
    """The attempt of a dead worker is settled by the keeper."""
    with gateway.stream("tokens=100000,gap=10ms") as (connection, head):
        events = connection.events(head)
        next(events)
        for pid in gateway.pids("worker"):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises((Closed, ConnectionResetError)):
            list(events)
    record, = wait_until(gateway.ledger, "the record")
    assert record["state"] in ("unsettled", "estimated")


def test_killed_master(gateway):
    """Workers finish for at most 5 s and go; started again, the ledger is whole."""
    for _ in range(5):
        assert gateway.chat().status == 200
    family = gateway.family()
    gateway.process.kill()
    gateway.process.wait()
    wait_until(lambda: not any(map(is_alive, family)), "the children to go", deadline=8)
    assert refuses_connections(gateway.port)
    gateway.start()
    assert gateway.chat().status == 200
    wait_until(lambda: len(gateway.ledger()) == 6, "six records")


def test_killed_master_lets_a_stream_finish(gateway, mock):
    with gateway.stream("tokens=20,gap=20ms") as (connection, head):
        events = connection.events(head)
        next(events)
        family = gateway.family()
        gateway.process.kill()
        gateway.process.wait()
        assert list(events)[-1] == b"data: [DONE]\n\n"
    wait_until(lambda: not any(map(is_alive, family)), "the children to go", deadline=8)
    gateway.start()
    wait_until(lambda: len(gateway.ledger()) == 1, "its record")


def test_everything_killed_at_once(gateway, mock):
    with gateway.stream("tokens=100000,gap=10ms") as (connection, head):
        next(connection.events(head))
        for _ in range(3):
            assert gateway.chat().status == 200
        gateway.kill_all()
    gateway.start()
    wait_until(lambda: len(gateway.ledger()) == 4, "four records")
    assert gateway.chat().status == 200


def test_a_stopped_worker_keeps_no_connection_waiting(gateway):
    """Its share of the connections is taken by the others long before the master replaces it."""
    pid = gateway.kill_worker(signal.SIGSTOP)
    held = []
    try:
        for _ in range(12):
            held.append(gateway.connect(timeout=2))
            assert held[-1].round_trip("GET", "/healthz").status == 200
        assert pid in gateway.pids("worker"), "this says nothing: the worker was replaced meanwhile"
    finally:
        os.kill(pid, signal.SIGCONT)
        for connection in held:
            connection.close()


def test_a_stopped_worker_is_replaced(gateway):
    pid = sorted(gateway.pids("worker"))[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: not is_alive(pid), "the hung worker to be ended", deadline=40)
    gateway.wait_workers(2)
    assert gateway.chat().status == 200


def test_sigterm_finishes_streams_and_refuses_new_connections(gateway):
    with gateway.stream("tokens=30,gap=20ms") as (connection, head):
        events = connection.events(head)
        next(events)
        gateway.process.terminate()
        wait_until(lambda: refuses_connections(gateway.port), "the listener to close")
        assert list(events)[-1] == b"data: [DONE]\n\n"
    assert gateway.process.wait(20) == 0


def test_sigterm_ends_idle_connections_and_the_last_answer_says_close(gateway, mock):
    with gateway.connect() as idle, gateway.connect() as busy:
        assert gateway.chat(connection=idle).status == 200
        busy.send(gateway.chat_bytes("hold=start"))
        mock.wait_requests(2)
        gateway.process.terminate()
        idle.wait_closed()
        mock.release()
        answer = busy.read_response()
        assert answer.status == 200
        assert (answer.header("connection") or "").lower() == "close"
        busy.wait_closed()
    assert gateway.process.wait(20) == 0


def test_drain_deadline(make_gateway, mock):
    gateway = make_gateway({"gateway": {"drain_timeout": "500ms"}})
    with gateway.stream("tokens=100000,gap=20ms") as (connection, head):
        events = connection.events(head)
        next(events)
        started = time.monotonic()
        gateway.process.terminate()
        seen = []
        with pytest.raises((Closed, ConnectionResetError)):
            for event in events:
                seen.append(event)
        assert time.monotonic() - started < 5
        assert b'"error"' in seen[-1], seen[-1]
    assert gateway.process.wait(20) == 0


def test_a_second_sigterm_stops_at_once(gateway):
    with gateway.stream("tokens=100000,gap=20ms") as (connection, head):
        next(connection.events(head))
        gateway.process.terminate()
        wait_until(lambda: refuses_connections(gateway.port), "the drain to begin")
        gateway.process.terminate()
        started = time.monotonic()
        gateway.process.wait(20)
        assert time.monotonic() - started < 3


def test_only_one_instance(gateway):
    second = subprocess.run([build_dir() / "gatewayd", "-c", gateway.ini], capture_output=True, text=True, timeout=20)
    assert second.returncode != 0
    assert str(gateway.state) in second.stderr or str(gateway.runtime) in second.stderr, second.stderr
    assert gateway.chat().status == 200


def test_the_ledger_survives_a_restart(gateway):
    ids = {gateway.chat().header("x-request-id") for _ in range(5)}
    gateway.stop()
    gateway.start()
    assert {record["request_id"] for record in gateway.ledger()} == ids


def test_socket_activation(make_gateway):
    """LISTEN_FDS: the queue outlives the daemon."""
    gateway = make_gateway(start=False)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", gateway.port))
        listener.listen(64)
        for _ in range(2):
            start_activated(gateway, listener)
            gateway.wait_ready()
            assert gateway.chat().status == 200
            gateway.stop()
            assert not refuses_connections(gateway.port)


def start_activated(gateway, listener):
    """Runs the daemon with the listener at descriptor 3 and LISTEN_PID its own pid."""
    script = 'exec 3<&"$1"; shift; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    with open(gateway.stderr, "ab") as log:
        gateway.process = subprocess.Popen(
            ["bash", "-c", script, "bash", str(listener.fileno()), build_dir() / "gatewayd", "-c", gateway.ini],
            pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def test_sd_notify(make_gateway, tmp_path):
    path = str(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(20)
        gateway = make_gateway(environment={"NOTIFY_SOCKET": path})

        def until(word):
            said = ""
            while word not in said:
                said += notify.recv(4096).decode() + "\n"
            return said
        until("READY=1")
        gateway.write_ini({"http": {"max_body": "1MiB"}})
        gateway.sighup()
        assert "MONOTONIC_USEC=" in until("RELOADING=1")
        until("READY=1")
        gateway.process.terminate()
        until("STOPPING=1")
        assert gateway.process.wait(20) == 0


def test_log_file_and_reopen(make_gateway):
    gateway = make_gateway(start=False)
    log = gateway.folder / "access.log"
    gateway.write_ini({"log": {"output": f"file:{log}"}})
    gateway.start()
    gateway.chat()
    wait_until(lambda: "chat/completions" in log.read_text(), "the first line")
    log.rename(log.with_suffix(".1"))
    gateway.process.send_signal(signal.SIGUSR1)
    wait_until(log.exists, "the new file")
    gateway.chat()
    wait_until(lambda: "chat/completions" in log.read_text(), "a line in the new file")


def test_a_blocked_log_never_stops_the_data_plane(make_gateway):
    gateway = make_gateway(start=False)
    read_end, write_end = os.pipe()
    gateway.process = subprocess.Popen([build_dir() / "gatewayd", "-c", gateway.ini], stdin=subprocess.DEVNULL,
                                       stdout=write_end, stderr=write_end)
    os.close(write_end)
    gateway.wait_ready()
    for _ in range(400):
        assert gateway.chat(headers=[("user-agent", "x" * 200)]).status == 200
    gateway.stop()
    os.close(read_end)


def test_a_port_that_is_taken(make_gateway):
    gateway = make_gateway(start=False)
    taken = free_port()
    with socket.create_server(("127.0.0.1", taken)):
        gateway.write_ini({"gateway": {"listen": f"127.0.0.1:{taken}"}})
        gateway.spawn()
        assert gateway.process.wait(20) != 0
    assert str(taken) in gateway.log_text()
