"""What mockllm takes and answers as Anthropic's API. No gateway takes part."""

import json

import pytest
from test_mockllm import KEY, Mock

HEADERS = (f"x-api-key: {KEY}", "anthropic-version: 2023-06-01")
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "1"}]}
HI = {"role": "user", "content": "hi"}
BREAKPOINT = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}


@pytest.fixture(scope="module", name="mock")
def _mock():
    server = Mock()
    yield server
    server.stop()


def ask(mock, model="mock-chat", path="/v1/messages", headers=HEADERS, **members):
    counting = path.endswith("count_tokens")
    status, _, body = mock.ask(model, path, headers, **({} if counting else {"max_tokens": 100}) | members)
    return status, json.loads(body)


def events(mock, model="mock-chat", **members):
    status, _, body = mock.ask(model, "/v1/messages", HEADERS, **{"max_tokens": 100, "stream": True} | members)
    assert status == 200
    found = []
    for frame in body.decode().removesuffix("\n\n").split("\n\n"):
        event, data = frame.split("\n")
        data = json.loads(data.removeprefix("data: "))
        assert event == "event: " + data["type"]
        found.append(data)
    return found


REFUSED = [
    ({"foo": 1}, "foo: Extra inputs are not permitted"),
    ({"max_tokens": "1"}, "max_tokens: Input should be a valid integer"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": [CALL]}, 'messages: first message must use the "user" role'),
    ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role: Input should be"),
    ({"messages": [HI, HI]}, "messages: roles must alternate"),
    ({"messages": [HI, CALL, HI]}, "messages.1: `tool_use` ids were found without `tool_result` blocks"),
    ({"messages": [HI, {"role": "assistant", "content": "x"}, RESULT]}, "unexpected `tool_use_id` found"),
    ({"messages": [HI, CALL, {"role": "user", "content": [{"type": "text", "text": "x"}] + RESULT["content"]}]},
     "messages.2: `tool_result` blocks must come first"),
    ({"messages": [HI, {"role": "assistant", "content": ""}, HI]}, "messages.1: all messages must have non-empty"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "must be non-empty"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": " \n"}]}]}, "non-whitespace text"),
    ({"messages": [HI, {"role": "assistant", "content": [
        {"type": "tool_use", "id": "a.b", "name": "f", "input": {}}]}]}, "tool_use.id: String should match pattern"),
    ({"messages": [HI, {"role": "assistant", "content": [
        {"type": "tool_use", "id": "a", "name": "f", "input": "{}"}]}]}, "input: Input should be a valid object"),
    ({"messages": [HI, {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "x", "signature": "bW9jaw=="}]}]}, "Invalid `signature` in `thinking` block"),
    ({"messages": [{"role": "user", "content": [BREAKPOINT] * 5}]}, "A maximum of 4 blocks with cache_control"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "no"}}]}]}, "Invalid base64 data"),
    ({"tools": [{"name": "f"}]}, "tools.0.input_schema: Field required"),
    ({"tool_choice": {"type": "any"}}, "only be specified while providing tools"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "Tool 'g' not found"),
    ({"temperature": 1.5}, "temperature: range: 0..1"),
    ({"stop_sequences": ["\n"]}, "each stop sequence must contain non-whitespace"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "`max_tokens` must be greater than"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000, "temperature": 0.5},
     "`temperature` may only be set to 1"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000, "tools": [TOOL],
      "tool_choice": {"type": "any"}}, "Thinking may not be enabled when tool_choice forces"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000, "tools": [TOOL],
      "messages": [HI, CALL, RESULT]}, "Expected `thinking` or `redacted_thinking`"),
    ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format.schema: Field required"),
]


@pytest.mark.parametrize("members, message", REFUSED)
def test_refuses(mock, members, message):
    status, body = ask(mock, **members)
    assert status == 400, body
    assert body["type"] == "error" and body["error"]["type"] == "invalid_request_error"
    assert message in body["error"]["message"]


def test_headers(mock):
    status, body = ask(mock, headers=HEADERS[:1])
    assert (status, body["error"]["message"]) == (400, "anthropic-version: header is required")
    assert ask(mock, headers=(HEADERS[0], "anthropic-version: 2026-10-21"))[0] == 200
    status, body = ask(mock, headers=(HEADERS[0], "anthropic-version: 2026-10-21"), temperature=1)
    assert (status, body["error"]["message"]) == (400, "temperature: Extra inputs are not permitted")
    status, body = ask(mock, headers=("x-api-key: no", HEADERS[1]))
    assert (status, body["error"]) == (401, {"type": "authentication_error", "message": "invalid x-api-key"})


