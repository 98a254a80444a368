"""The life of a virtual key: what gwctl does holds at once, in every worker."""

import hashlib
import json

import pytest

from gateway import KEY, MODEL


def everywhere(gateway, key, status, **more):
    """The same answer from every worker, on enough connections to reach them all."""
    statuses = [gateway.chat(key=key, **more).status for _ in range(8)]
    assert statuses == [status] * 8, statuses


def test_life_of_a_key(gateway):
    key_id, key = gateway.create_key("ci")
    assert key.startswith("sk-gw-") and len(key) >= 40
    everywhere(gateway, key, 200)
    gateway.gwctl("keys", "disable", key_id)
    everywhere(gateway, key, 401)
    gateway.gwctl("keys", "enable", key_id)
    everywhere(gateway, key, 200)
    gateway.gwctl("keys", "delete", key_id)
    everywhere(gateway, key, 401)
    assert key_id not in gateway.gwctl("keys", "list", "--json").stdout


def test_a_key_is_shown_once(gateway):
    key_id, key = gateway.create_key("once")
    for words in (["keys", "list"], ["keys", "show", key_id], ["keys", "list", "--json"], ["status"]):
        assert key not in gateway.gwctl(*words).stdout
    assert key not in gateway.log_text()
    for path in gateway.state.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path


def test_keys_are_random(gateway):
    keys = {gateway.create_key(f"k{number}")[1] for number in range(10)}
    assert len(keys) == 10
    assert len({key[:14] for key in keys}) == 10


def test_models_of_a_key(make_gateway):
    gateway = make_gateway({"model:other": {"targets": "mock/mock-chat"}})
    key_id, key = gateway.create_key("narrow", "--models", "other")
    everywhere(gateway, key, 403)
    everywhere(gateway, key, 200, model="other")
    gateway.gwctl("keys", "update", key_id, "--models", f"other,{MODEL}")
    everywhere(gateway, key, 200)


def test_rotation_with_and_without_grace(gateway):
    key_id, old = gateway.create_key("rotated")
    new = gateway.gwctl_json("keys", "rotate", key_id, "--grace", "1h")["key"]
    assert new != old
    everywhere(gateway, old, 200)
    everywhere(gateway, new, 200)
    newest = gateway.gwctl_json("keys", "rotate", key_id)["key"]
    everywhere(gateway, newest, 200)
    everywhere(gateway, new, 401)


def test_expiry(gateway):
    key_id, key = gateway.create_key("short", "--expires", "30d")
    everywhere(gateway, key, 200)
    gateway.gwctl("keys", "update", key_id, "--expires", "2001-01-01")
    everywhere(gateway, key, 401)


def test_import_of_keys_that_come_from_elsewhere(gateway):
    plain, hashed = "sk-litellm-1234567890", "pk-other-1234567890"
    lines = [{"name": "moved", "key": plain}]
    gateway.gwctl("keys", "import", write(gateway, "plain.jsonl", lines))
    everywhere(gateway, plain, 200)
    lines = [{"name": "hashed", "sha256": hashlib.sha256(hashed.encode()).hexdigest()}]
    gateway.gwctl("keys", "import", write(gateway, "hashed.jsonl", lines))
    everywhere(gateway, hashed, 200)
    assert plain not in gateway.gwctl("keys", "list", "--json").stdout


def write(gateway, name, lines):
    path = gateway.folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_keys_survive_a_restart(gateway):
    _, key = gateway.create_key("kept")
    gateway.stop()
    gateway.start()
    everywhere(gateway, key, 200)


def test_what_the_ini_declares_belongs_to_the_ini(gateway):
    refused = gateway.gwctl("keys", "delete", "test", check=False)
    assert refused.returncode == 1
    assert "gatewayd.ini" in refused.stderr, refused.stderr
    assert gateway.chat().status == 200
    refused = gateway.gwctl("keys", "create", "--name", "test", check=False)
    assert refused.returncode == 1, "a name is either the INI's or gwctl's"


@pytest.mark.parametrize("words", [
    ["keys", "create"], ["keys", "create", "--name"], ["keys", "nonsense"], ["nonsense"], [],
    ["keys", "create", "--name", "a", "--no-such-option"], ["keys", "show"],
    ["keys", "create", "--name", "a", "--expires", "yesterday"], ["help", "nonsense"],
    ["ledger", "--verify", "--csv"], ["ledger", "--verify", "--key", "a"]])
def test_usage_errors(gateway, words):
    result = gateway.gwctl(*words, status=2)
    assert result.stderr


@pytest.mark.parametrize("words", [
    ["keys", "show", "no-such-key"], ["keys", "delete", "no-such-key"],
    ["keys", "create", "--name", "a", "--models", "no-such-model"]])
def test_refusals(gateway, words):
    result = gateway.gwctl(*words, status=1)
    assert words[-1] in result.stderr, result.stderr


def test_a_key_that_is_expired_already_is_not_made(gateway):
    result = gateway.gwctl("keys", "create", "--name", "late", "--expires", "2001-01-01", status=1)
    assert "expires: this time is past" in result.stderr


def test_every_bad_line_of_an_import_is_named(gateway):
    lines = "one\ngood-key sk-imported-0123456789\n{\"name\":\n{\"name\":\"y\"}\n"
    result = gateway.gwctl("keys", "import", "-", input=lines, status=1)
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == ["1", "3", "4"]
    assert result.stdout == "imported 1, refused 3\n"


def test_a_line_that_is_too_long_costs_no_other(gateway):
    lines = "before sk-before-0123456789\nlong " + "k" * 70000 + "\nbehind sk-behind-0123456789\n"
    result = gateway.gwctl("keys", "import", "-", input=lines, status=1)
    assert result.stdout == "imported 2, refused 1\n"
    assert result.stderr.startswith("-:2: longer than")


def test_an_import_of_many_long_lines(gateway):
    path = write(gateway, "long.jsonl", [
        {"name": f"key{i}", "key": f"sk-long-0123456789-{i}", "metadata": {"note": "x" * 4000}} for i in range(400)])
    assert gateway.gwctl("keys", "import", path).stdout == "imported 400, refused 0\n"


def test_a_folder_is_no_import(gateway):
    assert "Is a directory" in gateway.gwctl("keys", "import", gateway.folder, status=1).stderr


def test_a_rotated_key_shows_how_long_the_old_one_works(gateway):
    key_id, _ = gateway.create_key("rotating")
    gateway.gwctl("keys", "rotate", key_id, "--grace", "1h")
    assert "works until" in gateway.gwctl("keys", "show", key_id).stdout


def test_no_daemon(make_gateway):
    gateway = make_gateway(start=False)
    result = gateway.gwctl("status", status=3)
    assert result.stderr


def test_the_test_key_is_listed_as_the_inis(gateway):
    text = gateway.gwctl("keys", "list", "--json").stdout
    assert "test" in text and KEY not in text
