"""gwctl and the admin API."""

import http.client
import json
import os
import socket
import subprocess

import pytest

from gateway import PROVIDER_SECRET, build_dir
from ports import free_port
from waiting import wait_until

TOKEN = "admin-token-canary-4d1"


def test_status(gateway):
    status = gateway.gwctl_json("status")
    assert status["generation"] >= 1
    assert "version" in status
    assert gateway.gwctl("status").stdout.strip()


def test_workers(make_gateway):
    gateway = make_gateway(workers=3)
    assert len(gateway.pids("worker")) == 3
    assert len(gateway.pids("keeper")) == 1
    assert set(gateway.pids("worker")) | set(gateway.pids("keeper")) <= set(gateway.family())


def test_process_titles(gateway):
    titles = [open(f"/proc/{pid}/cmdline").read().replace("\0", " ") for pid in gateway.family()]
    for role in ("master", "worker", "keeper"):
        assert any(title.startswith(f"gatewayd: {role}") for title in titles), titles


def test_config_show_has_no_secret(gateway):
    shown = gateway.gwctl("config", "show").stdout
    assert "mock" in shown and PROVIDER_SECRET not in shown
    assert PROVIDER_SECRET not in gateway.gwctl("config", "show", "--json").stdout


def test_config_check(gateway):
    assert gateway.gwctl("config", "check", gateway.ini).returncode == 0
    bad = gateway.folder / "bad.ini"
    bad.write_text("[gateway]\nlisten = nonsense\n\n[http]\nno_such_key = 1\n")
    result = gateway.gwctl("config", "check", bad, check=False)
    assert result.returncode in (1, 2)
    assert "bad.ini:2" in result.stdout + result.stderr and "bad.ini:5" in result.stdout + result.stderr


def test_a_secret_over_plain_http_is_warned_of(gateway):
    gateway.write_ini({"provider:far": {"kind": "openai-compatible", "base_url": "http://192.0.2.1/v1"},
                       "credential:far": {"provider": "far", "secret": f"file:{gateway.secret}"}})
    checked = gateway.gwctl("config", "check", gateway.ini)
    assert "warning: " in checked.stderr and "[credential:far]" in checked.stderr
    warnings = gateway.gwctl_json("config", "check", gateway.ini)["warnings"]
    assert len(warnings) == 1 and "gatewayd.ini:" in warnings[0]
    gateway.reload()
    gateway.wait_log("the secret of [credential:far] goes unencrypted")
    daemon = subprocess.run([build_dir() / "gatewayd", "-t", "-c", gateway.ini], capture_output=True, text=True)
    assert daemon.returncode == 0 and "warning: " in daemon.stderr


def test_config_diff(gateway):
    assert gateway.gwctl("config", "diff").returncode in (0, 1)
    gateway.write_ini({"http": {"max_body": "2MiB"}})
    assert "max_body" in gateway.gwctl("config", "diff", check=False).stdout


def test_drain_and_resume(gateway):
    assert gateway.chat().status == 200
    gateway.gwctl("drain")
    wait_until(lambda: gateway.get("/readyz").status == 503, "/readyz to say no")
    assert gateway.get("/healthz").status == 200
    assert gateway.chat().status == 200, "a drained gateway still answers who comes"
    gateway.gwctl("resume")
    wait_until(gateway.is_ready, "/readyz to say yes")


def admin_request(gateway, path="/admin/v1/status", headers=None, port=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port or 80, timeout=10)
    if port is None:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(gateway.admin_socket)
    try:
        connection.request(method, path, headers={"Host": "localhost", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_admin_over_the_unix_socket(gateway):
    status, body = admin_request(gateway)
    assert status == 200 and json.loads(body)
    assert os.stat(gateway.admin_socket).st_mode & 0o007 == 0


def test_a_stranger_may_not_use_the_admin_socket(gateway):
    if os.getuid() != 0:
        pytest.skip("needs root to become someone else")
    os.chmod(gateway.admin_socket, 0o777)
    for path in [gateway.runtime, *gateway.runtime.parents]:
        if path.stat().st_uid == 0 and str(path).startswith("/tmp"):
            path.chmod(path.stat().st_mode | 0o011)
    script = ("import http.client,socket;c=http.client.HTTPConnection('localhost');c.sock=socket.socket(socket.AF_UNIX);"
              f"c.sock.connect({gateway.admin_socket!r});c.request('GET','/admin/v1/status');print(c.getresponse().status)")
    result = subprocess.run(["/usr/bin/python3", "-c", script], user=65534, group=65534, extra_groups=[],
                            capture_output=True, text=True)
    assert result.returncode != 0 or result.stdout.strip() in ("401", "403"), result


@pytest.fixture
def tcp_admin(make_gateway):
    gateway = make_gateway(start=False)
    gateway.admin_port = free_port()
    token = gateway.write_secret(TOKEN, gateway.folder / "admin.token")
    gateway.write_ini({"gateway": {"admin": f"unix:{gateway.admin_socket}, 127.0.0.1:{gateway.admin_port}"},
                       "admin": {"token": f"file:{token}"}})
    return gateway.start()


def test_admin_over_tcp_wants_its_token(tcp_admin):
    port = tcp_admin.admin_port
    assert admin_request(tcp_admin, port=port)[0] == 401
    assert admin_request(tcp_admin, port=port, headers={"Authorization": "Bearer wrong"})[0] == 401
    assert admin_request(tcp_admin, port=port, headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
    assert TOKEN not in tcp_admin.log_text()


def test_gwctl_over_tcp(tcp_admin):
    result = subprocess.run([build_dir() / "gwctl", "--url", f"http://127.0.0.1:{tcp_admin.admin_port}",
                             "--token-file", tcp_admin.folder / "admin.token", "status", "--json"],
                            capture_output=True, text=True)
    assert result.returncode == 0 and json.loads(result.stdout), result


@pytest.mark.parametrize("headers", [{"Host": "evil.test"}, {"Origin": "https://evil.test"}])
def test_admin_refuses_what_a_browser_was_led_to_send(tcp_admin, headers):
    status, _ = admin_request(tcp_admin, port=tcp_admin.admin_port,
                              headers={"Authorization": f"Bearer {TOKEN}", **headers})
    assert status in (400, 403, 421)


def test_admin_is_not_on_the_data_listener(gateway):
    assert gateway.get("/admin/v1/status").status == 404


def test_healthz_of_the_admin_listener(gateway):
    assert admin_request(gateway, "/healthz")[0] == 200
