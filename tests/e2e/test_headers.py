"""Headers pass by allow-list, both ways."""

import pytest

from gateway import KEY

FORWARDED = ["openai-beta", "traceparent", "idempotency-key", "x-mock"]
WITHHELD = ["cookie", "x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "openai-organization",
            "openai-project", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "keep-alive", "te",
            "x-unknown", "referer", "origin", "x-stainless-lang", "accept-language", "x-gw-anything"]


@pytest.mark.parametrize("name", FORWARDED)
def test_forwarded(gateway, mock, name):
    value = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-mock": "tokens=3"}.get(name, "v1")
    assert gateway.chat(headers=[(name, value)]).status == 200
    assert mock.last_request().header(name) == value


@pytest.mark.parametrize("name", WITHHELD)
def test_withheld(gateway, mock, name):
    value = KEY if name.endswith("api-key") else "canary-71ac"
    answer = gateway.chat(headers=[(name, value)])
    if name == "te" and answer.status == 400:
        return
    assert answer.status == 200, answer
    assert "canary-71ac" not in mock.last_request().head
    assert KEY not in mock.last_request().head


def test_what_connection_names_is_withheld(gateway, mock):
    assert gateway.chat(headers=[("Connection", "x-mock, keep-alive"), ("x-mock", "tokens=3")]).status == 200
    assert "x-mock" not in mock.last_request().names()


def test_what_a_provider_sees(gateway, mock):
    assert gateway.chat().status == 200
    sent = mock.last_request()
    assert sent.version == "HTTP/1.1"
    assert sent.header("host") == f"127.0.0.1:{mock.port}"
    assert sent.header("content-type") == "application/json"
    assert int(sent.header("content-length")) == len(sent.body)
    assert sent.header("accept-encoding") in (None, "identity")
    allowed = {"host", "authorization", "content-type", "content-length", "accept", "accept-encoding", "user-agent",
               "connection", "x-request-id"}
    assert sent.names() <= allowed, sent.names() - allowed


def test_configured_headers(make_gateway, mock):
    gateway = make_gateway({"provider:mock": {"header.x-team": "platform", "host_header": "api.example.com"}})
    assert gateway.chat().status == 200
    assert mock.last_request().header("x-team") == "platform"
    assert mock.last_request().header("host") == "api.example.com"


def test_what_a_client_sees(gateway):
    answer = gateway.chat("headers=20,inject=cookie")
    assert answer.status == 200
    names = {name.lower() for name, _ in answer.headers}
    assert not names & {"set-cookie", "server", "openai-organization",
                        "x-ratelimit-remaining-requests", "cf-ray", "via"}, names
    assert len(answer.all("x-request-id")) == 1
    assert len(answer.all("content-type")) == 1


def test_header_injection_by_a_request_id_is_impossible(gateway):
    answer = gateway.chat(headers=[("x-request-id", "a" * 4000)])
    assert answer.status in (200, 400)
    assert len(answer.header("x-request-id")) < 256
