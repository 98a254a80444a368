"""OpenAI's Responses, without state at the provider (store: false).

https://platform.openai.com/docs/api-reference/responses (object, create) and .../responses-streaming.
"""

import json

from matrix.scenario import RESULTS, TOOLS
from matrix.turn import Call, Failure, Seen, Turn
from matrix.wire import count, members, parse, sse, text
from matrix import openai_chat

NAME = "openai.responses"

REASONS = {"max_output_tokens": "length", "content_filter": "filter"}
# A request can name no stop sequences.
CANNOT = {"stop_sequence"}

headers = openai_chat.headers
read_error = openai_chat.read_error


# ---- asking ----

def user(scenario, say):
    content = [{"type": "input_text", "text": say}]
    if scenario.image:
        content.append({"type": "input_image", "detail": "auto",
                        "image_url": "data:image/png;base64," + scenario.image})
    return [{"role": "user", "content": content}]


def results(turn):
    return [{"type": "function_call_output", "call_id": call.id, "output": RESULTS[call.name]} for call in turn.calls]


def request(model, scenario, history, stream):
    body = {"model": model, "input": list(history), "store": False}
    if scenario.system:
        body["instructions"] = scenario.system
    if scenario.tools:
        body["tools"] = [{"type": "function", "name": name, "description": f"The {name}.", "parameters": TOOLS[name],
                          "strict": True} for name in scenario.tools]
    if scenario.choice:
        body["tool_choice"] = {"auto": "auto", "any": "required"}.get(scenario.choice) or \
            {"type": "function", "name": scenario.choice}
    if scenario.schema:
        body["text"] = {"format": {"type": "json_schema", "name": "person", "strict": True, "schema": scenario.schema}}
    if scenario.max_tokens:
        body["max_output_tokens"] = scenario.max_tokens
    if scenario.thinks:
        body.update(reasoning={"effort": "medium", "summary": "auto"}, include=["reasoning.encrypted_content"])
    if stream:
        body["stream"] = True
    return "/v1/responses", body


# ---- answers ----

def read(response, payload, scenario):
    if payload is None:
        assert response.header("content-type").split(";")[0] == "application/json"
        return _turn(_response(parse(response.body)))
    assert response.header("content-type").split(";")[0] == "text/event-stream"
    stream = _Stream()
    for event, data in sse(payload):
        stream.take(event, parse(data))
    return stream.finish()


def read_broken(payload):
    stream, failure = _Stream(), None
    ended = False
    for event, data in sse(payload):
        assert not ended, f"after the end: {data}"
        body = parse(data)
        if event == "error":
            assert failure is None, f"after the error: {data}"
            members(body, ["type", "code", "message", "param", "sequence_number"])
            stream.number(body)
            failure = Failure("server", text(body["message"], empty=False))
        elif event == "response.failed":
            stream.number(body)
            error = body["response"]["error"]
            assert body["response"]["status"] == "failed"
            ended = True
            failure = Failure("server", text(members(error, ["code", "message"])["message"], empty=False))
        else:
            assert failure is None, f"after the error: {data}"
            stream.take(event, body)
    assert stream.response is None, "a broken stream looks finished"
    assert failure is not None, "the stream ends without a word"
    return Turn(text=stream.text, text_deltas=stream.text_deltas), failure


def _usage(value):
    members(value, ["input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens"])
    assert value["total_tokens"] == count(value["input_tokens"]) + count(value["output_tokens"]), value
    members(value["output_tokens_details"], ["reasoning_tokens"])
    cached = members(value["input_tokens_details"], ["cached_tokens"], ["cache_write_tokens"])["cached_tokens"]
    return value["input_tokens"], count(cached), value["output_tokens"]


def _response(body):
    members(body, ["id", "object", "created_at", "status", "error", "incomplete_details", "instructions", "metadata",
                   "model", "output", "parallel_tool_calls", "temperature", "tool_choice", "tools", "top_p"],
            ["background", "completed_at", "max_output_tokens", "max_tool_calls", "previous_response_id", "prompt",
             "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store",
             "text", "top_logprobs", "truncation", "usage", "user", "conversation", "billing", "frequency_penalty",
             "presence_penalty"])
    assert body["object"] == "response"
    text(body["id"], empty=False), count(body["created_at"]), text(body["model"], empty=False)
    assert isinstance(body["parallel_tool_calls"], bool) and isinstance(body["tools"], list)
    for item in body["output"]:
        _item(item)
    ids = [item["id"] for item in body["output"] if "id" in item]
    assert len(ids) == len(set(ids)), f"ids twice: {ids}"
    return body


