"""What a client may send: bodies and their errors, limits, deadlines."""

import json
import time

import pytest

from client import chunked, request_bytes
from gateway import KEY, MODEL, chat_body
from waiting import wait_until

PATH = "/v1/chat/completions"
AUTH = [("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json")]
MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'


def body(members):
    return b'{"model":"' + MODEL.encode() + b'",' + MESSAGES + members + b"}"


@pytest.mark.parametrize("data", [
    b"", b"{", b"[]", b"null", b'"text"', b"{}x", b"{'a':1}", b'{"model":1,"messages":[]}',
    body(b',"a":01'), body(b',"a":1.'), body(b',"a":+1'), body(b',"a":nul'), body(b',"a":"\x01"'),
    body(b',"a":"\\x"'), body(b',"a":"\xff"'), body(b',"a":"\xc0\xaf"'), body(b',"a":"\xed\xa0\x80"'),
    body(b",}"), b"\xef\xbb\xbf" + body(b""), b"\x00" + body(b""),
    body(b',"model":"other"'), body(b',"stream":true,"stream":false'), body(b',"max_tokens":1,"max_tokens":2'),
    body(b',"stream":"yes"'), body(b',"max_tokens":-1'), body(b',"max_tokens":1.5'),
    body(b',"max_tokens":9223372036854775808'), body(b',"n":0'), body(b',"a":' + b"[" * 100000),
    b'{"model":"' + MODEL.encode() + b'\\u0000",' + MESSAGES + b"}",
], ids=lambda data: repr(bytes(data[:60])) if isinstance(data, bytes) else None)
def test_400_and_404_bodies_never_reach_the_provider(gateway, mock, data):
    answer = gateway.call("POST", PATH, data, [] if data else [("Content-Length", "0")])
    assert answer.status in (400, 404), answer
    assert answer.error["type"] == "invalid_request_error"
    assert mock.bill() == []
    assert gateway.chat().status == 200


def test_400_says_where(gateway):
    answer = gateway.call("POST", PATH, body(b',"a":tru'))
    assert answer.status == 400
    assert any(character.isdigit() for character in answer.error["message"]), answer.error


def test_413_by_content_length_before_the_body_is_read(make_gateway, mock):
    gateway = make_gateway({"http": {"max_body": "1MiB"}})
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, ("Content-Length", "999999999999")])
        answer = connection.read_response()
        assert answer.status == 413, answer
        assert answer.error
        connection.wait_closed()
    assert mock.bill() == []


def test_413_of_an_endless_chunked_body(make_gateway, mock):
    gateway = make_gateway({"http": {"max_body": "1MiB"}})
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, ("Transfer-Encoding", "chunked")])
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        try:
            for _ in range(64):
                connection.send(piece)
        except OSError:
            pass
        answer = connection.read_response()
        assert answer.status == 413, answer
    assert mock.bill() == []


def test_the_largest_body_that_fits(make_gateway, mock):
    gateway = make_gateway({"http": {"max_body": "64KiB"}})
    data = body(b',"a":"' + b"x" * (65536 - len(body(b',"a":""'))) + b'"')
    assert len(data) == 65536
    assert gateway.call("POST", PATH, data).status == 200
    assert gateway.call("POST", PATH, data + b" ").status == 413
    assert len(mock.bill()) == 1


def test_414(gateway):
    with gateway.connect() as connection:
        connection.request("POST", PATH + "?" + "x" * 10000, AUTH, chat_body())
        assert connection.read_response().status == 414
        connection.wait_closed()


@pytest.mark.parametrize("headers", [[("x-big", "x" * 40000)], [(f"x-{i}", "1") for i in range(200)]],
                         ids=["long", "many"])
def test_431(gateway, headers):
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, *headers], chat_body())
        assert connection.read_response().status == 431
        connection.wait_closed()


def test_head_without_an_end_takes_no_more_than_its_limit(gateway):
    with gateway.connect() as connection:
        connection.send(b"POST / HTTP/1.1\r\nx: ")
        try:
            for _ in range(200):
                connection.send(b"a" * 4096)
        except OSError:
            pass
        assert connection.read_response().status == 431


def test_408_slow_head(make_gateway):
    gateway = make_gateway({"http": {"header_timeout": "300ms"}})
    with gateway.connect() as connection:
        started = time.monotonic()
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n")
        connection.send_slowly(b"x-slow: " + b"a" * 1000, pause=0.05, stop=started + 10)
        assert connection.read_response().status == 408
        assert time.monotonic() - started < 5
        connection.wait_closed()


def test_408_slow_body(make_gateway, mock):
    gateway = make_gateway({"http": {"body_timeout": "300ms"}})
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, ("Content-Length", "100")], b"{")
        assert connection.read_response().status == 408
        connection.wait_closed()
    assert mock.bill() == []


