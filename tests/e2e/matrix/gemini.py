"""Google's generateContent.

https://ai.google.dev/api/generate-content, .../api/caching#Content,
https://ai.google.dev/gemini-api/docs/thought-signatures, errors as https://cloud.google.com/apis/design/errors.
"""

import json
import re
import urllib.parse

from matrix.scenario import RESULTS, TOOLS
from matrix.turn import Call, Failure, Seen, Turn
from matrix.wire import count, members, parse, sse, text

NAME = "gemini"

FILTERS = ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION")
FINISHES = {"STOP": "stop", "MAX_TOKENS": "length", **dict.fromkeys(FILTERS, "filter")}
STATUSES = {400: ("INVALID_ARGUMENT", "FAILED_PRECONDITION"), 413: ("INVALID_ARGUMENT",), 401: ("UNAUTHENTICATED",), 403: ("PERMISSION_DENIED",),
            404: ("NOT_FOUND",), 402: ("RESOURCE_EXHAUSTED",), 429: ("RESOURCE_EXHAUSTED",), 500: ("INTERNAL",),
            502: ("UNAVAILABLE", "INTERNAL"), 503: ("UNAVAILABLE",), 504: ("DEADLINE_EXCEEDED",)}
KINDS = {400: "request", 413: "request", 401: "auth", 403: "permission", 404: "missing", 429: "rate"}
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


# ---- asking ----

def headers(key):
    return [("x-goog-api-key", key), ("Content-Type", "application/json")]


def user(scenario, say):
    parts = [{"text": say}]
    if scenario.image:
        parts.append({"inlineData": {"mimeType": "image/png", "data": scenario.image}})
    return [{"role": "user", "parts": parts}]


def results(turn):
    parts = []
    for call in turn.calls:
        response = {"name": call.name, "response": {"result": RESULTS[call.name]}}
        parts.append({"functionResponse": {"id": call.id, **response} if call.id else response})
    return [{"role": "user", "parts": parts}]


def request(model, scenario, history, stream):
    body, config = {"contents": list(history)}, {}
    if scenario.system:
        body["systemInstruction"] = {"parts": [{"text": scenario.system}]}
    if scenario.tools:
        body["tools"] = [{"functionDeclarations": [
            {"name": name, "description": f"The {name}.", "parametersJsonSchema": TOOLS[name]}
            for name in scenario.tools]}]
    if scenario.choice:
        calling = {"mode": {"auto": "AUTO"}.get(scenario.choice, "ANY")}
        if scenario.choice not in ("auto", "any"):
            calling["allowedFunctionNames"] = [scenario.choice]
        body["toolConfig"] = {"functionCallingConfig": calling}
    if scenario.schema:
        config.update(responseMimeType="application/json", responseJsonSchema=scenario.schema)
    if scenario.stop:
        config["stopSequences"] = list(scenario.stop)
    if scenario.max_tokens:
        config["maxOutputTokens"] = scenario.max_tokens
    if scenario.thinks:
        config["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": 2048}
    if config:
        body["generationConfig"] = config
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/{urllib.parse.quote(model, safe='')}:{method}", body


# ---- answers ----

def read(response, payload, scenario):
    if payload is None:
        assert response.header("content-type").split(";")[0] == "application/json"
        stream = _Stream()
        stream.take(parse(response.body))
        stream.text_deltas = 0
        return stream.finish()
    assert response.header("content-type").split(";")[0] == "text/event-stream"
    stream = _Stream()
    for event, data in sse(payload):
        assert event is None, f"Gemini's streams name no events: {event}"
        stream.take(parse(data))
    return stream.finish()


def read_broken(payload):
    stream, failure = _Stream(), None
    for event, data in sse(payload):
        assert event is None and failure is None, f"after the error: {data}"
        body = parse(data)
        if "error" in body:
            failure = _failure(body)
        else:
            stream.take(body)
    assert not stream.reason, "a broken stream looks finished"
    assert failure is not None, "the stream ends without a word"
    stream.turn.text_deltas = stream.text_deltas
    return stream.turn, failure


def read_error(response):
    assert response.header("content-type").split(";")[0] == "application/json"
    body = parse(response.body)
    assert body["error"]["code"] == response.status, body
    return _failure(body)


def _failure(body):
    error = members(members(body, ["error"])["error"], ["code", "message", "status"], ["details"])
    assert error["status"] in STATUSES[error["code"]], error
    return Failure(KINDS.get(error["code"], "server"), text(error["message"], empty=False))


def _usage(value):
    figures = {"promptTokenCount": 0, "cachedContentTokenCount": 0, "candidatesTokenCount": 0, "thoughtsTokenCount": 0,
               "toolUsePromptTokenCount": 0, "totalTokenCount": 0}
    members(value, ["promptTokenCount", "totalTokenCount"],
            [*figures, "promptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails", "trafficType", "serviceTier"])
    figures.update({name: count(value[name]) for name in figures if name in value})
    output = figures["candidatesTokenCount"] + figures["thoughtsTokenCount"]
    prompt = figures["promptTokenCount"] + figures["toolUsePromptTokenCount"]
    assert figures["totalTokenCount"] == prompt + output, value
    return prompt, figures["cachedContentTokenCount"], output


