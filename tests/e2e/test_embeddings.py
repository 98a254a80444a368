"""Embeddings: every caller in front of every provider, vectors in both spellings, usage, and what can't
be said."""

import base64
import json
import struct

import pytest

from gateway import MODEL
from waiting import wait_until

TITAN, TITAN_V1 = "amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v1"
COHERE_V3, COHERE_V4 = "cohere.embed-english-v3", "cohere.embed-v4:0"
PROVIDERS = {
    "openai": ("openai", "/v1", "mock-embed", {}),
    "gemini": ("gemini", "/v1beta", "mock-embed", {}),
    "titan": ("bedrock", "", TITAN, {"region": "us-east-1"}),
    "titan1": ("bedrock", "", TITAN_V1, {"region": "us-east-1"}),
    "aws3": ("bedrock", "", COHERE_V3, {"region": "us-east-1"}),
    "cohere": ("cohere", "", "embed-v4.0", {}),
    "aws4": ("bedrock", "", COHERE_V4, {"region": "us-east-1"}),
}
LISTS = ("openai", "gemini", "aws3", "aws4", "cohere")


@pytest.fixture
def stage(make_gateway, mock):
    gateway = make_gateway(start=False)
    settings = {"provider:mock": None, "credential:mock": None, f"model:{MODEL}": None}
    for name, (kind, base, model, more) in PROVIDERS.items():
        settings[f"provider:{name}"] = {"kind": kind, "base_url": f"http://127.0.0.1:{mock.port}{base}",
                                        "forward_headers": "x-mock", **more}
        settings[f"credential:{name}"] = {"provider": name, "secret": f"file:{gateway.secret}"}
        settings[f"model:{name}-embed"] = {"targets": f"{name}/{model}", "retries": "0"}
    settings["model:first-that-can"] = {"targets": f"titan/{TITAN}", "fallback": "gemini-embed"}
    gateway.write_ini(settings)
    return gateway.start()


# ---- callers ----

def openai(gateway, model, texts, script="", **more):
    return gateway.call("POST", "/v1/embeddings", {"model": model, "input": texts, **more}, headers=told(script))


def gemini(gateway, model, texts, script="", **more):
    requests = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **more} for text in texts]
    return gateway.call("POST", f"/v1beta/models/{model}:batchEmbedContents", {"requests": requests},
                        headers=told(script))


