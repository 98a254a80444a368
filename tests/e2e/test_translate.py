"""Callers of one dialect in front of providers of another: what is ours to answer, what is told,
what is counted. What each pair says of each scenario is test_matrix.py's."""

import json
import struct
import urllib.parse

import pytest

from client import Closed
from gateway import KEY, MODEL
from waiting import wait_until

GEMINI = f"/v1beta/models/{MODEL}:generateContent"
STREAM = f"/v1beta/models/{MODEL}:streamGenerateContent"
CONVERSE = f"/model/{MODEL}/converse"
ASKED = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
SAID = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}


def frames(data):
    """[(headers, payload)] of an event stream; the checksums are the gateway's unit tests' matter."""
    out = []
    while data:
        total, n_headers = struct.unpack(">II", data[:8])
        head, headers = data[12:12 + n_headers], {}
        while head:
            name, head = head[1:1 + head[0]], head[1 + head[0]:]
            size = struct.unpack(">H", head[1:3])[0]
            headers[name.decode()], head = head[3:3 + size].decode(), head[3 + size:]
        out.append((headers, json.loads(data[12 + n_headers:total - 4])))
        data = data[total:]
    return out


# ---- answers ----

def test_a_gemini_caller_reaches_an_openai_provider(gateway, mock):
    answer = gateway.call("POST", GEMINI, ASKED)
    assert answer.status == 200
    body = answer.json()
    assert body["candidates"][0]["content"]["parts"][0]["text"]
    assert body["candidates"][0]["finishReason"] == "STOP"
    assert body["usageMetadata"]["candidatesTokenCount"] == 8
    sent = mock.last_request()
    assert sent.target == "/v1/chat/completions"
    assert json.loads(sent.body)["messages"] == [{"role": "user", "content": "hello"}]
    [record] = gateway_records(gateway, answer)
    assert (record["state"], record["output_tokens"]) == ("settled", 8)


def gateway_records(gateway, answer):
    request = answer.header("x-request-id")
    gateway.access_line(request)
    return wait_until(lambda: gateway.ledger_of(request), "the record of the request")


def test_the_access_line_names_the_callers_dialect(gateway):
    answer = gateway.call("POST", CONVERSE, SAID)
    assert answer.status == 200
    line = gateway.access_line(answer.header("x-request-id"))
    assert (line["dialect"], line["finish_reason"], line["output_tokens"]) == ("bedrock", "stop", 8)
    assert answer.header("x-amzn-requestid") == answer.header("x-request-id")


def test_a_stream_as_events_and_as_an_array(gateway):
    with gateway.connect() as connection:
        connection.request("POST", STREAM + "?alt=sse", auth(), json.dumps(ASKED).encode())
        events = connection.read_response()
    with gateway.connect() as connection:
        connection.request("POST", STREAM, auth(), json.dumps(ASKED).encode())
        array = connection.read_response()
    assert events.header("content-type").startswith("text/event-stream")
    assert array.header("content-type").startswith("application/json")
    lines = [json.loads(line[6:]) for line in events.body.replace(b"\r\n", b"\n").split(b"\n") if line]
    elements = json.loads(array.body)
    assert text_of(lines) == text_of(elements) != ""
    assert elements[-1]["candidates"][0]["finishReason"] == "STOP"
    assert elements[-1]["usageMetadata"]["candidatesTokenCount"] == 8


@pytest.mark.parametrize("target, body", [(STREAM, ASKED), (STREAM + "?alt=sse", ASKED), (CONVERSE + "-stream", SAID)],
                         ids=["array", "events", "frames"])
def test_a_client_that_is_gone_while_the_provider_is_silent(gateway, mock, target, body):
    """What is sent between events makes it answer with a reset."""
    with gateway.connect() as connection:
        connection.request("POST", target, [*auth(), ("x-mock", "hold=e3")], json.dumps(body).encode())
        connection.read_stream_head()
        connection.read_chunk()
    wait_until(lambda: mock.bill()[0]["outcome"] == "client_gone", "the provider to be told")


def test_what_is_sent_between_frames_is_a_frame(gateway, mock):
    """A client that has shut its sending side and still reads gets the whole answer."""
    with gateway.connect() as connection:
        connection.request("POST", CONVERSE + "-stream", [*auth(), ("x-mock", "hold=e3")], json.dumps(SAID).encode())
        connection.read_stream_head()
        data = connection.read_chunk()
        connection.half_close()
        data += connection.read_chunk()
        mock.release()
        while chunk := connection.read_chunk():
            data += chunk
    kinds = [headers[":event-type"] for headers, _ in frames(data)]
    assert "ping" in kinds and kinds[-1] == "metadata"


