"""Every client dialect against every provider dialect: what is asked for, what arrives at the
provider, what comes back. Each side is judged by the module of its own dialect in matrix/."""

import base64
import json

import pytest

from gateway import KEY, PROVIDER_SECRET
from matrix import DIALECTS, clouds
from matrix.scenario import INSTANCE, RESULTS, SCENARIOS, THOUGHTS, TOKENS, TOOLS, Scenario
from matrix.stage import (MOCK_SPEAKS, PAIRS, PROVIDERS, TELLS_STOP_SEQUENCE, WORDS, exchange, known, open_stage, upstream_dialect)
from matrix.wire import parse
from mock import Mock


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    yield from open_stage(tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="module")
def lone_mock(tmp_path_factory):
    mock = Mock(tmp_path_factory.mktemp("mock"), options=["--requests", "1", "--key", PROVIDER_SECRET]).start()
    yield mock
    mock.stop()


def cells(pairs):
    for client, provider in pairs:
        for scenario in SCENARIOS:
            upstream = DIALECTS[upstream_dialect(client, provider) if provider in PROVIDERS else client]
            if scenario.name in getattr(DIALECTS[client], "CANNOT", ()) or scenario.name in getattr(upstream, "CANNOT_SAY", ()):
                continue
            for mode in scenario.modes:
                why = known(client, provider, scenario)
                marks = [pytest.mark.xfail(reason=why, strict=True)] if why else []
                yield pytest.param(client, provider, scenario, mode, marks=marks,
                                   id=f"{client}-{provider}-{scenario}-{mode}")


@pytest.mark.parametrize("client, provider, scenario, mode", list(cells(PAIRS)))
def test_matrix(stage, client, provider, scenario, mode):
    upstream = upstream_dialect(client, provider)
    converse(stage.gateway.port, KEY, stage.mock, client, upstream, f"{provider}-chat", scenario, mode, PROVIDERS[provider])


@pytest.mark.parametrize("dialect, _, scenario, mode", list(cells((name, "mockllm") for name in MOCK_SPEAKS)))
def test_mock(lone_mock, dialect, _, scenario, mode):
    """The mock itself, asked without a gateway: it and the module of its dialect must agree."""
    converse(lone_mock.port, PROVIDER_SECRET, lone_mock, dialect, dialect, "mock-chat", scenario, mode)


# Whose signatures a provider of a dialect makes, as mockllm writes them: good wherever the family is served.
FAMILIES = {"anthropic": b"claude", "bedrock": b"claude", "gemini": b"gemini", "openai.responses": b"openai",
            "openai.chat": b"compatible", "cohere": b"cohere"}
HOPS = [(client, first, second) for client in DIALECTS for first in PROVIDERS for second in PROVIDERS
        if first != second and (client, first) in PAIRS and (client, second) in PAIRS]


