"""Azure OpenAI as a provider: deployments and API versions, keys, what its content filter adds.

https://learn.microsoft.com/azure/ai-foundry/openai/reference, .../openai/api-version-lifecycle,
.../openai/concepts/content-filter.
"""

import json

import pytest

from gateway import KEY, MODEL, PROVIDER_SECRET, Failed
from token_services import Entra
from waiting import wait_until

ASKED = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
DATED, BEFORE_RESPONSES = "2025-04-01-preview", "2024-10-21"


@pytest.fixture
def make_azure(make_gateway, mock):
    def make(api_version=DATED, more=None, start=True, **settings):
        return make_gateway(start=start, settings={
            "provider:mock": {"kind": "azure", "base_url": f"http://127.0.0.1:{mock.port}", "api_version": api_version,
                              **(more or {})},
            f"model:{MODEL}": {"targets": "mock/gpt4o-prod"}, **settings})
    return make


@pytest.mark.parametrize("api_version, path, body, target", [
    (DATED, "/v1/chat/completions", ASKED, f"/openai/deployments/gpt4o-prod/chat/completions?api-version={DATED}"),
    (DATED, "/v1/completions", {"model": MODEL, "prompt": "a"},
     f"/openai/deployments/gpt4o-prod/completions?api-version={DATED}"),
    (DATED, "/v1/embeddings", {"model": MODEL, "input": "a"},
     f"/openai/deployments/gpt4o-prod/embeddings?api-version={DATED}"),
    (DATED, "/v1/responses", {"model": MODEL, "input": "a"}, f"/openai/responses?api-version={DATED}"),
    (BEFORE_RESPONSES, "/v1/responses", {"model": MODEL, "input": "a"},
     f"/openai/deployments/gpt4o-prod/chat/completions?api-version={BEFORE_RESPONSES}"),
    ("v1", "/v1/chat/completions", ASKED, "/openai/v1/chat/completions"),
    ("v1", "/v1/responses", {"model": MODEL, "input": "a"}, "/openai/v1/responses"),
    ("v1", "/v1/embeddings", {"model": MODEL, "input": "a"}, "/openai/v1/embeddings"),
    ("preview", "/v1/responses", {"model": MODEL, "input": "a"}, "/openai/v1/responses?api-version=preview"),
])
def test_paths(make_azure, mock, api_version, path, body, target):
    gateway = make_azure(api_version)
    answer = gateway.call("POST", path, body)
    assert answer.status == 200, answer
    sent = mock.last_request()
    assert (sent.method, sent.target) == ("POST", target)
    assert sent.header("api-key") == PROVIDER_SECRET
    assert "authorization" not in sent.names() and "anthropic-version" not in sent.names()
    assert sent.json()["model"] == "gpt4o-prod"


def test_the_body_arrives_as_it_was_sent(make_azure, mock):
    body = '{ "messages":[{"role":"user","content":"\\u0068i"}], "model" : "%s","temperature":1e0 ,"odd":[1.50]}'
    gateway = make_azure()
    gateway.call("POST", "/v1/chat/completions", (body % MODEL).encode())
    assert mock.last_request().body == (body % "gpt4o-prod").encode()


def test_a_client_of_azure_may_name_the_deployment_in_the_path(make_azure, mock):
    gateway = make_azure()
    body = {"messages": ASKED["messages"]}
    for path in (f"/openai/deployments/{MODEL}/chat/completions?api-version=2024-10-21", "/openai/v1/chat/completions"):
        answer = gateway.call("POST", path, body if "deployments" in path else ASKED, [("api-key", KEY)], key=None)
        assert answer.status == 200, answer
        assert mock.last_request().target == f"/openai/deployments/gpt4o-prod/chat/completions?api-version={DATED}"


def events_of(answer):
    return [line[6:] for line in answer.body.decode().split("\n") if line.startswith("data: ")]


