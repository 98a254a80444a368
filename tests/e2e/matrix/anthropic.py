"""Anthropic's Messages.

https://docs.claude.com/en/api/messages, .../messages-streaming, .../errors.
"""

import re

from matrix.scenario import RESULTS, TOOLS
from matrix.turn import Call, Failure, Seen, Turn
from matrix.wire import count, members, parse, sse, text

NAME = "anthropic"

FINISHES = {"end_turn": "stop", "stop_sequence": "stop_sequence", "max_tokens": "length", "tool_use": "tools",
            "refusal": "filter"}
# https://docs.claude.com/en/api/errors
ERRORS = {400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
          404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error",
          502: "api_error", 503: ("api_error", "overloaded_error"), 504: ("api_error", "timeout_error"),
          529: "overloaded_error"}
KINDS = {"invalid_request_error": "request", "authentication_error": "auth", "permission_error": "permission",
         "not_found_error": "missing", "request_too_large": "request", "rate_limit_error": "rate", "api_error": "server", "overloaded_error": "server",
         "timeout_error": "server"}
CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")


# ---- asking ----

def headers(key):
    return [("x-api-key", key), ("anthropic-version", "2023-06-01"), ("Content-Type", "application/json")]


def user(scenario, say):
    if not scenario.image:
        return [{"role": "user", "content": say}]
    return [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": scenario.image}},
        {"type": "text", "text": say}]}]


def results(turn):
    return [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": RESULTS[call.name]}
                                         for call in turn.calls]}]


