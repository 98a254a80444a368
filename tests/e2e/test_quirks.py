"""What leaves for each kind of provider: its real address, path and credential, and its habits.

One row here for each row of common/provider_kinds.c, where the sources are; a test compares the two
lists. Habits concern requests that the gateway writes (translations); one of the provider's own dialect
arrives as it was sent, which the last tests show.
"""

import json
import re
from dataclasses import dataclass, field

import pytest

from gateway import KEY, PROVIDER_SECRET, ROOT, Gateway
from internet import Internet
from waiting import wait_until

BEARER = ("authorization", f"Bearer {PROVIDER_SECRET}")
AUTH_FIELDS = {"authorization", "x-api-key", "api-key", "x-goog-api-key"}


@dataclass(frozen=True)
class Kind:
    authority: str  # host and port of its own base_url, or of the one in `more`
    target: str  # of a chat that isn't streamed
    auth: tuple = BEARER
    habits: frozenset = frozenset()
    more: dict = field(default_factory=dict, hash=False)
    model: str = "m"


def chat(authority, path, *habits, auth=BEARER, **more):
    return Kind(authority, path + "/chat/completions", auth, frozenset(habits), more)


# Habits: see expected().
KINDS = {
    "openai": chat("api.openai.com:443", "/v1", "new names"),
    "openai-compatible": chat("own.test:443", "/some/v1", "reasoning back", base_url="https://own.test/some/v1"),
    "mistral": chat("api.mistral.ai:443", "/v1", "no stream_options", "short ids", "random_seed",
                    "no user", "no name", "no service_tier", "no logprobs", "no logit_bias"),
    "groq": chat("api.groq.com:443", "/openai/v1", "no name", "no logprobs", "no logit_bias"),
    "deepseek": chat("api.deepseek.com:443", "/v1", "reasoning back"),
    "xai": chat("api.x.ai:443", "/v1"),
    "openrouter": chat("openrouter.ai:443", "/api/v1", "top_k", "reasoning back", "cache_control"),
    "together": chat("api.together.xyz:443", "/v1", "top_k"),
    "fireworks": chat("api.fireworks.ai:443", "/inference/v1", "top_k"),
    "perplexity": chat("api.perplexity.ai:443", "", "no stream_options", "top_k"),
    "cerebras": chat("api.cerebras.ai:443", "/v1", "no penalties", "no logit_bias", "no service_tier",
                     "no parallel_tool_calls"),
    "sambanova": chat("api.sambanova.ai:443", "/v1"),
    "nebius": chat("api.tokenfactory.nebius.com:443", "/v1"),
    "nvidia": chat("integrate.api.nvidia.com:443", "/v1"),
    "huggingface": chat("router.huggingface.co:443", "/v1"),
    "ollama": chat("127.0.0.1:11434", "/v1", auth=None),
    "vllm": chat("127.0.0.1:8000", "/v1", "top_k", "reasoning back"),
    "sglang": chat("127.0.0.1:30000", "/v1", "top_k", "reasoning back"),
    "llamacpp": chat("own.test:443", "/v1", "top_k", "reasoning back", base_url="https://own.test/v1"),
    "azure": Kind("acme.openai.azure.com:443", "/openai/deployments/m/chat/completions?api-version=2024-10-21",
                  ("api-key", PROVIDER_SECRET), frozenset({"new names"}),
                  {"base_url": "https://acme.openai.azure.com", "api_version": "2024-10-21"}),
    "anthropic": Kind("api.anthropic.com:443", "/v1/messages", ("x-api-key", PROVIDER_SECRET)),
    "gemini": Kind("generativelanguage.googleapis.com:443", "/v1beta/models/m:generateContent",
                   ("x-goog-api-key", PROVIDER_SECRET)),
    "vertex": Kind("us-east5-aiplatform.googleapis.com:443",
                   "/v1/projects/p/locations/us-east5/publishers/google/models/m:generateContent",
                   ("x-goog-api-key", PROVIDER_SECRET), more={"project": "p", "location": "us-east5"}),
    "bedrock": Kind("bedrock-runtime.eu-west-1.amazonaws.com:443", "/model/m/converse", more={"region": "eu-west-1"}),
    "cohere": Kind("api.cohere.com:443", "/v2/chat"),
}
# Hosts of Vertex' other locations: one provider each, beside the row's own.
LOCATIONS = {"global": "aiplatform.googleapis.com", "us": "aiplatform.us.rep.googleapis.com",
             "eu": "aiplatform.eu.rep.googleapis.com"}
