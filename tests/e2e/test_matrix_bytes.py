"""In the provider's own dialect a request arrives as it was sent, to the byte, but for the model's
name and the credential."""

import json
import os
import urllib.parse

import pytest

from gateway import KEY, PROVIDER_SECRET
from matrix import DIALECTS, clouds
from matrix.odd_json import Odd
from matrix.scenario import Scenario
from matrix.stage import PAIRS, PROVIDERS, open_stage

SEED = int(os.environ.get("GATEWAYD_SEED", "20260101"))
ROUNDS = 150
NATIVE = [(client, provider) for client, provider in PAIRS
          if client in PROVIDERS[provider].dialects and PROVIDERS[provider].plain is clouds.same]
PLAIN = Scenario("plain")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    yield from open_stage(tmp_path_factory.mktemp("bytes"), refusals=True)


@pytest.mark.parametrize("client, provider", NATIVE)
def test_bytes_arrive_as_sent(stage, client, provider):
    module = DIALECTS[client]
    with stage.gateway.connect() as connection:
        for number in range(ROUNDS):
            odd = Odd(f"{SEED} {client} {number}")
            says = json.loads('"' + "".join(odd.random.choices(["Hi", "é", "\\u0000", "😀", "\\\"", "\\n"], k=4)) + '"')
            target, request = module.request(f"{provider}-chat", PLAIN, module.user(PLAIN, says), stream=False)
            body = odd.body(request)
            answer = connection.round_trip("POST", target, module.headers(KEY), body.encode())
            # The mock refuses members that the provider doesn't know; what it was sent is the same.
            assert answer.status in (200, 400), (SEED, number, answer)
            received = stage.mock.last_request()
            name = PROVIDERS[provider].model
            wanted = body.replace(f'"{provider}-chat"', f'"{name}"')
            assert received.body == wanted.encode(), (SEED, number)
            assert urllib.parse.unquote(received.target) == target.replace(f"{provider}-chat", name)
            assert KEY not in received.head and PROVIDER_SECRET in received.head


@pytest.mark.parametrize("client, provider", NATIVE)
def test_headers_that_arrive(stage, client, provider):
    """Nothing of the caller's but what the provider may see."""
    module = DIALECTS[client]
    target, request = module.request(f"{provider}-chat", PLAIN, module.user(PLAIN, "Hi"), stream=False)
    more = [("Cookie", "a=b"), ("X-Forwarded-For", "192.0.2.1"), ("OpenAI-Organization", "org-1"),
            ("anthropic-beta", "tools-2024-04-04"), ("X-Own", "1")]
    with stage.gateway.connect() as connection:
        connection.round_trip("POST", target, module.headers(KEY) + more, json.dumps(request).encode())
    received = stage.mock.last_request()
    assert not {"cookie", "x-forwarded-for", "openai-organization", "x-own"} & received.names()
    assert KEY not in received.head
