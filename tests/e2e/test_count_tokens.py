"""Counting tokens: every caller in front of every provider that counts, and the gateway's own estimate
where none does."""

import json

import pytest

from gateway import MODEL
from waiting import wait_until

PROVIDERS = {
    "openai": ("openai", "/v1", "mock-chat", {}),
    "anthropic": ("anthropic", "/v1", "mock-chat", {}),
    "gemini": ("gemini", "/v1beta", "mock-chat", {}),
    "bedrock": ("bedrock", "", "us.anthropic.claude-mock-v1:0", {"region": "us-east-1"}),
    "vertex-gemini": ("vertex", "/v1", "gemini-2.5-pro", {"project": "acme", "location": "us-east5"}),
    "vertex-claude": ("vertex", "/v1", "claude-sonnet-4-5@20250929", {"project": "acme", "location": "us-east5"}),
    "compatible": ("openai-compatible", "/v1", "mock-chat", {}),
}
COUNTING = ("openai", "anthropic", "gemini", "bedrock", "vertex-gemini", "vertex-claude")
VERTEX = "/v1/projects/acme/locations/us-east5/publishers"
TARGETS = {"openai": "/v1/responses/input_tokens", "anthropic": "/v1/messages/count_tokens",
           "gemini": "/v1beta/models/mock-chat:countTokens",
           "bedrock": "/model/us.anthropic.claude-mock-v1%3A0/count-tokens",
           "vertex-gemini": VERTEX + "/google/models/gemini-2.5-pro:countTokens",
           "vertex-claude": VERTEX + "/anthropic/models/count-tokens:rawPredict"}
TEXT = "Hello, world. " * 20
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture
def stage(make_gateway, mock):
    gateway = make_gateway(start=False)
    settings = {"provider:mock": None, "credential:mock": None, f"model:{MODEL}": None}
    for name, (kind, base, model, more) in PROVIDERS.items():
        settings[f"provider:{name}"] = {"kind": kind, "base_url": f"http://127.0.0.1:{mock.port}{base}",
                                        "forward_headers": "x-mock", **more}
        settings[f"credential:{name}"] = {"provider": name, "secret": f"file:{gateway.secret}"}
        settings[f"model:{name}-chat"] = {"targets": f"{name}/{model}", "retries": "0"}
    settings["model:mixed"] = {"targets": "compatible/mock-chat", "fallback": "anthropic-chat"}
    gateway.write_ini(settings)
    return gateway.start()


# ---- callers: a system prompt, a conversation with a call and its result, a tool ----

def anthropic(model):
    return "/v1/messages/count_tokens", {
        "model": model, "system": "Be brief.", "tool_choice": {"type": "auto"},
        "messages": [{"role": "user", "content": TEXT},
                     {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather",
                                                        "input": {"city": "Ulm"}}]},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1",
                                                   "content": "fine"}]}],
        "tools": [{"name": "weather", "description": "tells the weather", "input_schema": SCHEMA}]}


def gemini(model):
    return f"/v1beta/models/{model}:countTokens", {"generateContentRequest": {
        "model": f"models/{model}", "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": TEXT}]},
                     {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "weather",
                                                                   "args": {"city": "Ulm"}}}]},
                     {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "weather",
                                                                      "response": {"result": "fine"}}}]}],
        "generationConfig": {"temperature": 1, "maxOutputTokens": 9, "responseLogprobs": True},
        "tools": [{"functionDeclarations": [{"name": "weather", "description": "tells the weather",
                                             "parametersJsonSchema": SCHEMA}]}]}}


def gemini_contents(model):
    return f"/v1beta/models/{model}:countTokens", {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]}


def responses(model):
    return "/v1/responses/input_tokens", {
        "model": model, "instructions": "Be brief.", "parallel_tool_calls": True,
        "input": [{"role": "user", "content": TEXT},
                  {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{\"city\":\"Ulm\"}"},
                  {"type": "function_call_output", "call_id": "c1", "output": "fine"}],
        "tools": [{"type": "function", "name": "weather", "description": "tells the weather", "parameters": SCHEMA,
                   "strict": False}]}


def bedrock(model):
    return f"/model/{model}/count-tokens", {"input": {"converse": {
        "system": [{"text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"text": TEXT}]},
                     {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "weather",
                                                                    "input": {"city": "Ulm"}}}]},
                     {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "fine"}]}}]}],
        "toolConfig": {"tools": [{"toolSpec": {"name": "weather", "description": "tells the weather",
                                               "inputSchema": {"json": SCHEMA}}}]}}}}


CALLERS = (anthropic, gemini, gemini_contents, responses, bedrock)
MEMBERS = {anthropic: "input_tokens", gemini: "totalTokens", gemini_contents: "totalTokens",
           responses: "input_tokens", bedrock: "inputTokens"}