CHATS = [name for name, kind in KINDS.items() if "/chat/completions" in kind.target]

# (kind, a model's name, what its requests can't have)
REASONING = ("no sampling", "no penalties", "no logprobs", "no logit_bias")
MODELS = [
    ("openai", "o3-mini", REASONING), ("openai", "gpt-5-mini", REASONING), ("openai", "gpt-5", REASONING),
    ("openai", "gpt-5-chat-latest", ()), ("openai", "gpt-4o", ()), ("azure", "o4-mini", REASONING),
    ("xai", "grok-4-0709", ("no penalties", "no stop", "no effort")),
    ("xai", "grok-4-fast-non-reasoning", ()), ("xai", "grok-3-mini", ("no penalties", "no stop")),
    ("deepseek", "deepseek-reasoner", ("no logprobs",)), ("deepseek", "deepseek-chat", ()),
]


def model_name(kind, model):
    return f"{kind}:{model}"


@pytest.fixture(scope="module")
def internet(authority):
    names = {kind.authority.split(":")[0] for kind in KINDS.values()} | set(LOCATIONS.values())
    server = Internet(authority, sorted(names - {"127.0.0.1"}))
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(internet, authority, tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("quirks"), workers=1)
    common = {"proxy": f"http://127.0.0.1:{internet.port}"}
    providers = {name: {"kind": name, **common, **kind.more} for name, kind in KINDS.items()}
    providers |= {f"vertex-{place}": {"kind": "vertex", "project": "p", "location": place, **common} for place in LOCATIONS}
    settings = {}
    for name, provider in providers.items():
        kind = KINDS[provider["kind"]]
        if not kind.authority.startswith("127."):
            provider["ca_file"] = authority.certificate
        settings[f"provider:{name}"] = provider
        settings[f"credential:{name}"] = {"provider": name, "secret": f"file:{gateway.secret}"} if kind.auth else \
            {"provider": name}
        settings[f"model:{model_name(name, kind.model)}"] = {"targets": f"{name}/{kind.model}", "retries": "0"}
    for name, model, _ in MODELS:
        settings[f"model:{model_name(name, model)}"] = {"targets": f"{name}/{model}", "retries": "0"}
    gateway.write_ini(settings)
    try:
        yield gateway.start()
        gateway.wait_idle()
        gateway.stop()
        assert not gateway.sanitizer_reports()
    finally:
        gateway.kill_all()


def test_every_kind_has_its_row():
    page = (ROOT / "docs" / "configuration.md").read_text()
    table = page.split("## Kinds of providers")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", table, re.M)) == sorted(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_address_path_and_credential(gateway, internet, name):
    kind = KINDS[name]
    answer = gateway.call("POST", "/v1/chat/completions",
                          {"model": model_name(name, kind.model), "messages": [{"role": "user", "content": "hi"}]})
    assert answer.status == 200, answer
    assert answer.json()["choices"][0]["message"]["content"] == "hi"
    seen = internet.last
    assert (seen.authority, seen.tls) == (kind.authority, kind.authority.endswith(":443"))
    assert (seen.method, seen.target) == ("POST", kind.target)
    assert seen.headers["host"] == kind.authority.removesuffix(":443")
    assert seen.headers["content-type"] == "application/json"
    shown = {(field, value) for field, value in seen.headers.items() if field in AUTH_FIELDS}
    assert shown == ({kind.auth} if kind.auth else set())
    assert KEY not in str(seen.headers)


@pytest.mark.parametrize("place", LOCATIONS)
def test_locations_of_vertex(gateway, internet, place):
    answer = gateway.call("POST", "/v1/chat/completions",
                          {"model": model_name(f"vertex-{place}", "m"), "messages": [{"role": "user", "content": "hi"}]})
    assert answer.status == 200, answer
    assert internet.last.authority == f"{LOCATIONS[place]}:443"
    assert internet.last.target == f"/v1/projects/p/locations/{place}/publishers/google/models/m:generateContent"


