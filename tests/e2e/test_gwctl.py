"""What gwctl says about keys, the configuration and the ledger, and how the admin API holds up."""

import concurrent.futures
import csv
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from gateway import MODEL, build_dir
from waiting import wait_until


def call(gateway, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("localhost", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(gateway.admin_socket)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "null")
    finally:
        connection.close()


def raw(gateway, data):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(gateway.admin_socket)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        return answer


# ---- keys ----

def test_every_change_is_audited_without_the_key(gateway):
    key_id, key = gateway.create_key("audited", "--models", MODEL)
    gateway.gwctl("keys", "update", key_id, "--customer", "acme")
    gateway.gwctl("keys", "delete", key_id)
    rows = gateway.gwctl_json("audit")["audit"]
    assert [row["what"] for row in rows[:3]] == ["delete", "update", "create"]
    assert all(row["who"] == f"unix:uid={os.getuid()}" for row in rows)
    assert rows[1]["before"]["customer"] is None and rows[1]["after"]["customer"] == "acme"
    assert rows[0]["after"] is None and rows[2]["before"] is None
    assert key not in json.dumps(rows)


def test_export_and_import_carry_a_key_over(gateway):
    key_id, key = gateway.create_key("moving", "--models", MODEL, "--expires", "2090-01-01",
                                     "--tags", "a=b", "--metadata", '{"team":["x"]}')
    lines = gateway.gwctl("keys", "export").stdout
    assert key not in lines
    gateway.gwctl("keys", "delete", key_id)
    assert gateway.chat(key=key).status == 401
    gateway.gwctl("keys", "import", "-", input=lines)
    assert gateway.chat(key=key).status == 200
    shown = gateway.gwctl_json("keys", "show", "moving")
    assert shown["expires"].startswith("2090-01-01") and shown["metadata"] == {"team": ["x"]}


def test_an_import_names_the_lines_that_it_refuses(gateway):
    lines = "first sk-first-123456\n\n{\"name\":\"second\",\"key\":\"short\"}\ntest sk-third-123456\n"
    result = gateway.gwctl("keys", "import", "-", input=lines, status=1)
    assert "-:3:" in result.stderr and "-:4:" in result.stderr and "-:1:" not in result.stderr
    assert "imported 1, refused 2" in result.stdout
    assert gateway.chat(key="sk-first-123456").status == 200


def test_many_keys_are_listed_page_by_page(gateway):
    lines = "".join(f"bulk{number:04d} sk-bulk-key-{number:08d}\n" for number in range(1200))
    gateway.gwctl("keys", "import", "-", input=lines)
    names = [row["name"] for row in csv.DictReader(io.StringIO(gateway.gwctl("keys", "list", "--csv").stdout))]
    assert len(names) == len(set(names)) == 1201


# ---- configuration ----

def test_history_and_difference_of_generations(gateway):
    first = gateway.gwctl_json("status")["generation"]
    gateway.write_ini({"http": {"max_body": "3MiB"}})
    pending = gateway.gwctl_json("config", "diff")["changes"]
    assert any(row["key"] == "max_body" and row["after"] == "3MiB" for row in pending)
    gateway.reload()
    assert gateway.gwctl_json("config", "diff")["changes"] == []
    history = gateway.gwctl_json("config", "history")["generations"]
    assert [row["generation"] for row in history[:2]] == [first + 1, first]
    assert history[0]["active"] and not history[1]["active"]
    back = gateway.gwctl_json("config", "diff", "--from", first + 1, "--to", first)["changes"]
    assert any(row["key"] == "max_body" and row["before"] == "3MiB" for row in back)
    assert "nowhere" not in gateway.gwctl("config", "diff", "--from", "999999", status=1).stdout


def test_show_says_where_a_setting_stands(gateway):
    settings = gateway.gwctl_json("config", "show")["settings"]
    listen = [row for row in settings if (row["section"], row["key"]) == ("gateway", "listen")]
    assert listen and listen[0]["file"] == str(gateway.ini) and listen[0]["line"] > 0
    assert any(row["default"] and row["key"] == "keepalive_timeout" for row in settings)


def test_reloads_at_once_all_see_the_file(gateway):
    """Whoever asks after a change gets an answer about a file read after it."""
    def change_and_reload(number):
        gateway.write_ini({f"model:m{number}": {"targets": "mock/mock-chat"}})
        return gateway.gwctl("reload", check=False).returncode

    for round_ in range(5):
        gateway.write_ini({f"model:r{round_}": {"targets": "mock/mock-chat"}})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(lambda _: gateway.gwctl("reload", check=False).returncode, range(8)))
        assert codes == [0] * 8
        assert gateway.chat(model=f"r{round_}").status == 200
    assert change_and_reload("last") == 0
    assert gateway.chat(model="mlast").status == 200


# ---- ledger ----

