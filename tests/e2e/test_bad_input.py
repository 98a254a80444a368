"""What is wrong with a body is told in the caller's dialect, with the member's name; whatever it is, nothing breaks."""

import json

import pytest

from gateway import KEY
from matrix import DIALECTS
from matrix.bad_json import ODD, REFUSED
from matrix.scenario import Scenario
from matrix.stage import PAIRS, PROVIDERS, open_stage

PLAIN = Scenario("plain")
# For each client dialect a provider of it, and one of another.
ROUTES = [(client, provider) for client, provider in PAIRS
          if provider in ("openai", "anthropic", "gemini", "bedrock", "cohere")]
TRANSLATED = [(client, provider) for client, provider in ROUTES if client not in PROVIDERS[provider].dialects]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    yield from open_stage(tmp_path_factory.mktemp("bad"), refusals=True)


def ask(stage, client, target, body, headers=()):
    with stage.gateway.connect() as connection:
        return connection.round_trip("POST", target, [*DIALECTS[client].headers(KEY), *headers], body)


def asked(client, provider, stream=False, scenario=PLAIN):
    module = DIALECTS[client]
    return module.request(f"{provider}-chat", scenario, module.user(scenario, "Hi"), stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", DIALECTS)
def test_what_is_no_json(stage, client, stream):
    target, _ = asked(client, "openai", stream)
    for name, body in REFUSED.items():
        answer = ask(stage, client, target, body)
        assert answer.status == 400, (name, answer)
        assert DIALECTS[client].read_error(answer).kind == "request", (name, answer)
    stage.gateway.wait_idle()


@pytest.mark.parametrize("client, provider", ROUTES)
def test_odd_json(stage, client, provider):
    """The value of a member that nobody knows, at the top and deep in a message."""
    target, body = asked(client, provider)
    plain = json.dumps(body).encode()
    for name, value in ODD.items():
        for odd in (plain[:-1] + b',"odd":' + value + b"}",
                    plain.replace(b'"role": "user"', b'"role": "user", "odd": ' + value, 1)):
            answer = ask(stage, client, target, odd)
            assert answer.status in (200, 400), (name, answer)
            if answer.status == 400:
                DIALECTS[client].read_error(answer)
    assert ask(stage, client, target, plain).status == 200


def put(body, path, value):
    """A copy of the body with `value` at a path of names and indices."""
    copy = json.loads(json.dumps(body))
    at = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return copy


# Of each dialect what can't be, where it stands, and how its reference writes that place.
WRONG = {
    "openai.chat": [
        (["messages"], "x", "messages"), (["messages"], [], "messages"), (["messages"], None, "messages"),
        (["messages", 0], 1, "messages[0]"), (["messages", 0, "role"], "wizard", "messages[0].role"),
        (["messages", 0, "role"], 7, "messages[0].role"), (["messages", 0, "content"], 7, "messages[0].content"),
        (["messages", 0, "content"], [{"type": "hologram"}], "messages[0].content[0].type"),
        (["messages", 0, "content"], [{"type": "image_url", "image_url": {"url": 1}}],
         "messages[0].content[0].image_url.url"),
        (["messages", 0, "content"], [{"type": "text", "text": {}}], "messages[0].content[0].text"),
        (["messages", 0], {"role": "tool", "tool_call_id": "c1", "content": "x"}, "messages[0]"),
        (["messages", 0], {"role": "tool", "content": "x"}, "messages[0]"),
        (["tools"], {}, "tools"), (["tools"], [{"type": "function", "function": {"name": 1}}], "tools[0].function.name"),
        (["tool_choice"], "perhaps", "tool_choice"), (["temperature"], "hot", "temperature"),
        (["max_tokens"], "x", "max_tokens"), (["max_tokens"], -1, "max_tokens"), (["stop"], 1, "stop"),
        (["response_format"], "json", "response_format"), (["stream"], "yes", "stream"), (["n"], 0.5, "n"),
        (["model"], 1, "model"),
    ],
    "openai.responses": [
        (["input"], 7, "input"), (["input", 0], 7, "input[0]"), (["input", 0, "role"], "wizard", "input[0].role"),
        (["input", 0, "content"], 7, "input[0].content"),
        (["input", 0, "content"], [{"type": "hologram"}], "input[0].content[0].type"),
        (["input", 0], {"type": "function_call_output", "call_id": "c1", "output": "x"}, "input[0]"),
        (["input", 0], {"type": "teleport"}, "input[0].type"),
        (["tools"], {}, "tools"), (["tools"], [{"type": "function", "name": 1}], "tools[0].name"),
        (["tool_choice"], "perhaps", "tool_choice"), (["temperature"], "hot", "temperature"),
        (["max_output_tokens"], "x", "max_output_tokens"), (["reasoning"], "deep", "reasoning"),
        (["text"], 1, "text"), (["stream"], 1, "stream"), (["model"], [], "model"),
    ],
    "anthropic": [
        (["messages"], "x", "messages"), (["messages"], [], "messages"), (["messages", 0], 1, "messages[0]"),
        (["messages", 0, "role"], "wizard", "messages[0].role"), (["messages", 0, "content"], 7, "messages[0].content"),
        (["messages", 0, "content"], [{"type": "hologram"}], "messages[0].content[0].type"),
        (["messages", 0, "content"], [{"type": "image", "source": {"type": "base64", "media_type": 1, "data": "x"}}],
         "messages[0].content[0].source.media_type"),
        (["messages", 0, "content"], [{"type": "tool_result", "tool_use_id": "c1", "content": "x"}], "messages[0]"),
        (["system"], 7, "system"), (["tools"], {}, "tools"), (["tools"], [{"name": 1, "input_schema": {}}], "tools[0].name"),
        (["tool_choice"], {"type": "perhaps"}, "tool_choice.type"), (["temperature"], "hot", "temperature"),
        (["max_tokens"], "x", "max_tokens"), (["max_tokens"], -1, "max_tokens"), (["stop_sequences"], "x", "stop_sequences"),
        (["thinking"], {"type": "enabled", "budget_tokens": "x"}, "thinking.budget_tokens"),
        (["stream"], "yes", "stream"), (["model"], 1, "model"),
    ],
    "gemini": [
        (["contents"], "x", "contents"), (["contents"], [], "contents"), (["contents", 0], 1, "contents[0]"),
        (["contents", 0, "role"], "wizard", "contents[0].role"), (["contents", 0, "parts"], 7, "contents[0].parts"),
        (["contents", 0, "parts"], [{"text": 7}], "contents[0].parts[0].text"),
        (["contents", 0, "parts"], [{"inlineData": {"mimeType": "image/png", "data": 1}}],
         "contents[0].parts[0].inlineData.data"),
        (["contents", 0, "parts"], [{"functionResponse": {"name": "f", "response": {}}}], "contents[0]"),
        (["systemInstruction"], 7, "systemInstruction"), (["tools"], "x", "tools"),
        (["generationConfig"], [], "generationConfig"),
        (["generationConfig"], {"temperature": "hot"}, "generationConfig.temperature"),
        (["generationConfig"], {"stopSequences": "x"}, "generationConfig.stopSequences"),
        (["toolConfig"], {"functionCallingConfig": {"mode": "PERHAPS"}}, "toolConfig.functionCallingConfig.mode"),
    ],
    "bedrock": [
        (["messages"], "x", "messages"), (["messages", 0], 1, "messages[0]"),
        (["messages", 0, "role"], "wizard", "messages[0].role"), (["messages", 0, "content"], 7, "messages[0].content"),
        (["messages", 0, "content"], [{"text": 7}], "messages[0].content[0].text"),
        (["messages", 0, "content"], [{"image": {"format": "png", "source": {"bytes": 1}}}],
         "messages[0].content[0].image.source.bytes"),
        (["messages", 0, "content"], [{"toolResult": {"toolUseId": "c1", "content": [{"text": "x"}]}}], "messages[0]"),
        (["system"], "x", "system"), (["inferenceConfig"], [], "inferenceConfig"),
        (["inferenceConfig"], {"temperature": "hot"}, "inferenceConfig.temperature"),
        (["inferenceConfig"], {"maxTokens": "x"}, "inferenceConfig.maxTokens"),
        (["inferenceConfig"], {"stopSequences": "x"}, "inferenceConfig.stopSequences"),
        (["toolConfig"], {"tools": "x"}, "toolConfig.tools"),
    ],
    "cohere": [
        (["messages"], "x", "messages"), (["messages"], [], "messages"), (["messages", 0], 1, "messages"),
        (["messages", 0, "role"], "wizard", "messages[0].role"), (["messages", 0, "content"], 7, "messages[0].content"),
        (["messages", 0, "content"], [{"type": "hologram"}], "messages[0].content[0].type"),
        (["messages", 0], {"role": "tool", "tool_call_id": "c1", "content": "x"}, "messages[0]"),
        (["tools"], {}, "tools"), (["temperature"], "hot", "temperature"), (["max_tokens"], "x", "max_tokens"),
        (["stop_sequences"], "x", "stop_sequences"), (["stream"], "yes", "stream"), (["model"], 1, "model"),
    ],
}


def named(client, place, answer):
    """Anthropic's API words a place as `messages.0.content.0: source.media_type`, Cohere's likewise."""
    told = answer.body.decode()
    if client not in ("anthropic", "cohere") or place in told:
        return place in told
    told = told.replace("[", ".").replace("]", "")
    *block, last = place.replace("[", ".").replace("]", "").split(".")
    around = ".".join(block[:max((i for i, step in enumerate(block) if step.isdigit()), default=0) + 1])
    return around in told and last in told


@pytest.mark.parametrize("client, provider", ROUTES)
def test_what_is_wrong_is_named(stage, client, provider):
    """Where it is translated the gateway reads all of it; else the provider says what it thinks of it."""
    target, body = asked(client, provider)
    unnamed = []
    for path, value, place in WRONG[client]:
        answer = ask(stage, client, target, json.dumps(put(body, path, value)).encode())
        if answer.status == 400:
            assert DIALECTS[client].read_error(answer).kind == "request", (place, value, answer)
        if (client, provider) in TRANSLATED and (answer.status != 400 or not named(client, place, answer)):
            unnamed.append((place, value, answer.status, answer.body))
        assert answer.status in (200, 400), (place, value, answer)
    assert not unnamed


@pytest.mark.parametrize("client", DIALECTS)
def test_a_body_beyond_max_body(stage, client):
    """An image of 100 MB: refused by its length, before it is read."""
    target, _ = asked(client, "openai")
    with stage.gateway.connect() as connection:
        connection.request("POST", target, [*DIALECTS[client].headers(KEY), ("Content-Length", str(100 << 20))])
        answer = connection.read_response()
        assert answer.status == 413, answer
        assert "max_body" in DIALECTS[client].read_error(answer).message
        connection.wait_closed()