# ---- what is written ----

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def of_anthropic(model):
    return {
        "model": model, "max_tokens": 2000, "temperature": 0.5, "top_k": 7, "stop_sequences": ["x"], "stream": True,
        "metadata": {"user_id": "u1"}, "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "f", "input_schema": SCHEMA}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "T", "signature": "c2ln"},
                                              {"type": "tool_use", "id": "toolu_01", "name": "f", "input": {"a": "b"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01", "content": "r"}]}]}


def expected_of_anthropic(habits, call_id):
    """The whole body."""
    system = [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}] if "cache_control" in habits else "S"
    assistant = {"role": "assistant", "content": None}
    if "reasoning back" in habits:
        assistant["reasoning_content"] = "T"  # its signature is Anthropic's, and means nothing here
    assistant["tool_calls"] = [{"id": call_id, "type": "function", "function": {"name": "f", "arguments": '{"a": "b"}'}}]
    body = {
        "model": "m", "stream": True, "temperature": 0.5, "stop": ["x"],
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": "q"}, assistant,
                     {"role": "tool", "tool_call_id": call_id, "content": "r"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}], "tool_choice": "auto",
        "max_completion_tokens" if "new names" in habits else "max_tokens": 2000}
    if "no parallel_tool_calls" not in habits:
        body["parallel_tool_calls"] = False
    if "no user" not in habits:
        body["user"] = "u1"
    if "top_k" in habits:
        body["top_k"] = 7
    if "no stream_options" not in habits:
        body["stream_options"] = {"include_usage": True}
    return body


@pytest.mark.parametrize("name", CHATS)
def test_a_request_of_anthropics_dialect(gateway, internet, name):
    habits = KINDS[name].habits
    answer = gateway.call("POST", "/v1/messages", of_anthropic(model_name(name, "m")))
    assert answer.status == 200, answer
    sent = internet.last.json()
    call_id = sent["messages"][2]["tool_calls"][0]["id"]
    assert re.fullmatch("[a-zA-Z0-9]{9}", call_id) if "short ids" in habits else call_id == "toolu_01"
    assert sent == expected_of_anthropic(habits, call_id)
    dropped = {word.strip() for word in (answer.header("x-gw-dropped") or "").split(",")} - {""}
    wanted = set() if "top_k" in habits else {"top_k"}
    assert wanted <= dropped
    assert ("user" in str(dropped)) == ("no user" in habits)
    # usage, asked for or not
    records = wait_until(lambda: gateway.ledger_of(answer.header("x-request-id")), "the record of the request")
    assert [(row["state"], row["input_tokens"], row["output_tokens"]) for row in records] == [("settled", 5, 2)]


def of_responses(model):
    return {"model": model, "user": "u1", "service_tier": "flex", "reasoning": {"effort": "high"},
            "input": [{"role": "developer", "content": "D"}, {"role": "user", "content": "q"}]}


def expected_of_responses(habits, model="m"):
    body = {"model": model, "reasoning_effort": "high", "service_tier": "flex", "user": "u1",
            "messages": [{"role": "developer" if "new names" in habits else "system", "content": "D"},
                         {"role": "user", "content": "q"}]}
    for habit, member in (("no user", "user"), ("no service_tier", "service_tier"), ("no effort", "reasoning_effort")):
        if habit in habits:
            del body[member]
    return body


@pytest.mark.parametrize("name", [name for name in CHATS if name != "openai"])
def test_a_request_of_the_responses_api(gateway, internet, name):
    """Azure's version here is one from before it had that API; OpenAI has it."""
    answer = gateway.call("POST", "/v1/responses", of_responses(model_name(name, "m")))
    assert answer.status == 200, answer
    sent = internet.last.json()
    assert {member: sent[member] for member in expected_of_responses(())if member in sent} == \
        expected_of_responses(KINDS[name].habits)


def of_gemini():
    return {"contents": [{"role": "user", "parts": [{"text": "q"}]}],
            "generationConfig": {"temperature": 0.5, "topP": 0.9, "presencePenalty": 0.1, "frequencyPenalty": 0.2,
                                 "seed": 3, "responseLogprobs": True, "logprobs": 2, "stopSequences": ["x"],
                                 "maxOutputTokens": 50}}


def expected_of_gemini(habits, model="m"):
    body = {"model": model, "messages": [{"role": "user", "content": "q"}], "temperature": 0.5, "top_p": 0.9,
            "presence_penalty": 0.1, "frequency_penalty": 0.2, "logprobs": True, "top_logprobs": 2, "stop": ["x"],
            "max_completion_tokens" if "new names" in habits else "max_tokens": 50,
            "random_seed" if "random_seed" in habits else "seed": 3}
    for habit, members in (("no sampling", ("temperature", "top_p")), ("no penalties", ("presence_penalty", "frequency_penalty")),
                           ("no logprobs", ("logprobs", "top_logprobs")), ("no stop", ("stop",))):
        for member in members if habit in habits else ():
            del body[member]
    return body


@pytest.mark.parametrize("name, model, refused", [*((name, "m", ()) for name in CHATS), *MODELS])
def test_a_request_of_geminis_dialect(gateway, internet, name, model, refused):
    habits = KINDS[name].habits | set(refused)
    path = f"/v1beta/models/{model_name(name, model)}:generateContent"
    answer = gateway.call("POST", path, of_gemini())
    assert answer.status == 200, answer
    assert internet.last.json() == expected_of_gemini(habits, model)
    dropped = answer.header("x-gw-dropped") or ""
    for habit, word in (("no sampling", "temperature"), ("no penalties", "presencePenalty"), ("no logprobs", "responseLogprobs"),
                        ("no stop", "stopSequences")):
        assert (word in dropped) == (habit in habits), (word, dropped)


@pytest.mark.parametrize("name, model, refused", [row for row in MODELS if row[0] in ("xai", "deepseek")])
def test_effort_by_model(gateway, internet, name, model, refused):
    answer = gateway.call("POST", "/v1/responses", of_responses(model_name(name, model)))
    assert answer.status == 200, answer
    assert ("reasoning_effort" in internet.last.json()) == ("no effort" not in refused)
    assert ("reasoning" in (answer.header("x-gw-dropped") or "")) == ("no effort" in refused)


def test_short_ids_are_told_apart_and_kept(gateway, internet):
    calls = ["toolu_01", "toolu_02", "abcDEF123"]
    body = of_anthropic(model_name("mistral", "m"))
    body["messages"][1]["content"] = [{"type": "tool_use", "id": name, "name": "f", "input": {}} for name in calls]
    body["messages"][2]["content"] = [{"type": "tool_result", "tool_use_id": name, "content": "r"} for name in reversed(calls)]
    assert gateway.call("POST", "/v1/messages", body).status == 200
    messages = internet.last.json()["messages"]
    sent = [call["id"] for call in messages[2]["tool_calls"]]
    assert len(set(sent)) == 3 and sent[2] == "abcDEF123"
    assert [message["tool_call_id"] for message in messages[3:]] == sent[::-1]


def test_neighbours_of_one_role(gateway, internet):
    """Become one message where the provider wants roles to alternate, and stay two elsewhere."""
    said = [("user", "a"), ("user", "b"), ("model", "c"), ("model", "d"), ("user", "e")]
    body = {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in said]}
    sent = {}
    for name in ("perplexity", "groq"):
        path = f"/v1beta/models/{model_name(name, 'm')}:generateContent"
        assert gateway.call("POST", path, body).status == 200
        sent[name] = internet.last.json()["messages"]
    parts = lambda *texts: [{"type": "text", "text": text} for text in texts]
    assert sent["perplexity"] == [{"role": "user", "content": parts("a", "b")},
                                  {"role": "assistant", "content": parts("c", "d")}, {"role": "user", "content": "e"}]
    assert [message["role"] for message in sent["groq"]] == ["user", "user", "assistant", "assistant", "user"]


