"""Cohere's chat, version 2.

https://docs.cohere.com/reference/chat, .../chat-stream, https://docs.cohere.com/v2/docs/streaming,
https://docs.cohere.com/reference/errors. Thinking isn't signed there: where another provider's is,
its block has the further members `signature` and `redacted`, which go back as they came.
"""

from matrix.scenario import RESULTS, TOOLS
from matrix.turn import Call, Failure, Seen, Turn
from matrix.wire import count, members, parse, sse, text

NAME = "cohere"

CANNOT = ("tool_choice_named",)  # a caller can't name a tool
CANNOT_SAY = ("content_filter",)  # what is blocked is an error, or none
SIGNS = False
SENDS_ONLY_THE_NAMED_TOOL = True

# Which stop sequence it was isn't told; ERROR without an error is what was kept back.
FINISHES = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tools", "ERROR": "filter"}
KINDS = {400: "request", 401: "auth", 403: "permission", 404: "missing", 422: "request", 429: "rate"}


# ---- asking ----

def headers(key):
    return [("Authorization", f"Bearer {key}"), ("Content-Type", "application/json")]


def user(scenario, say):
    if not scenario.image:
        return [{"role": "user", "content": say}]
    return [{"role": "user", "content": [
        {"type": "text", "text": say},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + scenario.image}}]}]


