"""OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat (object, create, streaming). Reasoning is what
OpenAI itself doesn't show there: `reasoning_content` as https://api-docs.deepseek.com says it,
`reasoning_details` as https://openrouter.ai/docs/use-cases/reasoning-tokens does.
"""

import json

from matrix.scenario import RESULTS, TOOLS
from matrix.turn import Call, Failure, Seen, Turn
from matrix.wire import count, members, parse, sse, text

NAME = "openai.chat"

FINISHES = {"stop": "stop", "length": "length", "tool_calls": "tools", "content_filter": "filter"}
KINDS = {400: "request", 413: "request", 401: "auth", 403: "permission", 404: "missing", 429: "rate"}


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
    if scenario.choice:
        body["tool_choice"] = {"auto": "auto", "any": "required"}.get(scenario.choice) or \
            {"type": "function", "function": {"name": scenario.choice}}
    if scenario.schema:
        body["response_format"] = {"type": "json_schema", "json_schema": {
            "name": "person", "strict": True, "schema": scenario.schema}}
    if scenario.stop:
        body["stop"] = list(scenario.stop)
    if scenario.max_tokens:
        body["max_completion_tokens"] = scenario.max_tokens
    if scenario.thinks:
        body["reasoning_effort"] = "medium"
    if stream:
        body.update(stream=True, stream_options={"include_usage": True})
    return "/v1/chat/completions", body


# ---- answers ----

def read(response, payload, scenario):
    if payload is None:
        assert response.header("content-type").split(";")[0] == "application/json"
        return _whole(parse(response.body))
    assert response.header("content-type").split(";")[0] == "text/event-stream"
    stream = _Stream()
    for event, data in sse(payload):
        assert event is None, f"chat streams name no events: {event}"
        stream.take(data)
    return stream.finish()


def read_broken(payload):
    """(what had been said, the failure) of a stream that must not look finished."""
    stream, failure = _Stream(), None
    for event, data in sse(payload):
        assert failure is None, f"after the error: {data}"
        if '"error"' in data:
            failure = _failure(parse(data), None)
        else:
            stream.take(data)
    assert not stream.done and not stream.finished, "a broken stream looks finished"
    assert failure is not None, "the stream ends without a word"
    return stream.turn(), failure


def read_error(response):
    assert response.header("content-type").split(";")[0] == "application/json"
    return _failure(parse(response.body), response.status)


def _failure(body, status):
    error = members(members(body, ["error"])["error"], ["message", "type", "code", "param"])
    text(error["message"], empty=False)
    text(error["type"], empty=False)
    if status == 429:
        assert error["type"] in ("rate_limit_error", "requests", "tokens", "insufficient_quota"), error
    elif status is not None and status < 500:
        assert error["type"].endswith("_error"), error
    return Failure(KINDS.get(status, "server"), error["message"])


def _usage(value):
    members(value, ["prompt_tokens", "completion_tokens", "total_tokens"],
            ["prompt_tokens_details", "completion_tokens_details"])
    for part, names in (("prompt_tokens_details", {"cached_tokens", "audio_tokens", "cache_write_tokens"}),
                        ("completion_tokens_details", {"reasoning_tokens", "audio_tokens", "accepted_prediction_tokens",
                                                       "rejected_prediction_tokens"})):
        for name, figure in value.get(part, {}).items():
            assert name in names, value
            count(figure)
    prompt, completion = count(value["prompt_tokens"]), count(value["completion_tokens"])
    assert value["total_tokens"] == prompt + completion, value
    return prompt, value.get("prompt_tokens_details", {}).get("cached_tokens", 0), completion