def test_system_messages_between_turns(gateway, internet):
    """Are said in front where the provider wants roles to alternate, and keep their places elsewhere."""
    said = [("user", "a"), ("system", "S"), ("user", "b"), ("assistant", "c"), ("system", "T"), ("assistant", "d"),
            ("user", "e")]
    sent = {}
    for name in ("perplexity", "groq"):
        body = {"model": model_name(name, "m"), "input": [{"role": role, "content": text} for role, text in said]}
        assert gateway.call("POST", "/v1/responses", body).status == 200
        sent[name] = internet.last.json()["messages"]
    plain = lambda content: content if isinstance(content, str) else "".join(part["text"] for part in content)
    words = {name: [(message["role"], plain(message["content"])) for message in sent[name]] for name in sent}
    assert words["perplexity"] == [("system", "S"), ("system", "T"), ("user", "ab"), ("assistant", "cd"), ("user", "e")]
    assert words["groq"] == said


# ---- the provider's own dialect: nothing but usage ----

@pytest.mark.parametrize("name", CHATS)
def test_native_requests_keep_their_bytes(gateway, internet, name):
    text = ('{"model":"%s","messages":[{"role":"developer","name":"n","content":"D"}],"user":"u","logprobs":true,"top_k":1,'
            '"max_tokens":5,"seed":1,"logit_bias":{"1":1}%s}')
    answer = gateway.call("POST", "/v1/chat/completions", (text % (model_name(name, "m"), "")).encode())
    assert answer.status == 200, answer
    assert internet.last.body.decode() == text % ("m", "")
    answer = gateway.call("POST", "/v1/chat/completions", (text % (model_name(name, "m"), ',"stream":true')).encode())
    assert answer.status == 200 and answer.body.rstrip().endswith(b"[DONE]")
    sent = internet.last.json()
    asked = sent.pop("stream_options", None)
    assert asked == (None if "no stream_options" in KINDS[name].habits else {"include_usage": True})
    assert json.dumps(sent, separators=(",", ":")) == text % ("m", ',"stream":true')
    events = [json.loads(line[6:]) for line in answer.body.decode().split("\n") if line.startswith("data: {")]
    assert any("usage" in event for event in events) == (asked is None), "what was asked for by us is taken out, no more"
    records = wait_until(lambda: gateway.ledger_of(answer.header("x-request-id")), "the record of the request")
    assert [(row["state"], row["input_tokens"], row["output_tokens"]) for row in records] == [("settled", 5, 2)]