class _Stream:
    """Whole responses one after the other; the last one names a finish reason and the usage."""

    def __init__(self):
        self.turn = Turn()
        self.parts, self.reason, self.identity = [], None, None
        self.text_deltas = 0

    def take(self, body):
        assert not self.reason, f"after the finish reason: {body}"
        members(body, ["modelVersion", "responseId"],
                ["candidates", "usageMetadata", "promptFeedback", "createTime", "modelStatus"])
        identity = text(body["modelVersion"], empty=False), text(body["responseId"], empty=False)
        assert self.identity in (None, identity), "another answer's piece"
        self.identity = identity
        if "usageMetadata" in body:
            self.turn.usage = _usage(body["usageMetadata"])
        if not body.get("candidates"):
            return
        [candidate] = body["candidates"]
        members(candidate, [], ["content", "finishReason", "index", "safetyRatings", "citationMetadata", "tokenCount",
                                "avgLogprobs", "logprobsResult", "finishMessage", "groundingMetadata"])
        assert candidate.get("index", 0) == 0
        if "content" in candidate:
            members(candidate["content"], ["role"], ["parts"])
            assert candidate["content"]["role"] == "model"
            for part in candidate["content"].get("parts", []):
                self._part(part)
        self.reason = candidate.get("finishReason")
        if self.reason:
            self.turn.finish = FINISHES[self.reason]

    def _part(self, part):
        members(part, [], ["text", "thought", "thoughtSignature", "functionCall"])
        assert ("text" in part) + ("functionCall" in part) == 1, part
        if "thoughtSignature" in part:
            assert BASE64.fullmatch(part["thoughtSignature"]), f"not base64: {part}"
            self.turn.signatures.append(part["thoughtSignature"])
        if "functionCall" in part:
            call = members(part["functionCall"], ["name", "args"], ["id"])
            assert isinstance(call["args"], dict)
            self.turn.calls.append(Call(text(call["name"], empty=False), call["args"], call.get("id", "")))
            self._append("call", part)
        elif part.get("thought"):
            self.turn.thoughts += text(part["text"])
            self._append("thoughts", part)
        else:
            self.turn.text += text(part["text"])
            self.text_deltas += bool(part["text"])
            self._append("text", part)

    def _append(self, kind, part):
        """Into the history, as the clients put it together: pieces of text become one part."""
        order, last = self.turn.order, self.parts[-1] if self.parts else None
        # An empty text that carries nothing but a signature belongs to what came before.
        if kind != "call" and order and order[-1] == kind and "thoughtSignature" not in last:
            last["text"] += part["text"]
            last.update({name: value for name, value in part.items() if name == "thoughtSignature"})
            return
        self.parts.append(dict(part))
        if kind == "call" or part["text"]:
            order.append(kind)

    def finish(self):
        assert self.reason, "no finish reason"
        assert self.turn.usage, "no usage"
        if self.turn.calls:
            assert self.turn.finish == "stop", "Gemini ends calls with STOP"
            self.turn.finish = "tools"
        self.turn.text_deltas = self.text_deltas
        self.turn.message = [{"role": "model", "parts": self.parts}] if self.parts else []
        return self.turn


# ---- as the provider understands it ----

def seen(target, body):
    path, _, query = target.partition("?")
    model, _, method = path.removeprefix("/v1beta/models/").partition(":")
    config = body.get("generationConfig", {})
    thinking = config.get("thinkingConfig", {})
    assert method in ("generateContent", "streamGenerateContent"), target
    assert (method == "streamGenerateContent") == (query == "alt=sse"), target
    seen = Seen(model=urllib.parse.unquote(model), stream=method == "streamGenerateContent",
                stop=config.get("stopSequences", []), max_tokens=config.get("maxOutputTokens"),
                thinks=thinking.get("thinkingBudget", 1) != 0 if thinking else False,
                schema=config.get("responseJsonSchema", config.get("responseSchema")))
    if seen.schema is not None:
        assert config["responseMimeType"] == "application/json", config
    seen.system = "".join(part["text"] for part in body.get("systemInstruction", {}).get("parts", []))
    for tool in body.get("tools", []):
        for function in tool["functionDeclarations"]:
            seen.tools[function["name"]] = function.get("parametersJsonSchema", function.get("parameters"))
    calling = body.get("toolConfig", {}).get("functionCallingConfig")
    if calling:
        names = calling.get("allowedFunctionNames")
        seen.choice = "=" + names[0] if names else {"AUTO": "auto", "VALIDATED": "auto", "ANY": "any", "NONE": "none"}[calling["mode"]]
    for content in body["contents"]:
        for part in content["parts"]:
            _seen_part(seen, {"model": "assistant"}.get(content["role"], content["role"]), part)
    return seen


def _seen_part(seen, role, part):
    if part.get("thoughtSignature"):
        seen.signatures.append(part["thoughtSignature"])
    if "functionCall" in part:
        call = part["functionCall"]
        seen.calls.append(Call(call["name"], call.get("args", {}), call.get("id", "")))
    elif "functionResponse" in part:
        seen.results.append((part["functionResponse"]["name"], json.dumps(part["functionResponse"]["response"])))
    elif "inlineData" in part:
        seen.images.append((part["inlineData"]["mimeType"], part["inlineData"]["data"]))
    elif part.get("thought"):
        seen.thoughts.append(part["text"])
    elif part["text"]:
        seen.texts.append((role, part["text"]))
