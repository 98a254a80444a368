"""A client that sends exactly the bytes it is told to, and reads answers strictly.

http.client hides what these tests are about: framing, half-closed and reset connections, slow
senders, several requests on one connection.
"""

import json
import select
import socket
import ssl
import struct
import time

from waiting import PATIENCE


class Closed(AssertionError):
    """The connection ended before the answer was complete."""


class Response:
    def __init__(self, status, reason, headers, body, framing):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body
        self.framing = framing  # "length", "chunked", "close", "none"

    def header(self, name, default=None):
        """The one value of a field; more than one is an error in what these tests look at."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} occurs {len(values)} times: {values}"
        return values[0] if values else default

    def all(self, name):
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The error object of an OpenAI-shaped body, checked for its shape."""
        error = self.json()["error"]
        assert isinstance(error["message"], str) and error["message"], error
        assert isinstance(error["type"], str), error
        assert "code" in error and "param" in error, error
        return error

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:600]!r}>"


def request_bytes(method, target, headers=(), body=b"", host="gateway.test"):
    """A well-formed request. Content-Length is added where there is a body and no framing yet."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    headers = list(headers.items() if isinstance(headers, dict) else headers)
    names = {name.lower() for name, _ in headers}
    if body and not names & {"content-length", "transfer-encoding"}:
        headers.append(("Content-Length", str(len(body))))
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*parts):
    """The parts as chunks, with the last chunk behind them."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


class Connection:
    """One connection to the gateway. A context manager; leaving it closes the socket."""

    def __init__(self, port, host="127.0.0.1", tls=None, sni="gateway.test", timeout=PATIENCE,
                 preface=b"", rcvbuf=None):
        family = socket.AF_UNIX if isinstance(port, str) else (
            socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.connect(port if isinstance(port, str) else (host, port))
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if preface:
            self.socket.sendall(preface)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=sni)
        self.buffer = b""
        self.at_end = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- sending ----

    def send(self, data):
        self.socket.sendall(data)
        return self

    def send_slowly(self, data, step=1, pause=0.02, stop=None):
        """Bytes in steps; ends early, returning False, when the other side answers or closes."""
        for at in range(0, len(data), step):
            if select.select([self.socket], [], [], pause)[0]:
                return False
            try:
                self.socket.sendall(data[at:at + step])
            except OSError:
                return False
            if stop and time.monotonic() > stop:
                return False
        return True

    def request(self, method, target, headers=(), body=b"", **more):
        return self.send(request_bytes(method, target, headers, body, **more))

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        """Ends the connection with RST instead of FIN."""
        raw = self.socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    def close(self):
        self.socket.close()

    @property
    def local_port(self):
        return self.socket.getsockname()[1]

    # ---- receiving ----

    def _fill(self):
        if self.at_end:
            return False
        try:
            data = self.socket.recv(65536)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        if not data:
            self.at_end = True
            return False
        self.buffer += data
        return True

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self._fill():
                raise Closed(f"connection ended before {mark!r}; read so far: {self.buffer[:600]!r}")
        head, self.buffer = self.buffer.split(mark, 1)
        return head + mark

    def read_exactly(self, count):
        while len(self.buffer) < count:
            if not self._fill():
                raise Closed(f"connection ended {count - len(self.buffer)} bytes early: {self.buffer[:600]!r}")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_to_end(self):
        """All up to the FIN. A reset raises ConnectionResetError."""
        while self._fill():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def wait_closed(self):
        """True when the other side closes (FIN or RST) without sending anything more."""
        try:
            rest = self.read_to_end()
        except ConnectionResetError:
            rest = b""
        assert rest == b"", f"expected the connection to end, got {rest[:600]!r}"
        return True

    def read_head(self):
        head = self.read_until(b"\r\n\r\n").decode("latin-1")
        assert "\n" not in head.replace("\r\n", ""), f"bare line feed in {head!r}"
        status_line, *lines = head[:-4].split("\r\n")
        version, status, reason = (status_line.split(" ", 2) + [""])[:3]
        assert version == "HTTP/1.1", status_line
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and name == name.strip(), f"bad field {line!r}"
            headers.append((name, value.strip()))
        return Response(int(status), reason, headers, b"", "none")

    def read_chunk(self):
        """One chunk's data; b'' for the last one, whose trailer is consumed."""
        size = self.read_until(b"\r\n")[:-2]
        assert size and all(c in b"0123456789abcdefABCDEF" for c in size), f"bad chunk size {size!r}"
        data = self.read_exactly(int(size, 16))
        assert self.read_exactly(2) == b"\r\n", "chunk data isn't followed by CRLF"
        return data

    def read_response(self, head_request=False, interim=False):
        """One whole answer. Interim answers (1xx) are skipped unless asked for."""
        response = self.read_head()
        while 100 <= response.status < 200 and not interim:
            response = self.read_head()
        length = response.header("content-length")
        encoding = response.header("transfer-encoding")
        assert not (length and encoding), "both Content-Length and Transfer-Encoding"
        if head_request or response.status in (204, 304) or response.status < 200:
            return response
        if encoding:
            assert encoding.lower() == "chunked", encoding
            response.framing = "chunked"
            while data := self.read_chunk():
                response.body += data
        elif length is not None:
            response.framing = "length"
            response.body = self.read_exactly(int(length))
        else:
            response.framing = "close"
            response.body = self.read_to_end()
        return response

    def round_trip(self, method, target, headers=(), body=b"", **more):
        self.request(method, target, headers, body, **more)
        return self.read_response(head_request=method == "HEAD")

    # ---- server-sent events ----

    def read_stream_head(self):
        response = self.read_head()
        while 100 <= response.status < 200:
            response = self.read_head()
        return response

    def events(self, head):
        """Yields the bytes of each event of a streamed answer, its blank line included.

        Ends at the last chunk (or the end of a close-delimited body); raises Closed where the
        stream was cut.
        """
        assert head.header("content-length") is None, f"not a stream: {head}"
        is_chunked = (head.header("transfer-encoding") or "").lower() == "chunked"
        pending = b""
        while True:
            while b"\n\n" in pending:
                event, pending = pending.split(b"\n\n", 1)
                yield event + b"\n\n"
            if is_chunked:
                data = self.read_chunk()
            else:
                data, self.buffer = self.buffer, b""
                if not data and self._fill():
                    continue
            if not data:
                if pending:
                    yield pending
                return
            pending += data


def tls_context(ca=None, client=None):
    """A verifying client context; without a CA it trusts nothing that it isn't told to."""
    context = ssl.create_default_context(cafile=ca)
    if client:
        context.load_cert_chain(*client)
    return context
