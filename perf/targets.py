"""What is measured: the mock itself (direct), nginx, gatewayd, and the peers that are installed.

A target offers url(kind, caller), model(kind, provider), headers(caller) and pids(); kind is one of
'plain', 'tls', 'sse', 'sse-tls', caller and provider are dialects. Everything listens on loopback, lives in its own folder under build/bench and ends with
the benchmark.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import dialects

HERE = os.path.dirname(os.path.abspath(__file__))
KEY = "sk-gw-benchmark-only-0000000000000000"
SSE_EVENTS = 100  # [DONE] and the event with finish_reason included
SSE_GAP = "2ms"
SSE_MODEL = f"mock-chat?tokens={SSE_EVENTS - 2}&gap={SSE_GAP}"
START_SECONDS = 60


def free_ports(n):
    socks = [socket.socket() for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def descendants(pid):
    """The process and all below it, as /proc shows them now."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="latin-1") as f:
                    parents[int(name)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = [pid]
    for p in found:
        found.extend(child for child, parent in parents.items() if parent == p)
    return found


def pss_kib(pids):
    """Proportional set size of several processes, so that shared pages are counted once."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


class Target:
    """A server that the load generator talks to."""

    name = "?"

    def __init__(self, env):
        self.env = env
        self.dir = os.path.join(env.dir, self.name)
        self.process = None
        self.idle_pss_kib = 0
        self.start_ms = None
        self.ports = {}

    def available(self):
        return True

    def start(self):
        raise NotImplementedError

    def kinds(self):
        return ("plain", "tls", "sse", "sse-tls")

    def translates(self):
        """Whether it lets callers of one dialect reach providers of another."""
        return False

    def headers(self, caller="openai"):
        return dialects.DIALECTS[caller].request_headers(KEY)

    def url(self, kind, caller="openai"):
        scheme = "https" if kind.endswith("tls") else "http"
        host = "localhost" if scheme == "https" else "127.0.0.1"
        return f"{scheme}://{host}:{self.ports[kind]}{dialects.DIALECTS[caller].path}"

    def model(self, kind, provider="openai"):
        return SSE_MODEL if kind.startswith("sse") else "mock-chat"

    def pids(self):
        return descendants(self.process.pid)

    def run(self, argv, env=None, **kwargs):
        """Starts the server in a folder of its own and waits until it answers a request."""
        os.makedirs(self.dir, exist_ok=True)
        with open(os.path.join(self.dir, "output"), "wb") as out:
            begin = time.monotonic()
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, env=env, **kwargs)
        self.wait(begin)
        self.idle_pss_kib = pss_kib(self.pids())

    def wait(self, begin):
        request = urllib.request.Request(
            self.url("plain"),
            data=json.dumps({"model": self.model("plain"),
                             "messages": [{"role": "user", "content": "ready?"}]}).encode(),
            headers=dict(h.split(": ", 1) for h in self.headers())
            | {"Content-Type": "application/json"})
        why = None
        while time.monotonic() < begin + START_SECONDS:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(request, timeout=2) as answer:
                    answer.read()
                self.start_ms = (time.monotonic() - begin) * 1000
                return
            except OSError as e:
                why = e
                time.sleep(0.005)
        with open(os.path.join(self.dir, "output"), encoding="utf-8", errors="replace") as f:
            said = f.read()[-2000:]
        self.stop()
        raise RuntimeError(f"{self.name} does not answer: {why}\n{said}")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def fill(self, template, values):
        os.makedirs(self.dir, exist_ok=True)
        with open(os.path.join(HERE, "etc", template), encoding="utf-8") as f:
            text = f.read()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        path = os.path.join(self.dir, template)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path


class Direct(Target):
    """The mock without anything before it."""

    name = "direct"

    def start(self):
        os.makedirs(self.env.certs, exist_ok=True)
        read, write = os.pipe()
        self.process = subprocess.Popen(
            [self.env.program("mockllm"), "--bill", "0", "--requests", "0",
             "--threads", str(self.env.workers), "--tls-self-signed", self.env.certs,
             "--die-with-parent"], stdout=write)
        os.close(write)
        with os.fdopen(read) as out:
            said = json.loads(out.readline())
        self.ports = {"plain": said["plain"], "sse": said["plain"], "tls": said["tls"],
                      "sse-tls": said["tls"]}
        self.idle_pss_kib = pss_kib(self.pids())


class Nginx(Target):
    name = "nginx"

    def available(self):
        return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") is not None

    def start(self):
        ports = free_ports(4)
        self.ports = dict(zip(("plain", "sse", "tls", "sse-tls"), ports))
        conf = self.fill("nginx.conf", {
            "PLAIN": ports[0], "SSE": ports[1], "TLS": ports[2], "SSE_TLS": ports[3],
            "MOCK_PLAIN": self.env.mock.ports["plain"], "MOCK_TLS": self.env.mock.ports["tls"],
            "CERTS": self.env.certs, "DIR": self.dir, "WORKERS": self.env.workers,
            "USER": "user root;" if os.geteuid() == 0 else ""})
        self.run([shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"),
                  "-p", self.dir, "-c", conf, "-e", os.path.join(self.dir, "error.log")])


class Gatewayd(Target):
    name = "gatewayd"

    def available(self):
        return os.access(self.env.program("gatewayd"), os.X_OK)

    def translates(self):
        return True

    def model(self, kind, provider="openai"):
        name = "mock-" + {"plain": "chat", "tls": "chat-tls"}.get(kind, kind)
        return name if provider == "openai" else f"{name}-{provider}"

    def start(self):
        plain, tls = free_ports(2)
        self.ports = {"plain": plain, "sse": plain, "tls": tls, "sse-tls": tls}
        shutil.rmtree(self.dir, ignore_errors=True)
        for folder in ("state", "run"):
            os.makedirs(os.path.join(self.dir, folder))
        conf = self.fill("gatewayd.ini", {
            "PLAIN": plain, "TLS": tls, "DIR": self.dir, "CERTS": self.env.certs,
            "MOCK_PLAIN": self.env.mock.ports["plain"], "MOCK_TLS": self.env.mock.ports["tls"],
            "WORKERS": self.env.workers, "SSE_MODEL": SSE_MODEL,
            "KEY_SHA256": hashlib.sha256(KEY.encode()).hexdigest()})
        self.run([self.env.program("gatewayd"), "-c", conf],
                 env=os.environ | {"BENCH_PROVIDER_KEY": "sk-mock"})


class Peer(Target):
    """Another gateway, where perf/README.md's commands have installed it under build/bench/peers."""

    def kinds(self):
        return ("plain", "sse")

    def peer_file(self, *parts):
        return os.path.join(self.env.dir, "peers", *parts)

    def listen(self):
        port = free_ports(1)[0]
        self.ports = {"plain": port, "sse": port}
        return port

    def mock_url(self):
        return f"http://127.0.0.1:{self.env.mock.ports['plain']}"


class Portkey(Peer):
    name = "portkey"

    def script(self):
        return self.peer_file("node_modules", "@portkey-ai", "gateway", "build", "start-server.js")

    def available(self):
        return os.path.exists(self.script()) and shutil.which("node") is not None

    def headers(self, caller="openai"):
        return super().headers(caller) + ["x-portkey-provider: openai",
                                          f"x-portkey-custom-host: {self.mock_url()}/v1"]

    def start(self):
        port = self.listen()
        # Its guard against private addresses would refuse the mock.
        self.run(["node", self.script(), f"--port={port}", "--headless"],
                 env=os.environ | {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"})


class LiteLLM(Peer):
    name = "litellm"

    def available(self):
        return os.path.exists(self.peer_file("venv", "bin", "litellm"))

    def start(self):
        port = self.listen()
        models = "".join(
            f"  - model_name: {json.dumps(name)}\n    litellm_params: {{model: "
            f"{json.dumps('openai/' + name)}, api_base: {self.mock_url()}/v1, api_key: sk-mock}}\n"
            for name in ("mock-chat", SSE_MODEL))
        os.makedirs(self.dir, exist_ok=True)
        conf = os.path.join(self.dir, "config.yaml")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"model_list:\n{models}general_settings: {{master_key: {KEY}}}\n")
        self.run([self.peer_file("venv", "bin", "litellm"), "--config", conf, "--host",
                  "127.0.0.1", "--port", str(port), "--num_workers", str(self.env.workers)])


class Bifrost(Peer):
    name = "bifrost"

    def available(self):
        return os.path.exists(self.peer_file("bin", "bifrost-http"))

    def model(self, kind, provider="openai"):
        return "openai/" + super().model(kind, provider)

    def start(self):
        port = self.listen()
        os.makedirs(self.dir, exist_ok=True)
        conf = {"providers": {"openai": {
            "keys": [{"name": "mock", "value": "sk-mock", "models": ["*"], "weight": 1.0}],
            "network_config": {"base_url": self.mock_url()}}}}
        with open(os.path.join(self.dir, "config.json"), "w", encoding="utf-8") as f:
            json.dump(conf, f)
        self.run([self.peer_file("bin", "bifrost-http"), "-host", "127.0.0.1", "-port", str(port),
                  "-app-dir", self.dir])


class GoModel(Peer):
    name = "gomodel"

    def available(self):
        return os.path.exists(self.peer_file("bin", "gomodel"))

    def start(self):
        port = self.listen()
        self.run([self.peer_file("bin", "gomodel")],
                 env=os.environ | {"PORT": str(port), "OPENAI_API_KEY": "sk-mock",
                                   "OPENAI_BASE_URL": f"{self.mock_url()}/v1",
                                   "GOMODEL_MASTER_KEY": KEY}, cwd=self.dir)


class Environment:
    """The mock, and around it the targets that run; ends them all on exit."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.dir = os.path.join(self.build, "bench")
        self.certs = os.path.join(self.dir, "certs")
        self.workers = int(os.environ.get("BENCH_WORKERS", "2"))
        self.mock = None
        self.targets = []

    def program(self, name):
        return os.path.join(self.build, name)

    def __enter__(self):
        os.makedirs(self.dir, exist_ok=True)
        self.mock = Direct(self)
        self.mock.start()
        self.targets.append(self.mock)
        wanted = os.environ.get("BENCH_TARGETS")
        for kind in (Nginx, Gatewayd, Portkey, LiteLLM, Bifrost, GoModel):
            target = kind(self)
            if (wanted and target.name not in wanted.split(",")) or not target.available():
                continue
            try:
                target.start()
                self.targets.append(target)
            except (RuntimeError, OSError) as e:
                print(f"bench: left out: {e}", file=sys.stderr)
        return self

    def __exit__(self, *exc):
        for target in reversed(self.targets):
            target.stop()
