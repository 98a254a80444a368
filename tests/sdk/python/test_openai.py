"""The official OpenAI client: chat completions, Responses, models, errors; and its class for Azure."""

import json

import pytest
from conftest import BOTH, KEY, ROOT, SCHEMAS, TEXT, each, script

openai = pytest.importorskip("openai", reason="the openai client isn't installed")

MESSAGES = [{"role": "user", "content": "Say hello."}]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in SCHEMAS.items()]
FLAT_TOOLS = [{"type": "function", "name": name, "parameters": schema, "strict": True} for name, schema in SCHEMAS.items()]


@pytest.fixture(scope="module")
def client():
    return openai.OpenAI(base_url=f"{ROOT}/v1", api_key=KEY, max_retries=0)


def calls_of(calls):
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


@each("openai.chat")
def test_chat(client, target):
    answer = client.chat.completions.create(model=target["model"], messages=MESSAGES, extra_headers=script("prompt=9,completion=8"))
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 8)


@each("openai.chat")
def test_stream(client, target):
    stream = client.chat.completions.create(model=target["model"], messages=MESSAGES, stream=True,
                                            stream_options={"include_usage": True}, extra_headers=script("chunk=3"))
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks
                   if chunk.choices and chunk.choices[0].delta) == TEXT
    assert chunks[-1].usage.completion_tokens > 0


@each("openai.chat")
def test_tools_and_their_results(client, target):
    answer = client.chat.completions.create(model=target["model"], messages=MESSAGES, tools=TOOLS, extra_headers=script("tools=2"))
    message = answer.choices[0].message
    assert calls_of(message.tool_calls) == BOTH
    turns = [*MESSAGES, message, *({"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in message.tool_calls)]
    after = client.chat.completions.create(model=target["model"], messages=turns, tools=TOOLS)
    assert after.choices[0].message.content == TEXT


@each("openai.chat")
def test_tools_in_a_stream(client, target):
    with client.chat.completions.stream(model=target["model"], messages=MESSAGES, tools=TOOLS,
                                        extra_headers=script("tools=2,chunk=5")) as stream:
        answer = stream.get_final_completion()
    assert calls_of(answer.choices[0].message.tool_calls) == BOTH


@each("openai.chat")
@pytest.mark.parametrize("status, error", [(400, "BadRequestError"), (404, "NotFoundError"), (429, "RateLimitError"),
                                           (500, "InternalServerError")])
def test_errors(client, target, status, error):
    with pytest.raises(getattr(openai, error)) as caught:
        client.chat.completions.create(model=target["model"], messages=MESSAGES, extra_headers=script(f"status={status}"))
    assert caught.value.request_id and caught.value.body["message"]


@each("openai.responses")
def test_responses(client, target):
    answer = client.responses.create(model=target["model"], input="Say hello.", instructions="Be brief.")
    assert (answer.status, answer.output_text) == ("completed", TEXT)


@each("openai.responses")
def test_responses_in_a_stream(client, target):
    with client.responses.stream(model=target["model"], input="Say hello.", extra_headers=script("chunk=3")) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        answer = stream.get_final_response()
    assert text == answer.output_text == TEXT


@each("openai.responses")
def test_tools_of_responses(client, target):
    answer = client.responses.create(model=target["model"], input="Say hello.", tools=FLAT_TOOLS, extra_headers=script("tools=2"))
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == BOTH
    turns = [*MESSAGES, *calls, *({"type": "function_call_output", "call_id": call.call_id, "output": "fine"} for call in calls)]
    assert client.responses.create(model=target["model"], input=turns, tools=FLAT_TOOLS).output_text == TEXT


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert names and client.models.retrieve(names[0]).id == names[0]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("none")


def test_a_wrong_key():
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{ROOT}/v1", api_key="sk-wrong", max_retries=0).models.list()


@each("openai.chat")
def test_azures_class(target):
    """Its paths are those of deployments, whoever provides the model."""
    azure = openai.AzureOpenAI(azure_endpoint=ROOT, api_key=KEY, api_version="2024-10-21", max_retries=0)
    answer = azure.chat.completions.create(model=target["model"], messages=MESSAGES)
    assert answer.choices[0].message.content == TEXT