def _whole(body):
    members(body, ["id", "object", "created", "model", "choices"], ["usage", "service_tier", "system_fingerprint"])
    assert body["object"] == "chat.completion"
    text(body["id"], empty=False), count(body["created"]), text(body["model"], empty=False)
    [choice] = body["choices"]
    members(choice, ["index", "message", "finish_reason", "logprobs"])
    assert choice["index"] == 0 and choice["logprobs"] is None
    message = members(choice["message"], ["role", "content", "refusal"],
                      ["tool_calls", "annotations", "reasoning_content", "reasoning_details"])
    assert message["role"] == "assistant"
    turn = Turn(text=message["content"] or "", thoughts=message.get("reasoning_content") or "",
                refusal=message["refusal"] or "", finish=FINISHES[choice["finish_reason"]])
    for call in message.get("tool_calls", []):
        members(call, ["id", "type", "function"])
        assert call["type"] == "function"
        members(call["function"], ["name", "arguments"])
        turn.calls.append(Call(call["function"]["name"], parse(call["function"]["arguments"]), call["id"]))
    assert message.get("tool_calls") != [], "an empty list of calls"
    assert message["content"] is not None or turn.calls or message["refusal"] is not None, message
    _details(turn, message.get("reasoning_details", []))
    if body.get("usage") is not None:
        turn.usage = _usage(body["usage"])
    turn.order = ["thoughts"] * bool(turn.thoughts) + ["text"] * bool(turn.text) + ["call"] * len(turn.calls)
    turn.message = [{name: value for name, value in message.items() if name not in ("refusal", "annotations")}]
    return turn


def _details(turn, details):
    thoughts = ""
    for detail in details:
        members(detail, ["type"], ["id", "format", "index", "text", "signature", "data", "summary"])
        if detail["type"] == "reasoning.text":
            thoughts += detail.get("text") or ""
        elif detail["type"] == "reasoning.summary":
            thoughts += text(detail["summary"])
        else:
            assert detail["type"] == "reasoning.encrypted", detail
            turn.signatures.append(text(detail["data"], empty=False))
        if detail.get("signature"):
            turn.signatures.append(text(detail["signature"]))
    if thoughts:
        assert thoughts == turn.thoughts, "reasoning_details and reasoning_content differ"


