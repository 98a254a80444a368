"""The routes of the data listener against a well-behaved provider."""

import json

import pytest

from gateway import KEY, MODEL, PROVIDER_SECRET
from waiting import wait_until


def data_of(events):
    """The JSON of every data event but the terminator."""
    return [json.loads(event[6:]) for event in events if event.startswith(b"data: {")]


def text_of(chunks):
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


def test_chat_answers_with_the_providers_own_bytes(gateway, mock):
    answer = gateway.chat("prompt=12,completion=7")
    assert answer.status == 200, answer
    assert answer.json()["usage"]["prompt_tokens"] == 12
    assert answer.json()["usage"]["completion_tokens"] == 7
    assert answer.header("content-type").startswith("application/json")
    sent = mock.last_request()
    assert sent.target == "/v1/chat/completions"
    assert sent.header("authorization") == f"Bearer {PROVIDER_SECRET}"
    assert sent.json()["model"] == "mock-chat"


def test_chat_carries_what_the_gateway_says_about_it(gateway, mock):
    answer = gateway.chat()
    assert answer.header("x-request-id")
    assert answer.header("x-gw-target") == "mock/mock-chat"
    assert answer.header("x-gw-attempts") == "1"
    assert int(answer.header("x-gw-overhead-us")) >= 0
    assert answer.header("x-gw-upstream-request-id") == mock.bill()[0]["id"]


def test_every_request_has_an_id_of_its_own(gateway):
    ids = {gateway.chat().header("x-request-id") for _ in range(5)}
    assert len(ids) == 5


def test_body_is_spliced_not_rebuilt(gateway, mock):
    """Unknown members, number spelling, escapes, order and white space reach the provider."""
    before = b'{ "zeta":1.50e+01,"messages":[{"role":"user","content":"\\u00e9\\ud83d\\ude00 \xc3\xa9"}],\n  "model" : "'
    after = b'" , "unknown":{"a":[1,2.0,-0,1E5],"cache_control":null},"temperature":0.70 }'
    answer = gateway.call("POST", "/v1/chat/completions", before + MODEL.encode() + after)
    assert answer.status == 200, answer
    assert mock.last_request().body == before + b"mock-chat" + after


def test_stream_is_relayed_event_by_event(gateway, mock):
    """The first event arrives while the provider still holds back the rest."""
    with gateway.stream("tokens=5,hold=e2") as (connection, head):
        assert head.status == 200
        assert head.header("content-type").startswith("text/event-stream")
        assert head.header("x-request-id")
        events = connection.events(head)
        first = [next(events), next(events)]
        assert all(event.startswith(b"data: {") for event in first)
        mock.release()
        rest = list(events)
    assert rest[-1] == b"data: [DONE]\n\n"


def test_stream_without_usage_asked_for_is_the_providers_stream(gateway, mock):
    """What was injected to learn the usage is taken out again: byte for byte what a provider that
    was never asked for it would have sent."""
    with gateway.stream("tokens=4") as (connection, head):
        events = list(connection.events(head))
    assert mock.last_request().json()["stream_options"] == {"include_usage": True}
    chunks = data_of(events)
    assert all("usage" not in chunk for chunk in chunks), chunks
    assert all(chunk["choices"] for chunk in chunks)
    assert text_of(chunks)
    assert events[-1] == b"data: [DONE]\n\n"


def test_stream_with_usage_asked_for_keeps_it(gateway, mock):
    with gateway.stream("tokens=4,prompt=3", stream_options={"include_usage": True}) as (connection, head):
        chunks = data_of(connection.events(head))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == 3
    assert all("usage" in chunk for chunk in chunks), "OpenAI sends usage: null in every other chunk"


def test_stream_options_of_the_caller_survive_the_injection(gateway, mock):
    with gateway.stream("tokens=2", stream_options={"include_obfuscation": False}) as (connection, head):
        list(connection.events(head))
    assert mock.last_request().json()["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_stream_usage_off_injects_nothing(make_gateway, mock):
    gateway = make_gateway({"provider:mock": {"stream_usage": "off"}})
    with gateway.stream("tokens=3") as (connection, head):
        list(connection.events(head))
    assert "stream_options" not in mock.last_request().json()


@pytest.mark.parametrize("script", ["chunk=1", "chunk=7", "split=utf8", "split=eol", "eol=crlf", "bom=1", "comments=3"])
def test_stream_survives_any_boundaries(gateway, script):
    with gateway.stream(f"tokens=6,{script}") as (connection, head):
        assert head.status == 200
        body = b"".join(connection.events(head))
    assert b"[DONE]" in body


def test_streams_run_side_by_side_on_one_worker(make_gateway, mock):
    gateway = make_gateway(workers=1)
    with gateway.stream("tokens=2,hold=e1") as (slow, slow_head):
        events = slow.events(slow_head)
        next(events)
        assert gateway.chat().status == 200
        mock.release()
        assert list(events)[-1] == b"data: [DONE]\n\n"


def test_completions(gateway, mock):
    answer = gateway.call("POST", "/v1/completions", {"model": MODEL, "prompt": "Once upon"})
    assert answer.status == 200, answer
    assert answer.json()["object"] == "text_completion"
    assert mock.last_request().target == "/v1/completions"


def test_embeddings(gateway, mock):
    answer = gateway.call("POST", "/v1/embeddings", {"model": MODEL, "input": ["a", "b"]})
    assert answer.status == 200, answer
    assert len(answer.json()["data"]) == 2
    assert mock.last_request().target == "/v1/embeddings"


def test_models_are_those_the_key_may_use(make_gateway):
    gateway = make_gateway({"model:other": {"targets": "mock/mock-chat", "alias": "another"}})
    answer = gateway.get("/v1/models", key=KEY)
    assert answer.status == 200
    assert answer.json()["object"] == "list"
    names = {row["id"] for row in answer.json()["data"]}
    assert names == {MODEL, "other"}
    assert all(row["object"] == "model" for row in answer.json()["data"])
    _, key = gateway.create_key("narrow", "--models", "other")
    assert {row["id"] for row in gateway.get("/v1/models", key=key).json()["data"]} == {"other"}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/openai/chat/completions",
                                  "/openai/v1/chat/completions",
                                  f"/openai/deployments/{MODEL}/chat/completions?api-version=2024-10-21"])
