"""Amazon Bedrock's Converse and ConverseStream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, ..._ConverseStream.html.
"""

import json
import re
import urllib.parse

from matrix.scenario import RESULTS, TOOLS
from matrix.turn import Call, Failure, Seen, Turn
from matrix.wire import count, frames, members, parse, text

NAME = "bedrock"

FINISHES = {"end_turn": "stop", "stop_sequence": "stop_sequence", "max_tokens": "length", "tool_use": "tools",
            "content_filtered": "filter", "guardrail_intervened": "filter"}
ERRORS = {400: ("ValidationException",), 413: ("ValidationException",), 401: ("UnrecognizedClientException", "AccessDeniedException"),
          402: ("ServiceQuotaExceededException",), 403: ("AccessDeniedException", "UnrecognizedClientException"),
          404: ("ResourceNotFoundException",), 408: ("ModelTimeoutException",), 424: ("ModelErrorException",),
          429: ("ThrottlingException", "ModelNotReadyException"), 500: ("InternalServerException",),
          502: ("InternalServerException", "ServiceUnavailableException"), 503: ("ServiceUnavailableException",),
          504: ("ModelTimeoutException",)}
STREAM_ERRORS = ("internalServerException", "modelStreamErrorException", "serviceUnavailableException",
                 "throttlingException", "validationException")
KINDS = {400: "request", 413: "request", 401: "auth", 403: "permission", 404: "missing", 429: "rate"}
CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")


# ---- asking ----

def headers(key):
    return [("Authorization", f"Bearer {key}"), ("Content-Type", "application/json")]


def user(scenario, say):
    content = [{"text": say}]
    if scenario.image:
        content.append({"image": {"format": "png", "source": {"bytes": scenario.image}}})
    return [{"role": "user", "content": content}]


def results(turn):
    return [{"role": "user", "content": [
        {"toolResult": {"toolUseId": call.id, "content": [{"text": RESULTS[call.name]}]}} for call in turn.calls]}]


def request(model, scenario, history, stream):
    body, config = {"messages": list(history)}, {}
    if scenario.system:
        body["system"] = [{"text": scenario.system}]
    if scenario.tools:
        body["toolConfig"] = {"tools": [{"toolSpec": {
            "name": name, "description": f"The {name}.", "inputSchema": {"json": TOOLS[name]}}}
            for name in scenario.tools]}
    if scenario.choice:
        body["toolConfig"]["toolChoice"] = {scenario.choice: {}} if scenario.choice in ("auto", "any") else \
            {"tool": {"name": scenario.choice}}
    if scenario.schema:
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
            "name": "person", "schema": json.dumps(scenario.schema)}}}}
    if scenario.stop:
        config["stopSequences"] = list(scenario.stop)
    if scenario.max_tokens:
        config["maxTokens"] = scenario.max_tokens
    if scenario.thinks:
        body["additionalModelRequestFields"] = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    if config:
        body["inferenceConfig"] = config
    return f"/model/{urllib.parse.quote(model, safe='')}/converse" + ("-stream" if stream else ""), body


# ---- answers ----

def read(response, payload, scenario):
    if payload is None:
        assert response.header("content-type") == "application/json"
        return _whole(parse(response.body))
    assert response.header("content-type") == "application/vnd.amazon.eventstream"
    stream = _Stream()
    for head, data in frames(payload):
        assert head[":message-type"] == "event", (head, data)
        stream.take(head, data)
    assert stream.metadata, "no metadata at the end"
    return stream.turn()


def read_broken(payload):
    stream, failure = _Stream(), None
    for head, data in frames(payload):
        assert failure is None, f"after the error: {head} {data}"
        if head[":message-type"] == "exception":
            assert head[":exception-type"] in STREAM_ERRORS, head
            assert head[":content-type"] == "application/json"
            failure = Failure("server", text(members(parse(data), ["message"], ["originalMessage", "originalStatusCode"])
                                             ["message"], empty=False))
        else:
            assert head[":message-type"] == "event", head
            stream.take(head, data)
    assert not stream.reason, "a broken stream looks finished"
    assert failure is not None, "the stream ends without a word"
    return stream.turn(), failure