def _item(item):
    kind = item["type"]
    if kind == "message":
        members(item, ["type", "id", "role", "status", "content"], ["phase"])
        assert item["role"] == "assistant"
        for part in item["content"]:
            _part(part)
    elif kind == "function_call":
        members(item, ["type", "call_id", "name", "arguments"], ["id", "status"])
        text(item["call_id"], empty=False), text(item["name"], empty=False)
    else:
        assert kind == "reasoning", item
        members(item, ["type", "id", "summary"], ["content", "encrypted_content", "status"])
        for part in item["summary"]:
            assert members(part, ["type", "text"])["type"] == "summary_text"
        for part in item.get("content") or []:
            assert members(part, ["type", "text"])["type"] == "reasoning_text"
    if "id" in item:
        text(item["id"], empty=False)
    assert item.get("status", "completed") in ("in_progress", "completed", "incomplete"), item


def _part(part):
    if part["type"] == "output_text":
        members(part, ["type", "text", "annotations"], ["logprobs"])
        assert part["annotations"] == [] and part.get("logprobs", []) == []
    else:
        assert part["type"] == "refusal", part
        members(part, ["type", "refusal"])


def _turn(body):
    turn = Turn(usage=_usage(body["usage"]))
    for item in body["output"]:
        assert item.get("status") != "in_progress", item
        if item["type"] == "message":
            turn.text += "".join(part.get("text", "") for part in item["content"])
            turn.refusal += "".join(part.get("refusal", "") for part in item["content"])
            turn.order.append("text")
        elif item["type"] == "function_call":
            turn.calls.append(Call(item["name"], parse(item["arguments"]), item["call_id"]))
            turn.order.append("call")
        else:
            turn.thoughts += "".join(part["text"] for part in item["summary"] or item.get("content") or [])
            turn.order.append("thoughts")
            if item.get("encrypted_content"):
                turn.signatures.append(item["encrypted_content"])
    assert body["error"] is None
    if body["status"] == "incomplete":
        turn.finish = REASONS[members(body["incomplete_details"], ["reason"])["reason"]]
    else:
        assert body["status"] == "completed" and body["incomplete_details"] is None, body
        turn.finish = "tools" if turn.calls else "filter" if turn.refusal else "stop"
    turn.message = body["output"]
    return turn


