"""gwctl and the admin API."""

import http.client
import json
import os
import socket
import ssl
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


def test_tokens_of_the_admin_listener(make_gateway):
    """Each token does what it is for, also against one that guesses; a browser's page gets nowhere with any."""
    gateway = make_gateway(start=False)
    port = free_port()
    names = {"token": TOKEN, "viewer_token": "viewer-canary-77", "metrics_token": "metrics-canary-88"}
    files = {name: f"file:{gateway.write_secret(text, gateway.folder / name)}" for name, text in names.items()}
    gateway.write_ini({"gateway": {"admin": f"unix:{gateway.admin_socket}, 127.0.0.1:{port}"}, "admin": files})
    gateway.start()

    def status(name, path, method="GET", **headers):
        if name:
            headers["Authorization"] = f"Bearer {names.get(name, name)}"
        return admin_request(gateway, path, headers, port, method)[0]

    for name, expected in [(None, (401, 401, 401, 200)), ("metrics_token", (200, 403, 403, 200)),
                           ("viewer_token", (200, 200, 403, 200)), ("token", (200, 200, 200, 200))]:
        assert (status(name, "/metrics"), status(name, "/admin/v1/keys"), status(name, "/admin/v1/drain", "POST"),
                status(name, "/healthz")) == expected, name
    for host, expected in [("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.test", 403),
                           ("localhost.evil.test", 403)]:
        assert status("token", "/admin/v1/status", Host=host) == expected, host
    for origin, expected in [("http://localhost", 200), ("null", 403), ("http://localhost.evil.test", 403)]:
        assert status("token", "/admin/v1/status", Origin=origin) == expected, origin
    assert 429 in {status(f"guess-{number}", "/admin/v1/status") for number in range(30)}
    assert status("token", "/admin/v1/status") == 429, "whoever guesses waits, with the right token too"
    log = gateway.log_text()
    assert not any(text in log for text in names.values())


def test_admin_over_tls(make_gateway, authority):
    certificate, key = authority.issue("admin")
    gateway = make_gateway(start=False)
    port = free_port()
    token = gateway.write_secret(TOKEN, gateway.folder / "admin.token")
    gateway.write_ini({"gateway": {"admin": f"unix:{gateway.admin_socket}, 127.0.0.1:{port} tls"},
                       "admin": {"token": f"file:{token}"},
                       "tls": {"certificate": str(certificate), "key": str(key)}})
    gateway.start()

    def gwctl(*args):
        return subprocess.run([build_dir() / "gwctl", "status", "--json", *args], capture_output=True, text=True)

    by_url = ("--url", f"https://localhost:{port}", "--token-file", token)
    assert json.loads(gwctl(*by_url, "--ca-file", str(authority.certificate)).stdout)["status"] == "ready"
    stranger = gwctl(*by_url)
    assert stranger.returncode == 1 and "certificate" in stranger.stderr, stranger
    plain = gwctl("--url", f"http://localhost:{port}", "--token-file", token)
    assert plain.returncode == 1 and TOKEN not in plain.stderr, plain
    context = ssl.create_default_context(cafile=str(authority.certificate))
    for headers, expected in [({}, 401), ({"Authorization": f"Bearer {TOKEN}"}, 200),
                              ({"Authorization": f"Bearer {TOKEN}", "Host": "evil.test"}, 403),
                              ({"Authorization": f"Bearer {TOKEN}", "Origin": "https://evil.test"}, 403)]:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        connection.request("GET", "/admin/v1/status", headers=headers)
        assert connection.getresponse().status == expected, headers
        connection.close()


def test_admin_is_not_on_the_data_listener(gateway):
    assert gateway.get("/admin/v1/status").status == 404


def test_healthz_of_the_admin_listener(gateway):
    assert admin_request(gateway, "/healthz")[0] == 200