# ---- errors as vendors write them ----

DETAIL = [{"type": "extra_forbidden", "loc": ["body", "user"], "msg": "Extra inputs are not permitted", "input": "u"}]


@pytest.mark.parametrize("name, status, body, message", [
    # docs.mistral.ai: what its validator says, in the shapes that are seen of it
    ("mistral", "422 Unprocessable Entity", {"object": "error", "message": {"detail": DETAIL}, "type": "invalid_request_error",
                                             "param": None, "code": None}, "Extra inputs are not permitted"),
    ("mistral", "422 Unprocessable Entity", {"object": "Error", "detail": DETAIL, "message": DETAIL, "code": 3001},
     "Extra inputs are not permitted"),
    ("mistral", "422 Unprocessable Entity", {"detail": DETAIL}, "Extra inputs are not permitted"),
    ("mistral", "400 Bad Request", {"object": "error", "message": "Tool call id was x", "type": "invalid_function_call",
                                    "param": None, "code": "3280"}, "Tool call id was x"),
    ("vllm", "400 Bad Request", {"detail": "There was an error parsing the body"}, "There was an error parsing the body"),
    ("groq", "400 Bad Request", {"error": {"message": "'n' : must be 1", "type": "invalid_request_error"}}, "'n' : must be 1"),
    ("xai", "400 Bad Request", {"code": "Client specified an invalid argument", "error": "Argument not supported: stop"},
     "Argument not supported: stop"),
    ("together", "422 Unprocessable Entity", {"id": "o", "error": {"message": "Input validation error", "code": None,
                                                                   "type": "invalid_request_error", "param": None}},
     "Input validation error"),
])
def test_errors_are_read(gateway, internet, name, status, body, message):
    internet.answers["m"] = (status, body)
    try:
        answer = gateway.call("POST", "/v1/messages", {"model": model_name(name, "m"), "max_tokens": 5,
                                                       "messages": [{"role": "user", "content": "q"}]})
    finally:
        del internet.answers["m"]
    assert (answer.status // 100, answer.json()["error"]["type"]) == (4, "invalid_request_error")
    assert answer.json()["error"]["message"] == message