class _Stream:
    """response.created, response.in_progress, items one after the other, each added before its
    deltas and done after them, response.completed or .incomplete with the same items."""

    def __init__(self):
        self.next = 0
        self.created = self.response = None
        self.item = self.part = None  # what is open; of a part its text so far
        self.items = []
        self.text, self.text_deltas = "", 0

    def number(self, body):
        assert body["sequence_number"] == self.next, f"sequence_number {body['sequence_number']}, not {self.next}"
        self.next += 1

    def take(self, event, body):
        assert event == body["type"], f"event {event} with {body}"
        self.number(body)
        assert self.response is None, f"after the end: {body}"
        name = event.removeprefix("response.").replace(".", "_")
        assert self.created or name == "created", f"before response.created: {body}"
        getattr(self, "_" + name)(body)

    def _created(self, body):
        members(body, ["type", "sequence_number", "response"])
        assert self.created is None
        self.created = _response(body["response"])
        assert self.created["status"] in ("in_progress", "queued") and self.created["output"] == []
        assert self.created.get("usage") is None

    def _in_progress(self, body):
        members(body, ["type", "sequence_number", "response"])
        assert not self.items and body["response"]["id"] == self.created["id"]

    def _ended(self, body):
        members(body, ["type", "sequence_number", "response"])
        assert self.item is None, "the end inside an item"
        self.response = _response(body["response"])
        assert self.response["id"] == self.created["id"] and self.response["model"] == self.created["model"]
        assert self.response["output"] == self.items, "the last event's output isn't what was streamed"

    def _completed(self, body):
        self._ended(body)
        assert self.response["status"] == "completed"

    def _incomplete(self, body):
        self._ended(body)
        assert self.response["status"] == "incomplete"

    def _output_item_added(self, body):
        members(body, ["type", "sequence_number", "output_index", "item"])
        assert self.item is None, f"items overlap: {body}"
        assert body["output_index"] == len(self.items), body
        self.item = dict(body["item"])
        _item(self.item)
        assert self.item.get("status", "in_progress") == "in_progress", body
        for name in ("content", "summary", "arguments"):
            assert not self.item.get(name), f"added with content: {body}"
        self.item["parts"] = []
        self.item["args"] = ""

    def _output_item_done(self, body):
        members(body, ["type", "sequence_number", "output_index", "item"])
        assert self.item is not None and body["output_index"] == len(self.items) and self.part is None, body
        item, added = body["item"], self.item
        _item(item)
        assert item["type"] == added["type"] and item.get("id") == added.get("id")
        if item["type"] == "function_call":
            assert (item["call_id"], item["name"]) == (added["call_id"], added["name"])
            assert item["arguments"] == added["args"], "arguments and their deltas differ"
        elif item["type"] == "message":
            assert item["content"] == added["parts"], "content and its parts differ"
        else:
            assert [*item["summary"], *(item.get("content") or [])] == added["parts"]
        self.items.append(item)
        self.item = None

    def _place(self, body, index, *more):
        members(body, ["type", "sequence_number", "output_index", "item_id", index, *more], ["obfuscation"])
        assert self.item is not None and body["item_id"] == self.item["id"], f"outside its item: {body}"
        assert body["output_index"] == len(self.items) and body[index] == len(self.item["parts"]), body

    def _begin(self, body, index):
        self._place(body, index, "part")
        assert self.part is None, f"parts overlap: {body}"
        part = dict(body["part"])
        assert part.get("text", part.get("refusal")) == "", body
        self.part = part

    def _delta(self, body, index, name, *more):
        self._place(body, index, "delta", *more)
        assert self.part is not None, f"a delta outside its part: {body}"
        self.part[name] += text(body["delta"])

    def _text_done(self, body, index, name, *more):
        self._place(body, index, name, *more)
        assert self.part is not None and body[name] == self.part[name], f"text and its deltas differ: {body}"

    def _end(self, body, index):
        self._place(body, index, "part")
        assert body["part"] == self.part, f"the part and its deltas differ: {body['part']} {self.part}"
        self.item["parts"].append(self.part)
        self.part = None

    def _content_part_added(self, body):
        self._begin(body, "content_index")
        if self.part["type"] != "reasoning_text":
            _part(self.part)

    def _content_part_done(self, body):
        self._end(body, "content_index")

    def _output_text_delta(self, body):
        self._delta(body, "content_index", "text", "logprobs")
        assert self.part["type"] == "output_text" and body["logprobs"] == []
        self.text += body["delta"]
        self.text_deltas += 1

    def _output_text_done(self, body):
        self._text_done(body, "content_index", "text", "logprobs")

    def _refusal_delta(self, body):
        self._delta(body, "content_index", "refusal")

    def _refusal_done(self, body):
        self._text_done(body, "content_index", "refusal")

    def _reasoning_text_delta(self, body):
        self._delta(body, "content_index", "text")

    def _reasoning_text_done(self, body):
        self._text_done(body, "content_index", "text")

    def _reasoning_summary_part_added(self, body):
        self._begin(body, "summary_index")

    def _reasoning_summary_part_done(self, body):
        self._end(body, "summary_index")

    def _reasoning_summary_text_delta(self, body):
        self._delta(body, "summary_index", "text")

    def _reasoning_summary_text_done(self, body):
        self._text_done(body, "summary_index", "text")

    def _function_call_arguments_delta(self, body):
        members(body, ["type", "sequence_number", "output_index", "item_id", "delta"], ["obfuscation"])
        assert self.item["type"] == "function_call" and body["item_id"] == self.item["id"], body
        assert body["output_index"] == len(self.items)
        self.item["args"] += text(body["delta"])

    def _function_call_arguments_done(self, body):
        members(body, ["type", "sequence_number", "output_index", "item_id", "arguments"], ["name", "call_id"])
        assert body["item_id"] == self.item["id"] and body["output_index"] == len(self.items)
        assert body["arguments"] == self.item["args"], "arguments and their deltas differ"

    def finish(self):
        assert self.response is not None, "no response.completed"
        turn = _turn(self.response)
        turn.text_deltas = self.text_deltas
        return turn


# ---- as the provider understands it ----

def seen(target, body):
    assert target == "/v1/responses", target
    seen = Seen(model=body["model"], stream=body.get("stream", False), system=body.get("instructions") or "",
                max_tokens=body.get("max_output_tokens"), thinks="reasoning" in body)
    for tool in body.get("tools", []):
        seen.tools[tool["name"]] = tool["parameters"]
    choice = body.get("tool_choice")
    if choice is not None:
        seen.choice = {"required": "any"}.get(choice, choice) if isinstance(choice, str) else "=" + choice["name"]
    seen.schema = body.get("text", {}).get("format", {}).get("schema")
    names = {}
    for item in body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]:
        kind = item.get("type", "message")
        if kind == "function_call":
            names[item["call_id"]] = item["name"]
            seen.calls.append(Call(item["name"], json.loads(item["arguments"]), item["call_id"]))
        elif kind == "function_call_output":
            seen.results.append((names[item["call_id"]], item["output"] if isinstance(item["output"], str) else
                                 "".join(part["text"] for part in item["output"])))
        elif kind == "reasoning":
            seen.thoughts += [part["text"] for part in item["summary"] or item.get("content") or []]
            if item.get("encrypted_content"):
                seen.signatures.append(item["encrypted_content"])
        else:
            _seen_message(seen, item)
    return seen


def _seen_message(seen, item):
    content = item["content"] if isinstance(item["content"], list) else [{"type": "input_text", "text": item["content"]}]
    words = "".join(part.get("text", "") for part in content)
    if item["role"] in ("system", "developer"):
        seen.system += words
    elif words:
        seen.texts.append((item["role"], words))
    for part in content:
        if part["type"] == "input_image":
            kind, data = part["image_url"].removeprefix("data:").split(";base64,")
            seen.images.append((kind, data))
