"""GET /v1/models and /v1/models/{model}: what a key may use, as clients of OpenAI, Anthropic and Google
know lists and pages."""

import pytest

from gateway import KEY

# https://platform.claude.com/docs/en/api/models-list, https://ai.google.dev/api/models
ANTHROPIC = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")]
GOOGLE = [("x-goog-api-key", KEY)]
NAMES = [f"m{number:02}" for number in range(23)] + ["org/odd:name@1"]


@pytest.fixture
def listing(make_gateway):
    settings = {f"model:{name}": {"targets": "mock/mock-chat"} for name in NAMES}
    return make_gateway({"model:gpt-test": None, **settings})


def get(gateway, path, headers):
    answer = gateway.get(path, headers=headers)
    return answer.status, answer.json()


def test_as_openai_has_it(listing):
    answer = listing.get("/v1/models", KEY)
    assert [row["id"] for row in answer.json()["data"]] == NAMES
    assert answer.json()["object"] == "list"
    assert listing.get("/v1/models/m03", KEY).json() == {"id": "m03", "object": "model", "created": 0, "owned_by": "gatewayd"}
    assert listing.get("/v1/models/m99", KEY).json()["error"]["code"] == "model_not_found"


def model_of_anthropic(name):
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"}


@pytest.mark.parametrize("query, wanted, more", [
    ("", NAMES[:20], True), ("?limit=3", NAMES[:3], True), ("?limit=1000", NAMES, False),
    ("?limit=2&after_id=m04", NAMES[5:7], True), ("?after_id=m20", NAMES[21:], False),
    ("?limit=2&before_id=m04", NAMES[2:4], True), ("?before_id=m02", NAMES[:2], False),
    ("?before_id=m00", [], False), ("?after_id=org%2Fodd%3Aname%401", [], False),
])
def test_as_anthropic_has_it(listing, query, wanted, more):
    for path, headers in (("/v1/models", ANTHROPIC), ("/anthropic/v1/models", [("authorization", f"Bearer {KEY}")])):
        status, body = get(listing, path + query, headers)
        assert (status, body) == (200, {
            "data": [model_of_anthropic(name) for name in wanted], "has_more": more,
            "first_id": wanted[0] if wanted else None, "last_id": wanted[-1] if wanted else None})


def test_one_of_anthropics(listing):
    assert get(listing, "/v1/models/org/odd%3Aname@1", ANTHROPIC) == (200, model_of_anthropic("org/odd:name@1"))
    status, body = get(listing, "/v1/models/none", ANTHROPIC)
    assert (status, body["type"], body["error"]["type"]) == (404, "error", "not_found_error")


@pytest.mark.parametrize("query, member", [("limit=0", "limit"), ("limit=x", "limit"), ("after_id=none", "after_id"),
                                           ("before_id=", "before_id")])
def test_a_bad_page_of_anthropics(listing, query, member):
    status, body = get(listing, "/v1/models?" + query, ANTHROPIC)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert member in body["error"]["message"]


def model_of_google(name):
    return {"name": f"models/{name}", "version": "1", "displayName": name,
            "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"]}


@pytest.mark.parametrize("path, headers", [
    ("/v1beta/models?", GOOGLE), ("/v1/models?", GOOGLE), (f"/v1beta/models?key={KEY}&", ()), (f"/v1/models?key={KEY}&", ()),
    ("/genai/v1beta/models?", GOOGLE)])
def test_as_google_has_it(listing, path, headers):
    seen, token = [], ""
    while True:
        status, body = get(listing, f"{path}pageSize=10{token and '&pageToken=' + token}", headers)
        assert status == 200, body
        seen.append(body.pop("models"))
        if not (token := body.pop("nextPageToken", "")):
            break
    assert body == {} and [len(page) for page in seen] == [10, 10, 4]
    assert [row for page in seen for row in page][:3] == [model_of_google(name) for name in NAMES[:3]]


def test_one_of_googles(listing):
    assert get(listing, "/v1beta/models/m03", GOOGLE)[1]["name"] == "models/m03"
    status, body = get(listing, "/v1beta/models/none", GOOGLE)
    assert (status, body["error"]["status"]) == (404, "NOT_FOUND")
    status, body = get(listing, "/v1beta/models?pageToken=none", GOOGLE)
    assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert listing.get("/v1beta/models/m03:generateContent", headers=GOOGLE).status == 405
    assert listing.call("POST", "/v1beta/models/m03:unknown", {}, GOOGLE, key=None).status == 404


def test_methods_are_those_that_work(make_gateway, mock):
    place = {"project": "p", "location": "eu", "base_url": f"http://127.0.0.1:{mock.port}/v1"}
    gateway = make_gateway({"provider:mock": {"kind": "vertex", **place}, "model:gpt-test": None,
                            "model:g": {"targets": "mock/gemini-2.5-pro"}, "model:l": {"targets": "mock/meta/llama"}})
    methods = {row["displayName"]: row["supportedGenerationMethods"] for row in get(gateway, "/v1beta/models", GOOGLE)[1]["models"]}
    assert methods["g"][:2] == ["generateContent", "countTokens"] and "generateContent" in methods["l"]


@pytest.mark.parametrize("path, headers, member", [("/v1/models", ANTHROPIC, "data"), ("/v1beta/models", GOOGLE, "models")])
def test_a_key_sees_what_it_may_use(listing, path, headers, member):
    _, key = listing.create_key("few", "--models", "m05")
    headers = [(name, key if "key" in name else value) for name, value in headers]
    assert len(get(listing, path, headers)[1][member]) == 1
    assert get(listing, path + "/m06", headers)[0] == 404
