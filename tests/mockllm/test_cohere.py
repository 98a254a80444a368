"""What mockllm takes and answers as Cohere's API. No gateway takes part."""

import http.client
import json

import pytest
from test_mockllm import Mock

HI = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}}}}}
CALL = {"role": "assistant", "tool_plan": "I will.", "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "1"}


@pytest.fixture(scope="module", name="mock")
def _mock():
    server = Mock()
    yield server
    server.stop()


def ask(mock, model="mock-chat", **members):
    status, _, body = mock.ask(model, "/v2/chat", **members)
    return status, json.loads(body)


def events(mock, model="mock-chat", **members):
    status, _, body = mock.ask(model, "/v2/chat", stream=True, **members)
    assert status == 200
    frames = body.decode().removesuffix("\n\n").split("\n\n")
    if frames[-1] == "data: [DONE]":
        frames.pop()
    found = []
    for frame in frames:
        event, data = frame.split("\n")
        data = json.loads(data.removeprefix("data: "))
        assert event == "event: " + data["type"]
        found.append(data)
    return found


def user(*content):
    return {"messages": [{"role": "user", "content": list(content)}]}


REFUSED = [
    ({"foo": 1}, "unknown field: foo"),
    ({"max_tokens": "1"}, "max_tokens is of the wrong type"),
    ({"messages": []}, "at least 1 token long"),
    ({"messages": [{"role": "User", "content": "x"}]}, "Invalid role in chat_history at index 0"),
    ({"messages": [{"role": "user", "content": ""}]}, "message must not be empty in a turn"),
    ({"messages": [{"role": "user", "content": []}]}, "message must not be empty in a turn"),
    ({"messages": [HI, {"role": "system", "content": "x"}]}, "system turn must be the first in the list"),
    ({"messages": [HI, {"role": "assistant"}, HI]}, "all elements in history must have a message."),
    ({"messages": [HI, CALL, HI]}, "all tool calls must be answered"),
    ({"messages": [HI, CALL]}, "the last tool calls have no results"),
    ({"messages": [HI, RESULT]}, "tool call id not found in previous tool calls"),
    ({"messages": [HI, {**CALL, "tool_calls": CALL["tool_calls"] * 2}]}, "id is given to two calls"),
    ({"messages": [HI, {**CALL, "tool_calls": [{**CALL["tool_calls"][0], "function": {"name": "f", "arguments": "no"}}]}]},
     "arguments must be a JSON object"),
    (user({"type": "text", "text": ""}), "text must be at least 1 token long"),
    (user({"type": "thinking", "thinking": "x"}), "content[0].type isn't a valid one here"),
    (user({"type": "image_url", "image_url": {"url": "file:///x"}}), "must be a base64 data URI or a web URL"),
    (user({"type": "image_url", "image_url": {"url": "https://x/y", "detail": "huge"}}), "detail must be auto, low or high"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].function.parameters is required"),
    ({"tool_choice": "REQUIRED"}, "tool_choice and strict_tools need tools"),
    ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice must be REQUIRED or NONE"),
    ({"documents": []}, "list of documents must not be empty"),
    ({"documents": [{"id": "x"}]}, "documents[0].data is required"),
    ({"temperature": 1.5}, "temperature must be between 0 and 1 inclusive."),
    ({"p": 1}, "p must be between 0.01 and 0.99 inclusive."),
    ({"k": 501}, "k must be between 0 and 500 inclusive."),
    ({"presence_penalty": 0.1, "frequency_penalty": 0.1}, "cannot specify both"),
    ({"stop_sequences": list("abcdef")}, "at most 5 elements"),
    ({"thinking": {"type": "enabled", "token_budget": 0}}, "token_budget must be a positive integer"),
    ({"response_format": {"type": "json_schema"}}, "response_format.type must be text or json_object"),
    ({"response_format": {"type": "json_object"}, "tools": [TOOL]}, "response_format is not supported with tools"),
    ({"response_format": {"type": "json_object"}, "documents": ["x"]}, "response_format is not supported with RAG."),
    ({"safety_mode": "STRICT", "tools": [TOOL]}, "safety_mode is not supported with tools"),
    ({"citation_options": {"mode": "fast"}}, "citation_options.mode isn't a valid one"),
]


@pytest.mark.parametrize("members, message", REFUSED)
def test_refuses(mock, members, message):
    status, body = ask(mock, **members)
    assert status == 400, body
    assert set(body) == {"id", "message"} and message in body["message"]


def test_takes_what_is_right(mock):
    turns = [{"role": "system", "content": "s"}, HI, CALL, RESULT, HI,
             {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "x"}]}, HI]
    status, body = ask(mock, messages=turns, tools=[TOOL], strict_tools=True, temperature=1, p=0.99, k=500, seed=1,
                       documents=["x", {"data": {"a": 1}}], citation_options={"mode": "FAST"}, stop_sequences=["END"],
                       thinking={"token_budget": 500}, priority=0)
    assert status == 200 and body["finish_reason"] == "COMPLETE"


