"""Reranking: the form of Jina AI and Cohere's own, each as caller and as provider."""

import json

import pytest

from gateway import MODEL
from waiting import wait_until

PROVIDERS = {"compatible": ("openai-compatible", "/v1"), "vllm": ("vllm", "/v1"), "together": ("together", "/v1"),
             "llamacpp": ("llamacpp", "/v1"), "cohere": ("cohere", "")}
DOCUMENTS = ["nothing of it", "aaaa", "a and b", "zwei \u00fc \"\\ \u2028"]
ORDER = [1, 2]


@pytest.fixture
def stage(make_gateway, mock):
    gateway = make_gateway(start=False)
    settings = {"provider:mock": None, "credential:mock": None, f"model:{MODEL}": None}
    for name, (kind, base) in PROVIDERS.items():
        settings[f"provider:{name}"] = {"kind": kind, "base_url": f"http://127.0.0.1:{mock.port}{base}",
                                        "forward_headers": "x-mock"}
        settings[f"credential:{name}"] = {"provider": name, "secret": f"file:{gateway.secret}"}
        settings[f"model:{name}-rerank"] = {"targets": f"{name}/mock-rerank", "retries": "0"}
    settings["provider:openai"] = {"kind": "openai", "base_url": mock.base_url}
    settings["credential:openai"] = {"provider": "openai", "secret": f"file:{gateway.secret}"}
    settings["model:chats-only"] = {"targets": "openai/mock-chat"}
    gateway.write_ini(settings)
    return gateway.start()


def rerank(gateway, path, model, documents=None, script="", **more):
    return gateway.call("POST", path, {"model": model, "query": "a", "documents": documents or DOCUMENTS, **more},
                        headers=[("x-mock", script)] if script else [])


def record_of(gateway, answer):
    request = answer.header("x-request-id")
    gateway.access_line(request)
    [record] = wait_until(lambda: gateway.ledger_of(request), "the record of the request")
    return record


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("path", ("/v1/rerank", "/rerank", "/v2/rerank"))
def test_every_caller_reaches_every_provider(stage, mock, path, provider):
    answer = rerank(stage, path, f"{provider}-rerank", top_n=2)
    assert answer.status == 200, answer
    body = answer.json()
    assert [result["index"] for result in body["results"]] == ORDER
    scores = [result["relevance_score"] for result in body["results"]]
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[1]
    assert body["id"]
    sent = mock.last_request()
    assert sent.target == ("/v2/rerank" if provider == "cohere" else "/v1/rerank")
    assert (sent.json()["query"], sent.json()["documents"], sent.json()["top_n"]) == ("a", DOCUMENTS, 2)
    record = record_of(stage, answer)
    assert record["state"] == "settled" and record["output_tokens"] == 0
    if provider == "cohere":
        assert (record["input_tokens"], record["units"]) == (0, 1)
        assert body["meta"]["billed_units"] == {"search_units": 1}
    else:
        assert record["input_tokens"] == bill_of(mock)
        if path == "/v2/rerank":
            assert body["meta"]["billed_units"] == {"input_tokens": bill_of(mock)}
        else:
            assert body["usage"]["total_tokens"] == bill_of(mock)


def bill_of(mock):
    return mock.bill()[-1]["prompt_tokens"]


def test_bodies_upstream(stage, mock):
    rerank(stage, "/v1/rerank", "cohere-rerank", ["x", {"text": "\u00fc", "title": "t"}], max_tokens_per_doc=99,
           return_documents=True)
    assert mock.last_request().json() == {"model": "mock-rerank", "query": "a", "documents": ["x", "\u00fc"],
                                          "max_tokens_per_doc": 99}
    answer = rerank(stage, "/v2/rerank", "vllm-rerank", max_tokens_per_doc=99, priority=1, odd=1)
    assert mock.last_request().json() == {"model": "mock-rerank", "query": "a", "documents": DOCUMENTS}
    assert answer.header("x-gw-dropped") == "max_tokens_per_doc, priority, odd"


