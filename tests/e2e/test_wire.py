"""HTTP/1.1 on the client's side: keep-alive, pipelining, Expect, and all that smuggles."""

import pytest

from client import chunked, request_bytes
from gateway import KEY, chat_body

PATH = "/v1/chat/completions"
AUTH = [("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json")]
HOST = b"Host: gateway.test\r\n"
AUTH_LINES = b"".join(f"{name}: {value}\r\n".encode() for name, value in AUTH)
BODY = chat_body()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
HIDDEN = request_bytes("POST", PATH, AUTH, chat_body(messages=[{"role": "user", "content": "smuggled"}]))


def post(*lines, body=BODY, start=b"POST /v1/chat/completions HTTP/1.1\r\n", host=HOST):
    return start + host + AUTH_LINES + b"".join(lines) + b"\r\n" + body


def test_keep_alive(gateway, mock):
    with gateway.connect() as connection:
        for _ in range(5):
            assert gateway.chat(connection=connection).status == 200
    assert len({entry["connection"] for entry in mock.bill()}) == 1, "the provider's connection is reused as well"


def test_connection_close(gateway):
    with gateway.connect() as connection:
        answer = connection.round_trip("POST", PATH, [*AUTH, ("Connection", "close")], BODY)
        assert answer.status == 200
        assert answer.header("connection").lower() == "close"
        connection.wait_closed()


def test_http_1_0_is_answered_and_closed(gateway):
    with gateway.connect() as connection:
        connection.send(post(LENGTH, start=b"POST /v1/chat/completions HTTP/1.0\r\n"))
        answer = connection.read_response()
        assert answer.status == 200
        assert answer.framing in ("length", "close")
        connection.wait_closed()


def test_http_1_0_stream_has_no_chunks(gateway):
    data = chat_body(stream=True)
    with gateway.connect() as connection:
        connection.send(post(b"Content-Length: %d\r\n" % len(data), body=data,
                             start=b"POST /v1/chat/completions HTTP/1.0\r\n"))
        answer = connection.read_response()
    assert answer.framing == "close"
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_pipelined_requests_are_answered_in_order(gateway, mock):
    models = ["gpt-test", "unknown-1", "gpt-test", "unknown-2"]
    with gateway.connect() as connection:
        connection.send(b"".join(gateway.chat_bytes("ttft=30ms" if model == "gpt-test" else "", model=model)
                                 for model in models))
        answers = [connection.read_response() for _ in models]
    assert [answer.status for answer in answers] == [200, 404, 200, 404]
    assert "unknown-1" in answers[1].error["message"] and "unknown-2" in answers[3].error["message"]


def test_nothing_is_read_after_a_framing_error(gateway, mock):
    with gateway.connect() as connection:
        connection.send(post(b"Content-Length: 5\r\nContent-Length: 6\r\n", body=b"") + HIDDEN)
        assert connection.read_response().status == 400
        connection.wait_closed()
    assert mock.bill() == []


def test_half_close_after_the_request_is_legal(gateway):
    with gateway.connect() as connection:
        connection.send(gateway.chat_bytes("ttft=100ms")).half_close()
        assert connection.read_response().status == 200


def test_a_half_close_inside_a_huge_event_adds_nothing_to_it(make_gateway, mock):
    gateway = make_gateway(workers=1)
    with gateway.stream("size=6m,tokens=1,hold=5000000") as (connection, head):
        received = b""
        while len(received) < 4500000:
            received += connection.read_chunk()
        connection.half_close()
        assert gateway.get("/healthz").status == 200, "the one worker has seen the end by now"
        mock.release()
        while data := connection.read_chunk():
            received += data
    assert len(max(received.split(b"\n\n"), key=len)) > 6000000, "it was split"


def test_expect_continue(gateway):
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, ("Content-Length", str(len(BODY))), ("Expect", "100-continue")])
        assert connection.read_response(interim=True).status == 100
        connection.send(BODY)
        assert connection.read_response().status == 200


