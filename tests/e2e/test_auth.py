"""Who may: keys in every place where a client puts them, and what those without one are told."""

import hashlib

import pytest

from gateway import KEY, MODEL
from waiting import wait_until

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("name, value", [
    ("Authorization", f"Bearer {KEY}"), ("authorization", f"bearer {KEY}"), ("x-api-key", KEY),
    ("api-key", KEY), ("x-goog-api-key", KEY)])
def test_key_is_accepted_where_clients_put_it(gateway, mock, name, value):
    answer = gateway.call("POST", "/v1/chat/completions", CHAT, {name: value}, key=None)
    assert answer.status == 200, answer
    sent = mock.last_request()
    assert KEY not in sent.head, "the caller's key was sent to the provider"


@pytest.mark.parametrize("headers", [
    [], [("Authorization", "Bearer sk-gw-wrong")], [("Authorization", "Bearer ")], [("Authorization", KEY)],
    [("Authorization", f"Basic {KEY}")], [("x-api-key", "")], [("Authorization", "Bearer " + "x" * 20000)],
    [("Authorization", f"Bearer {KEY}x")], [("Authorization", f"Bearer {KEY[:-1]}")],
    [("Authorization", f"Bearer {KEY}"), ("x-api-key", "sk-another")],
], ids=["none", "wrong", "empty", "no scheme", "basic", "empty x-api-key", "20 KB", "longer", "shorter",
        "two different"])
def test_401(gateway, mock, headers):
    answer = gateway.call("POST", "/v1/chat/completions", CHAT, headers, key=None)
    assert answer.status == 401, answer
    assert answer.error["code"] in ("missing_api_key", "invalid_api_key", "conflicting_credentials")
    assert answer.header("x-request-id")
    assert KEY[:24] not in answer.body.decode(), "the answer repeats the key"
    assert mock.bill() == []


def test_same_key_twice_is_one_key(gateway):
    answer = gateway.call("POST", "/v1/chat/completions", CHAT, {"x-api-key": KEY})
    assert answer.status == 200


def test_two_authorization_fields_are_refused(gateway, mock):
    headers = [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")]
    assert gateway.call("POST", "/v1/chat/completions", CHAT, headers, key=None).status in (400, 401)
    assert mock.bill() == []


def test_non_ascii_key(gateway):
    answer = gateway.call("POST", "/v1/chat/completions", CHAT, {"Authorization": "Bearer sk-\xe9\xff"}, key=None)
    assert answer.status == 401


@pytest.mark.parametrize("path", ["/v1/models", "/v1/embeddings", "/v1/completions"])
def test_every_route_wants_a_key(gateway, path):
    method = "GET" if path == "/v1/models" else "POST"
    assert gateway.call(method, path, b"" if method == "GET" else b"{}", key=None).status == 401


def test_403_for_a_model_that_the_key_may_not_use(make_gateway, mock):
    gateway = make_gateway({"model:other": {"targets": "mock/mock-chat"},
                            "key:narrow": {"sha256": digest("sk-narrow"), "models": "other"}})
    answer = gateway.chat(key="sk-narrow")
    assert answer.status == 403, answer
    assert MODEL in answer.error["message"]
    assert gateway.chat(key="sk-narrow", model="other").status == 200
    assert len(mock.bill()) == 1


def test_a_team_narrows_its_keys(make_gateway):
    gateway = make_gateway({"model:other": {"targets": "mock/mock-chat"}, "team:t": {"models": "other"},
                            "key:member": {"sha256": digest("sk-member"), "team": "t"}})
    assert gateway.chat(key="sk-member").status == 403
    assert gateway.chat(key="sk-member", model="other").status == 200


def test_404_for_an_unknown_model(gateway, mock):
    answer = gateway.chat(model="no-such-model")
    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert "no-such-model" in answer.error["message"]
    assert mock.bill() == []


def test_404_for_an_unknown_path(gateway):
    answer = gateway.call("POST", "/v1/nothing", {})
    assert answer.status == 404
    assert answer.error


def test_405_says_what_is_allowed(gateway):
    answer = gateway.get("/v1/chat/completions", key=KEY)
    assert answer.status == 405
    assert "POST" in answer.header("allow")


def test_expired_and_disabled_keys(make_gateway):
    gateway = make_gateway({"key:old": {"sha256": digest("sk-old"), "expires": "2001-01-01"},
                            "key:off": {"sha256": digest("sk-off"), "enabled": "off"}})
    for key in ("sk-old", "sk-off"):
        answer = gateway.chat(key=key)
        assert answer.status == 401, answer


def test_open_gateway_needs_no_key(make_gateway):
    assert make_gateway({"gateway": {"auth": "open"}}).chat(key=None).status == 200


def test_the_log_names_the_key_and_never_holds_it(gateway):
    answer = gateway.chat()
    assert gateway.access_line(answer.header("x-request-id"))["key"]
    refused = gateway.chat(key="sk-gw-not-a-key-canary-91c3")
    wait_until(lambda: any(line["status"] == 401 for line in gateway.access_lines()), "the line of the 401")
    assert refused.status == 401
    assert "canary-91c3" not in gateway.log_text()


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()