def results(turn):
    return [{"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.name]} for call in turn.calls]


def request(model, scenario, history, stream):
    body = {"model": model, "messages": list(history)}
    if scenario.system:
        body["messages"].insert(0, {"role": "system", "content": scenario.system})
    if scenario.tools:
        body["tools"] = [{"type": "function", "function": {"name": name, "description": f"The {name}.",
                                                           "parameters": TOOLS[name]}} for name in scenario.tools]
    if scenario.choice == "any":
        body["tool_choice"] = "REQUIRED"
    if scenario.schema:
        body["response_format"] = {"type": "json_object", "json_schema": scenario.schema}
    if scenario.stop:
        body["stop_sequences"] = list(scenario.stop)
    if scenario.max_tokens:
        body["max_tokens"] = scenario.max_tokens
    if scenario.thinks:
        body["thinking"] = {"type": "enabled", "token_budget": 2048}
    if stream:
        body["stream"] = True
    return "/v2/chat", body


# ---- answers ----

def read(response, payload, scenario):
    if payload is None:
        assert response.header("content-type").split(";")[0] == "application/json"
        body = members(parse(response.body), ["id", "message", "finish_reason"], ["usage", "logprobs"])
        text(body["id"], empty=False)
        return _turn(body["message"], body["finish_reason"], body.get("usage"))
    assert response.header("content-type").split(";")[0] == "text/event-stream"
    stream = _Stream()
    for event, data in sse(payload):
        stream.take(event, data)
    assert stream.done, "no [DONE]"
    return stream.turn()


def read_broken(payload):
    stream, failure = _Stream(), None
    for event, data in sse(payload):
        assert failure is None, f"after the error: {data}"
        if event == "message-end" and "error" in parse(data)["delta"]:
            end = members(parse(data), ["type", "delta"])
            assert members(end["delta"], ["error", "finish_reason"])["finish_reason"] == "ERROR"
            failure = Failure("server", text(end["delta"]["error"], empty=False))
        else:
            stream.take(event, data)
    assert not stream.done and stream.reason is None, "a broken stream looks finished"
    assert failure is not None, "the stream ends without a word"
    return stream.turn(), failure


def read_error(response):
    assert response.header("content-type").split(";")[0] == "application/json"
    body = members(parse(response.body), ["message"], ["id"])
    return Failure(KINDS.get(response.status, "server"), text(body["message"], empty=False))


def _tokens(value):
    members(value, ["input_tokens", "output_tokens"], ["search_units", "classifications"])
    return count(value["input_tokens"]), count(value["output_tokens"])


def _usage(value):
    members(value, ["billed_units", "tokens"], ["cached_tokens"])
    billed, tokens = _tokens(value["billed_units"]), _tokens(value["tokens"])
    assert billed[0] <= tokens[0] and billed[1] <= tokens[1], value
    return billed[0], count(value.get("cached_tokens", 0)), billed[1]


def _content(block):
    kind = block["type"]
    if kind == "text":
        members(block, ["type", "text"])
    else:
        assert kind == "thinking", block
        members(block, ["type", "thinking"], ["signature"])
        if "signature" in block:
            text(block["signature"], empty=False)
    text(block[kind])
    return block


def _call(call):
    members(call, ["id", "type", "function"])
    assert call["type"] == "function"
    members(call["function"], ["name", "arguments"])
    return Call(text(call["function"]["name"], empty=False), parse(call["function"]["arguments"]), text(call["id"], empty=False))


def _turn(message, reason, usage):
    members(message, ["role"], ["content", "tool_calls", "tool_plan", "citations"])
    assert message["role"] == "assistant"
    turn = Turn(finish=FINISHES[reason] if reason else "", usage=_usage(usage) if usage else None)
    for block in message.get("content", []):
        kind = _content(block)["type"]
        if kind == "text":
            turn.text += block["text"]
            turn.order.append("text")
        else:
            turn.thoughts += block["thinking"]
            turn.order.append("thoughts")
            if "signature" in block:
                turn.signatures.append(block["signature"])
    assert message.get("tool_calls") != [], "an empty list of calls"
    assert message.get("content") != [] or "tool_calls" not in message, "an empty content, which can't go back"
    for call in message.get("tool_calls", []):
        turn.calls.append(_call(call))
        turn.order.append("call")
    assert turn.finish != "tools" or turn.calls, "TOOL_CALL without a call"
    if turn.text or turn.thoughts or turn.calls:
        turn.message = [{name: value for name, value in message.items() if value}]
    else:  # an empty message is refused
        turn.message = []
    return turn


class _Stream:
    """message-start; blocks of content and calls, one after the other, with indexes of their own;
    message-end, [DONE]."""

    def __init__(self):
        self.message = self.open = self.reason = self.usage = None
        self.done, self.text_deltas = False, 0

    def take(self, event, data):
        assert not self.done, f"after [DONE]: {data}"
        if data == "[DONE]":
            assert event is None and self.reason is not None, "no message-end"
            self.done = True
            return
        data = parse(data)
        assert event == data["type"], f"event {event} with {data}"
        assert self.reason is None, f"after message-end: {data}"
        assert (event == "message-start") == (self.message is None), f"out of place: {data}"
        getattr(self, "_" + event.replace("-", "_"))(data)

    def _delta(self, data, member):
        members(data, ["type", "index", "delta"], ["logprobs"])
        return members(members(data["delta"], ["message"])["message"], [member])[member]

    def _message_start(self, data):
        members(data, ["type", "id", "delta"])
        text(data["id"], empty=False)
        self.message = members(members(data["delta"], ["message"])["message"], ["role"],
                               ["content", "tool_plan", "tool_calls", "citations"])
        assert not any(value for name, value in self.message.items() if name != "role"), data
        self.message = {"role": self.message["role"], "content": [], "tool_calls": []}

    def _begin(self, data, kind, value):
        assert self.open is None, f"blocks overlap: {data}"
        assert data["index"] == len(self.message[kind]), f"index {data['index']}, not {len(self.message[kind])}"
        self.message[kind].append(value)
        self.open = kind

    def _inside(self, data, kind):
        assert self.open == kind and data["index"] == len(self.message[kind]) - 1, f"outside its block: {data}"
        return self.message[kind][-1]

    def _content_start(self, data):
        block = self._delta(data, "content")
        assert not self.message["tool_calls"], "content behind the calls"
        self._begin(data, "content", dict(_content(block)))
        assert block[block["type"]] == "", "a start with content"

    def _content_delta(self, data):
        block, delta = self._inside(data, "content"), self._delta(data, "content")
        kind = block["type"]
        members(delta, [kind], ["signature"] if kind == "thinking" else [])
        block[kind] += text(delta[kind])
        self.text_deltas += kind == "text"
        if "signature" in delta:
            assert "signature" not in block, "a second signature"
            block["signature"] = delta["signature"]

    def _content_end(self, data):
        self._inside(members(data, ["type", "index"]), "content")
        self.open = None

    def _tool_call_start(self, data):
        call = self._delta(data, "tool_calls")
        members(call, ["id", "type", "function"])
        members(call["function"], ["name", "arguments"])
        assert call["function"]["arguments"] == "", data
        self._begin(data, "tool_calls", call)

    def _tool_call_delta(self, data):
        call, delta = self._inside(data, "tool_calls"), self._delta(data, "tool_calls")
        call["function"]["arguments"] += text(members(members(delta, ["function"])["function"], ["arguments"])["arguments"])

    def _tool_call_end(self, data):
        self._inside(members(data, ["type", "index"]), "tool_calls")
        self.open = None

    def _message_end(self, data):
        delta = members(members(data, ["type", "delta"], ["id"])["delta"], ["finish_reason"], ["usage"])
        assert self.open is None, "message-end inside a block"
        self.reason, self.usage = text(delta["finish_reason"], empty=False), delta.get("usage")

    def turn(self):
        if self.message is None:
            return Turn()
        message = {name: value for name, value in self.message.items() if value}
        if self.reason is None:  # a call may be cut in its arguments
            message.pop("tool_calls", None)
        turn = _turn(message, self.reason, self.usage)
        turn.text_deltas = self.text_deltas
        return turn


# ---- as the provider understands it ----

def seen(target, body):
    assert target == "/v2/chat", target
    thinking = body.get("thinking", {"type": "disabled"})
    seen = Seen(model=body["model"], stream=body.get("stream", False), stop=body.get("stop_sequences", []),
                max_tokens=body.get("max_tokens"), thinks=thinking["type"] == "enabled",
                schema=body.get("response_format", {}).get("json_schema"))
    for tool in body.get("tools", []):
        seen.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    seen.choice = {None: None, "REQUIRED": "any", "NONE": "none"}[body.get("tool_choice")]
    names = {}
    for message in body["messages"]:
        role, content = message["role"], message.get("content", [])
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said = "".join(block["text"] for block in blocks if block["type"] == "text") + message.get("tool_plan", "")
        if role == "system":
            seen.system += said
        elif role == "tool":
            seen.results.append((names[message["tool_call_id"]], said))
        elif said:
            seen.texts.append((role, said))
        for block in blocks:
            if block["type"] == "image_url":
                kind, data = block["image_url"]["url"].removeprefix("data:").split(";base64,")
                seen.images.append((kind, data))
            elif block["type"] == "thinking":
                seen.thoughts.append(block["thinking"])
        for call in message.get("tool_calls", []):
            names[call["id"]] = call["function"]["name"]
            seen.calls.append(Call(call["function"]["name"], parse(call["function"]["arguments"]), call["id"]))
    return seen