def test_an_error_inside_an_array_is_its_last_element(gateway, mock):
    with gateway.connect() as connection:
        connection.request("POST", STREAM, [*auth(), ("x-mock", "hold=e3,cut=e5")], json.dumps(ASKED).encode())
        connection.read_stream_head()
        data = connection.read_chunk()
        mock.release()
        with pytest.raises((Closed, ConnectionResetError)):
            while True:
                data += connection.read_chunk()
    elements = json.loads(data + b"]")
    assert text_of(elements[:-1]) != ""
    assert elements[-1]["error"]["status"] == "UNAVAILABLE"


def test_processing_time_is_told_to_openais_callers_alone(gateway):
    assert gateway.call("POST", GEMINI, ASKED).header("openai-processing-ms") is None
    assert gateway.chat().header("openai-processing-ms")


def test_an_error_to_an_anthropic_caller_has_the_requests_id(gateway):
    asked = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
    for script in ("", "status=400"):
        answer = gateway.call("POST", "/v1/messages", {**asked, "max_tokens": 5 if script else "x"},
                              headers=[("x-mock", script)])
        assert answer.status == 400
        assert answer.json()["request_id"] == answer.header("request-id") == answer.header("x-request-id")


def test_a_slash_inside_a_models_name(make_gateway, mock):
    """Amazon's clients encode it: ARNs of inference profiles have one."""
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude"
    gateway = make_gateway({f"model:{arn}": {"targets": "mock/mock-chat"}})
    path = "/model/" + urllib.parse.quote(arn, safe="") + "/converse"
    assert "%2F" in path
    assert gateway.call("POST", path, SAID).status == 200
    assert gateway.call("POST", path.replace("/converse", "%2Fconverse"), SAID).status == 404
    assert gateway.call("POST", "/model%2Fx/converse", SAID).status == 400


def auth():
    return [("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json")]


def text_of(chunks):
    return "".join(part["text"] for chunk in chunks for candidate in chunk.get("candidates", ())
                   for part in candidate.get("content", {}).get("parts", ()))


def test_frames_for_a_bedrock_caller(gateway):
    answer = gateway.call("POST", CONVERSE + "-stream", SAID)
    assert answer.header("content-type") == "application/vnd.amazon.eventstream"
    events = frames(answer.body)
    assert [headers[":event-type"] for headers, _ in events][-2:] == ["messageStop", "metadata"]
    assert events[-1][1]["usage"]["outputTokens"] == 8


@pytest.mark.parametrize("place", ["cut=e3,hold=e2", "error_after=3,hold=e2", "hang=e3"])
def test_a_broken_stream_never_looks_whole(make_gateway, mock, place):
    gateway = make_gateway({f"model:{MODEL}": {"idle_timeout": "300ms"}})
    with gateway.connect() as connection:
        connection.request("POST", STREAM + "?alt=sse", auth() + [("x-mock", place)], json.dumps(ASKED).encode())
        response = connection.read_stream_head()
        assert response.status == 200
        mock.release()
        data = b""
        with pytest.raises(AssertionError):
            while True:
                chunk = connection.read_chunk()
                assert chunk, "a clean end"
                data += chunk
    last = json.loads(data.replace(b"\r\n", b"\n").strip().split(b"\n")[-1][6:])
    assert last["error"]["status"] in ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN"), last
    assert b"finishReason" not in data


def test_what_a_provider_refuses_is_told_in_the_callers_words(gateway):
    answer = gateway.call("POST", GEMINI, ASKED, [("x-mock", "status=400,error=context_length_exceeded")])
    assert answer.status == 400
    assert answer.json()["error"]["code"] == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("status, expected", [(429, 429), (500, 502)])
def test_a_failed_provider(gateway, status, expected):
    answer = gateway.call("POST", CONVERSE, SAID, [("x-mock", f"status={status},retry_after=2")])
    assert answer.status == expected
    assert answer.header("x-amzn-errortype")
    assert answer.json()["message"]
    assert (answer.header("retry-after") == "2") == (expected == 429)


def test_the_alias_stands_for_the_model(make_gateway):
    gateway = make_gateway({f"model:{MODEL}": {"response_model": "alias"}})
    assert gateway.call("POST", GEMINI, ASKED).json()["modelVersion"] == MODEL


# ---- what can't be told ----