@pytest.mark.parametrize("tools", [False, True], ids=["text", "tools"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client, first, second", HOPS)
def test_hops(stage, client, first, second, stream, tools):
    """A conversation that goes from one provider to another and back: to each come the signatures of its own
    family, whole, and nobody else's; what is left out is told."""
    module, history, turns = DIALECTS[client], [], []
    scenario = Scenario("hops", thinks=True, max_tokens=4096, tools=("weather", "clock") if tools else ())
    for number, name in enumerate([first, second, first, second]):
        provider, upstream = PROVIDERS[name], upstream_dialect(client, name)
        calls, answers = tools and number == 0, tools and number == 1
        history += module.results(turns[-1][1]) if answers else module.user(scenario, f"Round {number}.")
        script = "reason=4,tools=2" if calls else "reason=4"
        response, payload, clean = exchange(stage.gateway.port, KEY, module, f"{name}-chat", scenario, history, script,
                                            stream, lambda: None)
        assert response.status == 200, (number, response)
        assert clean
        turn = module.read(response, payload, scenario)
        assert turn.thoughts == THOUGHTS and len(turn.calls) == (2 if calls else 0)
        received = stage.mock.last_request()
        seen = DIALECTS[upstream].seen(*provider.plain(received.target, parse(received.body)))
        spoken = [upstream_dialect(client, earlier) for earlier, _ in turns]
        makers = [FAMILIES[dialect] for dialect in spoken if signs(dialect) or dialect != client]
        foreign = [maker for maker in makers if maker != FAMILIES[upstream]]
        forgets = upstream in provider.forgets and (client != upstream or foreign)
        signed = [base64.b64decode(signature, validate=True).split()[2] for signature in seen.signatures]
        own = [maker for maker in makers if maker == FAMILIES[upstream] and signs(upstream)]
        if upstream == "gemini":  # signs calls too
            assert set(signed) == set(own)
        else:
            assert signed == ([] if forgets else own)
        assert not (foreign or (forgets and makers)) or response.header("x-gw-dropped"), "left out in silence"
        assert len(seen.results) == (2 if tools and number else 0)
        history += turn.message
        turns.append((name, turn))


TARGETS = {"openai.chat": "/v1/chat/completions", "openai.responses": "/v1/responses", "anthropic": "/v1/messages",
           "cohere": "/v2/chat"}
KEEPS_PLACES = {"openai.chat": "messages", "openai.responses": "input"}


@pytest.mark.parametrize("client, provider", [(c, p) for c, p in PAIRS if c in TARGETS and upstream_dialect(c, p) != c])
def test_system_messages_in_the_middle(stage, client, provider):
    """They keep their place where the provider's dialect has one for them, else all are said in front."""
    said = [("system", "First."), ("user", "One."), ("system", "Second."), ("user", "Two."), ("assistant", "Three."),
            ("system", "Third."), ("user", "Four.")]
    messages = [{"role": role, "content": text} for role, text in said]
    body = {"model": f"{provider}-chat", "input" if client == "openai.responses" else "messages": messages}
    if client == "anthropic":
        body["max_tokens"] = 100
    answer = stage.gateway.call("POST", TARGETS[client], body)
    assert answer.status == 200, answer
    upstream, received = upstream_dialect(client, provider), stage.mock.last_request()
    body = parse(received.body)
    if upstream in KEEPS_PLACES:
        sent = body[KEEPS_PLACES[upstream]]
        plain = lambda content: content if isinstance(content, str) else "".join(part["text"] for part in content)
        assert [(message["role"], plain(message["content"])) for message in sent] == said
        return
    seen = DIALECTS[upstream].seen(*PROVIDERS[provider].plain(received.target, body))
    assert [word for word in seen.system.replace(".", ". ").split()] == ["First.", "Second.", "Third."]
    assert [role for role, _ in seen.texts][-1] == "user"
    assert "".join(text for _, text in seen.texts) == "One.Two.Three.Four."


def converse(port, key, mock, client, upstream, model, scenario, mode, provider=None):
    """All of a scenario; without a provider the mock is asked directly."""
    module, stream = DIALECTS[client], mode != "whole"
    history, before, direct = [], [], provider is None
    forgets = not direct and upstream in provider.forgets and client != upstream
    for step in scenario.steps:
        history += module.results(before[-1][1]) if step.say is None else module.user(scenario, step.say)
        script = step.script.format_map(WORDS[upstream])
        begun = mock.release if "hold=" in script else lambda: None
        response, payload, clean = exchange(port, key, module, model, scenario, history, script, stream, begun)
        if not direct:
            assert response.header("x-request-id"), response
        if scenario.failure:
            check_failure(module, scenario, response, payload, clean, direct)
        else:
            assert response.status == 200, response
            assert clean, "the stream was cut"
            turn = module.read(response, payload, scenario)
            check_turn(scenario, step, turn, client, upstream, mode)
            dropped = response.header("x-gw-dropped")
            assert client != upstream or dropped is None, dropped
            forgotten = forgets and any(earlier.signed for earlier, _ in before)
            assert not forgotten or dropped, "reasoning was left out in silence"
        received = mock.last_request()
        target, body = (clouds.same if direct else provider.plain)(received.target, parse(received.body))
        seen = DIALECTS[upstream].seen(target, body)
        assert seen.model == ("mock-chat" if direct else provider.model)
        check_seen(scenario, step, before, seen, upstream, stream, forgets)
        if scenario.failure:
            return
        history += turn.message
        before.append((step, turn))


def check_failure(module, scenario, response, payload, clean, direct):
    if payload is None:
        assert response.status == (500 if direct and scenario.status == 502 else scenario.status), response
        assert module.read_error(response).kind == scenario.failure
        if scenario.status == 429:
            assert 1 <= int(response.header("retry-after")) <= 3
        return
    assert response.status == 200, response
    if direct and scenario.name == "cut_stream":
        assert not clean
        return
    turn, failure = module.read_broken(payload)
    assert failure.kind == scenario.failure
    assert "".join(TOKENS).startswith(turn.text) and turn.text_deltas >= 1, "what had come was lost"
    if not direct:
        assert not clean, "a failed stream ended as if all were well"


def check_turn(scenario, step, turn, client, upstream, mode):
    if step.text is None:
        assert parse(turn.text) == INSTANCE
    else:
        assert turn.text == step.text
    assert not turn.refusal
    wanted = step.finish
    if wanted == "stop_sequence" and not {client, upstream} <= set(TELLS_STOP_SEQUENCE):
        wanted = "stop"
    assert turn.finish == wanted
    if wanted == "stop_sequence" and client == "anthropic":
        assert turn.stop_sequence in scenario.stop
    assert [(call.name, call.arguments) for call in turn.calls] == [(call.name, call.arguments) for call in step.calls]
    ids = [call.id for call in turn.calls if call.id]
    assert len(ids) == len(set(ids)), f"two calls of one id: {ids}"
    assert turn.thoughts == step.thoughts
    assert not (step.signed and signs(upstream)) or turn.signatures, "the signature is lost"
    wanted = ["thoughts"] * bool(step.thoughts) + ["text"] * bool(turn.text) + ["call"] * len(step.calls)
    assert [kind for kind in turn.order if turn.text or kind != "text"] == wanted, turn.order
    if step.usage:
        assert turn.usage == step.usage
    if mode == "stream" and turn.text and step.text:
        assert turn.text_deltas >= 3, "the stream was held back"


def signs(dialect):
    return getattr(DIALECTS[dialect], "SIGNS", True)


def check_seen(scenario, step, before, seen, upstream, stream, forgets):
    """What the provider got is what the caller meant."""
    assert seen.stream == stream
    assert seen.system == scenario.system
    assert seen.images == [("image/png", scenario.image)] * bool(scenario.image)
    tools = {name: TOOLS[name] for name in scenario.tools}
    choice = {"": None, "auto": "auto", "any": "any"}.get(scenario.choice, "=" + scenario.choice)
    if scenario.choice in tools and getattr(DIALECTS[upstream], "SENDS_ONLY_THE_NAMED_TOOL", False):
        tools, choice = {scenario.choice: TOOLS[scenario.choice]}, "any"
    assert seen.tools == tools
    assert seen.choice == choice or {seen.choice, choice} == {None, "auto"}
    assert list(seen.stop) == list(scenario.stop)
    if scenario.max_tokens:
        assert seen.max_tokens == scenario.max_tokens
    assert seen.schema == scenario.schema
    assert seen.thinks == scenario.thinks
    texts, calls = [], []
    for earlier, turn in before:
        texts += [("user", earlier.say)] * bool(earlier.say) + [("assistant", turn.text)] * bool(turn.text)
        calls += turn.calls
    texts += [("user", step.say)] * bool(step.say)
    assert seen.texts == texts
    assert [(call.name, call.arguments) for call in seen.calls] == [(call.name, call.arguments) for call in calls]
    wanted = [(call.name, RESULTS[call.name]) for call in calls]
    assert [(name, plain_result(text)) for name, text in seen.results] == wanted
    if any(earlier.signed for earlier, _ in before) and not forgets:
        assert "".join(seen.thoughts) == THOUGHTS or (upstream == "gemini" and not seen.thoughts), seen.thoughts
        assert seen.signatures or not signs(upstream), "the signature didn't come back"
        for signature in seen.signatures:
            assert base64.b64decode(signature, validate=True).startswith(b"mock signature "), signature
    else:
        assert not seen.signatures and not seen.thoughts


def plain_result(text):
    """Where a dialect's results are objects, a text is the one member of one."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else text