def test_usage_and_verify(gateway, mock):
    for _ in range(3):
        assert gateway.chat().status == 200
    wait_until(lambda: len(gateway.ledger()) == 3, "three records")
    total = gateway.gwctl_json("usage", "--by", "model")["total"]
    assert total["requests"] == total["attempts"] == 3
    assert total["output_tokens"] == sum(entry["completion_tokens"] for entry in mock.bill()[-3:])
    by_key = gateway.gwctl_json("usage", "--by", "key", "--since", "1d")["usage"]
    assert len(by_key) == 1
    key_id, key = gateway.create_key("finance")
    assert gateway.chat(key=key).status == 200
    wait_until(lambda: len(gateway.ledger()) == 4, "a record of the new key")
    rows = gateway.gwctl_json("usage", "--by", "key")["usage"]
    assert [row["key_name"] for row in rows if row["name"] == key_id] == ["finance"]
    assert gateway.gwctl_json("ledger", "--limit", "2")["records"] == gateway.ledger()[:2]
    assert gateway.gwctl_json("ledger", "--key", "nobody")["records"] == []
    verified = gateway.gwctl_json("ledger", "--verify")
    assert verified["valid"] and verified["records"] == 4


def test_the_state_is_read_while_the_daemon_is_down(gateway):
    key_id, key = gateway.create_key("kept", "--tags", "a=b")
    assert gateway.chat(key=key).status == 200
    wait_until(lambda: len(gateway.ledger()) == 1, "the record")
    assert gateway.ledger()[0]["key_name"] == "kept"
    assert "kept" in gateway.gwctl("ledger").stdout
    reads = [("keys", "list"), ("keys", "show", "kept"), ("keys", "show", key_id), ("ledger",), ("audit",),
             ("ledger", "--verify"), ("usage", "--by", "key"), ("config", "history"), ("config", "diff")]
    live = {words: gateway.gwctl_json(*words) for words in reads}
    settings = gateway.gwctl_json("config", "show")["settings"]
    export = gateway.gwctl("keys", "export").stdout
    ini, state = ("-c", str(gateway.ini)), ("--state-dir", str(gateway.state))
    # Behind the back of a daemon that holds the directory nothing is read.
    nowhere = ("--socket", str(gateway.state / "no.sock"))
    held = gateway.gwctl(*nowhere, *state, "keys", "list", status=3)
    assert "holds" in held.stderr and not held.stdout
    gateway.stop()
    for words, answer in live.items():
        down = json.loads(gateway.gwctl("--json", *ini, *words).stdout)
        for volatile in ("until", "since"):
            answer.pop(volatile, None), down.pop(volatile, None)
        assert down == answer, words
    assert json.loads(gateway.gwctl("--json", *ini, "config", "show").stdout)["settings"] == settings
    assert gateway.gwctl(*nowhere, *state, "keys", "export").stdout == export
    assert "not running" in gateway.gwctl(*nowhere, *state, "keys", "list").stderr
    gateway.gwctl(*ini, "keys", "show", "nobody", status=1)
    for words in [("keys", "create", "--name", "new"), ("keys", "disable", "kept"), ("reload",), ("status",)]:
        refused = gateway.gwctl(*ini, *words, status=3)
        assert "not running" in refused.stderr and "needs the running daemon" in refused.stderr
    assert "--state-dir" in gateway.gwctl(*nowhere, "keys", "list", status=3).stderr
    gateway.gwctl(*nowhere, "--state-dir", str(gateway.state / "none"), "keys", "list", status=3)


def test_the_configuration_says_where_the_daemon_is(gateway):
    """Without an `admin` line that is in its runtime_dir; with errors elsewhere too."""
    def status():
        return subprocess.run([build_dir() / "gwctl", "-c", gateway.ini, "status"], capture_output=True, text=True)
    assert status().returncode == 0, status().stderr
    gateway.write_raw_ini(gateway.ini.read_text() + "\n[nonsense]\na = b\n")
    assert status().returncode == 0, status().stderr
    gateway.write_raw_ini("[gateway]\nlisten = 127.0.0.1:1\nruntime_dir = run\n")
    assert status().returncode == 0, status().stderr


@pytest.mark.parametrize("database", ["config", "state"])
def test_a_state_that_was_cut_short_is_named(gateway, database):
    gateway.stop()
    path = gateway.state / f"{database}.mdb"
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    said = gateway.gwctl("--socket", gateway.state / "no.sock", "--state-dir", gateway.state, "keys", "list", check=False)
    assert said.returncode in (1, 3) and "can't be read" in said.stderr, said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_root_leaves_a_state_behind_that_its_owner_can_open(gateway):
    """A database without its lock file, as after a restore: whoever opens it first makes that file."""
    gateway.stop()
    owner = 65534
    with tempfile.TemporaryDirectory() as outside:  # where others may pass
        os.chmod(outside, 0o755)
        state = Path(outside) / "state"
        shutil.copytree(gateway.state, state, ignore=shutil.ignore_patterns("*-lock"))
        for path in (state, *state.iterdir()):
            os.chown(path, owner, owner)
        gateway.gwctl("--socket", state / "no.sock", "--state-dir", state, "ledger")
        made = {path.name: path.stat().st_uid for path in state.glob("*-lock")}
        assert len(made) == 3 and set(made.values()) == {owner}, made


