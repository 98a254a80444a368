"""Who is the client: CORS, allow, load balancers in front."""

import os
import socket
import struct
from pathlib import Path

import pytest

from client import Connection
from gateway import KEY, chat_body
from waiting import wait_until

PATH = "/v1/chat/completions"
ORIGIN = "https://app.example.com"


def client_in_log(gateway, answer):
    return gateway.access_line(answer.header("x-request-id"))["client"]


def test_no_cors_unless_configured(gateway):
    answer = gateway.chat(headers=[("Origin", ORIGIN)])
    assert answer.status == 200
    assert answer.header("access-control-allow-origin") is None


def test_cors(make_gateway):
    gateway = make_gateway({"http": {"cors_origins": ORIGIN}})
    answer = gateway.chat(headers=[("Origin", ORIGIN)])
    assert answer.header("access-control-allow-origin") == ORIGIN
    assert "origin" in answer.header("vary").lower()
    exposed = answer.header("access-control-expose-headers").lower()
    assert exposed == "*" or "x-request-id" in exposed
    assert gateway.chat(headers=[("Origin", "https://evil.test")]).header("access-control-allow-origin") is None
    refused = gateway.chat(key="wrong", headers=[("Origin", ORIGIN)])
    assert refused.status == 401 and refused.header("access-control-allow-origin") == ORIGIN, \
        "a browser must be able to read why it was refused"


def test_cors_preflight_needs_no_key(make_gateway, mock):
    gateway = make_gateway({"http": {"cors_origins": ORIGIN}})
    asked = [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST"),
             ("Access-Control-Request-Headers", "authorization,content-type,x-stainless-os")]
    answer = gateway.call("OPTIONS", PATH, headers=asked, key=None)
    assert answer.status in (200, 204), answer
    assert answer.header("access-control-allow-origin") == ORIGIN
    assert answer.header("access-control-allow-methods") == "GET, POST, PATCH, DELETE, OPTIONS"
    allowed = answer.header("access-control-allow-headers").lower()
    assert allowed == "*" or {"authorization", "content-type"} <= {name.strip() for name in allowed.split(",")}
    refused = gateway.call("OPTIONS", PATH, headers=[("Origin", "https://evil.test"), *asked[1:]], key=None)
    assert refused.header("access-control-allow-origin") is None
    assert mock.bill() == []


def test_allow(make_gateway):
    assert make_gateway({"http": {"allow": "127.0.0.0/8"}}).chat().status == 200


def test_not_allowed(make_gateway):
    gateway = make_gateway({"http": {"allow": "10.0.0.0/8"}}, start=False).spawn()
    wait_until(gateway.is_active, "the daemon to be ready")
    with gateway.connect() as connection:
        connection.send(gateway.chat_bytes())
        try:
            data = connection.read_to_end()
        except ConnectionResetError:
            data = b""
    assert data == b"" or data.startswith(b"HTTP/1.1 403 "), data
    gateway.stop()


@pytest.mark.parametrize("forwarded, client", [
    ("203.0.113.7", "203.0.113.7"), ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
    ("203.0.113.7, 10.1.2.3", "203.0.113.7"), ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
    ("2001:db8::1", "2001:db8::1"), ("not an address", "127.0.0.1"), ("", "127.0.0.1")])
def test_trusted_proxies(make_gateway, forwarded, client):
    """The rightmost address that isn't a trusted proxy's is the client."""
    gateway = make_gateway({"gateway": {"trusted_proxies": "127.0.0.0/8, 10.0.0.0/8"}})
    answer = gateway.chat(headers=[("X-Forwarded-For", forwarded)])
    assert client_in_log(gateway, answer) == client


def test_many_forwarded_lines_hide_nothing(make_gateway):
    """What a client sends in front of the proxy's own line doesn't count, however much it is."""
    gateway = make_gateway({"gateway": {"trusted_proxies": "127.0.0.0/8"}})
    lines = [("X-Forwarded-For", "198.51.100.1")] * 40 + [("X-Forwarded-For", "203.0.113.7")]
    assert client_in_log(gateway, gateway.chat(headers=lines)) == "203.0.113.7"