def test_expect_continue_only_after_auth(gateway):
    with gateway.connect() as connection:
        connection.request("POST", PATH, [("Authorization", "Bearer wrong"), ("Content-Length", str(len(BODY))),
                                          ("Expect", "100-continue")])
        assert connection.read_response(interim=True).status == 401
        connection.wait_closed()


def test_other_expectations(gateway):
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, ("Expect", "200-ok")], BODY)
        assert connection.read_response().status == 417


SMUGGLED = {
    "space before colon, TE": post(LENGTH, b"Transfer-Encoding : chunked\r\n"),
    "space before colon, CL": post(b"Content-Length : %d\r\n" % len(BODY)),
    "CL and TE": post(LENGTH, b"Transfer-Encoding: chunked\r\n", body=b"0\r\n\r\n" + HIDDEN),
    "TE and CL": post(b"Transfer-Encoding: chunked\r\n", LENGTH, body=b"0\r\n\r\n" + HIDDEN),
    "two CL": post(LENGTH, LENGTH),
    "CL list": post(b"Content-Length: 5, 5\r\n"),
    "CL sign": post(b"Content-Length: +%d\r\n" % len(BODY)),
    "CL hex": post(b"Content-Length: 0x10\r\n"),
    "CL empty": post(b"Content-Length: \r\n"),
    "CL huge": post(b"Content-Length: 18446744073709551600\r\n"),
    "CL negative": post(b"Content-Length: -1\r\n"),
    "two TE": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body=chunked(BODY)),
    "TE gzip, chunked": post(b"Transfer-Encoding: gzip, chunked\r\n", body=chunked(BODY)),
    "TE identity": post(b"Transfer-Encoding: identity\r\n"),
    "TE quoted": post(b'Transfer-Encoding: "chunked"\r\n', body=chunked(BODY)),
    "TE xchunked": post(b"Transfer-Encoding: xchunked\r\n", body=chunked(BODY)),
    "TE vertical tab": post(b"Transfer-Encoding: \x0bchunked\r\n", body=chunked(BODY)),
    "TE folded": post(b"Transfer-Encoding:\r\n chunked\r\n", body=chunked(BODY)),
    "TE on HTTP/1.0": post(b"Transfer-Encoding: chunked\r\n", body=chunked(BODY),
                           start=b"POST /v1/chat/completions HTTP/1.0\r\n"),
    "bare LF": post(LENGTH).replace(b"\r\n", b"\n"),
    "bare LF in one line": post(b"X-A: b\n", LENGTH),
    "bare CR": post(b"X-A: b\rc\r\n", LENGTH),
    "NUL in a value": post(b"X-A: b\x00c\r\n", LENGTH),
    "NUL in a name": post(b"X\x00A: b\r\n", LENGTH),
    "space in a name": post(b"X A: b\r\n", LENGTH),
    "no colon": post(b"X-A\r\n", LENGTH),
    "obs-fold": post(b"X-A: b\r\n c\r\n", LENGTH),
    "first line folded": post(LENGTH, host=b" " + HOST),
    "no host": post(LENGTH, host=b""),
    "two hosts": post(LENGTH, host=HOST + HOST),
    "host with userinfo": post(LENGTH, host=b"Host: a@b\r\n"),
    "host with a path": post(LENGTH, host=b"Host: a/b\r\n"),
    "host list": post(LENGTH, host=b"Host: a, b\r\n"),
    "two spaces": post(LENGTH, start=b"POST  /v1/chat/completions HTTP/1.1\r\n"),
    "tab in target": post(LENGTH, start=b"POST /v1/chat\t/completions HTTP/1.1\r\n"),
    "high byte in target": post(LENGTH, start=b"POST /v1/chat\xff HTTP/1.1\r\n"),
    "fragment": post(LENGTH, start=b"POST /v1/chat/completions#a HTTP/1.1\r\n"),
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/1.2": post(LENGTH, start=b"POST /v1/chat/completions HTTP/1.2\r\n"),
    "HTTP/2.0": post(LENGTH, start=b"POST /v1/chat/completions HTTP/2.0\r\n"),
    "HTPP": post(LENGTH, start=b"POST /v1/chat/completions HTPP/1.1\r\n"),
    "lower case method": post(LENGTH, start=b"post /v1/chat/completions HTTP/1.1\r\n"),
    "CONNECT": b"CONNECT a.test:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n",
    "upgrade": post(LENGTH, b"Connection: upgrade\r\nUpgrade: websocket\r\n"),
    "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
    "garbage": b"\x00\xff\xfe\r\n\r\n",
    "chunk size with text": post(b"Transfer-Encoding: chunked\r\n", body=b"5 zzzz\r\nhello\r\n0\r\n\r\n"),
    "chunk extension": post(b"Transfer-Encoding: chunked\r\n", body=b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "chunk extension, bare LF": post(b"Transfer-Encoding: chunked\r\n", body=b"5;a\nhello\r\n0\r\n\r\n"),
    "chunk size, bare CR": post(b"Transfer-Encoding: chunked\r\n", body=b"5\rXhello\r\n0\r\n\r\n"),
    "chunk without CRLF": post(b"Transfer-Encoding: chunked\r\n", body=b"5\r\nhelloXX0\r\n\r\n"),
    "last chunk, bare CR": post(b"Transfer-Encoding: chunked\r\n", body=b"0\r\n\rX"),
    "chunk size 0x": post(b"Transfer-Encoding: chunked\r\n", body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size negative": post(b"Transfer-Encoding: chunked\r\n", body=b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size overflow": post(b"Transfer-Encoding: chunked\r\n", body=b"fffffffffffffffff\r\nhello"),
    "chunk size empty": post(b"Transfer-Encoding: chunked\r\n", body=b"\r\nhello\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_smuggling(gateway, mock, name):
    """Refused with a 4xx or 5xx of our own, the connection ends, and nothing behind it is read."""
    with gateway.connect() as connection:
        connection.send(SMUGGLED[name] + HIDDEN)
        answer = connection.read_response()
        assert 400 <= answer.status < 600 and answer.status not in (401, 403, 502), answer
        rest = connection.read_to_end()
    assert rest == b"", rest[:300]
    assert mock.bill() == []


@pytest.mark.parametrize("path", [
    "//v1/chat/completions", "/v1//chat/completions", "/v1/../admin/v1/status", "/v1/%2e%2e/admin",
    "/v1%2fchat%2fcompletions", "/v1/chat/completions;x", "/V1/chat/completions", "/v1/chat/completions/",
    "/admin/v1/status", "/metrics", "/v1/chat/completions%00", "/./v1/chat/completions", "*",
    "http://other.test/v1/chat/completions"])
def test_paths_match_exactly_or_not_at_all(gateway, mock, path):
    with gateway.connect() as connection:
        connection.request("POST", path, AUTH, BODY)
        assert connection.read_response().status in (400, 404)
    assert mock.bill() == []


def test_trailers_are_discarded(gateway, mock):
    data = b"%x\r\n%s\r\n0\r\nAuthorization: Bearer evil\r\nX-Trailer: 1\r\n\r\n" % (len(BODY), BODY)
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, ("Transfer-Encoding", "chunked")], data)
        assert connection.read_response().status == 200
        assert gateway.chat(connection=connection).status == 200
    assert all("x-trailer" not in request.names() for request in mock.requests())


def test_one_byte_chunks_without_end_are_refused(gateway, mock):
    """Five bytes of framing for one of data: fine for a small body, not for a long one."""
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, ("Transfer-Encoding", "chunked")])
        try:
            for _ in range(200):
                connection.send(b"1\r\nx\r\n" * 5000)
        except OSError:
            pass
        assert 400 <= connection.read_response().status < 500
    assert mock.bill() == []
