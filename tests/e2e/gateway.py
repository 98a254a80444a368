"""gatewayd as a process under test: its directories, its INI, its life, and what it says."""

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from client import Connection, request_bytes
from ports import free_port
from waiting import PATIENCE, Timeout, wait_until

ROOT = Path(__file__).resolve().parents[2]
SANITIZER = re.compile(rb"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|check failed)")

# A key that the INI declares, so that tests need no gwctl call for their first request.
KEY = "sk-gw-test-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
# What the provider wants to see. Any trace of it outside requests to the mock is a leak.
PROVIDER_SECRET = "sk-provider-canary-7c1d9e2b54"
MODEL = "gpt-test"


def build_dir():
    return (ROOT / os.environ.get("GATEWAYD_BUILD", "build")).resolve()


class Failed(AssertionError):
    """gatewayd or gwctl ended with a status that the test didn't expect."""

    def __init__(self, what, result):
        super().__init__(f"{what}: status {result.returncode}\n{result.stdout}{result.stderr}")
        self.result = result


class Gateway:
    """One daemon. `settings` is {section: {key: value}}, laid over the base of these tests; a value
    of None takes a key away, a section of None the section."""

    def __init__(self, folder, mock=None, settings=None, workers=2, environment=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state, self.runtime = self.folder / "state", self.folder / "run"
        self.ini, self.stderr = self.folder / "gatewayd.ini", self.folder / "stderr.log"
        self.secret = self.folder / "provider.key"
        self.write_secret(PROVIDER_SECRET)
        self.port = free_port()
        self.mock = mock
        self.environment = environment or {}
        self.process = None
        self.settings = self._base(workers)
        self.write_ini(settings)

    def _base(self, workers):
        base = {
            "gateway": {
                "listen": f"127.0.0.1:{self.port}",
                "workers": str(workers),
                "state_dir": str(self.state),
                "runtime_dir": str(self.runtime),
                "drain_timeout": "5s",
            },
            "store": {"map_size": "64MiB", "commit_interval": "5ms"},
            "key:test": {"sha256": hashlib.sha256(KEY.encode()).hexdigest()},
        }
        if self.mock:
            base["provider:mock"] = {"kind": "openai", "base_url": self.mock.base_url,
                                     "forward_headers": "x-mock"}
            base["credential:mock"] = {"provider": "mock", "secret": f"file:{self.secret}"}
            base[f"model:{MODEL}"] = {"targets": "mock/mock-chat", "retries": "0"}
        return base

    # ---- configuration ----

    def write_secret(self, text, path=None):
        path = path or self.secret
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return path

    def write_ini(self, settings=None):
        """Lays settings over those in force and writes the file; a reload or start reads it."""
        for section, keys in (settings or {}).items():
            if keys is None:
                self.settings.pop(section, None)
                continue
            into = self.settings.setdefault(section, {})
            for key, value in keys.items():
                if value is None:
                    into.pop(key, None)
                else:
                    into[key] = value
        text = "\n".join(
            f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
            for section, keys in self.settings.items())
        self._replace(self.ini, text)

    def write_raw_ini(self, text):
        self._replace(self.ini, text)

    @staticmethod
    def _replace(path, text):
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(path)

    # ---- life ----

    def process_environment(self):
        kept = {name: value for name, value in os.environ.items()
                if "proxy" not in name.lower() and not name.endswith("_API_KEY")}
        kept.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=0")
        kept.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        return {**kept, **self.environment}

    def spawn(self, *extra):
        """Starts the daemon and doesn't wait for anything."""
        with open(self.stderr, "ab") as log:
            self.process = subprocess.Popen(
                [build_dir() / "gatewayd", "-c", self.ini, *extra], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self.process_environment(), cwd=self.folder)
        return self

    def start(self, *extra):
        self.spawn(*extra)
        self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"gatewayd ended with status {self.process.returncode}:\n{self.log_text()}")
            return self.is_ready() and self.is_active()
        wait_until(ready, "the daemon to be ready")

    def is_active(self):
        """Whether the start is through: every process has its generation."""
        try:
            status = self.admin("/admin/v1/status")
        except (OSError, AssertionError):
            return False
        return status["status"] == "ready" and status["generation"] > 0

    def is_ready(self):
        try:
            return self.get("/readyz").status == 200
        except (OSError, AssertionError):
            return False

    def stop(self, sig=signal.SIGTERM, status=0, deadline=PATIENCE):
        """Ends it with a signal and checks that it ends as it should."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(sig)
        try:
            self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise Timeout(f"gatewayd didn't end {deadline:g} s after signal {sig}:\n{self.log_text()}") from None
        if status is not None:
            assert self.process.returncode == status, \
                f"gatewayd ended with {self.process.returncode}:\n{self.log_text()}"

    def kill_all(self):
        """The end of a test: nothing of this daemon may stay, whatever state it is in."""
        family = self.family()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def sighup(self):
        self.process.send_signal(signal.SIGHUP)

    def reload(self, check=True):
        return self.gwctl("reload", check=check)

    # ---- processes ----

    def family(self):
        """Pids of this daemon: the master and all whose parent it is."""
        if not self.process:
            return []
        master = self.process.pid
        return ([master] if self.process.poll() is None else []) + children_of(master)

    def processes(self):
        """One row a process; what `gwctl workers --json` prints, without a program to start."""
        return self.admin("/admin/v1/workers")["workers"]

    def pids(self, role="worker"):
        return [row["pid"] for row in self.processes() if row["role"] == role and row["pid"]]

    def kill_worker(self, sig=signal.SIGKILL, index=0):
        pid = sorted(self.pids("worker"))[index]
        os.kill(pid, sig)
        return pid

    def wait_workers(self, count):
        """Pids of the workers, once there are `count` and all of them serve."""
        def ready():
            rows = [row for row in self.processes() if row["role"] == "worker"]
            return len(rows) == count and all(row["state"] == "ready" for row in rows) and \
                [row["pid"] for row in rows]
        return wait_until(ready, f"{count} workers to be ready")

    def open_fds(self):
        """{pid: number of descriptors} of the workers."""
        return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids("worker")}

    def anonymous_kib(self):
        """Memory of master, workers and keeper that is nobody else's and no file's: what leaks."""
        total = 0
        for pid in [self.process.pid, *self.pids("worker"), *self.pids("keeper")]:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss_Anon:\s+(\d+)", text, re.M).group(1))
        return total

    # ---- gwctl ----

    @property
    def admin_socket(self):
        return str(self.runtime / "admin.sock")

    def admin(self, path):
        """GET of the admin API over its unix socket."""
        with Connection(self.admin_socket) as connection:
            answer = connection.round_trip("GET", path, host="localhost")
        assert answer.status == 200, answer
        return answer.json()

    def gwctl(self, *args, check=True, input=None, status=None):
        result = subprocess.run(
            [build_dir() / "gwctl", "--socket", self.admin_socket, *map(str, args)], input=input,
            capture_output=True, text=True, env=self.process_environment(), cwd=self.folder, timeout=60)
        wanted = status if status is not None else 0 if check else result.returncode
        if result.returncode != wanted:
            raise Failed(f"gwctl {' '.join(map(str, args))}", result)
        return result

    def gwctl_json(self, *args, **more):
        return json.loads(self.gwctl(*args, "--json", **more).stdout)

    def create_key(self, name, *options):
        """(id, key) of a new virtual key."""
        made = self.gwctl_json("keys", "create", "--name", name, *options)
        return made["id"], made["key"]

    def ledger(self):
        return self.gwctl_json("ledger")["records"]

    def ledger_of(self, request_id):
        return [record for record in self.ledger() if record["request_id"] == request_id]

    # ---- what it says ----

    def log_text(self):
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def log_lines(self):
        """Every line that is a JSON object: access lines (they have a status) and diagnostics."""
        lines = []
        for line in self.log_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                lines.append(json.loads(line))
        return lines

    def access_lines(self):
        return [line for line in self.log_lines() if "status" in line and "path" in line]

    def access_line(self, request_id):
        """The one line of a request; waits for it, since it is written after the answer."""
        lines = wait_until(lambda: [line for line in self.access_lines() if line["id"] == request_id],
                           f"the log line of {request_id}")
        assert len(lines) == 1, lines
        return lines[0]

    def wait_log(self, text):
        return wait_until(lambda: text in self.log_text(), f"{text!r} in the log")

    def sanitizer_reports(self):
        data = self.stderr.read_bytes() if self.stderr.exists() else b""
        match = SANITIZER.search(data)
        return data[max(0, match.start() - 400):match.start() + 6000].decode(errors="replace") if match else ""

    def inflight(self):
        """(connections, requests) that the workers hold at this moment."""
        rows = [row for row in self.processes() if row["role"] == "worker"]
        return sum(row["connections"] for row in rows), sum(row["inflight"] for row in rows)

    def wait_idle(self):
        """Every connection closed and every request ended: nothing is left to be charged."""
        wait_until(lambda: self.inflight() == (0, 0), "all connections and requests to end")

    # ---- requests ----

    def connect(self, **more):
        return Connection(self.port, **more)

    def get(self, target, key=None, **more):
        return self.call("GET", target, key=key, **more)

    def call(self, method, target, body=b"", headers=(), key=KEY, **more):
        """One request on a connection of its own."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        if key is not None:
            headers.append(("Authorization", f"Bearer {key}"))
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        if body and not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", "application/json"))
        with self.connect(**more) as connection:
            return connection.round_trip(method, target, headers, body)

    def chat(self, script="", key=KEY, model=MODEL, headers=(), connection=None, **members):
        """A chat request; `script` tells the mock how to answer it."""
        body = chat_body(model=model, **members)
        headers = [*headers, *([("x-mock", script)] if script else [])]
        if connection is None:
            return self.call("POST", "/v1/chat/completions", body, headers, key)
        connection.send(self.chat_bytes(script, key, model, headers=headers, **members))
        return connection.read_response()

    def chat_bytes(self, script="", key=KEY, model=MODEL, headers=(), **members):
        """The same as bytes for a connection."""
        headers = [("Authorization", f"Bearer {key}"), ("Content-Type", "application/json"),
                   *([("x-mock", script)] if script else []), *headers]
        return request_bytes("POST", "/v1/chat/completions", headers, chat_body(model=model, **members))

    @contextlib.contextmanager
    def stream(self, script="", key=KEY, model=MODEL, headers=(), **members):
        """(connection, head) of a streamed chat whose head has been read."""
        with self.connect() as connection:
            connection.send(self.chat_bytes(script, key, model, headers, stream=True, **members))
            yield connection, connection.read_stream_head()


def chat_body(model=MODEL, **members):
    members.setdefault("messages", [{"role": "user", "content": "Say hello."}])
    return json.dumps({"model": model, **members}).encode()


def children_of(pid):
    """Pids whose parent is `pid`, from /proc."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{entry}/stat").read_text()
                if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry))
    return found


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def refuses_connections(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
