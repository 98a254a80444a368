"""What the master does about its children, read off the events in its log."""

import contextlib
import os
import signal
from datetime import datetime

from waiting import wait_until


def events(gateway, message, **fields):
    """Lines of the master with this text and these fields."""
    return [line for line in gateway.log_lines() if line.get("proc") == "master" and line.get("msg") == message
            and all(line.get(key) == value for key, value in fields.items())]


def milliseconds(start, end):
    return (datetime.fromisoformat(end["ts"]) - datetime.fromisoformat(start["ts"])).total_seconds() * 1000


def returned(gateway, role, dead):
    """The process that took the place of `dead`: its "ready" event and the death's."""
    gone, = wait_until(lambda: events(gateway, "child is gone", child_pid=dead), f"the end of {role} {dead}")
    return gone, wait_until(lambda: [line for line in events(gateway, "child is ready", role=role, slot=gone["slot"])
                                     if line["ts"] > gone["ts"]], f"a new {role}")[0]


# A sanitizer build starts several times slower.
RESPAWN_MS = 1000 if os.environ.get("GATEWAYD_BUILD", "").endswith("asan") else 100


def test_a_killed_worker_is_back_within_100_ms(gateway):
    """The first three times in quick succession, and each time when it had served before."""
    took = []
    for _ in range(3):
        dead = gateway.pids("worker")[0]
        os.kill(dead, signal.SIGKILL)
        gone, ready = returned(gateway, "worker", dead)
        assert gone["signal"] == "KILL"
        took.append(milliseconds(gone, ready))
        wait_until(lambda: len(gateway.pids("worker")) == 2, "the list of workers")
    assert max(took) < RESPAWN_MS, took


def test_a_worker_that_had_served_is_back_within_100_ms_each_time(gateway):
    def served():
        row, = (row for row in gateway.processes() if row["role"] == "worker" and row["slot"] == 0)
        return row["pid"] if row["state"] == "ready" and row["uptime_us"] > 1_100_000 else None

    took = []
    for _ in range(4):
        dead = wait_until(served, "the worker to have served for more than a second")
        os.kill(dead, signal.SIGKILL)
        took.append(milliseconds(*returned(gateway, "worker", dead)))
    assert max(took) < RESPAWN_MS, took


def test_a_killed_keeper_is_back(gateway):
    dead = gateway.pids("keeper")[0]
    os.kill(dead, signal.SIGKILL)
    returned(gateway, "keeper", dead)
    wait_until(lambda: gateway.gwctl("status", check=False).returncode == 0, "the admin socket to answer")


def test_a_child_that_joins_late_gets_the_new_generation(gateway):
    """Workers die while reloads run: all end up on the newest generation."""
    for number in range(5):
        gateway.write_ini({"model:late": {"targets": f"mock/late-{number}"}})
        gateway.sighup()
        with contextlib.suppress(ProcessLookupError):  # the one that was killed before
            os.kill(wait_until(lambda: gateway.pids("worker"), "a worker")[0], signal.SIGKILL)

    def settled():
        status = gateway.gwctl_json("status")
        workers = gateway.gwctl_json("workers")
        rows = workers["workers"] if isinstance(workers, dict) else workers
        return status["workers_ready"] == 2 and all(row["generation"] == status["generation"] for row in rows)
    wait_until(settled, "every worker to serve the newest generation")
    gateway.reload()  # a death in the middle of building fails the reload that it hits
    wait_until(settled, "every worker to serve the newest generation")
    assert gateway.chat(model="late").status == 200


def test_a_storm_of_reloads_is_one_after_the_other(gateway):
    """However often it is asked, one loader runs and at most one more follows."""
    for number in range(200):
        if number % 20 == 0:
            gateway.write_ini({"model:storm": {"targets": f"mock/storm-{number}"}})
        gateway.sighup()
        assert len(gateway.pids("loader")) <= 1
    wait_until(lambda: gateway.chat(model="storm").status == 200 and not gateway.pids("loader"), "the last reload")
    assert not events(gateway, "reload failed, the running configuration stays")


def test_children_know_nothing_of_provider_keys(make_gateway):
    """No variable that the loader reads secrets from can be read off them."""
    gateway = make_gateway(environment={"PROVIDER_KEY_IN_THE_ENVIRONMENT": "canary-in-the-environment"})
    for role in ("worker", "keeper"):
        for pid in gateway.pids(role):
            with open(f"/proc/{pid}/environ", "rb") as environment:
                assert b"canary-in-the-environment" not in environment.read()
