"""The official Anthropic client: messages, streams, tools, counts, models, errors."""

import pytest
from conftest import BOTH, KEY, ROOT, SCHEMAS, TEXT, each, script

anthropic = pytest.importorskip("anthropic", reason="the anthropic client isn't installed")

MESSAGES = [{"role": "user", "content": "Say hello."}]
TOOLS = [{"name": name, "input_schema": schema} for name, schema in SCHEMAS.items()]


@pytest.fixture(scope="module")
def client():
    return anthropic.Anthropic(base_url=ROOT, api_key=KEY, max_retries=0)


def asked(target, **more):
    return {"model": target["model"], "max_tokens": 1024, "messages": MESSAGES, **more}


def text_of(answer):
    return "".join(block.text for block in answer.content if block.type == "text")


def calls_of(answer):
    return [block for block in answer.content if block.type == "tool_use"]


@each("anthropic")
def test_messages(client, target):
    answer = client.messages.create(**asked(target, system="Be brief."), extra_headers=script("prompt=9,completion=8"))
    assert (text_of(answer), answer.stop_reason) == (TEXT, "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 8)


@each("anthropic")
def test_stream(client, target):
    with client.messages.stream(**asked(target), extra_headers=script("chunk=3")) as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert text == text_of(answer) == TEXT
    assert answer.usage.output_tokens > 0


@each("anthropic")
def test_tools_and_their_results(client, target):
    answer = client.messages.create(**asked(target, tools=TOOLS), extra_headers=script("tools=2"))
    assert answer.stop_reason == "tool_use"
    assert [(call.name, call.input) for call in calls_of(answer)] == BOTH
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "fine"} for call in calls_of(answer)]
    turns = [*MESSAGES, {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    assert text_of(client.messages.create(**asked(target, tools=TOOLS, messages=turns))) == TEXT


@each("anthropic")
def test_tools_in_a_stream(client, target):
    with client.messages.stream(**asked(target, tools=TOOLS), extra_headers=script("tools=2,chunk=5")) as stream:
        answer = stream.get_final_message()
    assert [(call.name, call.input) for call in calls_of(answer)] == BOTH


@each("anthropic")
def test_count_tokens(client, target):
    assert client.messages.count_tokens(model=target["model"], messages=MESSAGES).input_tokens > 0


@each("anthropic")
@pytest.mark.parametrize("status, error", [(400, "BadRequestError"), (404, "NotFoundError"), (429, "RateLimitError"),
                                           (500, "InternalServerError")])
def test_errors(client, target, status, error):
    with pytest.raises(getattr(anthropic, error)) as caught:
        client.messages.create(**asked(target), extra_headers=script(f"status={status}"))
    assert caught.value.request_id and caught.value.body["error"]["message"]


def test_models(client):
    names = [model.id for model in client.models.list(limit=5)]  # several pages
    assert len(names) > 5 and len(set(names)) == len(names)
    assert client.models.retrieve(names[-1]).id == names[-1]
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("none")


def test_a_wrong_key():
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=ROOT, api_key="sk-wrong", max_retries=0).models.list()
