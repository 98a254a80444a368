"""Google Vertex AI as a provider: whose model it is decides the path and the dialect.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai.
"""

import json

import pytest

from gateway import KEY, PROVIDER_SECRET, Failed
from token_services import GoogleAccounts, GoogleMetadata

PARENT = "/v1/projects/acme-prod/locations/us-east5"
GEMINI, CLAUDE, LLAMA = "gemini-2.5-pro", "claude-sonnet-4-5@20250929", "meta/llama-3.3-70b-instruct-maas"
CHAT = {"messages": [{"role": "user", "content": "hello"}]}
ASKED = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


@pytest.fixture
def vertex(make_gateway, mock):
    return make_gateway({
        "provider:mock": {"kind": "vertex", "base_url": f"http://127.0.0.1:{mock.port}/v1", "project": "acme-prod",
                          "location": "us-east5"},
        "model:gpt-test": None, "model:gemini": {"targets": f"mock/{GEMINI}"},
        "model:claude": {"targets": f"mock/{CLAUDE}"}, "model:llama": {"targets": f"mock/{LLAMA}"}})


def claude(**more):
    return {"model": "claude", "max_tokens": 64, **CHAT, **more}


@pytest.mark.parametrize("path, body, target", [
    ("/v1beta/models/gemini:generateContent", ASKED, f"/publishers/google/models/{GEMINI}:generateContent"),
    ("/v1beta/models/gemini:streamGenerateContent?alt=sse", ASKED,
     f"/publishers/google/models/{GEMINI}:streamGenerateContent?alt=sse"),
    ("/v1beta/models/gemini:countTokens", ASKED, f"/publishers/google/models/{GEMINI}:countTokens"),
    ("/v1/chat/completions", {"model": "gemini", **CHAT}, f"/publishers/google/models/{GEMINI}:generateContent"),
    ("/v1/messages", claude(), f"/publishers/anthropic/models/{CLAUDE}:rawPredict"),
    ("/v1/messages", claude(stream=True), f"/publishers/anthropic/models/{CLAUDE}:streamRawPredict"),
    ("/v1/messages/count_tokens", {"model": "claude", **CHAT}, "/publishers/anthropic/models/count-tokens:rawPredict"),
    ("/v1/chat/completions", {"model": "claude", **CHAT}, f"/publishers/anthropic/models/{CLAUDE}:rawPredict"),
    ("/v1/chat/completions", {"model": "llama", **CHAT}, "/endpoints/openapi/chat/completions"),
    ("/v1/messages", {**claude(), "model": "llama"}, "/endpoints/openapi/chat/completions"),
])
def test_the_model_decides_the_path(vertex, mock, path, body, target):
    answer = vertex.call("POST", path, body)
    assert answer.status == 200, answer
    sent = mock.last_request()
    assert (sent.method, sent.target) == ("POST", PARENT + target)
    assert sent.header("x-goog-api-key") == PROVIDER_SECRET
    assert not {"authorization", "x-api-key", "anthropic-version"} & sent.names()


def test_a_request_for_claude_stays_as_it_was_sent(vertex, mock):
    """The model goes, the version comes, and nothing else is touched."""
    text = '{ "max_tokens":60, %s"messages":[{"role":"user","content":"\\u0068i \\ud83d\\ude00"}] ,"top_k":7%s}'
    for before, after in (('"model":"claude", ', ""), ("", ',\n "model" : "claude"')):
        for headers, version in (([], "vertex-2023-10-16"), ([("anthropic-version", "2023-06-01")], "vertex-2023-10-16")):
            beta = [("anthropic-beta", "context-1m-2025-08-07")]
            answer = vertex.call("POST", "/v1/messages", (text % (before, after)).encode(), headers + beta)
            assert answer.status == 200, answer
            sent = mock.last_request()
            assert sent.body.decode() == '{"anthropic_version":"%s",' % version + (text % ("", ""))[1:]
            assert sent.header("anthropic-beta") == "context-1m-2025-08-07"


def test_a_later_version_of_the_api_goes_into_the_body(vertex, mock):
    answer = vertex.call("POST", "/v1/messages", claude(), [("anthropic-version", "2026-10-21")])
    assert answer.status == 200, answer
    assert mock.last_request().json()["anthropic_version"] == "2026-10-21"


def test_counting_keeps_the_model_in_the_body(vertex, mock):
    vertex.call("POST", "/v1/messages/count_tokens", {"model": "claude", **CHAT})
    assert mock.last_request().json() == {"anthropic_version": "vertex-2023-10-16", "model": CLAUDE, **CHAT}


