"""Objects that a provider keeps: whose they are, and that whoever made one reaches it again.

The mock keeps what each API key has made apart from the others', so a request that goes to the wrong
credential is a 404 of the provider's.
"""

import json
import os
import signal
import urllib.request

import pytest

from gateway import MODEL
from waiting import wait_until

RESPONSES = "/v1/responses"


def two_credentials():
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


def until_both(mock):
    """Goes round until each credential was drawn."""
    for n in range(60):
        if n > 2 and {entry["credential"] for entry in mock.bill()} == {"sk-one", "sk-two"}:
            return
        yield
    raise AssertionError("one credential is never drawn")


# ---- stored responses ----

def test_a_conversation_stays_where_it_is_kept(gateway, keys, mock):
    for _ in until_both(mock):
        first = made(ask(gateway, keys["solo"]))
        where = credential_of(mock)
        second = ask(gateway, keys["solo"], previous_response_id=first)
        assert second.json()["previous_response_id"] == first
        assert credential_of(mock) == where


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


def test_a_count_of_tokens_keeps_nothing(gateway, keys):
    body = {"model": MODEL, "input": "x"}
    assert gateway.call("POST", f"{RESPONSES}/input_tokens", body, key=keys["solo"]).status == 200
    assert "says no id" not in gateway.log_text()


ANOTHERS_CONTAINERS = [
    ({"input": "x", "tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools[0].container"),
    ({"input": "x", "tools": [{"type": "shell", "environment": {
        "type": "container_reference", "container_id": "cntr_1"}}]}, "tools[0].container_id"),
]


@pytest.mark.parametrize("members, param", ANOTHERS_CONTAINERS)
def test_a_container_is_named_with_its_answer(gateway, keys, mock, members, param):
    body = {"model": MODEL, **members}
    said = error(gateway.call("POST", RESPONSES, body, key=keys["solo"]), 400)
    assert (said["code"], said["param"]) == ("object_not_found", param)
    line = json.dumps({"custom_id": "1", "method": "POST", "url": RESPONSES, "body": body}).encode()
    assert param in error(upload(gateway, keys["solo"], line, "batch"), 400)["message"]
    foreign = made(ask(gateway, keys["red"]))
    before = len(mock.bill())
    error(gateway.call("POST", RESPONSES, {**body, "previous_response_id": foreign}, key=keys["solo"]), 404)
    assert len(mock.bill()) == before


@pytest.mark.no_reconcile("the mock knows no such items: it refuses what reached it")
@pytest.mark.parametrize("item", [
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="},
    {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "1", "outputs": [],
     "status": "completed"}])
def test_items_of_earlier_answers_are_sent_back(gateway, keys, mock, item):
    said = ask(gateway, keys["solo"], [item, {"role": "user", "content": "and now?"}])
    assert said.header("x-gw-target"), "the provider is the one who judges them"


def test_a_new_container_needs_no_owner(gateway, keys):
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    assert ask(gateway, keys["solo"], tools=[tool]).status == 200


FOREIGN = "file-abc"
HIDDEN = [
    {"input": [{"role": "user", "content": [
        {"type": "input_file", "file": {"file_id": None}, "file_id": FOREIGN}]}]},
    {"input": [{"type": "computer_call_output", "call_id": "c",
                "output": {"type": "computer_screenshot", "file_id": FOREIGN}}]},
    {"input": [{"type": "function_call_output", "call_id": "c",
                "output": [{"type": "input_image", "file_id": FOREIGN}]}]},
    {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [FOREIGN]}}]},
    {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": FOREIGN}}]},
    {"prompt": {"id": "pmpt_1", "variables": {"paper": {"type": "input_file", "file_id": FOREIGN}}}},
]


@pytest.mark.parametrize("members", HIDDEN)
def test_no_place_of_a_request_reaches_anothers_file(gateway, keys, mock, members):
    said = error(ask(gateway, keys["solo"], **members) if "input" not in members else
                 gateway.call("POST", RESPONSES, {"model": MODEL, **members}, key=keys["solo"]), 404)
    assert said["code"] == "object_not_found"
    assert said["param"] in ("file_id", "file_ids")
    assert mock.bill() == []


