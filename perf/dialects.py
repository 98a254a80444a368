"""What the benchmarks know of the dialects of callers: where a request goes, what a right answer is."""

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Dialect:
    name: str
    path: str
    key_header: str
    headers: tuple  # that a caller sends besides its key
    end: str  # last line of a complete event stream

    def request_headers(self, key):
        return [f"{self.key_header}{key}", *self.headers]


OPENAI = Dialect("openai", "/v1/chat/completions", "Authorization: Bearer ", (), "data: [DONE]")
ANTHROPIC = Dialect("anthropic", "/v1/messages", "x-api-key: ", ("anthropic-version: 2023-06-01",),
                    'data: {"type":"message_stop"}')
DIALECTS = {d.name: d for d in (OPENAI, ANTHROPIC)}


def _alternating(messages):
    """Anthropic's roles alternate: what one says twice in a row becomes blocks of one message."""
    out = []
    for m in messages:
        if not out or out[-1]["role"] != m["role"]:
            out.append(dict(m))
            continue
        if isinstance(out[-1]["content"], str):
            out[-1]["content"] = [{"type": "text", "text": out[-1]["content"]}]
        out[-1]["content"].append({"type": "text", "text": m["content"]})
    return out


def body(dialect, model, messages, stream):
    """A request's bytes; messages are OpenAI's, the system prompt first."""
    out = {"model": model}
    if dialect == "anthropic":
        out |= {"max_tokens": 64, "system": messages[0]["content"],
                "messages": _alternating(messages[1:])}
    else:
        out["messages"] = messages
    out["temperature"] = 0.7
    if stream:
        out["stream"] = True
    return json.dumps(out, ensure_ascii=False).encode()


def _text_of_whole(dialect, answer):
    if dialect == "anthropic":
        return "".join(block["text"] for block in answer["content"])
    return answer["choices"][0]["message"]["content"]


def _text_of_event(dialect, event):
    if dialect == "anthropic":
        return event["delta"]["text"] if event["type"] == "content_block_delta" else ""
    return "".join(choice["delta"].get("content") or "" for choice in event["choices"])


def read_answer(dialect, answer, stream):
    """The text of a whole, right answer and the number of its events; raises ValueError for any
    other."""
    try:
        if not stream:
            return _text_of_whole(dialect, json.loads(answer)), 0
        events = answer.decode().split("\n\n")
        if events.pop() != "" or events[-1].splitlines()[-1] != DIALECTS[dialect].end:
            raise ValueError("the stream has no end")
        lines = [line for event in events for line in event.splitlines()
                 if line.startswith("data: {")]
        return "".join(_text_of_event(dialect, json.loads(line[6:])) for line in lines), len(events)
    except (KeyError, IndexError, TypeError) as e:
        raise ValueError(f"no answer in the dialect of {dialect}: {e!r}") from e