def test_what_a_model_cant_do_is_said(vertex):
    answer = vertex.call("POST", "/v1/completions", {"model": "claude", "prompt": "a"})
    assert (answer.status, answer.json()["error"]["code"]) == (400, "unsupported_operation")


GOOGLE_SAYS = {"error": {"code": 429, "message": "Quota exceeded for aiplatform.googleapis.com.", "status": "RESOURCE_EXHAUSTED"}}


@pytest.mark.no_reconcile("a refusal's record costs nothing")
@pytest.mark.parametrize("body", [GOOGLE_SAYS, [GOOGLE_SAYS]])
def test_errors_of_google_in_front_of_claude(vertex, mock, body):
    """Quota and credentials are Google's business and its errors in Google's words, for Claude as well."""
    mock.script("status=429", payload=json.dumps(body).encode())
    answer = vertex.call("POST", "/v1/messages", claude(), [("x-api-key", KEY)], key=None)
    assert (answer.status, answer.json()["error"]["type"]) == (429, "rate_limit_error")
    answer = vertex.call("POST", "/v1/chat/completions", {"model": "claude", **CHAT})
    assert (answer.status, answer.json()["error"]["type"]) == (429, "rate_limit_error")


@pytest.mark.no_reconcile("the mock has no bill of what it refuses")
def test_express_mode_has_googles_models_only(make_gateway, mock):
    gateway = make_gateway({
        "provider:mock": {"kind": "vertex", "base_url": f"http://127.0.0.1:{mock.port}/v1"}, "model:gpt-test": None,
        "model:gemini": {"targets": f"mock/{GEMINI}"}, "model:claude": {"targets": f"mock/{CLAUDE}"}})
    answer = gateway.call("POST", "/v1beta/models/gemini:generateContent", ASKED)
    assert answer.status == 200, answer
    assert mock.last_request().target == f"/v1/publishers/google/models/{GEMINI}:generateContent"
    answer = gateway.call("POST", "/v1/messages", claude())
    assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "no target of this model offers" in answer.json()["error"]["message"]


# ---- tokens ----

@pytest.mark.parametrize("auth", ["gcp-sa", "gcp-metadata"])
def test_tokens_of_google(make_gateway, mock, tmp_path, auth):
    """A service account's token, or the machine's, is shown to Gemini, to Claude and to open models."""
    service = GoogleAccounts(tmp_path) if auth == "gcp-sa" else GoogleMetadata()
    try:
        gateway = make_gateway(start=False)
        credential = {"provider": "mock", "auth": auth, "secret": None}
        if auth == "gcp-sa":
            credential["secret"] = f"file:{gateway.write_secret(service.account(), gateway.folder / 'account.json')}"
            credential["token_url"] = service.url("/token")
        else:
            credential["metadata_url"] = service.url()
        gateway.write_ini({
            "provider:mock": {"kind": "vertex", "base_url": f"http://127.0.0.1:{mock.port}/v1", "project": "acme-prod",
                              "location": "us-east5"},
            "credential:mock": credential, "model:gpt-test": None, "model:gemini": {"targets": f"mock/{GEMINI}"},
            "model:claude": {"targets": f"mock/{CLAUDE}"}, "model:llama": {"targets": f"mock/{LLAMA}"}})
        gateway.start()
        for path, body in (("/v1beta/models/gemini:generateContent", ASKED), ("/v1/messages", claude(stream=True)),
                           ("/v1/messages/count_tokens", {"model": "claude", **CHAT}),
                           ("/v1/chat/completions", {"model": "llama", **CHAT})):
            answer = gateway.call("POST", path, body)
            assert answer.status == 200, answer
            sent = mock.last_request()
            assert sent.header("authorization") == f"Bearer {service.given[0]}"
            assert "x-goog-api-key" not in sent.names()
        assert len(service.given) == 1
    finally:
        service.stop()


def test_express_mode_has_no_tokens(make_gateway, mock):
    gateway = make_gateway(start=False)
    gateway.write_ini({"provider:mock": {"kind": "vertex", "base_url": None},
                       "credential:mock": {"auth": "gcp-metadata", "secret": None}})
    with pytest.raises(Failed) as failed:
        gateway.gwctl("config", "check", gateway.ini)
    assert "`project` is missing" in failed.value.result.stderr + failed.value.result.stdout
