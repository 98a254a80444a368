"""What mockllm's Bedrock takes, refuses and answers. No gateway takes part.

Signatures are made here by code of their own, and by Amazon's client where it can be imported."""

import datetime
import hashlib
import hmac
import http.client
import json
import struct
import urllib.parse
import zlib

import pytest

from test_mockllm import KEY, Mock

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
USER = {"role": "user", "content": [{"text": "hi"}]}
ASSISTANT = {"role": "assistant", "content": [{"text": "hello"}]}
TOOLS = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {
    "type": "object", "properties": {"a": {"type": "integer"}}}}}}]}
CALL = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}]}
RESULT = {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "1"}]}}]}


@pytest.fixture(scope="module", name="mock")
def _mock():
    mock = Mock("--key", "AKIDMOCK", "--key", "ASIAMOCK")
    yield mock
    mock.stop()


def send(mock, path, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", mock.ports["plain"], timeout=20)
    connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def path_of(stream=False):
    return f"/model/{urllib.parse.quote(MODEL, safe='')}/converse" + ("-stream" if stream else "")


def converse(mock, script="", **members):
    body = json.dumps({"messages": [USER]} | members)
    answer, data = send(mock, path_of(), body, {"Authorization": f"Bearer {KEY}", "x-mock": script})
    return answer.status, json.loads(data), answer.getheader("x-amzn-errortype", "").split(":")[0]


def frames(data):
    """[(headers, payload)]; every length and checksum is looked at."""
    out = []
    while data:
        total, n_headers, crc = struct.unpack(">III", data[:12])
        assert crc == zlib.crc32(data[:8])
        assert struct.unpack(">I", data[total - 4:total])[0] == zlib.crc32(data[:total - 4])
        head, headers = data[12:12 + n_headers], {}
        while head:
            name, kind, head = head[1:1 + head[0]].decode(), head[1 + head[0]], head[2 + head[0]:]
            size = struct.unpack(">H", head[:2])[0]
            assert kind == 7 and name not in headers
            headers[name], head = head[2:2 + size].decode(), head[2 + size:]
        out.append((headers, json.loads(data[12 + n_headers:total - 4])))
        data = data[total:]
    return out


def stream(mock, script="", **members):
    body = json.dumps({"messages": [USER]} | members)
    answer, data = send(mock, path_of(True), body, {"Authorization": f"Bearer {KEY}", "x-mock": script})
    assert answer.status == 200, data
    assert answer.getheader("content-type") == "application/vnd.amazon.eventstream"
    return frames(data)


def test_a_whole_answer(mock):
    status, body, _ = converse(mock, "prompt=20,cached=5,cache_write=3,tokens=2")
    assert status == 200
    assert body["output"]["message"] == {"role": "assistant", "content": [{"text": "A mock"}]}
    assert body["stopReason"] == "end_turn"
    assert body["usage"] == {"inputTokens": 12, "outputTokens": 2, "totalTokens": 22, "cacheReadInputTokens": 5,
                             "cacheWriteInputTokens": 3, "cacheDetails": [{"ttl": "5m", "inputTokens": 3}]}


def test_a_stream(mock):
    events = stream(mock, "tokens=2,reason=1,tools=0")
    assert [headers[":event-type"] for headers, _ in events] == [
        "messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop", "contentBlockDelta",
        "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
    assert "signature" in events[2][1]["delta"]["reasoningContent"]
    assert events[4][1]["delta"] == {"text": "A"}
    assert events[-1][1]["usage"]["outputTokens"] == 3


def test_tools_and_what_stopped_it(mock):
    _, body, _ = converse(mock, toolConfig=TOOLS | {"toolChoice": {"any": {}}})
    assert body["output"]["message"]["content"][0]["toolUse"]["input"] == {"a": 7}
    assert body["stopReason"] == "tool_use"
    _, body, _ = converse(mock, "finish=stop_sequence", inferenceConfig={"stopSequences": ["END"]},
                          additionalModelResponseFieldPaths=["/stop_sequence"])
    assert body["additionalModelResponseFields"] == {"stop_sequence": "END"}
    _, body, _ = converse(mock, inferenceConfig={"maxTokens": 3})
    assert (body["stopReason"], body["usage"]["outputTokens"]) == ("max_tokens", 3)


def test_an_exception_in_a_stream(mock):
    events = stream(mock, "error_after=3,error=throttlingException")
    assert len(events) == 4
    headers, payload = events[-1]
    assert headers[":message-type"] == "exception" and headers[":exception-type"] == "throttlingException"
    assert payload["message"]


@pytest.mark.parametrize("script, status, name", [
    ("status=400", 400, "ValidationException"), ("status=401", 403, "UnrecognizedClientException"),
    ("status=403", 403, "AccessDeniedException"), ("status=404", 404, "ResourceNotFoundException"),
    ("status=429", 429, "ThrottlingException"), ("status=500", 500, "InternalServerException"),
    ("status=429,error=ModelNotReadyException", 429, "ModelNotReadyException"),
])
def test_scripted_errors(mock, script, status, name):
    got, body, error = converse(mock, script)
    assert (got, error) == (status, name) and body["message"]


SIGNED = {"reasoningContent": {"reasoningText": {"text": "a", "signature": "YQ=="}}}
PDF = {"document": {"name": "a", "format": "pdf", "source": {"bytes": "AAAA"}}}


@pytest.mark.parametrize("words, members", [
    ("extraneous key [foo]", {"foo": 1}),
    ("required key [messages]", None),
    ("messages field is empty", {"messages": []}),
    ("start with a user message", {"messages": [ASSISTANT]}),
    ("must alternate", {"messages": [USER, USER]}),
    ("is empty", {"messages": [{"role": "user", "content": []}]}),
    ("is blank", {"messages": [{"role": "user", "content": [{"text": " \n"}]}]}),
    ("exactly one member", {"messages": [{"role": "user", "content": [{"text": "a", "cachePoint": {"type": "default"}}]}]}),
    ("enum value set", {"messages": [{"role": "tool", "content": [{"text": "a"}]}]}),
    ("is not base64", {"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "%"}}}]}]}),
    ("can only stand in messages of the user",
     {"messages": [USER, {"role": "assistant", "content": [{"image": {"format": "png", "source": {"bytes": "AAAA"}}}]}]}),
    ("text block is required", {"messages": [{"role": "user", "content": [PDF]}]}),
    ("must be unique", {"messages": [{"role": "user", "content": [{"text": "a"}, PDF, PDF]}]}),
    ("exceeds the number of toolUse", {"messages": [RESULT], "toolConfig": TOOLS}),
    ("Expected toolResult", {"messages": [USER, CALL, USER], "toolConfig": TOOLS}),
    ("toolConfig field must be defined", {"messages": [USER, CALL, RESULT]}),
    ("Invalid `signature`", {"messages": [USER, {"role": "assistant", "content": [SIGNED]}, USER]}),
    ("constraint: pattern", {"messages": [USER, {"role": "assistant", "content": [{"toolUse": {
        "toolUseId": "a/b", "name": "f", "input": {}}}]}, RESULT], "toolConfig": TOOLS}),
    ("constraint: range", {"inferenceConfig": {"temperature": 1.5}}),
    ("must be an integer", {"inferenceConfig": {"maxTokens": 1.5}}),
    ("not among the tools", {"toolConfig": TOOLS | {"toolChoice": {"tool": {"name": "g"}}}}),
    ("greater than or equal to 1024", {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 5}}}),
    ("must be greater than `thinking", {"additionalModelRequestFields": {"thinking": {
        "type": "enabled", "budget_tokens": 2000}}, "inferenceConfig": {"maxTokens": 2000}}),
    ("forces tool use", {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
                         "toolConfig": TOOLS | {"toolChoice": {"any": {}}}}),
])
def test_refused(mock, words, members):
    body = {} if members is None else {"messages": [USER]} | members
    answer, data = send(mock, path_of(), json.dumps(body), {"Authorization": f"Bearer {KEY}"})
    assert answer.status == 400, data
    assert answer.getheader("x-amzn-errortype").startswith("ValidationException:")
    assert words in json.loads(data)["message"]


def test_a_conversation_with_tools_is_taken(mock):
    assert converse(mock, messages=[USER, CALL, RESULT], toolConfig=TOOLS)[0] == 200


# ---- signatures ----

def signed(mock, body, key="AKIDMOCK", secret=None, token=None, service="bedrock", age=0):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
    date, host = when.strftime("%Y%m%dT%H%M%SZ"), f"127.0.0.1:{mock.ports['plain']}"
    headers = {"host": host, "x-amz-date": date} | ({"x-amz-security-token": token} if token else {})
    names = ";".join(sorted(headers))
    canonical = "\n".join(["POST", urllib.parse.quote(path_of(), safe="/-._~"), "",
                           *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names,
                           hashlib.sha256(body).hexdigest()])
    scope = f"{date[:8]}/us-east-1/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    sign = ("AWS4" + (secret or f"secret-of-{key}")).encode()
    for part in (*scope.split("/"), text):
        sign = hmac.new(sign, part.encode(), hashlib.sha256).digest()
    return headers | {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, "
                                       f"Signature={sign.hex()}"}


BODY = json.dumps({"messages": [USER]}).encode()


@pytest.mark.parametrize("more", [{}, {"key": "ASIAMOCK", "token": "token-of-ASIAMOCK"}])
def test_a_right_signature(mock, more):
    answer, data = send(mock, path_of(), BODY, signed(mock, BODY, **more))
    assert answer.status == 200, data


@pytest.mark.parametrize("name, more", [
    ("InvalidSignatureException", {"secret": "secret-of-another"}),
    ("InvalidSignatureException", {"service": "s3"}),
    ("InvalidSignatureException", {"age": 3600}),
    ("UnrecognizedClientException", {"key": "ASIAMOCK"}),
    ("UnrecognizedClientException", {"token": "token-of-AKIDMOCK"}),
    ("UnrecognizedClientException", {"key": "AKIDOTHER"}),
])
def test_a_wrong_signature(mock, name, more):
    answer, _ = send(mock, path_of(), BODY, signed(mock, BODY, **more))
    assert (answer.status, answer.getheader("x-amzn-errortype").split(":")[0]) == (403, name)


def test_another_body_than_the_signed_one(mock):
    answer, _ = send(mock, path_of(), BODY + b" ", signed(mock, BODY))
    assert answer.status == 403


def test_amazons_own_client(mock):
    session = pytest.importorskip("botocore.session").get_session()
    session.set_credentials("AKIDMOCK", "secret-of-AKIDMOCK")
    client = session.create_client("bedrock-runtime", region_name="us-east-1",
                                   endpoint_url=f"http://127.0.0.1:{mock.ports['plain']}")
    answer = client.converse(modelId=MODEL, messages=[USER])
    assert answer["stopReason"] == "end_turn"
    events = list(client.converse_stream(modelId=MODEL, messages=[USER])["stream"])
    assert "messageStart" in events[0] and "metadata" in events[-1]
