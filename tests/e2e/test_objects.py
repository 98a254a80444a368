"""Objects that a provider keeps: whose they are, and that whoever made one reaches it again.

The mock keeps what each API key has made apart from the others', so a request that goes to the wrong
credential is a 404 of the provider's.
"""

import json
import os
import signal

import pytest

from gateway import MODEL
from waiting import wait_until

RESPONSES = "/v1/responses"


def two_credentials(gateway_folder=None):
    return {"credential:mock": None,
            "credential:one": {"provider": "mock", "secret": "env:SECRET_ONE"},
            "credential:two": {"provider": "mock", "secret": "env:SECRET_TWO"},
            "team:red": {}, "team:blue": {}}


SECRETS = {"SECRET_ONE": "sk-one", "SECRET_TWO": "sk-two"}


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(two_credentials(), environment=SECRETS)


@pytest.fixture
def keys(gateway):
    """Two of one team, one of another, two of none."""
    teams = {"red": "red", "red2": "red", "blue": "blue", "solo": None, "other": None}
    return {name: gateway.create_key(name, *(["--team", team] if team else []))[1] for name, team in teams.items()}


def ask(gateway, key, text="hello", **members):
    headers = members.pop("headers", ())
    return gateway.call("POST", RESPONSES, {"model": MODEL, "input": text, **members}, key=key, headers=headers)


def made(answer):
    assert answer.status == 200, answer
    return answer.json()["id"]


def error(answer, status):
    assert answer.status == status, (answer.status, answer.body)
    return answer.json()["error"]


def credential_of(mock):
    return mock.bill()[-1]["credential"]


# ---- stored responses ----

def test_a_conversation_stays_where_it_is_kept(gateway, keys, mock):
    for _ in range(6):
        first = made(ask(gateway, keys["solo"]))
        where = credential_of(mock)
        second = ask(gateway, keys["solo"], previous_response_id=first)
        assert second.json()["previous_response_id"] == first
        assert credential_of(mock) == where
    assert {entry["credential"] for entry in mock.bill()} == {"sk-one", "sk-two"}


def test_a_streamed_response_is_kept_too(gateway, keys, mock):
    for _ in range(4):
        body = json.dumps({"model": MODEL, "input": "x", "stream": True}).encode()
        with gateway.connect() as connection:
            connection.request("POST", RESPONSES, [("Authorization", f"Bearer {keys['solo']}"),
                                                   ("Content-Type", "application/json")], body)
            head = connection.read_stream_head()
            created = next(connection.events(head))
            where = json.loads(created.split(b"data: ", 1)[1])["response"]["id"]
            # The id is on record before the client sees it, while the stream still runs.
            assert ask(gateway, keys["solo"], previous_response_id=where).status == 200
            for _ in connection.events(head):
                pass


def test_another_owners_response_is_unknown(gateway, keys, mock):
    first = made(ask(gateway, keys["red"]))
    before = len(mock.bill())
    for key in ("blue", "solo"):
        said = error(ask(gateway, keys[key], previous_response_id=first), 404)
        assert (said["code"], said["param"], said["type"]) == \
            ("previous_response_not_found", "previous_response_id", "invalid_request_error")
    unknown = error(ask(gateway, keys["red"], previous_response_id="resp_none"), 404)
    assert unknown["code"] == "previous_response_not_found"
    assert len(mock.bill()) == before, "a provider was asked"


def test_a_team_shares_what_its_keys_make(gateway, keys):
    first = made(ask(gateway, keys["red"]))
    assert ask(gateway, keys["red2"], previous_response_id=first).status == 200


def test_what_is_not_stored_is_not_known(gateway, keys, mock):
    first = made(ask(gateway, keys["solo"], store=False))
    assert error(ask(gateway, keys["solo"], previous_response_id=first), 404)["code"] == "previous_response_not_found"


@pytest.mark.parametrize("value, status", [(7, 400), ("", 400), ("a\\u0062", 400), ("x" * 257, 400), (None, 200)])
def test_odd_ids(gateway, keys, value, status):
    body = b'{"model":"%s","input":"x","previous_response_id":%s}' % (
        MODEL.encode(), json.dumps(value).replace("\\\\", "\\").encode())
    answer = gateway.call("POST", RESPONSES, body, key=keys["solo"])
    assert answer.status == status, answer.body
    if status == 400:
        assert answer.json()["error"]["param"] == "previous_response_id"


