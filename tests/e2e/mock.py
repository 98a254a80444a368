"""mockllm as a provider under control: scripts for requests to come, what it received, its bill."""

import http.client
import json
import select
import subprocess
import urllib.parse

from gateway import build_dir
from waiting import PATIENCE, wait_until


class Mock:
    """One mockllm. How it answers is said with an `x-mock` header or, for requests that can't carry
    one, by script(); its keys are in tests/mockllm/README.md. `tls` is a folder for a CA and
    certificates, bad ones included."""

    def __init__(self, folder, options=(), tls=None):
        self.options = list(options)
        if tls:
            tls.mkdir(exist_ok=True)
            self.options += ["--tls-self-signed", tls, "--tls-faults"]
        self.ca = tls and tls / "ca.pem"
        self.log = folder / f"mockllm-{id(self):x}.log"
        self.process = None
        self.ports = {}

    def start(self):
        """Starts it; after a stop(), on the same plain port again."""
        port = ["--port", str(self.ports["plain"])] if self.ports else []
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [build_dir() / "mockllm", "--die-with-parent", "--threads", "1", *port, *map(str, self.options)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        ready = select.select([self.process.stdout], [], [], PATIENCE)[0]
        line = self.process.stdout.readline() if ready else b""
        assert line, f"mockllm didn't start:\n{self.log.read_text()}"
        self.ports = json.loads(line)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
            self.process.stdout.close()

    @property
    def port(self):
        return self.ports["plain"]

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def tls_url(self, listener="tls"):
        return f"https://localhost:{self.ports[listener]}/v1"

    def _control(self, method, path, body=None, **query):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["ctl"], timeout=10)
        try:
            connection.request(method, f"{path}?{urllib.parse.urlencode(query)}" if query else path, body)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, (answer.status, text)
            return json.loads(text)
        finally:
            connection.close()

    def bill(self):
        """What was received and served: one record a request."""
        return self._control("GET", "/mock/bill")["records"]

    def requests(self):
        """Heads and bodies of the last requests, as they came over the wire."""
        return [Received(entry) for entry in self._control("GET", "/mock/requests")["requests"]]

    def totals(self):
        return self._control("GET", "/mock/totals")

    def last_request(self):
        requests = self.requests()
        assert requests, "the mock was sent nothing"
        return requests[-1]

    def wait_requests(self, count):
        """The bill once it holds `count` records."""
        return wait_until(lambda: len(bill := self.bill()) >= count and bill, f"{count} requests at the mock")

    def script(self, script, count=-1, payload=None, **match):
        """The next `count` requests that fit (model, credential, path) are answered so. A payload
        takes the place of the body."""
        body = script.encode() + (b"" if payload is None else b"\n" + payload)
        self._control("POST", "/mock/script", body, count=count, **match)

    def pause_accept(self, milliseconds):
        """No new connection is accepted for so long."""
        self._control("POST", "/mock/accept", pause_ms=milliseconds)

    def release(self):
        """Lets go of every answer that `hold` holds."""
        self._control("POST", "/mock/release")

    def reset(self):
        self._control("POST", "/mock/reset")


class Received:
    def __init__(self, entry):
        self.entry = entry
        self.head = entry["head"]
        self.body = entry["body"].encode("latin-1")  # one escape a byte
        self.connection = entry["connection"]
        request_line, *fields = self.head.rstrip("\r\n").split("\r\n")
        self.method, self.target, self.version = request_line.split(" ")
        self.headers = [tuple(part.strip() for part in field.split(":", 1)) for field in fields]

    def all(self, name):
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    def names(self):
        return {name.lower() for name, _ in self.headers}

    def json(self):
        return json.loads(self.body)
