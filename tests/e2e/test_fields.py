"""The tables that say what becomes of each field (docs/translation.json), held against what does."""

import json

import pytest

from gateway import KEY
from matrix import DIALECTS
from matrix.fields import FIELDS, TABLES, with_field
from matrix.scenario import Scenario
from matrix.stage import PAIRS, PROVIDERS, open_stage, upstream_dialect

PLAIN = Scenario("plain")
CELLS = [(client, provider, field) for client, provider in PAIRS for field in FIELDS.get(client, ())
         if provider in ("openai-compatible", "anthropic", "gemini", "bedrock", "cohere")
         and client not in PROVIDERS[provider].dialects]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    yield from open_stage(tmp_path_factory.mktemp("fields"), refusals=True)


def ask(stage, client, provider, field):
    module = DIALECTS[client]
    target, body = module.request(f"{provider}-chat", PLAIN, module.user(PLAIN, "Hi"), False)
    said = json.dumps(with_field(client, body, field)).encode()
    with stage.gateway.connect() as connection:
        return connection.round_trip("POST", target, module.headers(KEY), said)


def test_every_field_is_in_the_tables():
    for client, fields in FIELDS.items():
        assert set(fields) <= set(TABLES[client])
        assert all(TABLES[client][field]["member"] for field in fields), client


@pytest.mark.parametrize("client, provider, field", CELLS)
def test_field(stage, client, provider, field):
    member, row = TABLES[client][field]["member"], TABLES[upstream_dialect(client, provider)][field]
    answer = ask(stage, client, provider, field)
    dropped = (answer.header("x-gw-dropped") or "").split(", ")
    if row["fate"] == "refused":
        assert answer.status == 400, answer
        assert member in DIALECTS[client].read_error(answer).message
        return
    assert answer.status == 200, answer
    if row["fate"] == "dropped":
        assert member in dropped, dropped
    elif row["fate"] == "carried":
        assert member not in dropped, dropped