def test_aliases_of_the_chat_route(gateway, mock, path):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    answer = gateway.call("POST", path, body)
    assert answer.status == 200, answer
    assert mock.last_request().target == "/v1/chat/completions"


def test_alias_of_a_model(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {"alias": "gpt-4, gpt-4-turbo"}})
    assert gateway.chat(model="gpt-4-turbo").status == 200
    assert mock.last_request().json()["model"] == "mock-chat"


def test_response_model_alias(make_gateway):
    gateway = make_gateway({f"model:{MODEL}": {"response_model": "alias"}})
    assert gateway.chat().json()["model"] == MODEL
    with gateway.stream("tokens=3") as (connection, head):
        assert {chunk["model"] for chunk in data_of(connection.events(head))} == {MODEL}


@pytest.mark.parametrize("name", ["mock/a\r\nx-evil: 1\r\n\r\nHTTP/1.1 200 OK", "mock/a\n", "mock/\0", "mock/\x7f"])
def test_a_model_name_never_ends_a_header_field(make_gateway, mock, name):
    answer = make_gateway({"gateway": {"direct": "on"}}).chat(model=name)
    assert answer.status == 400 and answer.error["param"] == "model" and not answer.all("x-evil"), answer
    assert not mock.bill()


def test_direct_model_only_where_allowed(make_gateway):
    assert make_gateway().chat(model="mock/mock-chat").status in (403, 404)
    assert make_gateway({"gateway": {"direct": "on"}}).chat(model="mock/mock-chat").status == 200


def test_default_set_and_drop(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {
        "default.temperature": "0.25", "set.metadata.source": "gateway",
        "set_json.provider": '{"order":["a","b"]}', "drop": "logprobs"}})
    assert gateway.chat(logprobs=True).status == 200
    sent = mock.last_request().json()
    assert sent["temperature"] == 0.25
    assert sent["metadata"] == {"source": "gateway"}
    assert sent["provider"] == {"order": ["a", "b"]}
    assert "logprobs" not in sent
    assert gateway.chat(temperature=1).status == 200
    assert mock.last_request().json()["temperature"] == 1


def test_health(gateway):
    for path in ("/healthz", "/readyz"):
        assert gateway.get(path).status == 200
        assert gateway.call("HEAD", path, key=None).status == 200


def test_a_large_body_goes_through_whole(gateway, mock):
    text = "word " * 200_000
    answer = gateway.chat("size=2000000", messages=[{"role": "user", "content": text}])
    assert answer.status == 200
    assert len(answer.body) >= 2_000_000
    assert mock.last_request().json()["messages"][0]["content"] == text


def test_access_line(gateway):
    answer = gateway.chat("prompt=11,completion=5")
    line = gateway.access_line(answer.header("x-request-id"))
    wanted = {"key": None, "method": "POST", "path": "/v1/chat/completions", "model": MODEL, "status": 200,
              "target": "mock/mock-chat", "credential": "mock", "upstream_status": 200, "attempts": 1,
              "input_tokens": 11, "output_tokens": 5, "client": "127.0.0.1", "dialect": None, "worker": None,
              "generation": None, "total_ms": None, "upstream_ms": None, "overhead_us": None, "ttfb_ms": None,
              "bytes_in": None, "bytes_out": None, "upstream_request_id": None, "ts": None}
    assert not wanted.keys() - line.keys(), line
    assert {name: line[name] for name, value in wanted.items() if value is not None} == \
        {name: value for name, value in wanted.items() if value is not None}


def test_ledger_record(gateway, mock):
    answer = gateway.chat("prompt=11,completion=5")
    request_id = answer.header("x-request-id")
    record, = wait_until(lambda: gateway.ledger_of(request_id), "the record")
    assert record["state"] == "settled"
    assert (record["input_tokens"], record["output_tokens"]) == (11, 5)
    assert record["upstream_request_id"] == mock.bill()[0]["id"]
    assert record["model"] == MODEL