def request(model, scenario, history, stream):
    body = {"model": model, "max_tokens": scenario.max_tokens or 1024, "messages": list(history)}
    if scenario.system:
        body["system"] = scenario.system
    if scenario.tools:
        body["tools"] = [{"name": name, "description": f"The {name}.", "input_schema": TOOLS[name]}
                         for name in scenario.tools]
    if scenario.choice:
        body["tool_choice"] = {"type": scenario.choice} if scenario.choice in ("auto", "any") else \
            {"type": "tool", "name": scenario.choice}
    if scenario.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": scenario.schema}}
    if scenario.stop:
        body["stop_sequences"] = list(scenario.stop)
    if scenario.thinks:
        body["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    if stream:
        body["stream"] = True
    return "/v1/messages", body


# ---- answers ----

def read(response, payload, scenario):
    text(response.header("request-id"), empty=False)
    if payload is None:
        assert response.header("content-type").split(";")[0] == "application/json"
        return _turn(_message(parse(response.body)))
    assert response.header("content-type").split(";")[0] == "text/event-stream"
    stream = _Stream()
    for event, data in sse(payload):
        stream.take(event, parse(data))
    assert stream.stopped, "no message_stop"
    return stream.turn()


def read_broken(payload):
    stream, failure = _Stream(), None
    for event, data in sse(payload):
        assert failure is None, f"after the error: {data}"
        if event == "error":
            failure = _failure(parse(data))
        else:
            stream.take(event, parse(data))
    assert not stream.stopped and stream.reason is None, "a broken stream looks finished"
    assert failure is not None, "the stream ends without a word"
    return stream.turn(), failure


def read_error(response):
    assert response.header("content-type").split(";")[0] == "application/json"
    body = parse(response.body)
    wanted = ERRORS[response.status]
    assert body["error"]["type"] in (wanted if isinstance(wanted, tuple) else (wanted,)), (response.status, body)
    return _failure(body)


def _failure(body):
    members(body, ["type", "error"], ["request_id"])
    assert body["type"] == "error"
    error = members(body["error"], ["type", "message"], ["details"])
    return Failure(KINDS[error["type"]], text(error["message"], empty=False))


def _usage(value):
    members(value, ["input_tokens", "output_tokens"],
            ["cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "service_tier",
             "server_tool_use", "inference_geo", "output_tokens_details"])
    figures = [count(value.get(name) or 0) for name in
               ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")]
    return sum(figures[:3]), figures[2], figures[3]


def _block(block):
    kind = block["type"]
    if kind == "text":
        members(block, ["type", "text"], ["citations"])
        text(block["text"])
    elif kind == "tool_use":
        members(block, ["type", "id", "name", "input"], ["caller"])
        assert CALL_ID.fullmatch(block["id"]), f"no id that Anthropic takes back: {block['id']!r}"
        text(block["name"], empty=False)
        assert isinstance(block["input"], dict)
    elif kind == "thinking":
        members(block, ["type", "thinking", "signature"])
        text(block["thinking"]), text(block["signature"])
    else:
        assert kind == "redacted_thinking", block
        text(members(block, ["type", "data"])["data"], empty=False)
    return block


def _message(body):
    members(body, ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"],
            ["container", "stop_details", "context_management", "diagnostics"])
    assert body["type"] == "message" and body["role"] == "assistant"
    text(body["id"], empty=False), text(body["model"], empty=False)
    for block in body["content"]:
        _block(block)
    return body


def _turn(body):
    turn = Turn(finish=FINISHES[body["stop_reason"]] if body["stop_reason"] else "", stop_sequence=body["stop_sequence"])
    assert (body["stop_reason"] == "stop_sequence") == (body["stop_sequence"] is not None), body
    for block in body["content"]:
        if block["type"] == "text":
            turn.text += block["text"]
            turn.order.append("text")
        elif block["type"] == "tool_use":
            turn.calls.append(Call(block["name"], block["input"], block["id"]))
            turn.order.append("call")
        elif block["type"] == "thinking":
            turn.thoughts += block["thinking"]
            turn.order.append("thoughts")
            if block["signature"]:
                turn.signatures.append(block["signature"])
        else:
            turn.signatures.append(block["data"])
    if turn.finish == "tools":
        assert turn.calls, "tool_use without a call"
    turn.usage = _usage(body["usage"])
    turn.message = [{"role": "assistant", "content": body["content"]}]
    return turn


class _Stream:
    """message_start, blocks one after the other with consecutive indexes, message_delta,
    message_stop; pings between."""

    def __init__(self):
        self.message = self.open = self.reason = None
        self.blocks, self.json = [], ""
        self.stopped, self.text_deltas = False, 0

    def take(self, event, data):
        assert event == data["type"], f"event {event} with {data}"
        assert not self.stopped, f"after message_stop: {data}"
        if event == "ping":
            members(data, ["type"])
            return
        if event != "message_start":
            assert self.message is not None, f"before message_start: {data}"
        getattr(self, "_" + event)(data)

    def _message_start(self, data):
        assert self.message is None, "a second message_start"
        self.message = _message(members(data, ["type", "message"])["message"])
        assert self.message["content"] == [] and self.message["stop_reason"] is None
        assert self.message["stop_sequence"] is None

    def _content_block_start(self, data):
        members(data, ["type", "index", "content_block"])
        assert self.open is None, f"blocks overlap: {data}"
        assert self.reason is None, "a block after message_delta"
        assert data["index"] == len(self.blocks), f"index {data['index']}, not {len(self.blocks)}"
        self.open = dict(_block(data["content_block"]))
        assert self.open.get("text", "") == "" and self.open.get("input", {}) == {} and self.open.get("thinking", "") == ""
        self.blocks.append(self.open)
        self.json = ""

    def _content_block_delta(self, data):
        members(data, ["type", "index", "delta"])
        assert self.open is not None and data["index"] == len(self.blocks) - 1, f"a delta outside its block: {data}"
        delta = data["delta"]
        pairs = {"text_delta": ("text", "text"), "input_json_delta": ("tool_use", "partial_json"),
                 "thinking_delta": ("thinking", "thinking"), "signature_delta": ("thinking", "signature")}
        kind, name = pairs[delta["type"]]
        assert self.open["type"] == kind, f"{delta['type']} in a block of {self.open['type']}"
        value = text(members(delta, ["type", name])[name])
        if kind == "tool_use":
            self.json += value
        else:
            self.open[name] += value
            self.text_deltas += name == "text"

    def _content_block_stop(self, data):
        members(data, ["type", "index"])
        assert self.open is not None and data["index"] == len(self.blocks) - 1, f"a stop without its block: {data}"
        if self.open["type"] == "tool_use":
            self.open["input"] = parse(self.json) if self.json else {}
            assert isinstance(self.open["input"], dict)
        self.open = None

    def _message_delta(self, data):
        members(data, ["type", "delta", "usage"], ["context_management"])
        members(data["delta"], ["stop_reason", "stop_sequence"], ["container", "stop_details"])
        assert self.open is None, "message_delta inside a block"
        assert self.reason is None, "a second message_delta"
        self.reason = text(data["delta"]["stop_reason"], empty=False)
        self.message = {**self.message, **data["delta"]}
        usage = members(data["usage"], ["output_tokens"],
                        ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "server_tool_use",
                         "output_tokens_details"])
        self.message["usage"] = {**self.message["usage"], **usage}

    def _message_stop(self, data):
        members(data, ["type"])
        assert self.reason is not None, "message_stop without a stop reason"
        self.stopped = True

    def turn(self):
        turn = _turn({**self.message, "content": self.blocks}) if self.message else Turn()
        turn.text_deltas = self.text_deltas
        return turn


# ---- as the provider understands it ----

def seen(target, body):
    assert target == "/v1/messages", target
    thinking = body.get("thinking", {"type": "disabled"})
    seen = Seen(model=body["model"], stream=body.get("stream", False), stop=body.get("stop_sequences", []),
                max_tokens=body["max_tokens"], thinks=thinking["type"] != "disabled")
    if thinking["type"] == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"], body
    seen.system = "".join(block["text"] for block in _blocks(body.get("system", "")))
    for tool in body.get("tools", []):
        seen.tools[tool["name"]] = tool["input_schema"]
    choice = body.get("tool_choice")
    if choice:
        seen.choice = "=" + choice["name"] if choice["type"] == "tool" else choice["type"]
    seen.schema = body.get("output_config", {}).get("format", {}).get("schema")
    names = {}
    for message in body["messages"]:
        for block in _blocks(message["content"]):
            kind = block["type"]
            if kind == "text":
                seen.texts.append((message["role"], block["text"]))
            elif kind == "image":
                seen.images.append((block["source"]["media_type"], block["source"]["data"]))
            elif kind == "tool_use":
                assert CALL_ID.fullmatch(block["id"]), block
                names[block["id"]] = block["name"]
                seen.calls.append(Call(block["name"], block["input"], block["id"]))
            elif kind == "tool_result":
                seen.results.append((names[block["tool_use_id"]], "".join(
                    part["text"] for part in _blocks(block.get("content", "")))))
            elif kind == "thinking":
                seen.thoughts.append(block["thinking"])
                seen.signatures.append(block["signature"])
            else:
                seen.signatures.append(block["data"])
    return seen


def _blocks(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