def test_a_citation_reads_no_file(gateway, keys, mock):
    text = {"type": "output_text", "text": "x", "annotations": [
        {"type": "file_citation", "index": 0, "file_id": FOREIGN, "filename": "a"}]}
    said = ask(gateway, keys["solo"], [{"role": "user", "content": "x"}, {
        "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}])
    assert said.status == 200, said.body


def test_a_schema_may_speak_of_file_ids(gateway, keys):
    tool = {"type": "function", "name": "open", "strict": None, "parameters": {
        "type": "object", "properties": {"file_id": {"type": "string"}}, "required": ["file_id"]}}
    assert ask(gateway, keys["solo"], tools=[tool]).status == 200


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


# ---- stored responses by id ----

def of(gateway, key, method, path, body=b"", **more):
    return gateway.call(method, path, body, key=key, **more)


def test_a_stored_response_is_fetched_and_deleted(gateway, keys, mock):
    first = ask(gateway, keys["red"])
    there = f"{RESPONSES}/{made(first)}"
    assert of(gateway, keys["red2"], "GET", there).json() == first.json()
    items = of(gateway, keys["red"], "GET", f"{there}/input_items?limit=5&order=asc").json()
    assert items["object"] == "list"
    assert mock.last_request().target.endswith("/input_items?limit=5&order=asc")
    before = len(mock.bill())
    assert error(of(gateway, keys["red"], "GET", f"{there}?stream=true"), 400)["param"] == "stream"
    for method in ("GET", "DELETE"):
        assert error(of(gateway, keys["blue"], method, there), 404)["code"] == "object_not_found"
    assert len(mock.bill()) == before
    assert of(gateway, keys["red"], "DELETE", there).json()["deleted"] is True
    assert error(of(gateway, keys["red"], "GET", there), 404)["code"] == "object_not_found"
    assert error(ask(gateway, keys["red"], previous_response_id=made(first)), 404)


def test_the_events_of_a_stored_response_are_refused_by_name(gateway, keys, mock):
    there = f"{RESPONSES}/{made(ask(gateway, keys['solo']))}"
    before = len(mock.bill())
    refused = error(of(gateway, keys["solo"], "GET", f"{there}?include=x&stream=true&starting_after=3"), 400)
    assert (refused["code"], refused["param"]) == ("unsupported_parameter", "stream")
    assert len(mock.bill()) == before
    assert of(gateway, keys["solo"], "GET", f"{there}?stream=false").status == 200


@pytest.mark.no_reconcile("the provider is called without the gateway")
def test_what_the_provider_lost_is_forgotten_when_deleted(gateway, keys, mock):
    there = f"{RESPONSES}/{made(ask(gateway, keys['solo']))}"
    mock.script("status=404", count=1)
    assert of(gateway, keys["solo"], "DELETE", there).status == 404
    assert of(gateway, keys["solo"], "GET", there).status == 200, "a 404 that isn't about it made it forgotten"
    identity = there.rsplit("/", 1)[1]
    assert mock_call(mock, credential_of(mock), "DELETE", f"{RESPONSES}/{identity}") == 200
    assert of(gateway, keys["solo"], "DELETE", there).status == 404
    before = len(mock.bill())
    assert error(of(gateway, keys["solo"], "GET", there), 404)["code"] == "object_not_found"
    assert len(mock.bill()) == before


def mock_call(mock, credential, method, path):
    """Behind the gateway's back."""
    request = urllib.request.Request(mock.base_url.removesuffix("/v1") + path, method=method,
                                     headers={"Authorization": f"Bearer {credential}"})
    with urllib.request.urlopen(request) as answer:
        return answer.status


def test_the_paths_take_their_methods_only(gateway, keys):
    answer = of(gateway, keys["solo"], "PUT", f"{RESPONSES}/resp_1")
    assert answer.status == 405 and set(answer.header("allow").split(", ")) == {"GET", "DELETE"}
    assert of(gateway, keys["solo"], "GET", f"{RESPONSES}/a/b/c").status == 404
    assert of(gateway, "sk-none", "GET", f"{RESPONSES}/resp_1").status == 401


def bills(gateway, kind):
    return [record for record in gateway.ledger() if kind in record.get("flags", [])]


def test_an_answer_made_in_the_background_is_charged_when_it_is_seen(gateway, keys):
    first = ask(gateway, keys["red"], background=True, headers=[("x-mock", "polls=2,prompt=30,completion=70")])
    there = f"{RESPONSES}/{made(first)}"
    assert first.json()["status"] == "queued"
    refused = error(of(gateway, keys["red"], "DELETE", there), 409)
    assert "retrieve it" in refused["message"]
    seen = [of(gateway, keys["red2"], "GET", there).json()["status"] for _ in range(4)]
    assert seen == ["queued", "queued", "completed", "completed"]
    [bill] = wait_until(lambda: bills(gateway, "background"), "the bill")
    assert (bill["input_tokens"], bill["output_tokens"], bill["team"]) == (30, 70, "red")
    assert sum(record["output_tokens"] for record in gateway.ledger()) == 70
    assert of(gateway, keys["red"], "DELETE", there).status == 200


@pytest.mark.no_reconcile("what goes on in the background is billed by its object")
def test_a_stream_that_is_left_in_the_background_is_charged_by_its_object(gateway, keys):
    body = json.dumps({"model": MODEL, "input": "x", "stream": True, "background": True}).encode()
    with gateway.connect() as connection:
        connection.request("POST", RESPONSES, [
            ("Authorization", f"Bearer {keys['solo']}"), ("Content-Type", "application/json"),
            ("x-mock", "gap=50ms,tokens=70,prompt=30,completion=70")], body)
        created = next(connection.events(connection.read_stream_head()))
        where = json.loads(created.split(b"data: ", 1)[1])["response"]["id"]
    left = wait_until(lambda: [record for record in gateway.ledger() if record.get("key")], "the attempt's record")
    assert [record["output_tokens"] for record in left] == [0]
    assert of(gateway, keys["solo"], "GET", f"{RESPONSES}/{where}").json()["status"] == "completed"
    [bill] = wait_until(lambda: bills(gateway, "background"), "the bill")
    assert (bill["input_tokens"], bill["output_tokens"], bill["upstream_request_id"]) == (30, 70, where)


# ---- files ----

FILES, BATCHES = "/v1/files", "/v1/batches"
BINARY = bytes(range(256)) * 40 + b"\r\n--not-the-boundary\r\n\x00\xff"


def upload(gateway, key, data=BINARY, purpose="user_data", name="data.bin", headers=()):
    mark = "----gatewaydtest7f3a"
    body = (f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: application/octet-stream\r\n\r\n").encode() + data + f"\r\n--{mark}--\r\n".encode()
    return gateway.call("POST", FILES, body, key=key,
                        headers=[("Content-Type", f"multipart/form-data; boundary={mark}"), *headers])


def test_a_file_comes_back_byte_for_byte(gateway, keys, mock):
    for _ in until_both(mock):
        kept = upload(gateway, keys["solo"]).json()
        assert (kept["bytes"], kept["filename"], kept["purpose"]) == (len(BINARY), "data.bin", "user_data")
        there = f"{FILES}/{kept['id']}"
        assert of(gateway, keys["solo"], "GET", there).json() == kept
        content = of(gateway, keys["solo"], "GET", f"{there}/content")
        assert content.status == 200 and content.body == BINARY
        assert content.header("content-type") == "application/octet-stream"
        for method, path in (("GET", there), ("GET", f"{there}/content"), ("DELETE", there)):
            assert error(of(gateway, keys["blue"], method, path), 404)["code"] == "object_not_found"
        assert of(gateway, keys["solo"], "DELETE", there).json()["deleted"] is True
        assert of(gateway, keys["solo"], "GET", f"{there}/content").status == 404


def test_an_id_may_be_percent_encoded(gateway, keys):
    kept = upload(gateway, keys["solo"]).json()
    spelled = kept["id"].replace("f", "%66", 1).replace("-", "%2D", 1)
    assert of(gateway, keys["solo"], "GET", f"{FILES}/{spelled}").json() == kept
    assert of(gateway, keys["solo"], "DELETE", f"{FILES}/{spelled}").json()["deleted"] is True


def test_content_is_passed_on_whatever_it_looks_like(gateway, keys, mock):
    for kind in ("text/html", "application/json", "text/event-stream", "application/octet-stream"):
        kept = upload(gateway, keys["solo"], b"data: {\n\n<html>").json()["id"]
        mock.script(f"ctype={kind}", count=1)
        content = of(gateway, keys["solo"], "GET", f"{FILES}/{kept}/content")
        assert (content.status, content.body, content.header("content-type")) == (200, b"data: {\n\n<html>", kind)


def test_a_message_reaches_the_file_that_it_names(gateway, keys, mock):
    for _ in until_both(mock):
        kept = upload(gateway, keys["red"]).json()["id"]
        where = credential_of(mock)
        content = [{"role": "user", "content": [{"type": "input_file", "file_id": kept}]}]
        assert ask(gateway, keys["red2"], content).status == 200
        assert credential_of(mock) == where


@pytest.mark.parametrize("body, field", [
    (b"", "file"), (b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x--\r\n', "file")])
def test_an_upload_needs_a_file(gateway, keys, mock, body, field):
    answer = gateway.call("POST", FILES, body, key=keys["solo"],
                          headers=[("Content-Type", "multipart/form-data; boundary=x")])
    assert answer.status == 400, answer.body
    assert mock.bill() == []


def listed(gateway, key, query=""):
    answer = of(gateway, key, "GET", f"{FILES}{query}")
    assert answer.status == 200, answer
    return answer.json()


def test_lists_show_the_callers_files_only(gateway, keys, mock):
    mine = {upload(gateway, keys["red" if n % 2 else "red2"]).json()["id"] for n in range(7)}
    others = {upload(gateway, keys["blue"]).json()["id"] for _ in range(7)}
    assert {entry["credential"] for entry in mock.bill()} == {"sk-one", "sk-two"}

    def walk(key, limit):
        seen, query = [], f"?limit={limit}&purpose=user_data"
        while True:
            page = listed(gateway, key, query)
            ids = [file["id"] for file in page["data"]]
            assert len(ids) <= limit
            assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
            seen += ids
            if not page["has_more"]:
                return seen
            assert ids, "an empty page that says that there is more ends a client's walk"
            query = f"?limit={limit}&purpose=user_data&after={ids[-1]}"
    for limit in (1, 3, 100):
        assert sorted(walk(keys["red"], limit)) == sorted(mine)
    assert set(walk(keys["blue"], 2)) == others
    assert "purpose=user_data" in mock.last_request().target


def test_an_owner_of_nothing_gets_an_empty_list_and_no_provider_is_asked(gateway, keys, mock):
    assert listed(gateway, keys["other"]) == \
        {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert mock.bill() == []


def test_pages_are_read_without_their_percent_encoding(gateway, keys, mock):
    first = upload(gateway, keys["solo"]).json()["id"]
    upload(gateway, keys["solo"])
    encoded = "".join(f"%{ord(c):02x}" for c in first)
    assert listed(gateway, keys["solo"], f"?limit=%31&after={encoded}") == \
        listed(gateway, keys["solo"], f"?limit=1&after={first}")


@pytest.mark.parametrize("query", ["?limit=0", "?limit=x", "?limit=10001", "?after=file-none", "?after=" + "x" * 300])
def test_odd_pages_are_refused(gateway, keys, query):
    upload(gateway, keys["solo"])
    answer = of(gateway, keys["solo"], "GET", FILES + query)
    assert answer.status in (400, 404) and answer.json()["error"]["param"] in ("limit", "after")


def test_a_list_looks_through_pages_of_others(gateway, keys, mock):
    """The caller's only file lies behind more of others' than a page of the provider's holds."""
    gateway.write_ini({"credential:two": None})
    gateway.reload()
    batches = []
    kept = upload(gateway, keys["red"], lines(1), "batch").json()["id"]
    batches.append(create_batch(gateway, keys["red"], kept).json()["id"])
    other = upload(gateway, keys["blue"], lines(1), "batch").json()["id"]
    for _ in range(130):
        assert create_batch(gateway, keys["blue"], other).status == 200
    page = of(gateway, keys["red"], "GET", BATCHES).json()
    assert [batch["id"] for batch in page["data"]] == batches and page["has_more"] is False
    assert len([entry for entry in mock.bill() if entry["method"] == "GET"]) == 2


# ---- batches ----

def lines(count, model=MODEL, url="/v1/chat/completions", **members):
    members = members or {"messages": [{"role": "user", "content": "hello"}]}
    return b"".join(json.dumps({"custom_id": f"line-{n}", "method": "POST", "url": url,
                                "body": {"model": model, **members}}).encode() + b"\n" for n in range(count))


def create_batch(gateway, key, file, script=""):
    return gateway.call("POST", BATCHES, {"input_file_id": file, "endpoint": "/v1/chat/completions",
                                          "completion_window": "24h"}, key=key,
                        headers=[("x-mock", script)] if script else ())


def new_batch(gateway, key, count=3, script="polls=2,prompt=10,completion=5"):
    kept = upload(gateway, key, lines(count), "batch").json()["id"]
    answer = create_batch(gateway, key, kept, script)
    assert answer.status == 200, answer.body
    return answer.json()["id"]


def wait_batch(gateway, key, batch):
    def completed():
        now = of(gateway, key, "GET", f"{BATCHES}/{batch}").json()
        return now["status"] == "completed" and now
    return wait_until(completed, "the batch to be through")


@pytest.mark.parametrize("url", ["/v1/chat/completions", "/v1/images/edits", "/chat/completions"])
def test_a_batch_does_not_reach_anothers_file(gateway, keys, mock, url):
    text = lines(1, url=url, messages=[{"role": "user", "content": [{"type": "file", "file": {"file_id": FOREIGN}}]}],
                 images=[{"file_id": FOREIGN}])
    said = error(upload(gateway, keys["solo"], text, "batch"), 400)
    assert said["code"] == "object_not_found"
    assert mock.bill() == []


def test_a_batch_runs_where_its_input_is(gateway, keys, mock):
    for _ in until_both(mock):
        batch = new_batch(gateway, keys["red"])
        where = credential_of(mock)
        now = wait_batch(gateway, keys["red2"], batch)
        assert now["request_counts"] == {"total": 3, "completed": 3, "failed": 0}, "a model wasn't the provider's"
        assert credential_of(mock) == where
        output = of(gateway, keys["red"], "GET", f"{FILES}/{now['output_file_id']}/content")
        assert len(output.body.splitlines()) == 3 and b'"mock-chat"' in output.body
        assert of(gateway, keys["blue"], "GET", f"{FILES}/{now['output_file_id']}/content").status == 404
        assert of(gateway, keys["red"], "GET", f"{FILES}/{now['error_file_id']}").status == 200
        assert of(gateway, keys["blue"], "GET", f"{BATCHES}/{batch}").status == 404
        assert of(gateway, keys["blue"], "POST", f"{BATCHES}/{batch}/cancel").status == 404
        assert of(gateway, keys["red"], "POST", f"{BATCHES}/{batch}/cancel").status == 200


def test_a_batch_is_charged_once_to_the_key_that_made_it(gateway, keys):
    identity, key = gateway.create_key("maker", "--team", "red")
    batch = new_batch(gateway, key, 4)
    for _ in range(5):
        wait_batch(gateway, keys["red"], batch)
    of(gateway, keys["red"], "GET", BATCHES)
    [bill] = wait_until(lambda: bills(gateway, "batch"), "the bill")
    assert (bill["input_tokens"], bill["output_tokens"]) == (40, 20)
    assert (bill["key"], bill["team"], bill["model"], bill["upstream_request_id"]) == (identity, "red", MODEL, batch)
    restart(gateway)
    wait_batch(gateway, keys["red2"], batch)
    new = new_batch(gateway, key, 1, "prompt=1,completion=1")
    wait_batch(gateway, key, new)
    wait_until(lambda: len(bills(gateway, "batch")) == 2, "the second batch's bill")
    assert sorted(record["upstream_request_id"] for record in bills(gateway, "batch")) == sorted([batch, new])


def test_a_batch_without_figures_is_charged_by_its_output(gateway, keys):
    """As batches were before their object had `usage`."""
    batch = new_batch(gateway, keys["solo"], 3, "usage=absent,prompt=10,completion=5")
    now = wait_batch(gateway, keys["solo"], batch)
    assert "usage" not in now
    output = f"{FILES}/{now['output_file_id']}"
    for _ in range(2):
        assert of(gateway, keys["solo"], "GET", f"{FILES}/{now['error_file_id']}/content").status == 200
    gateway.mock.script("status=206", count=1)
    of(gateway, keys["solo"], "GET", f"{output}/content")
    assert error(of(gateway, keys["solo"], "DELETE", output), 409)["code"] == "not_settled"
    assert bills(gateway, "batch") == []
    for _ in range(2):
        assert of(gateway, keys["solo"], "GET", f"{FILES}/{now['output_file_id']}/content").status == 200
    [bill] = wait_until(lambda: bills(gateway, "batch"), "the bill")
    assert (bill["input_tokens"], bill["output_tokens"], bill["upstream_request_id"]) == (30, 15, batch)
    assert of(gateway, keys["solo"], "DELETE", output).status == 200


def test_a_line_that_is_too_long_is_estimated(gateway):
    key = gateway.create_key("maker")[1]
    data = lines(1) + b'{"custom_id":"' + b"x" * 70000 + lines(1)[15:]
    kept = upload(gateway, key, data, "batch")
    assert kept.status == 200, kept.body
    batch = create_batch(gateway, key, kept.json()["id"], "usage=absent,prompt=10,completion=5").json()["id"]
    now = wait_batch(gateway, key, batch)
    gateway.write_ini({"http": {"max_body": "1KiB"}})
    gateway.reload()
    output = of(gateway, key, "GET", f"{FILES}/{now['output_file_id']}/content").body.splitlines()
    assert len(output[0]) < 66000 < len(output[1])
    [bill] = wait_until(lambda: bills(gateway, "batch"), "the bill")
    assert (bill["state"], bill["input_tokens"]) == ("estimated", 20)
    assert bill["output_tokens"] == 5 + len(output[1]) // 4
    assert "is estimated" in gateway.log_text()


@pytest.mark.no_reconcile("processes are killed")
@pytest.mark.parametrize("how", [kill_keeper, kill_workers])
def test_a_bill_survives_and_stays_one(gateway, keys, how):
    batches = set()
    for _ in range(4):
        batch = new_batch(gateway, keys["solo"], 2, "prompt=10,completion=5")
        batches.add(batch)
        wait_batch(gateway, keys["solo"], batch)
        how(gateway)
        wait_batch(gateway, keys["solo"], batch)
    wait_until(lambda: {record["upstream_request_id"] for record in bills(gateway, "batch")} == batches, "all bills")
    assert len(bills(gateway, "batch")) == len(batches)


@pytest.mark.parametrize("data, code, says", [
    (b"", "empty_file", "no request"),
    (b"{\n", "invalid_json", "line 1"),
    (lines(1) + b"[]\n", "invalid_value", "line 2"),
    (lines(1) + lines(1, "other-model"), "mismatched_model", "line 2"),
    (lines(1) + lines(1, url="/v1/embeddings", input="x"), "mismatched_url", "line 2"),
    (lines(1) + lines(1, url="/v1/unheard-of"), "invalid_url", "line 2 of the batch's file: its url '/v1/unheard-of'"),
    (lines(1, url="/v1/responses?x=1"), "invalid_url", "line 1"),
    (lines(1, url=None), "invalid_url", "line 1"),
    (lines(2, "unknown-model"), "model_not_found", "unknown-model"),
    (lines(1, stream=True, messages=[]), "invalid_value", "stream"),
    (lines(1, url="/v1/responses", input="x", previous_response_id="resp_x"), "object_not_found", "resp_x"),
])
def test_the_lines_of_a_batch_are_checked(gateway, keys, mock, data, code, says):
    answer = upload(gateway, keys["solo"], data, "batch")
    assert answer.status in (400, 404), answer.body
    assert answer.json()["error"]["code"] == code and says in answer.json()["error"]["message"]
    assert mock.bill() == []


def test_a_batch_may_use_the_models_of_its_key_only(gateway, mock):
    gateway.write_ini({"model:secret": {"targets": "mock/mock-secret"}})
    gateway.reload()
    _, key = gateway.create_key("narrow", "--models", MODEL)
    assert upload(gateway, key, lines(1), "batch").status == 200
    refused = error(upload(gateway, key, lines(1, "secret"), "batch"), 403)
    assert refused["code"] == "model_not_allowed"


def test_a_batch_needs_an_input_of_its_owner_that_was_checked(gateway, keys):
    mine = upload(gateway, keys["blue"], lines(1), "batch").json()["id"]
    assert error(create_batch(gateway, keys["red"], mine), 404)["param"] == "input_file_id"
    unchecked = upload(gateway, keys["blue"], lines(1), "user_data").json()["id"]
    assert "purpose 'batch'" in error(create_batch(gateway, keys["blue"], unchecked), 400)["message"]


@pytest.mark.parametrize("endpoint, code", [("/v1/responses", "mismatched_url"), ("/v1/chat", "invalid_value"),
                                            (None, "invalid_type")])
def test_a_batchs_endpoint_is_that_of_its_lines(gateway, keys, mock, endpoint, code):
    kept = upload(gateway, keys["solo"], lines(1), "batch").json()["id"]
    before = len(mock.bill())
    said = error(gateway.call("POST", BATCHES, {"input_file_id": kept, "endpoint": endpoint,
                                                "completion_window": "24h"}, key=keys["solo"]), 400)
    assert (said["code"], said["param"]) == (code, "endpoint")
    assert len(mock.bill()) == before


def test_a_batch_is_not_made_twice_when_its_answer_is_lost(gateway, keys, mock):
    gateway.write_ini({f"model:{MODEL}": {"retries": "3"}})
    gateway.reload()
    kept = upload(gateway, keys["solo"], lines(1), "batch").json()["id"]
    mock.script("reset=start", count=1)
    assert create_batch(gateway, keys["solo"], kept).status == 502
    assert len([entry for entry in mock.bill() if entry["path"] == BATCHES]) == 1


# ---- cached contents ----

CACHES = "/v1beta/cachedContents"
SAYS = [{"role": "user", "parts": [{"text": "hello"}]}]


@pytest.fixture
def google(make_gateway, mock):
    return make_gateway({**two_credentials(), "provider:mock": {
        "kind": "gemini", "base_url": mock.base_url.replace("/v1", "/v1beta")}}, environment=SECRETS)


def test_cached_content_is_used_where_it_is_kept(google, mock):
    key, other = (google.create_key(name)[1] for name in ("mine", "other"))
    generate = f"/v1beta/models/{MODEL}:generateContent"
    for _ in until_both(mock):
        made_one = of(google, key, "POST", CACHES, {"model": f"models/{MODEL}", "contents": SAYS, "ttl": "600s"})
        assert made_one.status == 200, made_one.body
        assert made_one.json()["model"] == "models/mock-chat"
        name, where = made_one.json()["name"], credential_of(mock)
        assert of(google, key, "POST", generate, {"contents": SAYS, "cachedContent": name}).status == 200
        assert credential_of(mock) == where
        assert of(google, key, "GET", f"/v1beta/{name}").json() == made_one.json()
        patched = of(google, key, "PATCH", f"/v1beta/{name}?updateMask=ttl", {"ttl": "60s"})
        assert patched.json()["expireTime"].startswith("2098")
        assert mock.last_request().target.endswith("?updateMask=ttl")
        before = len(mock.bill())
        for method, body in (("GET", b""), ("PATCH", {"ttl": "1s"}), ("DELETE", b"")):
            said = error(of(google, other, method, f"/v1beta/{name}", body), 404)
            assert said["status"] == "NOT_FOUND"
        assert error(of(google, other, "POST", generate, {"contents": SAYS, "cachedContent": name}), 404)
        assert len(mock.bill()) == before
        assert of(google, key, "DELETE", f"/v1beta/{name}").status == 200
        assert of(google, key, "GET", f"/v1beta/{name}").status == 404
    assert of(google, key, "PUT", f"{CACHES}/x").status == 405


def test_an_empty_object_is_no_body(gateway, keys, mock):
    """Google's client sends one with DELETE."""
    kept = upload(gateway, keys["solo"]).json()["id"]
    assert of(gateway, keys["solo"], "DELETE", f"{FILES}/{kept}", b'{"a":1}').status == 400
    assert of(gateway, keys["solo"], "DELETE", f"{FILES}/{kept}", b"{}").status == 200
    assert mock.last_request().body == b""


def test_cached_content_is_not_changed_by_what_its_model_says_of_requests(google, mock):
    google.write_ini({f"model:{MODEL}": {"set.generationConfig.temperature": "0.5"}})
    google.reload()
    key = google.create_key("mine")[1]
    made_one = of(google, key, "POST", CACHES, {"model": f"models/{MODEL}", "contents": SAYS})
    assert made_one.status == 200, made_one.body
    assert "generationConfig" not in json.loads(mock.last_request().body)
    assert of(google, key, "GET", f"/v1beta/{made_one.json()['name']}").status == 200


@pytest.mark.parametrize("body, status", [
    ({"contents": SAYS}, 400), ({"model": "models/none", "contents": SAYS}, 404), ({"model": 7}, 400), ([], 400)])
def test_cached_content_needs_a_model_that_there_is(google, mock, body, status):
    key = google.create_key("mine")[1]
    assert of(google, key, "POST", CACHES, body).status == status
    assert mock.bill() == []