def read_error(response):
    assert response.header("content-type") == "application/json"
    name = response.header("x-amzn-errortype").split(":")[0]
    assert name in ERRORS[response.status], (response.status, name)
    body = members(parse(response.body), ["message"], ["__type"])
    return Failure(KINDS.get(response.status, "server"), text(body["message"], empty=False))


def _usage(value):
    members(value, ["inputTokens", "outputTokens", "totalTokens"],
            ["cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails"])
    cached, written = count(value.get("cacheReadInputTokens", 0)), count(value.get("cacheWriteInputTokens", 0))
    prompt = count(value["inputTokens"]) + cached + written
    assert value["totalTokens"] == prompt + count(value["outputTokens"]), value
    return prompt, cached, value["outputTokens"]


def _whole(body):
    members(body, ["output", "stopReason", "usage", "metrics"],
            ["additionalModelResponseFields", "trace", "performanceConfig", "serviceTier"])
    count(members(body["metrics"], ["latencyMs"])["latencyMs"])
    message = members(members(body["output"], ["message"])["message"], ["role", "content"])
    assert message["role"] == "assistant"
    return _turn(message["content"], body["stopReason"], _usage(body["usage"]))


def _turn(content, reason, usage):
    turn = Turn(finish=FINISHES[reason] if reason else "", usage=usage)
    for block in content:
        [(kind, value)] = block.items()
        if kind == "text":
            turn.text += text(value)
            turn.order.append("text")
        elif kind == "toolUse":
            members(value, ["toolUseId", "name", "input"])
            assert isinstance(value["input"], dict)
            turn.calls.append(Call(text(value["name"], empty=False), value["input"], text(value["toolUseId"], empty=False)))
            turn.order.append("call")
        else:
            assert kind == "reasoningContent", block
            if "redactedContent" in value:
                turn.signatures.append(value["redactedContent"])
                continue
            members(value, ["reasoningText"])
            members(value["reasoningText"], ["text"], ["signature"])
            turn.thoughts += text(value["reasoningText"]["text"])
            turn.order.append("thoughts")
            if value["reasoningText"].get("signature"):
                turn.signatures.append(value["reasoningText"]["signature"])
    if turn.finish == "tools":
        assert turn.calls, "tool_use without a call"
    turn.message = [{"role": "assistant", "content": content}] if content else []
    return turn


class _Stream:
    """messageStart, blocks one after the other (a start only where they have something to say),
    messageStop, metadata."""

    def __init__(self):
        self.started = self.metadata = False
        self.reason = self.usage = self.open = None
        self.blocks, self.text_deltas = [], 0

    def take(self, head, data):
        assert set(head) == {":event-type", ":content-type", ":message-type"}, head
        assert head[":content-type"] == "application/json"
        assert not self.metadata, f"after the metadata: {data}"
        body = parse(data)
        body.pop("p", None)  # padding
        assert self.started or head[":event-type"] == "messageStart", f"before messageStart: {head}"
        getattr(self, "_" + head[":event-type"])(body)

    def _messageStart(self, body):
        assert not self.started and members(body, ["role"])["role"] == "assistant"
        self.started = True

    def _begin(self, index, block):
        assert self.open is None, "blocks overlap"
        assert self.reason is None, "a block after messageStop"
        assert index == len(self.blocks), f"contentBlockIndex {index}, not {len(self.blocks)}"
        self.open = block
        self.blocks.append(block)

    def _contentBlockStart(self, body):
        members(body, ["start", "contentBlockIndex"])
        [(kind, value)] = body["start"].items()
        assert kind == "toolUse", f"only calls have a start: {body}"
        members(value, ["toolUseId", "name"])
        self._begin(body["contentBlockIndex"], {"toolUse": {**value, "input": ""}})

    def _contentBlockDelta(self, body):
        members(body, ["delta", "contentBlockIndex"])
        [(kind, value)] = body["delta"].items()
        if self.open is None:
            assert kind in ("text", "reasoningContent"), f"a call without its start: {body}"
            self._begin(body["contentBlockIndex"], {"text": ""} if kind == "text" else {"reasoningContent": {}})
        assert body["contentBlockIndex"] == len(self.blocks) - 1, f"a delta outside its block: {body}"
        assert kind in self.open, f"{kind} in {self.open}"
        if kind == "text":
            self.open["text"] += text(value)
            self.text_deltas += bool(value)
        elif kind == "toolUse":
            self.open["toolUse"]["input"] += text(members(value, ["input"])["input"])
        else:
            self._reasoning(value)

    def _reasoning(self, value):
        [(name, piece)] = value.items()
        into = self.open["reasoningContent"]
        if name == "redactedContent":
            into[name] = into.get(name, "") + piece
            return
        assert name in ("text", "signature"), value
        into = into.setdefault("reasoningText", {"text": ""})
        into[name] = into.get(name, "") + text(piece)

    def _contentBlockStop(self, body):
        members(body, ["contentBlockIndex"])
        assert self.open is not None or body["contentBlockIndex"] == len(self.blocks), f"a stop without its block: {body}"
        if self.open is None:  # a block without any delta
            self.blocks.append({"text": ""})
        assert body["contentBlockIndex"] == len(self.blocks) - 1, body
        if self.open and "toolUse" in self.open:
            call = self.open["toolUse"]
            call["input"] = parse(call["input"]) if call["input"] else {}
            assert isinstance(call["input"], dict)
        self.open = None

    def _messageStop(self, body):
        members(body, ["stopReason"], ["additionalModelResponseFields"])
        assert self.open is None and self.reason is None, "messageStop inside a block"
        self.reason = text(body["stopReason"], empty=False)

    def _metadata(self, body):
        assert self.reason, "metadata before messageStop"
        members(body, ["usage", "metrics"], ["trace", "performanceConfig", "serviceTier"])
        count(members(body["metrics"], ["latencyMs"])["latencyMs"])
        self.usage, self.metadata = _usage(body["usage"]), True

    def turn(self):
        blocks = self.blocks
        if self.open and "toolUse" in self.open:  # a broken stream: arguments in the making
            blocks = blocks[:-1]
        turn = _turn(blocks, self.reason, self.usage)
        turn.text_deltas = self.text_deltas
        return turn