def test_forwarded_for_of_a_stranger_does_not_count(gateway):
    answer = gateway.chat(headers=[("X-Forwarded-For", "203.0.113.7")])
    assert client_in_log(gateway, answer) == "127.0.0.1"


def proxy_v2(family, source, destination):
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    block = addresses + struct.pack("!HH", 40000, 80)
    kind = 0x11 if family == socket.AF_INET else 0x21
    return b"\r\n\r\n\x00\r\nQUIT\n" + struct.pack("!BBH", 0x21, kind, len(block)) + block


@pytest.mark.parametrize("preface, client", [
    (b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 80\r\n", "203.0.113.7"),
    (b"PROXY TCP6 2001:db8::7 ::1 40000 80\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (proxy_v2(socket.AF_INET, "203.0.113.8", "127.0.0.1"), "203.0.113.8"),
    (proxy_v2(socket.AF_INET6, "2001:db8::8", "::1"), "2001:db8::8"),
    (b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1"),
], ids=["v1 TCP4", "v1 TCP6", "v1 UNKNOWN", "v2 inet", "v2 inet6", "v2 LOCAL"])
def test_proxy_protocol(make_gateway, preface, client):
    gateway = proxied(make_gateway)
    with gateway.connect(preface=preface) as connection:
        answer = gateway.chat(connection=connection)
        assert answer.status == 200, answer
        assert gateway.chat(connection=connection).status == 200, "the header comes once a connection"
    assert client_in_log(gateway, answer) == client


@pytest.mark.parametrize("preface", [
    b"", b"PROXY TCP4 999.0.113.7 127.0.0.1 40000 80\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
    b"PROXY " + b"x" * 200, b"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c" + b"\x00" * 12,
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"], ids=["none", "address", "surplus", "endless", "version", "length"])
def test_a_bad_proxy_header_ends_the_connection(make_gateway, mock, preface):
    gateway = proxied(make_gateway)
    with gateway.connect(preface=preface) as connection:
        try:
            connection.send(gateway.chat_bytes())
            if preface.endswith(b"\xff\xff"):
                connection.half_close()
            data = connection.read_to_end()
        except (ConnectionResetError, BrokenPipeError):
            data = b""
    assert data == b"" or data.startswith(b"HTTP/1.1 400 "), data
    assert mock.bill() == []


def proxied(make_gateway):
    gateway = make_gateway(start=False)
    gateway.write_ini({"gateway": {"listen": f"127.0.0.1:{gateway.port} proxy_protocol"}})
    gateway.get = lambda target, key=None, **more: gateway.call(
        "GET", target, key=key, **{"preface": b"PROXY UNKNOWN\r\n", **more})
    return gateway.start()


def cpu_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_an_unfinished_proxy_header_costs_no_cpu(make_gateway):
    """Left in the socket it would wake the worker again and again until its deadline."""
    gateway = proxied(make_gateway)
    gateway.write_ini({"http": {"header_timeout": "1s"}})
    gateway.reload()
    before = sum(map(cpu_ticks, gateway.pids("worker")))
    with gateway.connect(preface=b"PROXY TCP4 203.0.") as connection:
        connection.half_close()
        connection.wait_closed()
    with gateway.connect(preface=b"PROXY TCP4 203.0.") as connection:
        connection.wait_closed()
    assert sum(map(cpu_ticks, gateway.pids("worker"))) - before < 0.5 * os.sysconf("SC_CLK_TCK")


def test_ipv6_and_unix_listeners(make_gateway, tmp_path):
    gateway = make_gateway(start=False)
    path = str(tmp_path / "data.sock")
    gateway.write_ini({"gateway": {"listen": f"127.0.0.1:{gateway.port}, [::1]:{gateway.port}, unix:{path}"}})
    gateway.start()
    assert gateway.get("/healthz", host="::1").status == 200
    with Connection(path) as connection:
        assert connection.round_trip("POST", PATH, [("Authorization", f"Bearer {KEY}")], chat_body()).status == 200