def count(gateway, caller, model, headers=()):
    path, body = caller(model)
    answer = gateway.call("POST", path, body, headers=headers)
    assert answer.status == 200, answer
    return answer, answer.json()[MEMBERS[caller]]


@pytest.mark.parametrize("provider", COUNTING)
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
def test_every_caller_is_counted_by_every_provider(stage, mock, caller, provider):
    answer, tokens = count(stage, caller, f"{provider}-chat")
    assert 60 <= tokens <= 400
    assert answer.header("x-gw-estimated") is None
    sent = mock.last_request()
    assert sent.target == TARGETS[provider]
    assert TEXT in sent.body.decode()
    request = answer.header("x-request-id")
    stage.access_line(request)
    [record] = wait_until(lambda: stage.ledger_of(request), "the record of the request")
    assert (record["state"], record["input_tokens"], record["output_tokens"]) == ("settled", 0, 0)


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
def test_where_nobody_counts_the_gateway_estimates(stage, mock, caller):
    answer, tokens = count(stage, caller, "compatible-chat")
    assert answer.header("x-gw-estimated") == "input_tokens"
    assert answer.header("x-gw-target") is None
    assert len(TEXT) // 4 <= tokens <= 400
    assert set(answer.json()) == {MEMBERS[caller]} | ({"object"} if caller is responses else set())
    request = answer.header("x-request-id")
    line = stage.access_line(request)
    assert line["status"] == 200
    assert mock.bill() == [] and stage.ledger() == []


def test_an_estimate_grows_with_the_text(stage):
    def estimate(text):
        return stage.call("POST", "/v1/messages/count_tokens", {
            "model": "compatible-chat", "messages": [{"role": "user", "content": text}]}).json()["input_tokens"]
    assert 1 <= estimate("a") <= 30
    assert 1000 <= estimate("x" * 4000) <= 1040
    image = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400000}}]
    assert 1000 <= estimate(image) <= 3000  # not by its bytes


def test_a_fallback_that_counts_is_asked(stage, mock):
    answer, _ = count(stage, anthropic, "mixed")
    assert answer.header("x-gw-target") == "anthropic/mock-chat"


def test_the_same_dialect_is_spliced(stage, mock):
    for caller, provider, alias in ((anthropic, "anthropic", b'"anthropic-chat"'), (responses, "openai", b'"openai-chat"'),
                                    (gemini, "gemini", b'"models/gemini-chat"'), (bedrock, "bedrock", b"")):
        path, body = caller(f"{provider}-chat")
        raw = json.dumps(body, indent=1).encode()
        answer = stage.call("POST", path, raw)
        assert answer.status == 200, answer
        want = raw.replace(alias, alias.replace(f"{provider}-chat".encode(), b"mock-chat")) if alias else raw
        assert mock.last_request().body == want


def test_what_says_how_to_answer_is_neither_sent_nor_refused(stage, mock):
    """Logprobs, which Anthropic's chats refuse, say nothing of a prompt."""
    answer, _ = count(stage, gemini, "anthropic-chat")
    assert answer.header("x-gw-dropped") is None
    assert set(json.loads(mock.last_request().body)) == {"model", "system", "messages", "tools"}


@pytest.mark.parametrize("path, body, words", [
    ("/v1/messages/count_tokens", {"model": "gemini-chat"}, "messages"),
    ("/v1/messages/count_tokens", {"model": "compatible-chat", "messages": "x"}, "messages"),
    ("/v1/messages/count_tokens", {"model": "nowhere", "messages": []}, "nowhere"),
    ("/v1beta/models/anthropic-chat:countTokens", {}, "contents"),
    ("/v1beta/models/anthropic-chat:countTokens", {"generateContentRequest": 7}, "generateContentRequest"),
    ("/v1beta/models/anthropic-chat:countTokens", {"generateContentRequest": {"contents": [7]}}, "contents"),
    ("/v1/responses/input_tokens", {"model": "anthropic-chat"}, "input"),
    ("/v1/responses/input_tokens", {"model": "anthropic-chat", "input": 7}, "input"),
    ("/model/anthropic-chat/count-tokens", {"input": {"invokeModel": {"body": "e30="}}}, "input.converse"),
    ("/model/anthropic-chat/count-tokens", {"input": {"converse": {}}}, "messages"),
])
def test_bad_input_names_the_member(stage, mock, path, body, words):
    answer = stage.call("POST", path, body)
    assert answer.status in (400, 404), answer
    assert words in answer.body.decode()
    assert mock.bill() == []


def test_errors_of_the_provider_are_told_in_the_callers_dialect(stage):
    path, body = anthropic("openai-chat")
    answer = stage.call("POST", path, body, headers=[("x-mock", "status=400")])
    assert (answer.status, answer.json()["type"]) == (400, "error"), answer
    answer = stage.call("POST", path, body, headers=[("x-mock", "status=503")])
    assert answer.status in (502, 503) and answer.json()["type"] == "error"