def test_idle_connection_is_closed_without_a_word(make_gateway):
    gateway = make_gateway({"http": {"keepalive_timeout": "200ms"}})
    with gateway.connect() as connection:
        assert gateway.chat(connection=connection).status == 200
        connection.wait_closed()


def test_a_connection_that_never_says_anything_is_closed(make_gateway):
    gateway = make_gateway({"http": {"header_timeout": "200ms", "keepalive_timeout": "200ms"}})
    with gateway.connect() as connection:
        data = connection.read_to_end()
        assert data == b"" or data.startswith(b"HTTP/1.1 408 "), data


@pytest.mark.parametrize("content_type, status", [
    ("application/json", 200), ("application/json; charset=utf-8", 200), ("APPLICATION/JSON", 200),
    ("text/plain", 415), ("multipart/form-data; boundary=x", 415), ("application/x-www-form-urlencoded", 415)])
def test_content_type(gateway, content_type, status):
    answer = gateway.call("POST", PATH, chat_body(), {"Content-Type": content_type})
    assert answer.status == status, answer


def test_compressed_request_bodies_are_refused(gateway, mock):
    answer = gateway.call("POST", PATH, chat_body(), {"Content-Encoding": "gzip"})
    assert answer.status == 415, answer
    assert mock.bill() == []


def test_chunked_request_body_in_small_pieces(gateway, mock):
    data = chat_body()
    with gateway.connect() as connection:
        connection.request("POST", PATH, [*AUTH, ("Transfer-Encoding", "chunked")],
                           chunked(*(data[at:at + 5] for at in range(0, len(data), 5))))
        assert connection.read_response().status == 200
    assert json.loads(mock.last_request().body)["messages"] == json.loads(data)["messages"]
    assert mock.last_request().header("content-length"), "what is sent to a provider has a length"


def test_request_byte_by_byte(gateway):
    with gateway.connect() as connection:
        for byte in request_bytes("POST", PATH, AUTH, chat_body()):
            connection.send(bytes([byte]))
        assert connection.read_response().status == 200


def test_streams_of_slow_readers_stay_within_max_buffered(make_gateway, mock):
    """Each alone may lag behind by far less than what they may together."""
    gateway = make_gateway({"http": {"max_buffered": "2MiB"}}, workers=1)
    held, readings = [], []
    try:
        for _ in range(24):
            held.append(gateway.connect(rcvbuf=4096))
            held[-1].send(gateway.chat_bytes("hold=e1,tokens=20000,token_size=1000,burst=20", stream=True))
            held[-1].read_until(b"data:")
        mock.release()

        def buffered():
            return max(row["buffered_bytes"] for row in gateway.processes() if row["role"] == "worker")
        wait_until(lambda: buffered() > 2**21, "the buffers to be full")
        assert gateway.chat().error["code"] == "overloaded"
        wait_until(lambda: readings.append(buffered()) or len(set(readings[-50:])) == 1 and len(readings) > 50,
                   "the providers to be paused")
        assert buffered() < 2**21 + 24 * 3 * 65536, "one more read each, in buffers of twice its size at most"
    finally:
        for connection in held:
            connection.close()
    wait_until(lambda: gateway.chat().status == 200, "room again")


def test_max_headers(make_gateway):
    gateway = make_gateway({"http": {"max_headers": "8"}})
    assert gateway.get("/v1/models", KEY, headers=[("x-some", "1")] * 6).status == 200
    assert gateway.get("/v1/models", KEY, headers=[("x-some", "1")] * 7).status == 431


def test_a_connection_beyond_the_limit_is_told_so(make_gateway):
    gateway = make_gateway({"http": {"max_connections": "2"}}, workers=1)
    with gateway.connect() as first, gateway.connect() as second:
        assert [held.round_trip("GET", "/healthz").status for held in (first, second)] == [200, 200]
        with gateway.connect() as extra:
            answer = extra.read_response()
            assert answer.status == 503 and answer.error["code"] == "overloaded", answer
            assert answer.header("x-request-id") and answer.header("x-should-retry") == "true", answer
            assert answer.header("retry-after") == "1" and extra.wait_closed()


def test_max_connections(make_gateway):
    gateway = make_gateway({"http": {"max_connections": "4"}}, workers=1)
    held = [gateway.connect() for _ in range(4)]
    try:
        for connection in held:
            assert connection.round_trip("GET", "/healthz").status == 200
        with gateway.connect() as extra:
            try:
                extra.request("GET", "/healthz")
                data = extra.read_to_end()
            except OSError:
                data = b""
            assert data == b"" or data.startswith(b"HTTP/1.1 503 "), data
    finally:
        for connection in held:
            connection.close()