def test_what_is_left_out_is_named(gateway):
    answer = gateway.call("POST", GEMINI, {**ASKED, "labels": {"a": "b"}, "madeUp\u00e9": 1})
    assert answer.status == 200
    assert "madeUp" in answer.header("x-gw-dropped")
    assert "\u00e9" not in answer.header("x-gw-dropped")
    assert gateway.chat().header("x-gw-dropped") is None


def test_what_would_change_the_answer_is_refused(gateway, mock):
    before = len(mock.bill())
    answer = gateway.call("POST", GEMINI, {**ASKED, "cachedContent": "cachedContents/x"})
    assert answer.status == 400
    assert "cachedContent" in answer.json()["error"]["message"]
    assert len(mock.bill()) == before


def test_the_next_target_is_asked_where_one_cant_be_told(make_gateway, mock):
    gateway = make_gateway({
        "provider:gemini": {"kind": "gemini", "base_url": f"http://127.0.0.1:{mock.port}/v1beta"},
        "credential:gemini": {"provider": "gemini", "secret": "env:MOCK_SECRET"},
        f"model:{MODEL}": {"targets": "gemini/mock-chat tier=1, mock/mock-chat tier=2"},
    }, environment={"MOCK_SECRET": "sk-other"})
    answer = gateway.chat(logit_bias={"1": 1})
    assert answer.status == 200
    assert answer.header("x-gw-target") == "mock/mock-chat"
    assert answer.header("x-gw-attempts") == "1"


@pytest.mark.parametrize("target, body", [
    (GEMINI, b"{"), (GEMINI, b"[]"), (GEMINI, b'{"contents":7}'),
    (CONVERSE, b'{"messages":[{"role":"robot","content":[]}]}'), (CONVERSE, b'{"messages":{}}'),
])
def test_bad_bodies(gateway, target, body):
    answer = gateway.call("POST", target, body)
    assert answer.status == 400
    told = answer.json()
    assert (told["error"]["message"] if target == GEMINI else told["message"])


# ---- our own answers, in each dialect ----

@pytest.mark.parametrize("method, target, key, status, word", [
    ("POST", GEMINI, None, 401, "UNAUTHENTICATED"),
    ("POST", GEMINI, "sk-wrong", 401, "UNAUTHENTICATED"),
    ("GET", GEMINI, KEY, 405, "INVALID_ARGUMENT"),
    ("POST", "/v1beta/nothing", KEY, 404, "NOT_FOUND"),
    ("POST", "/genai/v1beta/models/none:generateContent", KEY, 404, "NOT_FOUND"),
])
def test_errors_for_gemini_callers(gateway, method, target, key, status, word):
    answer = gateway.call(method, target, ASKED if method == "POST" else b"", key=key)
    assert answer.status == status
    error = answer.json()["error"]
    assert error["code"] == status and error["message"]
    assert status == 405 or error["status"] == word


@pytest.mark.parametrize("target, key, status, word", [
    (CONVERSE, None, 401, None), ("/model/none/converse", KEY, 404, "ResourceNotFoundException"),
    ("/bedrock/nothing", KEY, 404, None),
])
def test_errors_for_bedrock_callers(gateway, target, key, status, word):
    answer = gateway.call("POST", target, SAID, key=key)
    assert answer.status == status
    assert answer.json()["message"]
    assert answer.header("x-amzn-errortype") == (word or answer.header("x-amzn-errortype"))


@pytest.mark.parametrize("target, headers", [
    (GEMINI, [("x-goog-api-key", KEY)]),
    (GEMINI + "?key=" + KEY, []),
    (GEMINI + "?alt=json&key=" + KEY, [("x-goog-api-key", KEY)]),
    (CONVERSE, [("Authorization", f"Bearer {KEY}")]),
])
def test_keys_where_each_client_puts_them(gateway, target, headers):
    body = SAID if target == CONVERSE else ASKED
    assert gateway.call("POST", target, body, headers, key=None).status == 200


def test_two_keys_are_one_too_many(gateway):
    answer = gateway.call("POST", GEMINI + "?key=sk-other", ASKED, [("x-goog-api-key", KEY)], key=None)
    assert answer.status == 401


def test_a_key_in_the_query_counts_on_geminis_routes_only(gateway):
    answer = gateway.call("POST", CONVERSE + "?key=" + KEY, SAID, key=None)
    assert answer.status == 401
    assert KEY not in gateway.log_text()


def test_a_signed_request_is_no_key_of_ours(gateway):
    signed = "AWS4-HMAC-SHA256 Credential=AKIA/20250101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0"
    assert gateway.call("POST", CONVERSE, SAID, [("Authorization", signed)], key=None).status == 401