def test_wrong_words_are_named(gateway):
    for tags in ("nonsense", "a=", "=b", "a=b,,c=d", "a=b,c"):
        assert "--tags" in gateway.gwctl("keys", "create", "--name", "t", "--tags", tags, status=2).stderr
        status, answer = call(gateway, "POST", "/admin/v1/keys", json.dumps({"name": "t", "tags": tags}),
                              {"Content-Type": "application/json"})
        assert status == 400 and "tags" in answer["error"]["message"], tags
    for url in ("nonsense", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999"):
        said = subprocess.run([build_dir() / "gwctl", "--url", url, "status"], capture_output=True, text=True)
        assert said.returncode == 2 and f"--url {url}: " in said.stderr, said


# ---- the API itself ----

def test_refusals_of_the_api(gateway):
    for method, path, body, status, code in [
            ("GET", "/admin/v1/nothing", None, 404, "not_found"),
            ("GET", "/admin/v1/reload", None, 405, "method_not_allowed"),
            ("POST", "/admin/v1/keys", "{", 400, "bad_json"),
            ("POST", "/admin/v1/keys", "[]", 400, "bad_json"),
            ("POST", "/admin/v1/keys", "{}", 400, "bad_field"),
            ("POST", "/admin/v1/keys", '{"name":"a","name":"b"}', 400, "bad_field"),
            ("POST", "/admin/v1/keys", '{"name":"a","budget":"10 USD/day"}', 400, "unknown_field"),
            ("POST", "/admin/v1/keys", '{"name":"a","team":"none"}', 400, "unknown_team"),
            ("POST", "/admin/v1/keys", '{"name":7}', 400, "bad_field"),
            ("POST", "/admin/v1/keys/x/rotate", '{"grace_us":-1}', 400, "bad_field"),
            ("GET", "/admin/v1/keys?limit=0", None, 400, "bad_parameter"),
            ("GET", "/admin/v1/keys?limit=many", None, 400, "bad_parameter"),
            ("GET", "/admin/v1/usage?by=colour", None, 400, "bad_parameter"),
            ("GET", "/admin/v1/ledger?since=whenever", None, 400, "bad_parameter"),
            ("DELETE", "/admin/v1/keys/nobody", None, 404, "no_such_key")]:
        got, answer = call(gateway, method, path, body)
        assert (got, answer["error"]["code"]) == (status, code), (method, path, body, answer)
        assert answer["error"]["message"]


def test_bodies_and_heads_have_limits(gateway):
    assert call(gateway, "POST", "/admin/v1/keys", "x" * (2 * 1024 * 1024 + 1))[0] == 413
    assert b" 431 " in raw(gateway, b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"x: " + b"y" * 20000 + b"\r\n\r\n")
    assert b" 400 " in raw(gateway, b"GET /healthz HTTP/1.1\nHost: a\n\n")
    assert call(gateway, "GET", "/healthz")[0] == 200


def test_pipelined_requests_are_answered_in_order(gateway):
    one = b"GET /admin/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n"
    other = b"GET /admin/v1/keys HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = raw(gateway, (one + other) * 100)
    assert answer.count(b"HTTP/1.1 200 OK") == 200
    assert answer.index(b'"version"') < answer.index(b'"keys"')


def test_too_many_connections_are_refused_and_forgotten(gateway):
    held = []
    for _ in range(140):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(gateway.admin_socket)
        held.append(sock)
    refused = 0
    for sock in held[-12:]:
        sock.settimeout(10)
        refused += b" 503 " in sock.recv(200)
    assert refused == 12
    for sock in held:
        sock.close()
    wait_until(lambda: gateway.gwctl("status", check=False).returncode == 0, "the API to answer again")


def test_metrics(gateway):
    assert gateway.chat().status == 200
    text = raw(gateway, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").decode()
    assert "gatewayd_build_info{version=" in text and "\ngatewayd_config_generation 1\n" in text


def test_a_killed_keeper_costs_no_request(gateway):
    old = gateway.pids("keeper")[0]
    key_id, key = gateway.create_key("survivor")
    os.kill(old, signal.SIGKILL)
    assert all(gateway.chat(key=key).status == 200 for _ in range(10))
    wait_until(lambda: gateway.gwctl("status", check=False).returncode == 0 and
               gateway.pids("keeper") not in ([], [old]), "a new keeper")
    wait_until(lambda: len(gateway.ledger()) == 10, "the records of the time between")
    assert gateway.gwctl_json("keys", "show", "survivor")["id"] == key_id
    assert gateway.gwctl_json("ledger", "--verify")["valid"]
