"""What mockllm itself does: answers, refusals, scripts, faults, bill. No gateway takes part."""

import base64
import contextlib
import gzip
import http.client
import json
import os
import pathlib
import select
import socket
import ssl
import struct
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get("GATEWAYD_BUILD",
                                    pathlib.Path(__file__).parents[2] / "build"))
KEY = "sk-test"
CHAT = "/v1/chat/completions"


class Mock:
    def __init__(self, *options):
        self.process = subprocess.Popen([BUILD / "mockllm", "--die-with-parent", "--threads", "2",
                                         "--key", KEY, *options], stdout=subprocess.PIPE)
        assert select.select([self.process.stdout], [], [], 20)[0], "mockllm doesn't start"
        self.ports = json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0
        self.process.stdout.close()

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["ctl"], timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text)

    def bill(self):
        return self.control("GET", "/mock/bill")[1]["records"]

    def closed_bill(self, n):
        """The bill once its last of `n` records is closed: that happens after the client's end."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            records = self.bill()
            if len(records) >= n and records[-1]["outcome"] != "open":
                return records
        raise AssertionError(f"still open: {records}")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.ports["plain"]), timeout=20)

    def send(self, sock, model="mock-chat", path=CHAT, headers=(), **members):
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}
                          | members).encode()
        head = [f"POST {path} HTTP/1.1", "Host: mock", f"Authorization: Bearer {KEY}",
                "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
        sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def ask(self, *args, **kwargs):
        """Status, headers and body of one request on a connection of its own."""
        with self.connect() as sock:
            self.send(sock, *args, **kwargs)
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()

    def raw(self, *args, **kwargs):
        """Every byte until the connection ends."""
        with self.connect() as sock:
            self.send(sock, *args, **kwargs)
            return read_all(sock)

    def events(self, model, **members):
        status, headers, body = self.ask(model, stream=True, **members)
        assert status == 200 and headers["content-type"].startswith("text/event-stream")
        assert body.endswith(b"\n\n")
        return [event.removeprefix(b"data: ") for event in body[:-2].split(b"\n\n")]


def read_all(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


def content(body):
    return json.loads(body)["choices"][0]["message"]["content"]


@pytest.fixture(scope="module", name="certs")
def _certs(tmp_path_factory):
    return tmp_path_factory.mktemp("certs")


@pytest.fixture(scope="module", name="server")
def _server(certs):
    server = Mock("--tls-self-signed", certs, "--tls-faults")
    yield server
    server.stop()


@pytest.fixture(name="mock")
def _mock(server):
    server.control("POST", "/mock/reset")
    return server


# ---- answers ----

def test_whole_answer(mock):
    status, headers, body = mock.ask()
    usage = json.loads(body)["usage"]
    assert status == 200 and headers["content-type"] == "application/json"
    assert content(body).startswith("A mock naïve")
    assert usage["completion_tokens"] == 8 and usage["total_tokens"] == usage["prompt_tokens"] + 8


def test_stream_says_the_same_as_the_whole_answer(mock):
    events = mock.events("mock-chat")
    assert events[-1] == b"[DONE]"
    chunks = [json.loads(e) for e in events[:-1]]
    assert all("usage" not in c for c in chunks)
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert text == content(mock.ask()[2])
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_include_usage(mock):
    events = mock.events("mock-chat;tokens=5", stream_options={"include_usage": True})
    chunks = [json.loads(e) for e in events[:-1]]
    assert all(c["usage"] is None for c in chunks[:-1])
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] == 5


def test_echo(mock):
    text = 'q"uo\\te é 😀 \n end' * 9
    messages = [{"role": "user", "content": "no"}, {"role": "user", "content": text}]
    assert content(mock.ask("mock-echo", messages=messages)[2]) == text
    chunks = [json.loads(e) for e in mock.events("mock-echo", messages=messages)[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == text


SCHEMA = {"type": "object", "properties": {
    "a": {"$ref": "#/$defs/list"}, "n": {"type": ["integer", "null"]}, "c": {"const": "x"},
    "e": {"anyOf": [{"enum": [2, 3]}, {"type": "null"}]}, "t": {"type": "boolean"}},
    "$defs": {"list": {"type": "array", "items": {"type": "string"}}}}
INSTANCE = {"a": ["mock"], "n": 7, "c": "x", "e": 2, "t": True}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}]


def test_schema_answer(mock):
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
    assert json.loads(content(mock.ask(response_format=schema)[2])) == INSTANCE


def test_tool_call(mock):
    message = json.loads(mock.ask("mock-tools", tools=TOOLS)[2])["choices"][0]["message"]
    call = message["tool_calls"][0]["function"]
    assert message["content"] is None and call["name"] == "look_up"
    assert json.loads(call["arguments"]) == INSTANCE
    chunks = [json.loads(e) for e in mock.events("mock-tools", tools=TOOLS)[:-1]]
    deltas = [c["choices"][0]["delta"] for c in chunks if "tool_calls" in c["choices"][0]["delta"]]
    streamed = "".join(d["tool_calls"][0]["function"]["arguments"] for d in deltas)
    assert json.loads(streamed) == INSTANCE
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_text_after_a_tool_message(mock):
    call = {"id": "call_mock", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_mock", "content": "42"}]
    assert content(mock.ask("mock-tools", tools=TOOLS, messages=messages)[2])


def test_max_tokens_and_n(mock):
    answer = json.loads(mock.ask("mock-chat", max_tokens=3, n=2)[2])
    assert [c["finish_reason"] for c in answer["choices"]] == ["length", "length"]
    assert answer["usage"]["completion_tokens"] == 6
    assert mock.bill()[-1]["completion_tokens"] == 6


def test_embeddings(mock):
    path = "/v1/embeddings"
    def ask(**members):
        body = mock.ask("mock-embed", path=path, **members)[2]
        return [d["embedding"] for d in json.loads(body)["data"]]
    a, b = ask(input=["a", "b"], dimensions=4)
    assert len(a) == 4 and a != b and ask(input="a", dimensions=4) == [a]
    packed = ask(input="a", dimensions=4, encoding_format="base64")[0]
    raw = base64.b64decode(packed)
    assert struct.unpack("<4f", raw) == pytest.approx(a, abs=1e-5)


def test_size(mock):
    assert len(content(mock.ask("mock-chat;size=100000")[2]).encode()) > 99000


def test_the_same_large_body_again(mock):
    """Answers to it are kept: scripts, other bodies and other headers must still count."""
    large = [{"role": "user", "content": "x" * 10000}]
    first = mock.ask(messages=large)[2]
    assert mock.ask(messages=large)[2] == first
    mock.control("POST", "/mock/script", b"status=500")
    assert [mock.ask(messages=large)[0] for _ in range(2)] == [500, 200]
    assert mock.ask(messages=large, headers=["x-mock: tokens=2"])[2] != first
    large[0]["content"] = "x" * 9999 + "y"
    assert mock.ask(messages=large, headers=["x-mock: tokens=1"])[2] != first
    assert mock.ask(messages=large)[2] == first
    assert {r["model"] for r in mock.bill()} == {"mock-chat"}
    assert [r["completion_tokens"] for r in mock.bill()] == [8, 8, 0, 8, 2, 1, 8]


# ---- refusals ----

@pytest.mark.parametrize("head, status, code", [
    (f"POST {CHAT}", 401, None),
    (f"POST {CHAT}\r\nAuthorization: Bearer sk-wrong", 401, "invalid_api_key"),
    (f"POST /v1/nothing\r\nAuthorization: Bearer {KEY}", 404, None),
    (f"GET {CHAT}\r\nAuthorization: Bearer {KEY}", 405, "method_not_supported"),
    (f"POST {CHAT}\r\nAuthorization: Bearer {KEY}\r\nContent-Type: text/plain", 400,
     "unsupported_content_type"),
])
def test_refused_heads(mock, head, status, code):
    line, *fields = head.split("\r\n")
    fields = [line + " HTTP/1.1", "Host: mock", "Content-Length: 2", "Connection: close", *fields]
    with mock.connect() as sock:
        sock.sendall("\r\n".join(fields).encode() + b"\r\n\r\n{}")
        answer = read_all(sock)
    assert int(answer.split()[1]) == status
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["code"] == code
    assert mock.bill()[-1]["outcome"] == "refused" and not mock.bill()[-1]["billed"]


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'{"model":1}', b'{"model":"m"}', b'{"model":"m","messages":[]}',
    b'{"model":"m","model":"m","messages":[{}]}', b'{"model":"m","messages":[{}]}x',
    b'{"model":"m","messages":["\xff"]}', b'{"model":"m","messages":["\x01"]}',
    b'{"model":"m","messages":["\\x"]}', b'{"model":"m","messages":[01]}',
    b'{"model":"m","messages":[1,]}', b'{"model":"m","messages":[{}],"stream":1}',
    b'{"model":"m","messages":' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"model":"m;no_such_key=1","messages":[{}]}', b'{"model":"m;ttft=1","messages":[{}]}',
])
def test_refused_bodies(mock, body):
    with mock.connect() as sock:
        sock.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer {KEY}\r\n"
                     "Content-Type: application/json\r\nConnection: close\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("bytes_", [
    b"GET /v1/models HTTP/1.1\nHost: m\n\n", b"GET /v1/models HTTP/1.0\r\nHost: m\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\n\r\n", b"GET  /v1/models HTTP/1.1\r\nHost: m\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: m\r\nHost: m\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost : m\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: m\r\n folded\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: m\r\nX: a\rb\r\n\r\n",
    b"POST /v1/models HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    b"POST /v1/models HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"POST /v1/models HTTP/1.1\r\nHost: m\r\nContent-Length: +1\r\n\r\n",
    b"POST /v1/models HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
    b"POST /v1/models HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXY",
])
def test_bad_http(mock, bytes_):
    before = mock.control("GET", "/mock/totals")[1]["bad_requests"]
    with mock.connect() as sock:
        sock.sendall(bytes_)
        assert b"bad_http" in read_all(sock)
    assert mock.control("GET", "/mock/totals")[1]["bad_requests"] == before + 1


def test_chunked_body_and_pipelining(mock):
    body = json.dumps({"model": "mock-echo", "messages": [{"role": "user", "content": "chunked"}]}).encode()
    head = (f"POST {CHAT} HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Type: application/json\r\n").encode()
    chunks = b"".join(b"%x\r\n%c\r\n" % (1, c) for c in body) + b"0\r\n\r\n"
    with mock.connect() as sock:
        sock.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
                     + head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answers = read_all(sock)
    assert answers.count(b"HTTP/1.1 200 OK") == 2 and answers.count(b'"chunked"') == 2
    kept = mock.control("GET", "/mock/requests")[1]["requests"]
    assert [r["body"].encode("latin-1") for r in kept] == [body, body]


def test_expect_continue(mock):
    with mock.connect() as sock:
        sock.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer {KEY}\r\n"
                     "Content-Type: application/json\r\nExpect: 100-continue\r\n"
                     "Connection: close\r\nContent-Length: 2\r\n\r\n".encode())
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert read_all(sock).startswith(b"HTTP/1.1 400")


# ---- scripts ----

def test_scripts_lie_over_each_other(mock):
    mock.control("POST", "/mock/script?model=mock-chat&count=2", b"tokens=3")
    model = "mock-chat?tokens=1&finish=length"
    answers = [json.loads(mock.ask(model, headers=["x-mock: tokens=2"])[2]) for _ in range(3)]
    assert [a["usage"]["completion_tokens"] for a in answers] == [3, 3, 2]
    assert answers[0]["choices"][0]["finish_reason"] == "length"
    assert mock.control("GET", "/mock/script")[1] == {"pending": 0}


def test_script_for_another_model_or_credential_waits(mock):
    mock.control("POST", "/mock/script?model=other", b"status=500")
    mock.control("POST", "/mock/script?credential=other", b"status=500")
    assert mock.ask()[0] == 200
    assert mock.control("GET", "/mock/script")[1] == {"pending": 2}


def test_payload(mock):
    mock.control("POST", "/mock/script", b"status=418\n{\"odd\":1}")
    assert mock.ask()[::2] == (418, b'{"odd":1}')
    mock.control("POST", "/mock/script", b"raw=1,keepalive=0\nanything\r\n\r\n\x00at all")
    assert mock.raw() == b"anything\r\n\r\n\x00at all"


def test_error_with_headers(mock):
    status, headers, body = mock.ask("mock-chat;status=429;retry_after=Wed%2C%2021%20Oct;error=x")
    assert status == 429 and headers["retry-after"] == "Wed, 21 Oct"
    assert json.loads(body)["error"]["code"] == "x"
    assert not mock.bill()[-1]["billed"]


def test_bad_script_is_refused_by_the_control_port(mock):
    assert mock.control("POST", "/mock/script", b"cut=nowhere")[0] == 400
    assert mock.control("GET", "/nothing")[0] == 404


@pytest.mark.parametrize("mode, check", [
    ("absent", lambda a: "usage" not in a), ("null", lambda a: a["usage"] is None),
    ("zero", lambda a: a["usage"]["total_tokens"] == 0),
    ("negative", lambda a: a["usage"]["prompt_tokens"] < 0),
    ("huge", lambda a: a["usage"]["prompt_tokens"] > 2**64),
    ("fraction", lambda a: a["usage"]["prompt_tokens"] == 1.5),
    ("string", lambda a: isinstance(a["usage"]["prompt_tokens"], str)),
    ("partial", lambda a: "completion_tokens" not in a["usage"]),
])
def test_usage_of_whole_answers(mock, mode, check):
    assert check(json.loads(mock.ask(f"mock-chat;usage={mode}")[2]))
    assert mock.bill()[-1]["completion_tokens"] == 8


@pytest.mark.parametrize("mode, figures", [
    ("every", [1, 2, 3, 3]), ("decreasing", [5, 4, 3, 3]), ("first", [3]), ("last", [3]),
    ("always", [3]), ("twice", [3, 4]), ("absent", []),
])
def test_usage_of_streams(mock, mode, figures):
    events = mock.events(f"mock-chat;tokens=3;usage={mode}")
    usages = [json.loads(e).get("usage") for e in events[:-1]]
    assert [u["completion_tokens"] for u in usages if u] == figures


@pytest.mark.parametrize("script", ["chunk=1", "split=utf8", "split=eol;eol=crlf", "burst=0",
                                    "hchunk=7", "chunk_ext", "trailer", "gap=1ms", "burst=3",
                                    "framing=close", "framing=length", "ttft=1ms;body_delay=1ms"])
def test_same_bytes_however_cut(mock, script):
    plain = b"".join(mock.events("mock-chat;tokens=20")).replace(b"mock-chat", b"")
    body = mock.ask(f"mock-chat;tokens=20;{script}", stream=True)[2].replace(b"\r\n", b"\n")
    events = [e.removeprefix(b"data: ") for e in body.removesuffix(b"\n\n").split(b"\n\n")]
    assert b"".join(events).replace(b"mock-chat", b"") == plain
    assert mock.closed_bill(2)[-1]["fully_sent"]


def test_event_dress(mock):
    body = mock.ask("mock-chat;tokens=2;eol=cr;comments=1;bom;done=0", stream=True)[2]
    assert body.startswith(b"\xef\xbb\xbf: keep-alive\r\rdata: ")
    assert b"\n" not in body and b"[DONE]" not in body and body.count(b": keep-alive") == 3


def test_gzip(mock):
    _, headers, body = mock.ask("mock-chat;gzip;size=100000")
    assert headers["content-encoding"] == "gzip" and json.loads(gzip.decompress(body))


def test_error_event(mock):
    events = mock.events("mock-chat;error_after=2;error=boom")
    assert len(events) == 3 and json.loads(events[-1])["error"]["code"] == "boom"


# ---- faults ----

@pytest.mark.parametrize("place, stream", [
    *((place, True) for place in ("start", "head", "body", "half", "e2", "done", "end", "100")),
    *((place, False) for place in ("start", "head", "body", "half", "end", "100"))])
def test_cut(mock, place, stream):
    whole = mock.raw("mock-chat;keepalive=0", stream=stream)
    part = mock.raw(f"mock-chat;keepalive=0;cut={place}", stream=stream)
    assert len(part) < len(whole)
    if place in ("start", "100"):
        assert len(part) == (0 if place == "start" else 100)
    if place == "body":
        assert part.endswith(b"\r\n\r\n")
    if stream and place == "e2":
        assert part.count(b"data: ") == 2 and part.endswith(b"\n\n\r\n")
    if stream and place == "done":
        assert b"finish_reason\":\"stop" in part and b"[DONE]" not in part
    if stream and place == "end":
        assert part.endswith(b"data: [DONE]\n\n\r\n")
    record = mock.closed_bill(2)[-1]
    assert record["outcome"] == "cut" and not record["fully_sent"] and record["billed"]
    assert record["bytes_sent"] == len(part)
    if stream:
        assert record["completion_tokens"] == min(part.count(b"\n\n\r\n"), 8)
    else:
        assert record["completion_tokens"] == 8


def test_reset(mock):
    with pytest.raises(ConnectionResetError):
        mock.raw("mock-chat;reset=e2", stream=True)
    assert mock.closed_bill(1)[-1]["outcome"] == "reset"


def test_garbage(mock):
    assert b"GARBAGE" in mock.raw("mock-chat;garbage=body")


def test_hang_and_client_gone(mock):
    for script, outcome in (("hang=e1", "hung"), ("hold=e1", "client_gone")):
        with mock.connect() as sock:
            mock.send(sock, f"mock-chat;{script}", stream=True)
            data = b""
            while data.count(b"\n\n\r\n") < 1:
                data += sock.recv(65536)
            assert mock.bill()[-1]["outcome"] == "open"
        record = mock.closed_bill(1)[-1]
        assert record["outcome"] == outcome and record["completion_tokens"] == 1


def test_hold_and_release(mock):
    with mock.connect() as sock:
        mock.send(sock, "mock-chat;hold=head;keepalive=0")
        first = sock.recv(65536)
        assert b"\r\n\r\n" not in first
        mock.control("POST", "/mock/release")
        assert json.loads((first + read_all(sock)).split(b"\r\n\r\n", 1)[1])
    assert mock.closed_bill(1)[-1]["outcome"] == "complete"


@pytest.mark.parametrize("script, sign", [
    ("length=twice", b"Content-Length: "), ("length=with-te", b"Transfer-Encoding: chunked"),
    ("length=negative", b"Content-Length: -"), ("length=huge", b"99999999999999999999"),
    ("length=word", b"Content-Length: many"), ("length=plus", b"Content-Length: +"),
    ("inject=cr", b"a\rb"), ("inject=lf", b"a\nx-injected"), ("inject=nul", b"a\0b"),
    ("inject=fold", b"\r\n folded"), ("inject=space", b"x-bad : a"), ("inject=nocolon", b"x-bad\r"),
    ("inject=name", b"x\xc3\xa9(bad)"), ("inject=status", b"HTTP/1.1  200"),
    ("inject=cookie", b"set-cookie: "), ("interim=3", b"103 Early Hints"),
    ("headers=200", b"x-filler-199"), ("header_size=70000", b"x" * 70000), ("http10", b"HTTP/1.0 "),
    ("extra=5", b"}EEEEE"), ("body=html", b"<html>"), ("body=nul", b"\0"), ("body=utf8", b"\xff"),
    ("body=deep", b"[" * 100000), ("body=duplicate", b'"model":"other"'),
    ("body=suffix", b'}{"more":1}'), ("ctype=text/html", b"Content-Type: text/html"),
    ("reply_model=other", b'"model":"other"'),
    ("status=302;location=http://127.0.0.1:1/", b"Location: http://127.0.0.1:1/"),
])
def test_what_is_wrong_is_on_the_wire(mock, script, sign):
    answer = mock.raw(f"mock-chat;keepalive=0;{script}")
    assert sign in answer
    if script == "length=twice":
        assert answer.count(sign) == 2
    if script == "length=with-te":
        assert b"Content-Length: " in answer
    if script == "interim=3":
        assert answer.count(sign) == 3


@pytest.mark.parametrize("script, expected", [("length=short", "shorter"), ("length=long", "cut"),
                                              ("body=truncated", "json"), ("body=empty", "json")])
def test_wrong_bodies(mock, script, expected):
    head, body = mock.raw(f"mock-chat;keepalive=0;{script}").split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    if expected == "json":
        assert length == len(body)
        with pytest.raises(ValueError):
            json.loads(body)
    else:
        assert (length < len(body)) == (expected == "shorter") and length != len(body)


@pytest.mark.parametrize("fault", ["close", "next", "reset", "stray"])
def test_idle_faults(mock, fault):
    with mock.connect() as sock:
        mock.send(sock, f"mock-chat;idle={fault}")
        if fault == "stray":
            data = b""
            while not data.endswith(b"STRAY"):
                data += sock.recv(1000)
            assert data.count(b"HTTP/1.1 200 OK") == 2
            return
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        assert "connection" not in dict(answer.getheaders()) and json.loads(answer.read())
        if fault == "close":
            assert sock.recv(1000) == b""
        else:
            mock.send(sock)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1000) == b"" and fault == "next"
            assert mock.bill()[-1]["outcome"] == "dropped"


# ---- bill, TLS, options ----

def test_bill_counts_and_resets(mock):
    for _ in range(3):
        mock.ask(headers=["x-request-id: abc"])
    records = mock.bill()
    assert [r["outcome"] for r in records] == ["complete"] * 3
    assert {r["request_id"] for r in records} == {"abc"} and records[0]["credential"] == KEY
    assert len({r["id"] for r in records}) == 3
    mock.control("POST", "/mock/reset")
    assert mock.bill() == [] and mock.control("GET", "/mock/requests")[1] == {"requests": []}


def test_request_id_is_that_of_the_bill(mock):
    headers = [mock.ask()[1]["x-request-id"] for _ in range(2)]
    assert headers == [r["id"] for r in mock.bill()]


def test_tls(mock, certs):
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    for port, why in (("tls", None), ("tls_expired", "expired"), ("tls_wrong_host", "mismatch"),
                      ("tls_untrusted", "self-signed")):
        with socket.create_connection(("127.0.0.1", mock.ports[port]), timeout=20) as plain:
            if why is None:
                with context.wrap_socket(plain, server_hostname="localhost") as sock:
                    mock.send(sock, "mock-chat;size=100000;keepalive=0;chunk=777")
                    body = read_all(sock).split(b"\r\n\r\n", 1)[1]
                    assert len(content(body)) > 90000
                continue
            with pytest.raises(ssl.SSLCertVerificationError, match=why):
                context.wrap_socket(plain, server_hostname="localhost")


def test_options():
    def refused(*options):
        return subprocess.run([BUILD / "mockllm", *options], capture_output=True, check=False,
                              timeout=20).returncode == 2
    assert refused("--port", "x") and refused("--script", "nothing=1") and refused("--tls-cert", "x")
    assert refused("stray") and refused("--tls-faults")