def test_a_credential_that_is_gone_is_said(gateway, keys):
    ids = {}
    while len(ids) < 2:
        answer = ask(gateway, keys["solo"])
        ids[gateway.mock.bill()[-1]["credential"]] = made(answer)
    gateway.write_ini({"credential:one": None})
    gateway.reload()
    said = error(ask(gateway, keys["solo"], previous_response_id=ids["sk-one"]), 404)
    assert said["code"] == "credential_gone" and "configured" in said["message"]
    assert ask(gateway, keys["solo"], previous_response_id=ids["sk-two"]).status == 200


def test_a_provider_that_keeps_nothing_refuses_by_name(make_gateway, mock):
    gateway = make_gateway({"provider:mock": {"kind": "anthropic"}})
    answer = gateway.call("POST", RESPONSES, {"model": MODEL, "input": "x", "previous_response_id": "resp_1"})
    said = error(answer, 400)
    assert "previous_response_id" in said["message"]
    assert mock.bill() == []


def test_a_response_kept_elsewhere_is_refused_by_name(make_gateway, mock, make_mock):
    second = make_mock()
    gateway = make_gateway({"provider:second": {"kind": "openai", "base_url": second.base_url},
                            "credential:second": {"provider": "second", "secret": "env:SECRET_TWO"},
                            "model:elsewhere": {"targets": "second/mock-chat"}}, environment=SECRETS)
    first = made(gateway.call("POST", RESPONSES, {"model": MODEL, "input": "x"}))
    answer = gateway.call("POST", RESPONSES, {"model": "elsewhere", "input": "x", "previous_response_id": first})
    assert error(answer, 400)["code"] == "object_elsewhere"
    assert second.bill() == []


def test_files_that_a_message_names_must_be_the_owners(gateway, keys, mock):
    content = [{"role": "user", "content": [{"type": "input_file", "file_id": "file-abc"}]}]
    said = error(gateway.call("POST", RESPONSES, {"model": MODEL, "input": content}, key=keys["solo"]), 404)
    assert said["param"] == "file_id"
    chat = {"model": MODEL, "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-a"}}]}]}
    assert error(gateway.call("POST", "/v1/chat/completions", chat, key=keys["solo"]), 404)["param"] == "file_id"
    assert mock.bill() == []


# ---- what survives ----

def restart(gateway):
    gateway.stop()
    gateway.start()


def kill_keeper(gateway):
    [pid] = gateway.pids("keeper")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: (now := gateway.pids("keeper")) and now != [pid], "another keeper")


def kill_workers(gateway):
    for pid in gateway.pids("worker"):
        os.kill(pid, signal.SIGKILL)
    gateway.wait_workers(2)


@pytest.mark.no_reconcile("processes are killed")
@pytest.mark.parametrize("how", [restart, kill_keeper, kill_workers])
def test_what_a_client_has_seen_is_never_lost(gateway, keys, mock, how):
    """Killed right behind the answer, most often before the record is committed."""
    ids = []
    for _ in range(5):
        ids.append((made(ask(gateway, keys["solo"])), credential_of(mock)))
        how(gateway)
    for first, where in ids:
        assert ask(gateway, keys["solo"], previous_response_id=first).status == 200
        assert credential_of(mock) == where


@pytest.mark.no_reconcile("processes are killed")
def test_records_outlive_the_whole_daemon(gateway, keys, mock):
    first = made(ask(gateway, keys["solo"]))
    [keeper] = gateway.pids("keeper")
    os.kill(keeper, signal.SIGSTOP)  # what comes now stays in shared memory
    second = made(ask(gateway, keys["solo"]))
    gateway.kill_all()
    gateway.start()
    for known in (first, second):
        assert ask(gateway, keys["solo"], previous_response_id=known).status == 200


def test_a_rotated_key_keeps_its_objects_and_a_revoked_one_is_refused(gateway, mock):
    identity, key = gateway.create_key("rotating")
    first = made(ask(gateway, key))
    key = gateway.gwctl_json("keys", "rotate", identity)["key"]
    assert ask(gateway, key, previous_response_id=first).status == 200
    gateway.gwctl("keys", "disable", identity)
    assert ask(gateway, key, previous_response_id=first).status == 401