def test_the_same_dialect_is_spliced(stage, mock):
    body = b'{ "query":"\\u0061", "documents" : [ {"text":"a"},"b"], "model":"vllm-rerank" ,"truncate_prompt_tokens":5}'
    answer = stage.call("POST", "/v1/rerank", body)
    assert answer.status == 200, answer
    assert mock.last_request().body == body.replace(b"vllm-rerank", b"mock-rerank")
    assert answer.json()["model"] == "mock-rerank"
    body = b'{"documents":["a"] , "query":"a","model":"cohere-rerank", "priority": 0}'
    answer = stage.call("POST", "/v2/rerank", body)
    assert answer.status == 200, answer
    assert mock.last_request().body == body.replace(b"cohere-rerank", b"mock-rerank")


def test_documents_come_back_where_they_were_asked_for(stage):
    documents = ["aaaa", {"text": "a", "title": "T", "n": 1.0}]
    results = rerank(stage, "/v1/rerank", "cohere-rerank", documents, return_documents=True).json()["results"]
    assert {result["index"]: result["document"] for result in results} == {
        0: {"text": "aaaa"}, 1: {"text": "a", "title": "T", "n": 1.0}}
    results = rerank(stage, "/v1/rerank", "cohere-rerank", documents).json()["results"]
    assert all(set(result) == {"index", "relevance_score"} for result in results)


@pytest.mark.parametrize("path, provider", (("/v1/rerank", "cohere"), ("/v2/rerank", "vllm")))
def test_what_nobody_counts_is_estimated_and_flagged(stage, path, provider):
    answer = rerank(stage, path, f"{provider}-rerank", ["x" * 400], "usage=absent")
    assert answer.header("x-gw-estimated") == "input_tokens"
    tokens = answer.json()["meta"]["billed_units"]["input_tokens"] if path == "/v2/rerank" else \
        answer.json()["usage"]["total_tokens"]
    assert 100 <= tokens <= 120
    assert record_of(stage, answer)["state"] == "estimated"


@pytest.mark.parametrize("body, param", [
    ({"query": "a"}, "documents"), ({"documents": ["a"]}, "query"), ({"query": "a", "documents": []}, "documents"),
    ({"query": "a", "documents": "a"}, "documents"), ({"query": "a", "documents": ["a", 7]}, "documents[1]"),
    ({"query": "a", "documents": [{"title": "t"}]}, "documents[0]"), ({"query": 7, "documents": ["a"]}, "query"),
    ({"query": "a", "documents": ["a"], "top_n": 0}, "top_n"),
    ({"query": "a", "documents": ["a"], "top_n": "2"}, "top_n"),
    ({"query": "a", "documents": ["a"], "return_documents": 1}, "return_documents"),
    ({"query": "a", "documents": ["a"], "rank_fields": ["title", "text"]}, "rank_fields"),
])
def test_bad_input_names_the_member(stage, mock, body, param):
    answer = stage.call("POST", "/v1/rerank", {"model": "cohere-rerank", **body})
    assert answer.status == 400, answer
    assert answer.json()["error"]["param"] == param
    assert mock.bill() == []


def test_bad_input_of_coheres_caller(stage, mock):
    answer = stage.call("POST", "/v2/rerank", {"model": "vllm-rerank", "query": "a", "documents": [{"text": "a"}]})
    assert answer.status == 400 and "documents[0]" in answer.json()["message"]
    assert mock.bill() == []


def test_a_provider_that_ranks_nothing(stage):
    answer = rerank(stage, "/v1/rerank", "chats-only")
    assert (answer.status, answer.json()["error"]["code"]) == (400, "unsupported_operation")
    assert "rerank" in answer.json()["error"]["message"]


@pytest.mark.parametrize("results", [[{"index": 9, "relevance_score": 1}], [{"index": -1, "relevance_score": 1}],
                                     [{"index": 0}], [{"index": 0, "relevance_score": "1"}], {}, None, [7]])
def test_what_is_no_ranking_is_a_bad_answer(stage, mock, results):
    payload = json.dumps({"id": "x", "results": results, "usage": {"total_tokens": 3}}).encode()
    mock.script("prompt=3", payload=payload)
    assert rerank(stage, "/v2/rerank", "vllm-rerank").status == 502


def test_errors_of_the_provider_are_told_in_the_callers_dialect(stage):
    for path, provider in (("/v1/rerank", "cohere"), ("/v2/rerank", "vllm")):
        answer = rerank(stage, path, f"{provider}-rerank", script="status=400")
        assert answer.status == 400, answer
        assert set(answer.json()) >= ({"error"} if path == "/v1/rerank" else {"message"})