def test_takes_what_is_right(mock):
    status, body = ask(mock, tools=[TOOL], messages=[HI, CALL, RESULT], system=[BREAKPOINT], temperature=1,
                       stop_sequences=["END"], metadata={"user_id": "u"}, service_tier="auto")
    assert status == 200 and body["stop_reason"] == "end_turn"


def test_signature_comes_back(mock):
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000, "tools": [TOOL]}
    _, first = ask(mock, "mock-chat;reason=3,tools=1", **thinking)
    assert [block["type"] for block in first["content"]] == ["thinking", "tool_use"]
    assert first["stop_reason"] == "tool_use" and first["usage"]["output_tokens_details"] == {"thinking_tokens": 3}
    result = {"type": "tool_result", "tool_use_id": first["content"][1]["id"]}
    turns = [HI, {"role": "assistant", "content": first["content"]}, {"role": "user", "content": [result]}]
    assert ask(mock, messages=turns, **thinking)[0] == 200
    first["content"][0]["thinking"] += "."
    status, body = ask(mock, messages=turns, **thinking)
    assert status == 400 and "Invalid `signature`" in body["error"]["message"]


def test_cache_figures(mock):
    whole = {"messages": [{"role": "user", "content": [BREAKPOINT, {"type": "text", "text": "y" * 400}]}]}
    usage = ask(mock, **whole)[1]["usage"]
    assert usage["cache_creation_input_tokens"] > 0 and usage["input_tokens"] > 100
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": usage["cache_creation_input_tokens"],
                                       "ephemeral_1h_input_tokens": 0}
    usage = ask(mock, "mock-chat;prompt=30,cached=20,cache_write=4")[1]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (6, 20, 4)
    assert mock.closed_bill(1)[-1]["prompt_tokens"] == 30


def test_events(mock):
    found = events(mock, "mock-chat;reason=1,tools=2", tools=[TOOL])
    assert [event["type"] for event in found[:4]] == ["message_start", "content_block_start", "ping",
                                                      "content_block_delta"]
    assert found[0]["message"]["usage"]["output_tokens"] == 1
    deltas = [event["delta"]["type"] for event in found if event["type"] == "content_block_delta"]
    assert deltas[:2] == ["thinking_delta", "signature_delta"] and set(deltas[2:]) == {"input_json_delta"}
    indexes = [event["index"] for event in found if event["type"] == "content_block_start"]
    assert indexes == [0, 1, 2]
    text = "".join(event["delta"]["partial_json"] for event in found
                   if event["type"] == "content_block_delta" and event["index"] == 1 and "partial_json" in event["delta"])
    assert json.loads(text) == {"a": 7}
    assert found[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert found[-2]["usage"]["output_tokens"] > 1 and found[-1] == {"type": "message_stop"}


def test_scripted_ends(mock):
    _, body = ask(mock, "mock-chat;finish=stop_sequence", stop_sequences=["END"])
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", "END")
    _, body = ask(mock, max_tokens=3)
    assert (body["stop_reason"], body["usage"]["output_tokens"]) == ("max_tokens", 3)
    assert ask(mock, "mock-chat;empty")[1]["content"] == []
    assert events(mock, "mock-chat;error_after=4")[-1]["error"]["type"] == "overloaded_error"
    status, body = ask(mock, "mock-chat;status=529")
    assert (status, body["error"]["type"]) == (529, "overloaded_error")
    status, body = ask(mock, "mock-chat;status=400,error=insufficient_quota")
    assert status == 400 and "credit balance is too low" in body["error"]["message"]


def test_count_tokens(mock):
    status, body = ask(mock, path="/v1/messages/count_tokens", system="x" * 400)
    assert status == 200 and list(body) == ["input_tokens"] and body["input_tokens"] > 100
    status, body = ask(mock, path="/v1/messages/count_tokens", max_tokens=5)
    assert status == 400 and body["error"]["message"] == "max_tokens: Extra inputs are not permitted"