def test_usage(mock):
    usage = ask(mock, "mock-chat;prompt=30,completion=7,cached=20")[1]["usage"]
    assert usage["billed_units"] == {"input_tokens": 30, "output_tokens": 7} and usage["cached_tokens"] == 20
    assert usage["tokens"]["input_tokens"] > 30
    record = mock.closed_bill(1)[-1]
    assert (record["prompt_tokens"], record["completion_tokens"]) == (30, 7)


def test_events(mock):
    found = events(mock, "mock-chat;reason=1,tools=2", tools=[TOOL])
    assert [event["type"] for event in found[:5]] == ["message-start", "content-start", "content-delta", "content-end",
                                                      "tool-call-start"]
    assert [event["index"] for event in found if event["type"] == "tool-call-start"] == [0, 1]
    text = "".join(event["delta"]["message"]["tool_calls"]["function"]["arguments"] for event in found
                   if event["type"] == "tool-call-delta" and event["index"] == 1)
    assert json.loads(text) == {"a": 7}
    assert found[-1]["type"] == "message-end" and found[-1]["delta"]["finish_reason"] == "TOOL_CALL"
    assert found[-1]["delta"]["usage"]["billed_units"]["output_tokens"] > 1


def test_citations_and_logprobs(mock):
    _, body = ask(mock, "mock-chat;cite=2", logprobs=True)
    assert [citation["start"] for citation in body["message"]["citations"]] == [0, 1]
    assert len(body["logprobs"]) == 8 and body["logprobs"][0]["logprobs"] == [-0.1]
    found = events(mock, "mock-chat;cite=2", logprobs=True)
    kinds = [event["type"] for event in found]
    assert kinds[-6:] == ["citation-start", "citation-end", "citation-start", "citation-end", "content-end", "message-end"]
    assert all("logprobs" in event for event in found if event["type"] == "content-delta")


def test_scripted_ends(mock):
    _, body = ask(mock, max_tokens=3)
    assert (body["finish_reason"], body["usage"]["billed_units"]["output_tokens"]) == ("MAX_TOKENS", 3)
    _, body = ask(mock, response_format={"type": "json_object", "json_schema": TOOL["function"]["parameters"]})
    assert json.loads(body["message"]["content"][0]["text"]) == {"a": 7}
    assert "content" not in ask(mock, "mock-chat;empty")[1]["message"]
    last = events(mock, "mock-chat;error_after=4")[-1]
    assert last["delta"] == {"error": "the generation failed", "finish_reason": "ERROR"}
    status, body = ask(mock, "mock-chat;status=429")
    assert status == 429 and "rate limit exceeded" in body["message"]
    status, body = ask(mock, "mock-chat;status=429,error=insufficient_quota")
    assert status == 429 and "Trial key" in body["message"]


def test_key(mock):
    with mock.connect() as sock:
        body = json.dumps({"model": "mock-chat", "messages": [HI]}).encode()
        sock.sendall(b"POST /v2/chat HTTP/1.1\r\nHost: mock\r\nAuthorization: Bearer no\r\n"
                     b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["message"]) == (401, "invalid api token")