# ---- as the provider understands it ----

def seen(target, body):
    model, _, method = target.removeprefix("/model/").partition("/")
    assert method in ("converse", "converse-stream"), target
    config, tools = body.get("inferenceConfig", {}), body.get("toolConfig", {})
    more = body.get("additionalModelRequestFields", {})
    seen = Seen(model=urllib.parse.unquote(model), stream=method == "converse-stream",
                stop=config.get("stopSequences", []), max_tokens=config.get("maxTokens"),
                thinks=more.get("thinking", {}).get("type", "disabled") != "disabled" or "reasoning_config" in more or
                "effort" in body.get("outputConfig", {}))
    seen.system = "".join(block["text"] for block in body.get("system", []))
    for tool in tools.get("tools", []):
        seen.tools[tool["toolSpec"]["name"]] = tool["toolSpec"]["inputSchema"]["json"]
    for kind, value in tools.get("toolChoice", {}).items():
        seen.choice = "=" + value["name"] if kind == "tool" else kind
    structure = body.get("outputConfig", {}).get("textFormat", {}).get("structure")
    if structure:
        seen.schema = json.loads(structure["jsonSchema"]["schema"])
    names = {}
    for message in body["messages"]:
        for block in message["content"]:
            _seen_block(seen, names, message["role"], block)
    return seen


def _seen_block(seen, names, role, block):
    [(kind, value)] = block.items()
    if kind == "text":
        seen.texts.append((role, value))
    elif kind == "image":
        seen.images.append(("image/" + value["format"], value["source"]["bytes"]))
    elif kind == "toolUse":
        assert CALL_ID.fullmatch(value["toolUseId"]), f"Bedrock takes no such id: {value}"
        names[value["toolUseId"]] = value["name"]
        seen.calls.append(Call(value["name"], value["input"], value["toolUseId"]))
    elif kind == "toolResult":
        seen.results.append((names[value["toolUseId"]], "".join(
            part["text"] if "text" in part else json.dumps(part["json"]) for part in value["content"])))
    elif "redactedContent" in value:
        seen.signatures.append(value["redactedContent"])
    else:
        seen.thoughts.append(value["reasoningText"]["text"])
        if value["reasoningText"].get("signature"):
            seen.signatures.append(value["reasoningText"]["signature"])