class _Stream:
    """Chunks of one identity: a role first, deltas, one finish_reason, the usage, [DONE]."""

    def __init__(self):
        self.identity = None
        self.content, self.thoughts, self.refusal = "", "", ""
        self.calls, self.details = [], {}
        self.finished = self.usage = None
        self.done = False
        self.order, self.text_deltas = [], 0

    def take(self, data):
        assert not self.done, f"after [DONE]: {data}"
        if data == "[DONE]":
            self.done = True
            return
        chunk = members(parse(data), ["id", "object", "created", "model", "choices", "usage"],
                        ["service_tier", "system_fingerprint", "obfuscation"])
        assert chunk["object"] == "chat.completion.chunk"
        identity = chunk["id"], count(chunk["created"]), chunk["model"]
        assert self.identity in (None, identity), "another answer's chunk"
        first, self.identity = self.identity is None, identity
        text(chunk["id"], empty=False), text(chunk["model"], empty=False)
        if not chunk["choices"]:
            assert self.finished and self.usage is None, f"usage out of place: {chunk}"
            self.usage = _usage(chunk["usage"])
            return
        assert chunk["usage"] is None and self.usage is None, chunk
        [choice] = chunk["choices"]
        members(choice, ["index", "delta", "finish_reason"], ["logprobs"])
        assert choice["index"] == 0 and choice.get("logprobs") is None
        assert self.finished is None, f"after the finish reason: {chunk}"
        self._delta(choice["delta"], first)
        if choice["finish_reason"] is not None:
            self.finished = FINISHES[choice["finish_reason"]]

    def _delta(self, delta, first):
        members(delta, [], ["role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning_details"])
        assert first == ("role" in delta), f"the role belongs into the first chunk: {delta}"
        assert delta.get("role", "assistant") == "assistant"
        if delta.get("reasoning_content"):
            self.thoughts += text(delta["reasoning_content"])
            self._note("thoughts")
        if delta.get("content"):
            self.content += text(delta["content"])
            self.text_deltas += 1
            self._note("text")
        self.refusal += delta.get("refusal") or ""
        for detail in delta.get("reasoning_details", []):
            into = self.details.setdefault(count(detail["index"]), {"type": detail["type"]})
            assert into["type"] == detail["type"], detail
            for name in ("text", "data", "summary"):
                if detail.get(name) is not None:
                    into[name] = into.get(name, "") + detail[name]
            into.update({name: detail[name] for name in ("signature", "format", "id", "index") if name in detail})
        for call in delta.get("tool_calls", []):
            self._call(call)

    def _call(self, call):
        members(call, ["index", "function"], ["id", "type"])
        members(call["function"], [], ["name", "arguments"])
        if call["index"] == len(self.calls):
            assert call["type"] == "function"
            self.calls.append({"id": text(call["id"], empty=False), "type": "function", "function": {
                "name": text(call["function"]["name"], empty=False), "arguments": ""}})
            self.order.append("call")
        else:
            assert call["index"] < len(self.calls), f"a call's index is left out: {call}"
            assert "id" not in call and "name" not in call["function"], f"named twice: {call}"
        self.calls[call["index"]]["function"]["arguments"] += text(call["function"].get("arguments", ""))

    def _note(self, kind):
        if not self.order or self.order[-1] != kind:
            self.order.append(kind)

    def turn(self):
        turn = Turn(text=self.content, thoughts=self.thoughts, refusal=self.refusal, finish=self.finished or "",
                    usage=self.usage, order=self.order, text_deltas=self.text_deltas)
        _details(turn, [self.details[index] for index in sorted(self.details)])
        return turn

    def finish(self):
        assert self.done and self.finished, "no finish reason, or no [DONE]"
        assert self.usage, "usage was asked for"
        turn = self.turn()
        message = {"role": "assistant", "content": self.content or None}
        if self.calls:
            message["tool_calls"] = self.calls
        else:
            message["content"] = self.content
        if self.thoughts:
            message["reasoning_content"] = self.thoughts
        if self.details:
            message["reasoning_details"] = [self.details[index] for index in sorted(self.details)]
        turn.calls = [Call(call["function"]["name"], parse(call["function"]["arguments"]), call["id"]) for call in self.calls]
        turn.message = [message]
        return turn


# ---- as the provider understands it ----

def seen(target, body):
    seen = Seen(model=body["model"], stream=body.get("stream", False), stop=body.get("stop") or [],
                max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
                thinks="reasoning_effort" in body or "reasoning" in body)
    assert target == "/v1/chat/completions"
    if isinstance(seen.stop, str):
        seen.stop = [seen.stop]
    for tool in body.get("tools", []):
        seen.tools[tool["function"]["name"]] = tool["function"].get("parameters")
    choice = body.get("tool_choice")
    if choice is not None:
        seen.choice = {"required": "any"}.get(choice, choice) if isinstance(choice, str) else "=" + choice["function"]["name"]
    if body.get("response_format", {}).get("type") == "json_schema":
        seen.schema = body["response_format"]["json_schema"]["schema"]
    names = {}
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        if role == "tool":
            seen.results.append((names[message["tool_call_id"]], _joined(content)))
            continue
        if role in ("system", "developer"):
            seen.system += _joined(content)
            continue
        if content:
            seen.texts.append((role, _joined(content)))
        for part in content if isinstance(content, list) else []:
            if part["type"] == "image_url":
                kind, data = part["image_url"]["url"].removeprefix("data:").split(";base64,")
                seen.images.append((kind, data))
        for call in message.get("tool_calls") or []:
            assert len(call["id"]) <= 40, f"OpenAI takes ids of at most 40 characters: {call}"
            names[call["id"]] = call["function"]["name"]
            seen.calls.append(Call(call["function"]["name"], json.loads(call["function"]["arguments"]), call["id"]))
        for detail in message.get("reasoning_details") or []:
            if detail.get("text"):
                seen.thoughts.append(detail["text"])
            if detail.get("signature") or detail.get("data"):
                seen.signatures.append(detail.get("signature") or detail["data"])
    return seen


def _joined(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])