def gemini_one(gateway, model, texts, script="", **more):
    [text] = texts
    return gateway.call("POST", f"/v1beta/models/{model}:embedContent",
                        {"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **more},
                        headers=told(script))


def cohere(gateway, model, texts, script="", **more):
    return gateway.call("POST", "/v2/embed", {"model": model, "texts": texts, "input_type": "search_query",
                                              "embedding_types": ["float"], **more}, headers=told(script))


def told(script):
    return [("x-mock", script)] if script else []


def vectors_of(body):
    if "data" in body:
        assert [item["index"] for item in body["data"]] == list(range(len(body["data"])))
        return [item["embedding"] for item in body["data"]]
    if "meta" in body:
        return body["embeddings"]["float"]
    if "embedding" in body:
        return [body["embedding"]["values"]]
    return [item["values"] for item in body["embeddings"]]


def tokens_of(body):
    if "usage" in body:
        assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"]
        return body["usage"]["prompt_tokens"]
    if "meta" in body:
        return body["meta"]["billed_units"]["input_tokens"]
    return body["usageMetadata"]["promptTokenCount"]


def record_of(gateway, answer):
    request = answer.header("x-request-id")
    gateway.access_line(request)
    [record] = wait_until(lambda: gateway.ledger_of(request), "the record of the request")
    return record


# ---- every pair ----

@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("caller", (openai, gemini, gemini_one, cohere), ids=lambda caller: caller.__name__)
def test_every_caller_reaches_every_provider(stage, mock, caller, provider):
    texts = ["one", "zwei ü \\ \" \u2028"]
    if provider not in LISTS or caller is gemini_one:
        texts = texts[1:]
    answer = caller(stage, f"{provider}-embed", texts, "prompt=11")
    assert answer.status == 200, answer
    body = answer.json()
    vectors = vectors_of(body)
    assert len(vectors) == len(texts) and all(len(v) >= 64 for v in vectors)
    assert all(isinstance(x, float) or x in (0, 1, -1) for v in vectors for x in v)
    assert len(texts) == 1 or vectors[0] != vectors[1]
    assert tokens_of(body) == 11 and answer.header("x-gw-estimated") is None
    if caller is openai:
        assert (body["object"], body["data"][0]["object"]) == ("list", "embedding")
    record = record_of(stage, answer)
    assert (record["state"], record["input_tokens"], record["output_tokens"]) == ("settled", 11, 0)
    assert said(mock) == texts


def said(mock):
    """The texts of the last request, in whichever form."""
    body = mock.last_request().json()
    if "input" in body:
        return body["input"] if isinstance(body["input"], list) else [body["input"]]
    if "inputText" in body:
        return [body["inputText"]]
    if "texts" in body:
        return body["texts"]
    requests = body["requests"] if "requests" in body else [body]
    return [request["content"]["parts"][0]["text"] for request in requests]


def test_paths_and_bodies_upstream(stage, mock):
    openai(stage, "gemini-embed", ["a"], dimensions=256, user="u")
    sent = mock.last_request()
    assert sent.target == "/v1beta/models/mock-embed:batchEmbedContents"
    assert sent.json() == {"requests": [{"model": "models/mock-embed", "content": {"parts": [{"text": "a"}]},
                                         "outputDimensionality": 256}]}
    openai(stage, "titan-embed", "a", dimensions=256)
    assert mock.last_request().target == "/model/amazon.titan-embed-text-v2%3A0/invoke"
    assert mock.last_request().json() == {"inputText": "a", "dimensions": 256}
    gemini(stage, "aws4-embed", ["a", "b"], taskType="RETRIEVAL_QUERY", outputDimensionality=512)
    assert mock.last_request().json() == {"texts": ["a", "b"], "input_type": "search_query",
                                          "embedding_types": ["float"], "output_dimension": 512}
    openai(stage, "aws3-embed", ["a"])
    assert mock.last_request().json() == {"texts": ["a"], "input_type": "search_document",
                                          "embedding_types": ["float"]}
    gemini(stage, "openai-embed", ["a"], outputDimensionality=99)
    assert mock.last_request().target == "/v1/embeddings"
    assert mock.last_request().json() == {"model": "mock-embed", "input": ["a"], "dimensions": 99}
    gemini_one(stage, "openai-embed", ["a"])
    assert mock.last_request().json() == {"model": "mock-embed", "input": "a"}


def test_cohere_upstream_and_as_a_caller(stage, mock):
    openai(stage, "cohere-embed", ["a"], dimensions=256, user="u")
    assert mock.last_request().target == "/v2/embed"
    assert mock.last_request().json() == {"model": "embed-v4.0", "texts": ["a"], "input_type": "search_document",
                                          "embedding_types": ["float"], "output_dimension": 256}
    gemini(stage, "cohere-embed", ["a"], taskType="SEMANTIC_SIMILARITY")
    assert mock.last_request().json()["input_type"] == "clustering"
    answer = cohere(stage, "gemini-embed", ["a", "b"], truncate="END", max_tokens=9, output_dimension=8,
                    embedding_types=["float", "base64"])
    assert answer.header("x-gw-dropped") == "truncate, max_tokens"
    assert mock.last_request().json()["requests"][1] == {
        "model": "models/mock-embed", "content": {"parts": [{"text": "b"}]}, "taskType": "RETRIEVAL_QUERY",
        "outputDimensionality": 8}
    body = answer.json()
    assert (body["texts"], body["response_type"]) == (["a", "b"], "embeddings_by_type")
    for numbers, packed in zip(body["embeddings"]["float"], body["embeddings"]["base64"], strict=True):
        assert list(struct.unpack("<8f", base64.b64decode(packed))) == [as_float(x) for x in numbers]
    parts = {"model": "openai-embed", "inputs": [{"content": [{"type": "text", "text": "a"}]}], "texts": None}
    assert stage.call("POST", "/v2/embed", parts).status == 200
    assert mock.last_request().json()["input"] == ["a"]
    raw = b'{"texts":["\u0061"] , "model":"cohere-embed", "input_type":"search_query","embedding_types":["int8"]}'
    assert stage.call("POST", "/v2/embed", raw).status == 200
    assert mock.last_request().body == raw.replace(b"cohere-embed", b"embed-v4.0")


@pytest.mark.parametrize("body, words", [
    ({}, "exactly one of texts"), ({"texts": []}, "texts"), ({"texts": [7]}, "texts[]"), ({"texts": "a"}, "texts"),
    ({"texts": ["a"], "images": ["data:"]}, "exactly one of texts"), ({"images": ["data:"]}, "images"),
    ({"texts": ["a"], "input_type": "poem"}, "input_type"), ({"texts": ["a"], "embedding_types": ["int8"]}, "embedding_types"),
    ({"texts": ["a"], "embedding_types": "float"}, "embedding_types"), ({"texts": ["a"], "truncate": "MIDDLE"}, "truncate"),
    ({"texts": ["a"], "output_dimension": 0}, "output_dimension"), ({"texts": ["a"], "max_tokens": "9"}, "max_tokens"),
    ({"inputs": [{"content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]}, "images, inputs"),
    ({"inputs": [7]}, "inputs[].content"),
])
def test_bad_input_of_a_cohere_caller(stage, mock, body, words):
    answer = stage.call("POST", "/v2/embed", {"model": "openai-embed", **body})
    assert answer.status == 400, answer
    assert words in answer.json()["message"]
    assert mock.bill() == []


def test_the_same_dialect_is_spliced(stage, mock):
    body = b'{ "requests" : [ {"content":{"parts":[{"text":"\\u0061"}]}, "model":"models/gemini-embed"},\n' \
           b' {"model" : "models/gemini-embed", "content":{"parts":[{"text":"b"}]}, "title": "x"} ] }'
    answer = stage.call("POST", "/v1beta/models/gemini-embed:batchEmbedContents", body)
    assert answer.status == 200, answer
    assert mock.last_request().body == body.replace(b"models/gemini-embed", b"models/mock-embed")
    body = b'{"input":[[1,2],[3]], "model":"openai-embed" , "encoding_format":"base64","new":{}}'
    answer = stage.call("POST", "/v1/embeddings", body)
    assert answer.status == 200, answer
    assert mock.last_request().body == body.replace(b"openai-embed", b"mock-embed")
    one = b'{"content":{"parts":[{"text":"b"}]},"model":"models/gemini-embed","taskType":"CLUSTERING"}'
    answer = stage.call("POST", "/v1beta/models/gemini-embed:embedContent", one)
    assert answer.status == 200, answer
    assert mock.last_request().target == "/v1beta/models/mock-embed:embedContent"
    assert mock.last_request().body == one.replace(b"gemini-embed", b"mock-embed")


# ---- vectors ----

def as_float(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


@pytest.mark.parametrize("provider", ("gemini", "titan", "aws4", "cohere"))
def test_base64_holds_the_nearest_floats(stage, provider):
    numbers = vectors_of(openai(stage, f"{provider}-embed", "text").json())[0]
    packed = vectors_of(openai(stage, f"{provider}-embed", "text", encoding_format="base64").json())[0]
    raw = base64.b64decode(packed, validate=True)
    assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == [as_float(x) for x in numbers]


def odd_answer(vector):
    return json.dumps({"object": "list", "model": "mock-embed", "usage": {"prompt_tokens": 3, "total_tokens": 3},
                       "data": [{"object": "embedding", "index": 0, "embedding": vector}]}).encode()


def test_base64_of_a_provider_becomes_numbers_that_are_the_same_floats(stage, mock):
    floats = [0.1, -1.5, 3.4028234663852886e38, 1e-45, 1.17549435e-38, 0.0, -0.0, 16777217.0, 1 / 3]
    packed = base64.b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()
    mock.script("prompt=3", payload=odd_answer(packed))
    answer = gemini(stage, "openai-embed", ["x"])
    assert answer.status == 200, answer
    got = vectors_of(answer.json())[0]
    assert [struct.pack("<f", x) for x in got] == [struct.pack("<f", x) for x in floats]
    assert b"0.1,-1.5," in answer.body  # as few digits as will do


@pytest.mark.parametrize("vector", ["AAA", "not base64!", "AAAAAAA=", [1, "2"], {"0": 1}, None,
                                    base64.b64encode(struct.pack("<f", float("inf"))).decode()])
def test_what_is_no_vector_is_a_bad_answer(stage, mock, vector):
    mock.script("prompt=3", payload=odd_answer(vector))
    answer = gemini(stage, "openai-embed", ["x"])
    assert answer.status == 502, answer
    assert "not valid" in answer.json()["error"]["message"]


def test_vectors_are_put_where_their_index_says(stage, mock):
    items = [{"object": "embedding", "index": i, "embedding": [i]} for i in (2, 0, 1)]
    mock.script("prompt=1", payload=json.dumps({"object": "list", "data": items, "model": "m",
                                        "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode())
    assert vectors_of(gemini(stage, "openai-embed", ["a", "b", "c"]).json()) == [[0], [1], [2]]


def test_one_vector_short_is_a_bad_answer(stage, mock):
    mock.script("prompt=3", payload=odd_answer([1.0]))
    assert gemini(stage, "openai-embed", ["a", "b"]).status == 502


# ---- usage ----

@pytest.mark.parametrize("provider", ("gemini", "titan", "aws4", "cohere"))
def test_tokens_that_nobody_tells_are_estimated_and_flagged(stage, provider):
    answer = openai(stage, f"{provider}-embed", "x" * 400, "usage=absent")
    assert answer.status == 200, answer
    assert answer.header("x-gw-estimated") == "input_tokens"
    assert 100 <= tokens_of(answer.json()) <= 120
    record = record_of(stage, answer)
    assert record["state"] == "estimated" and record["input_tokens"] >= 400


# ---- what can't be said ----

@pytest.mark.parametrize("caller, provider, texts, more, param, words", [
    (openai, "titan", ["a", "b"], {}, "input", "one text a request, not 2"),
    (gemini, "titan", ["a", "b"], {}, "requests", "one text a request, not 2"),
    (openai, "titan1", "a", {"dimensions": 256}, "dimensions", "1536"),
    (openai, "aws3", "a", {"dimensions": 256}, "dimensions", "1024"),
    (gemini, "aws3", ["a"], {"outputDimensionality": 256}, "requests[].outputDimensionality", "1024"),
    (openai, "gemini", [1, 2, 3], {}, "input", "token ids"),
    (openai, "titan", [[1, 2, 3]], {}, "input", "token ids"),
])
def test_a_refusal_names_the_callers_member(stage, mock, caller, provider, texts, more, param, words):
    answer = caller(stage, f"{provider}-embed", texts, **more)
    assert answer.status == 400, answer
    error = answer.json()["error"]
    assert words in error["message"]
    if caller is openai:
        assert (error["param"], error["code"]) == (param, "unsupported_parameter")
    else:
        assert param in answer.body.decode()
    assert mock.bill() == []


@pytest.mark.parametrize("body, param", [
    ({}, "input"), ({"input": None}, "input"), ({"input": []}, "input"), ({"input": 7}, "input"),
    ({"input": ["a", 7]}, "input[1]"), ({"input": ["a", [1, "b"]]}, "input[1]"),
    ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ({"input": "a", "encoding_format": 1}, "encoding_format"),
    ({"input": "a", "dimensions": -1}, "dimensions"), ({"input": "a", "dimensions": "256"}, "dimensions"),
    ({"input": "a", "input_type": "poem"}, "input_type"),
])
def test_bad_input_of_an_openai_caller(stage, mock, body, param):
    answer = stage.call("POST", "/v1/embeddings", {"model": "gemini-embed", **body})
    assert answer.status == 400, answer
    assert answer.json()["error"]["param"] == param
    assert mock.bill() == []


@pytest.mark.parametrize("body, words", [
    ({}, "requests"), ({"requests": []}, "requests"), ({"requests": [7]}, "requests"),
    ({"requests": [{}]}, "requests[0].content"), ({"requests": [{"content": {}}]}, "requests[0].content.parts"),
    ({"requests": [{"content": {"parts": [{"text": 7}]}}]}, "requests[0].content.parts.text"),
    ({"requests": [{"content": {"parts": [{"inlineData": {}}]}}]}, "requests[].content.parts"),
    ({"requests": [{"content": {"parts": [{"text": "a"}]}, "taskType": "POEM"}]}, "requests[0].taskType"),
    ({"requests": [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 0}]},
     "requests[0].outputDimensionality"),
    ({"requests": [{"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING"},
                   {"content": {"parts": [{"text": "a"}]}}]}, "requests[1].taskType"),
])
def test_bad_input_of_a_gemini_caller(stage, mock, body, words):
    answer = stage.call("POST", "/v1beta/models/openai-embed:batchEmbedContents", body)
    assert answer.status == 400, answer
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert words in answer.json()["error"]["message"]
    assert mock.bill() == []


def test_what_is_dropped_is_told(stage):
    answer = gemini(stage, "openai-embed", ["a"], taskType="RETRIEVAL_DOCUMENT", title="T", odd=1)
    assert answer.status == 200, answer
    assert answer.header("x-gw-dropped") == "requests[].taskType, requests[].title, requests[0].odd"
    answer = openai(stage, "titan-embed", "a", user="u", input_type="query")
    assert answer.header("x-gw-dropped") == "user, input_type"


def test_a_target_that_cannot_leaves_the_request_to_the_next(stage, mock):
    answer = openai(stage, "first-that-can", ["a", "b"])
    assert answer.status == 200, answer
    assert answer.header("x-gw-target") == "gemini/mock-embed"
    assert openai(stage, "first-that-can", "a").header("x-gw-target") == f"titan/{TITAN}"


def test_several_parts_are_one_input(stage, mock):
    parts = [{"text": "a\\n"}, {"text": "\u00fc"}]
    answer = stage.call("POST", "/v1beta/models/openai-embed:embedContent", {"content": {"parts": parts}})
    assert answer.status == 200, answer
    assert mock.last_request().json()["input"] == "a\\n\u00fc"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_errors_of_the_provider_are_told_in_the_callers_dialect(stage, mock, provider):
    answer = openai(stage, f"{provider}-embed", "a", "status=429")
    assert (answer.status, answer.json()["error"]["code"]) == (429, "upstream_rate_limited"), answer
    answer = openai(stage, f"{provider}-embed", "a", "status=400")
    assert answer.status == 400 and answer.json()["error"]["message"], answer
