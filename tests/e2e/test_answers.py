"""What a provider's answer holds beside plain text, and what becomes of it in each caller's dialect:
it arrives, or the caller is told that it doesn't."""

import json
import re

import pytest

from client import Connection
from gateway import KEY
from matrix import DIALECTS
from matrix.scenario import IMAGE, TEXT, TOKENS, Scenario
from matrix.stage import PAIRS, exchange, open_stage, upstream_dialect
from waiting import wait_until

BILL = "prompt=23,completion=8"
ASKED = Scenario("answers")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    yield from open_stage(tmp_path_factory.mktemp("answers"))


def asked(stage, client, model, script="", stream=False):
    module = DIALECTS[client]
    response, payload, clean = exchange(stage.gateway.port, KEY, module, model, ASKED,
                                        module.user(ASKED, "Say hello."), script, stream, lambda: None)
    assert clean
    return module, response, payload


def record_of(stage, response):
    request = response.header("x-request-id")
    return wait_until(lambda: stage.gateway.ledger_of(request), "the record of the request")[0]


# ---- images and sounds ----

MEDIA = {"answer.image": ("image/png", IMAGE), "answer.audio": ("audio/wav", "UklGRg==")}
HAS_PLACE = {("openai.chat", "answer.image"), ("bedrock", "answer.image")}
CLIENTS = [client for client in DIALECTS if client != "gemini"]


def gemini_says(name, stream):
    """Text, the blob, text."""
    kind, data = MEDIA[name]
    parts = [{"text": "See "}, {"inlineData": {"mimeType": kind, "data": data}}, {"text": "this."}]
    body = {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 23, "candidatesTokenCount": 8, "totalTokenCount": 31},
            "modelVersion": "mock-chat", "responseId": "r1"}
    text = json.dumps(body).encode()
    return b"data: " + text + b"\r\n\r\n" if stream else text


def raw_call(stage, client, model, stream, script="", more=None):
    """(head, bytes of the body as they came)"""
    module = DIALECTS[client]
    target, body = module.request(model, ASKED, module.user(ASKED, "Show me."), stream)
    headers = module.headers(KEY) + [("x-mock", script)]
    with Connection(stage.gateway.port, timeout=5) as connection:
        connection.request("POST", target, headers, json.dumps({**body, **(more or {})}).encode())
        response = connection.read_stream_head()
        assert response.status == 200
        if not stream:
            return response, connection.read_exactly(int(response.header("content-length")))
        data = b""
        while chunk := connection.read_chunk():
            data += chunk
    return response, data


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("client", CLIENTS)
def test_media_of_a_whole_answer(stage, client, name):
    stage.mock.script(BILL, count=1, payload=gemini_says(name, False))
    response, body = raw_call(stage, client, "gemini-chat", False)
    placed = (client, name) in HAS_PLACE
    assert (MEDIA[name][1].encode() in body) == placed
    assert response.header("x-gw-dropped") == (None if placed else name)
    assert b"See " in body and b"this." in body
    assert record_of(stage, response)["output_tokens"] == 8


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("client", CLIENTS)
def test_media_of_a_stream(stage, client, name):
    stage.mock.script(BILL, count=1, payload=gemini_says(name, True))
    response, body = raw_call(stage, client, "gemini-chat", True)
    placed = (client, name) in HAS_PLACE
    told = b'"x-gw-dropped":"%s"' if client == "bedrock" else b"\n: x-gw-dropped: %s\n\n"
    assert (MEDIA[name][1].encode() in body) == placed
    assert body.count(told % name.encode()) == (not placed)
    assert body.index(b"See ") < body.index(b"this.")
    assert record_of(stage, response)["output_tokens"] == 8


# ---- answers that failed on their way ----

@pytest.mark.parametrize("reason, status", [("ERROR", 502), ("TIMEOUT", 502)])
@pytest.mark.parametrize("client", DIALECTS)
def test_a_failed_answer_of_cohere_is_charged(stage, client, reason, status):
    _, response, _ = asked(stage, client, "cohere-chat", f"finish={reason},{BILL}")
    assert response.status == status
    record = record_of(stage, response)
    assert (record["state"], record["input_tokens"], record["output_tokens"]) == ("settled", 23, 8)


# ---- citations, refusals, several answers, log probabilities ----

TRANSLATED = [(client, provider) for client, provider in PAIRS if upstream_dialect(client, provider) != client]
SAY_REFUSED = ("openai.chat", "openai.responses", "anthropic", "bedrock")


def data_of(body, stream):
    """The JSON of a whole answer, or of the events of a stream of SSE."""
    if not stream:
        return [json.loads(body)]
    lines = [line[6:] for line in body.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client, provider", TRANSLATED)
def test_citations(stage, client, provider, stream):
    response, body = raw_call(stage, client, f"{provider}-chat", stream, "cite=2")
    assert response.header("x-gw-dropped") is None
    assert len(set(re.findall(rb'"(?:url|uri|id)":"https://[^"]+/(\d)"', body))) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client, provider", [(c, p) for c, p in TRANSLATED if upstream_dialect(c, p) in SAY_REFUSED])
def test_refusals(stage, client, provider, stream):
    if client == "cohere":  # it has a word for what failed alone
        _, body = raw_call(stage, client, f"{provider}-chat", stream, "refusal=1")
        assert b'"finish_reason":"ERROR"' in body
        return
    module, response, payload = asked(stage, client, f"{provider}-chat", "refusal=1", stream)
    turn = module.read(response, payload, ASKED)
    assert turn.text + turn.refusal == TEXT
    assert turn.finish == "filter"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client, provider", [("openai.chat", "gemini"), ("gemini", "openai"),
                                              ("gemini", "openai-compatible")])
def test_several_answers(stage, client, provider, stream):
    more = {"n": 2} if client == "openai.chat" else {"generationConfig": {"candidateCount": 2}}
    _, body = raw_call(stage, client, f"{provider}-chat", stream, more=more)
    texts = {}
    for data in data_of(body, stream):
        for choice in data.get("choices", data.get("candidates", ())):
            said = choice.get("message") or choice.get("delta") or {}
            parts = choice.get("content", {}).get("parts", ())
            text = (said.get("content") or "") + "".join(part.get("text", "") for part in parts)
            texts[choice["index"]] = texts.get(choice["index"], "") + text
    assert texts == {0: TEXT, 1: TEXT}


LOGPROBS = {"openai.chat": {"logprobs": True}, "openai.responses": {"include": ["message.output_text.logprobs"]},
            "gemini": {"generationConfig": {"responseLogprobs": True}}}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", LOGPROBS)
def test_log_probabilities(stage, client, stream):
    _, body = raw_call(stage, client, "cohere-chat", stream, "tokens=3", LOGPROBS[client])
    found = re.findall(rb'"token":"([^"\\]*)"[^{}]*"log(?:prob|Probability)":-0\.\d', body)
    assert [token.decode() for token in found][:3] == TOKENS[:3]
    if client == "openai.responses":  # also in what the answer ends with
        last = data_of(body, stream)[-1]
        [part] = last.get("response", last)["output"][-1]["content"]
        assert [entry["token"] for entry in part["logprobs"]] == TOKENS[:3]
