"""Who speaks what: the providers of the matrix, and which pairs must work."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

from client import Connection
from fixtures import check_secrets
from gateway import PROVIDER_SECRET, Gateway
from matrix import clouds
from matrix.wire import read_payload
from mock import Mock
from reconcile import reconcile


@dataclass(frozen=True)
class Provider:
    """A kind of the gateway: the dialects that it offers, the first one for callers whose own isn't
    among them; `base` is the path of its base_url."""
    kind: str
    dialects: tuple
    base: str
    more: dict = field(default_factory=dict, hash=False)  # further lines of [provider:…]
    model: str = "mock-chat"
    forgets: tuple = ()  # dialects in which it takes no reasoning of earlier turns
    plain: Callable = clouds.same  # what it was sent, as the dialect's own API is


_PLACE = {"project": clouds.PROJECT, "location": clouds.LOCATION}

PROVIDERS = {
    "openai": Provider("openai", ("openai.chat", "openai.responses"), "/v1", forgets=("openai.chat",)),
    "openai-compatible": Provider("openai-compatible", ("openai.chat",), "/v1"),
    "anthropic": Provider("anthropic", ("anthropic",), "/v1"),
    "gemini": Provider("gemini", ("gemini",), "/v1beta"),
    "bedrock": Provider("bedrock", ("bedrock",), "", {"region": "us-east-1"}, "us.anthropic.claude-mock-v1:0"),
    "cohere": Provider("cohere", ("cohere",), ""),
    "azure": Provider("azure", ("openai.chat", "openai.responses"), "", {"api_version": clouds.API_VERSION},
                      "mock-deployment", ("openai.chat",), clouds.azure),
    "vertex": Provider("vertex", ("gemini",), "/v1", _PLACE, plain=clouds.vertex),
    "vertex-claude": Provider("vertex", ("anthropic",), "/v1", _PLACE, "claude-mock@20250929",
                              plain=clouds.vertex_claude),
}

# What mockllm is asked directly: the dialects that it speaks, each judged by its own module.
MOCK_SPEAKS = ("openai.chat", "openai.responses", "anthropic", "gemini", "bedrock", "cohere")

# Client dialects and providers that must understand each other.
_CLIENTS = ("openai.chat", "openai.responses", "anthropic", "gemini", "bedrock", "cohere")
_OF_CLOUDS = (("openai.responses", "azure"), ("anthropic", "azure"), ("gemini", "azure"),
              ("gemini", "vertex"), ("openai.chat", "vertex"), ("anthropic", "vertex-claude"),
              ("openai.chat", "vertex-claude"), ("gemini", "vertex-claude"))
PAIRS = tuple((client, provider) for client in _CLIENTS for provider in PROVIDERS
              if PROVIDERS[provider].plain is clouds.same) + _OF_CLOUDS

# Where the answer has members that the dialect's reference doesn't know: the official clients take them.
CLIENT_PAIRS = PAIRS + (("openai.chat", "azure"),)

# Cells that are known to fail, and why: (client, provider or "*", scenario). A cell that passes all the
# same is a failure: its line must go.
KNOWN = {
}

# How each dialect's mock is told to say these.
WORDS = {
    "openai.chat": {"stop": "", "filter": "finish=content_filter"},
    "openai.responses": {"stop": "", "filter": "finish=content_filter"},
    "anthropic": {"stop": "finish=stop_sequence", "filter": "finish=refusal"},
    "gemini": {"stop": "", "filter": "finish=SAFETY"},
    "bedrock": {"stop": "finish=stop_sequence", "filter": "finish=content_filtered"},
    "cohere": {"stop": "finish=STOP_SEQUENCE", "filter": None},  # what it blocks is an error
}
TELLS_STOP_SEQUENCE = ("anthropic", "bedrock")


def upstream_dialect(client, provider):
    offered = PROVIDERS[provider].dialects
    return client if client in offered else offered[0]


def known(client, provider, scenario):
    """Why this cell is known to fail; None: it must pass."""
    return next((why for (c, p, s), why in KNOWN.items()
                 if c == client and p in ("*", provider) and s == str(scenario) and provider in PROVIDERS), None)


def provider_settings(mock, secret):
    """Sections of every provider of PAIRS, and a model PROVIDER-chat for each."""
    settings = {}
    for name in dict.fromkeys(provider for _, provider in PAIRS):
        provider = PROVIDERS[name]
        settings[f"provider:{name}"] = {"kind": provider.kind, "forward_headers": "x-mock",
                                        "base_url": f"http://127.0.0.1:{mock.port}{provider.base}", **provider.more}
        settings[f"credential:{name}"] = {"provider": name, "secret": f"file:{secret}"}
        settings[f"model:{name}-chat"] = {"targets": f"{name}/{provider.model}", "retries": "0"}
    return settings


class Stage:
    """One mock, one gateway with a model for every provider of PAIRS."""

    def __init__(self, folder):
        self.mock = Mock(folder, options=["--requests", "1", "--key", PROVIDER_SECRET]).start()
        self.gateway = Gateway(folder / "gateway", self.mock,
                               {"provider:mock": None, "credential:mock": None, "model:gpt-test": None})
        self.gateway.write_ini(provider_settings(self.mock, self.gateway.secret))

    def start(self):
        self.gateway.start()
        return self


def exchange(port, key, module, model, scenario, history, script, stream, begun):
    """(response, payload of a stream or None, whether it ended as it must); begun() is called when
    a stream has begun to arrive."""
    target, body = module.request(model, scenario, history, stream)
    headers = module.headers(key) + ([("x-mock", script)] if script else [])
    with Connection(port, timeout=5) as connection:
        connection.request("POST", target, headers, json.dumps(body, ensure_ascii=False).encode())
        response = connection.read_stream_head()
        if stream and response.status == 200:
            return (response, *read_payload(connection, response, begun))
        length = response.header("content-length")
        response.body = connection.read_exactly(int(length))
        return response, None, True


def open_stage(folder, refusals=False):
    """A generator for a fixture: the stage, and at its end what must hold after every test. With
    refusals the mock refuses what it is sent, which is no line of its bill."""
    stage = Stage(folder)
    try:
        yield stage.start()
        stage.gateway.wait_idle()
        if not refusals:
            reconcile([stage.gateway], [stage.mock])
        stage.gateway.stop()
        report = stage.gateway.sanitizer_reports()
        assert not report, report
        check_secrets(stage.gateway)
    finally:
        stage.gateway.kill_all()
        stage.mock.stop()
        shutil.rmtree(stage.gateway.runtime, ignore_errors=True)
