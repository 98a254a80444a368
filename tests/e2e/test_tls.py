"""TLS on both sides."""

import os
import ssl
import threading
import socket

import pytest

from client import Connection, tls_context

from ports import free_port
from waiting import wait_until


@pytest.fixture
def tls_gateway(make_gateway, authority):
    certificate, key = authority.issue(f"gateway-{free_port()}")
    gateway = make_gateway(start=False)
    gateway.tls_port, gateway.certificate, gateway.tls_key = free_port(), certificate, key
    gateway.write_ini({"gateway": {"listen": f"127.0.0.1:{gateway.port}, 127.0.0.1:{gateway.tls_port} tls"},
                       "tls": {"certificate": str(certificate), "key": str(key)}})
    return gateway


def connect_tls(gateway, authority, context=None, **more):
    return Connection(gateway.tls_port, tls=context or tls_context(authority.certificate), **more)


def test_chat_and_stream_over_tls(tls_gateway, authority):
    tls_gateway.start()
    with connect_tls(tls_gateway, authority) as connection:
        assert tls_gateway.chat("size=300000", connection=connection).status == 200
        connection.send(tls_gateway.chat_bytes("tokens=20", stream=True))
        head = connection.read_stream_head()
        assert list(connection.events(head))[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_and_resumption(tls_gateway, authority, version):
    tls_gateway.start()
    context = tls_context(authority.certificate)
    context.minimum_version = context.maximum_version = version
    session = None
    reused = []
    for _ in range(4):
        raw = socket.create_connection(("127.0.0.1", tls_gateway.tls_port), timeout=10)
        with context.wrap_socket(raw, server_hostname="gateway.test", session=session) as secured:
            secured.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert secured.recv(4096).startswith(b"HTTP/1.1 200")
            session = secured.session
            reused.append(secured.session_reused)
    assert reused[0] is False
    assert all(reused[1:]), "tickets are good in every worker"


def test_old_versions_are_refused(tls_gateway, authority):
    tls_gateway.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        connect_tls(tls_gateway, authority, context).close()


@pytest.mark.parametrize("size", [3000, 5000])
def test_requests_that_tls_holds_already_are_answered(tls_gateway, authority, size):
    """More than a connection keeps while it is busy; the last bytes are inside the TLS layer by then,
    where no event tells of them."""
    tls_gateway.start()
    count = 420000 // size
    later = tls_gateway.chat_bytes(messages=[{"role": "user", "content": "y" * size}]) * count
    with connect_tls(tls_gateway, authority) as connection:
        connection.send(tls_gateway.chat_bytes("ttft=300ms") + later)
        assert [connection.read_response().status for _ in range(count + 1)] == [200] * (count + 1)


def test_certificate_reload(tls_gateway, authority):
    """A new certificate for new connections; the open ones go on."""
    tls_gateway.start()
    with connect_tls(tls_gateway, authority) as old:
        first = old.socket.getpeercert()["serialNumber"]
        certificate, key = authority.issue(f"renewed-{free_port()}")
        os.replace(key, tls_gateway.tls_key)
        os.replace(certificate, tls_gateway.certificate)
        tls_gateway.sighup()

        def serial():
            with connect_tls(tls_gateway, authority) as fresh:
                return fresh.socket.getpeercert()["serialNumber"]
        wait_until(lambda: serial() != first, "the new certificate")
        assert tls_gateway.chat(connection=old).status == 200


def test_a_bad_certificate_file_keeps_the_old_one(tls_gateway, authority):
    tls_gateway.start()
    tls_gateway.certificate.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    result = tls_gateway.reload(check=False)
    assert result.returncode == 1
    assert "gatewayd.ini:" in result.stderr and "[tls] certificate: certificate 1 is broken" in result.stderr
    with connect_tls(tls_gateway, authority) as connection:
        assert tls_gateway.chat(connection=connection).status == 200


def test_client_certificates(tls_gateway, authority):
    tls_gateway.write_ini({"tls": {"client_ca": str(authority.certificate)}})
    tls_gateway.start()
    certificate, key = authority.issue(f"client-{free_port()}", usage="clientAuth")
    with connect_tls(tls_gateway, authority, tls_context(authority.certificate, (certificate, key))) as connection:
        assert tls_gateway.chat(connection=connection).status == 200
    with pytest.raises((ssl.SSLError, ConnectionResetError, AssertionError)):
        with connect_tls(tls_gateway, authority) as connection:
            tls_gateway.chat(connection=connection)


def test_plain_http_on_a_tls_port(tls_gateway):
    tls_gateway.start()
    with Connection(tls_gateway.tls_port) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            data = connection.read_to_end()
        except ConnectionResetError:
            data = b""
    assert not data.startswith(b"HTTP/1.1 200"), data


def test_a_stalled_handshake_is_given_up(tls_gateway):
    tls_gateway.write_ini({"http": {"header_timeout": "300ms"}})
    tls_gateway.start()
    with socket.create_connection(("127.0.0.1", tls_gateway.tls_port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01")
        assert raw.recv(100) == b""


# ---- the provider's side ----

@pytest.fixture
def tls_mock(make_mock, tmp_path):
    return make_mock(tls=tmp_path / "mock-tls")


def to_provider(url, ca, **more):
    return {"provider:mock": {"base_url": url, "ca_file": str(ca), **more}}


def test_https_provider(make_gateway, tls_mock):
    gateway = make_gateway(to_provider(tls_mock.tls_url(), tls_mock.ca))
    for _ in range(3):
        assert gateway.chat().status == 200
    with gateway.stream("tokens=20") as (connection, head):
        assert list(connection.events(head))[-1] == b"data: [DONE]\n\n"
    assert all(entry["tls"] for entry in tls_mock.bill())
    assert tls_mock.totals()["tls_handshakes"] <= 2, "connections are reused"


@pytest.mark.parametrize("listener", ["tls_expired", "tls_wrong_host", "tls_untrusted"])
def test_a_bad_certificate_of_a_provider(make_gateway, tls_mock, listener):
    gateway = make_gateway(to_provider(tls_mock.tls_url(listener), tls_mock.ca))
    answer = gateway.chat()
    assert answer.status in (502, 503), answer
    assert tls_mock.bill() == [], "nothing is sent to who can't show who it is"
    line = gateway.access_line(answer.header("x-request-id"))
    assert "tls" in (line["error_code"] + line["reason"]).lower()


def test_a_provider_that_the_system_does_not_trust(make_gateway, tls_mock):
    gateway = make_gateway({"provider:mock": {"base_url": tls_mock.tls_url()}})
    assert gateway.chat().status in (502, 503)
    assert tls_mock.bill() == []


def test_a_provider_on_a_plain_port(make_gateway, mock, tls_mock):
    gateway = make_gateway(to_provider(f"https://localhost:{mock.port}/v1", tls_mock.ca))
    assert gateway.chat().status in (502, 503)


class ConnectProxy:
    """A proxy that knows CONNECT and nothing else; remembers what it was asked."""

    def __init__(self, status="200 Connection established"):
        self.status, self.asked = status, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(4096)
            if not data:
                return
            head += data
        self.asked.append(head.decode())
        client.sendall(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
        if not self.status.startswith("200"):
            client.close()
            return
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        # No look-up: a bare system may have no /etc/hosts.
        assert host == "localhost", host
        upstream = socket.create_connection(("127.0.0.1", int(port)))
        threading.Thread(target=self._pump, args=(client, upstream), daemon=True).start()
        self._pump(upstream, client)

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.fixture
def proxy():
    made = ConnectProxy()
    yield made
    made.close()


def test_https_proxy_from_the_environment(make_gateway, tls_mock, proxy):
    gateway = make_gateway(to_provider(tls_mock.tls_url(), tls_mock.ca),
                           environment={"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"})
    assert gateway.chat().status == 200
    head = proxy.asked[0]
    assert head.startswith(f"CONNECT localhost:{tls_mock.ports['tls']} HTTP/1.1\r\n")
    assert "authorization" not in head.lower()


def test_no_proxy(make_gateway, tls_mock, proxy):
    gateway = make_gateway(to_provider(tls_mock.tls_url(), tls_mock.ca), environment={
        "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "NO_PROXY": "example.com,localhost"})
    assert gateway.chat().status == 200
    assert proxy.asked == []


def test_proxy_of_one_provider(make_gateway, tls_mock, proxy):
    gateway = make_gateway(to_provider(tls_mock.tls_url(), tls_mock.ca, proxy=f"http://127.0.0.1:{proxy.port}"))
    assert gateway.chat().status == 200
    assert len(proxy.asked) == 1


def test_a_proxy_that_refuses(make_gateway, tls_mock):
    proxy = ConnectProxy("403 Forbidden")
    gateway = make_gateway(to_provider(tls_mock.tls_url(), tls_mock.ca, proxy=f"http://127.0.0.1:{proxy.port}"))
    assert gateway.chat().status in (502, 503)
    assert tls_mock.bill() == []
    proxy.close()