def test_annotations_pass_and_usage_is_read(make_azure, mock):
    """Usage is asked for and taken out again; the filter's events, which have no choices or no delta, stay."""
    gateway = make_azure()
    answer = gateway.call("POST", "/v1/chat/completions", {**ASKED, "stream": True},
                          [("x-mock", "prompt=9,completion=8")])
    assert answer.status == 200
    assert mock.last_request().json()["stream_options"] == {"include_usage": True}
    *events, done = events_of(answer)
    events = [json.loads(event) for event in events]
    assert done == "[DONE]"
    assert events[0]["choices"] == [] and events[0]["prompt_filter_results"][0]["prompt_index"] == 0
    assert not any("usage" in event for event in events)
    late = [event for event in events if event["choices"] and "delta" not in event["choices"][0]]
    assert "content_filter_offsets" in late[0]["choices"][0]
    assert events[1]["choices"][0]["content_filter_results"]["hate"]["filtered"] is False
    [record] = record_of(gateway, answer)
    assert (record["state"], record["input_tokens"], record["output_tokens"]) == ("settled", 9, 8)


def record_of(gateway, answer):
    gateway.access_line(answer.header("x-request-id"))
    return wait_until(lambda: gateway.ledger_of(answer.header("x-request-id")), "the record of the request")


def test_another_dialect_doesnt_see_the_annotations(make_azure):
    gateway = make_azure()
    answer = gateway.call("POST", "/v1/messages", {**ASKED, "max_tokens": 50, "stream": True}, [("x-api-key", KEY)], key=None)
    assert answer.status == 200
    assert b"filter" not in answer.body
    events = [json.loads(event) for event in events_of(answer)]
    assert events[0]["type"] == "message_start" and events[0]["message"]["model"] == "gpt4o-prod"
    assert events[0]["message"]["id"]
    assert "".join(event["delta"]["text"] for event in events
                   if event["type"] == "content_block_delta").startswith("A mock")


# learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter: the answer to a prompt that it takes out.
FILTERED = {"error": {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "type": None, "param": "prompt", "code": "content_filter", "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {
        "hate": {"filtered": True, "severity": "high"}, "violence": {"filtered": False, "severity": "safe"}}}}}


@pytest.mark.no_reconcile("the answer is scripted over a refusal that costs nothing")
def test_a_filtered_prompt(make_azure, mock):
    gateway = make_azure()
    mock.script("status=400", payload=json.dumps(FILTERED).encode())
    answer = gateway.call("POST", "/v1/chat/completions", ASKED)
    assert (answer.status, answer.json()) == (400, FILTERED), "the caller's own error is kept, innererror too"
    assert gateway.access_line(answer.header("x-request-id"))["attempts"] == 1
    answer = gateway.call("POST", "/v1/messages", {**ASKED, "max_tokens": 50}, [("x-api-key", KEY)], key=None)
    assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "content management policy" in answer.json()["error"]["message"]


@pytest.mark.parametrize("field, value, least, most", [("retry_after_ms", "1500", 2, 2), ("retry_after", "7", 7, 8)])
def test_retry_after(make_azure, field, value, least, most):
    gateway = make_azure(**{f"model:{MODEL}": {"targets": "mock/gpt4o-prod", "retries": "0"}})
    answer = gateway.chat(f"status=429,{field}={value}")
    assert answer.status == 429
    assert least <= int(answer.header("retry-after")) <= most


def test_what_is_missing_is_said(make_gateway, mock):
    gateway = make_gateway(start=False)
    for more, words in (({"base_url": f"http://127.0.0.1:{mock.port}"}, "`api_version` is missing"),
                        ({"base_url": f"http://127.0.0.1:{mock.port}/openai/v1", "api_version": "v1"},
                         "the address of the resource, without /openai"),
                        ({"api_version": "latest"}, "`v1`, `preview` or a date")):
        gateway.write_ini({"provider:mock": {"kind": "azure", "api_version": None, **more}})
        with pytest.raises(Failed) as failed:
            gateway.gwctl("config", "check", gateway.ini)
        assert words in failed.value.result.stderr + failed.value.result.stdout


@pytest.mark.parametrize("api_version", [DATED, "v1"])
def test_a_token_of_entra_is_shown_instead_of_a_key(make_azure, mock, api_version):
    service = Entra()
    try:
        gateway = make_azure(api_version, start=False)
        secret = gateway.write_secret("first-secret", gateway.folder / "entra.secret")
        gateway.write_ini({"credential:mock": {"auth": "entra", "tenant": "tenant-1", "client_id": "client-1",
                                               "secret": f"file:{secret}", "authority": service.url()}})
        gateway.start()
        answer = gateway.call("POST", "/v1/chat/completions", ASKED)
        assert answer.status == 200, answer
        sent = mock.last_request()
        assert sent.header("authorization") == f"Bearer {service.given[0]}" and "api-key" not in sent.names()
    finally:
        service.stop()
