"""What mockllm's Gemini takes, refuses and answers. No gateway takes part."""

import http.client
import json

import pytest

from test_mockllm import KEY, Mock

PATH = "/v1beta/models/mock-chat:"
USER = {"role": "user", "parts": [{"text": "hi"}]}
DECLARED = [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {
    "a": {"type": "INTEGER"}}}}, {"name": "g"}]}]


@pytest.fixture(scope="module", name="mock")
def _mock():
    mock = Mock()
    yield mock
    mock.stop()


def ask(mock, method, body, headers=None, path=PATH):
    connection = http.client.HTTPConnection("127.0.0.1", mock.ports["plain"], timeout=20)
    connection.request("POST", path + method, json.dumps(body) if isinstance(body, dict) else body,
                       {"Content-Type": "application/json", "x-goog-api-key": KEY, **(headers or {})})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def generate(mock, script="", **members):
    status, text = ask(mock, "generateContent", {"contents": [USER]} | members, {"x-mock": script})
    return status, json.loads(text)


def call(name="f", call_id="1", **members):
    return {"functionCall": {"id": call_id, "name": name, "args": {}}, **members}


def result(name="f", call_id="1"):
    return {"functionResponse": {"id": call_id, "name": name, "response": {"output": "x"}}}


def test_whole_answer(mock):
    status, body = generate(mock, "tokens=3,prompt=9,cached=4")
    assert status == 200
    [candidate] = body["candidates"]
    assert candidate == {"content": {"parts": [{"text": "A mock naïve"}], "role": "model"}, "finishReason": "STOP",
                         "index": 0}
    usage = body["usageMetadata"]
    assert (usage["promptTokenCount"], usage["cachedContentTokenCount"], usage["candidatesTokenCount"],
            usage["totalTokenCount"]) == (9, 4, 3, 12)
    assert body["modelVersion"] == "mock-chat" and body["responseId"]


def test_stream_as_events_and_as_an_array(mock):
    status, text = ask(mock, "streamGenerateContent?alt=sse", {"contents": [USER]})
    events = [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line]
    assert status == 200 and len(events) == 8
    status, text = ask(mock, "streamGenerateContent", {"contents": [USER]})
    assert status == 200 and json.loads(text) == events
    assert [event["candidates"][0].get("finishReason") for event in events] == [None] * 7 + ["STOP"]
    assert events[-1]["usageMetadata"]["candidatesTokenCount"] == 8


def test_keys(mock):
    assert ask(mock, "generateContent", {"contents": [USER]}, {"x-goog-api-key": ""})[0] == 403
    status, text = ask(mock, "generateContent", {"contents": [USER]}, {"x-goog-api-key": "sk-wrong"})
    error = json.loads(text)["error"]
    assert (status, error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"][0]["reason"] == "API_KEY_INVALID"
    connection = http.client.HTTPConnection("127.0.0.1", mock.ports["plain"], timeout=20)
    connection.request("GET", f"/v1beta/models?key={KEY}")
    assert connection.getresponse().status == 200
    connection.close()


def test_counts_and_embeddings(mock):
    status, text = ask(mock, "countTokens", {"contents": [USER]})
    assert status == 200 and json.loads(text)["totalTokens"] > 0
    content = {"parts": [{"text": "x"}]}
    status, text = ask(mock, "embedContent", {"content": content, "outputDimensionality": 5})
    assert status == 200 and len(json.loads(text)["embedding"]["values"]) == 5
    one = {"model": "models/m", "content": content}
    status, text = ask(mock, "batchEmbedContents", {"requests": [one, one]})
    first, second = json.loads(text)["embeddings"]
    assert status == 200 and first == second and len(first["values"]) == 64
    assert ask(mock, "batchEmbedContents", {"requests": [{"content": content}]})[0] == 400
    assert ask(mock, "somethingElse", {})[0] == 404


@pytest.mark.parametrize("members, says", [
    ({"messages": []}, 'Unknown name "messages": Cannot find field.'),
    ({"contents": []}, "contents is not specified"),
    ({"contents": "x"}, "'contents'"),
    ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
    ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
    ({"contents": [{"role": "user", "parts": [{}]}]}, "oneof field 'data'"),
    ({"contents": [{"role": "user", "parts": [{"text": "x", "type": "text"}]}]}, "'contents[0].parts[0]'"),
    ({"contents": [{"role": "user", "parts": [{"text": ""}]}]}, "text parameter"),
    ({"contents": [{"role": "user", "parts": [{"text": 7}]}]}, "(TYPE_STRING), 7"),
    ({"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "a b"}}]}]},
     "(TYPE_BYTES)"),
    ({"contents": [USER, {"role": "user", "parts": [result()]}]}, "immediately after a function call turn"),
    ({"contents": [USER, {"role": "model", "parts": [call()]}]}, "immediately before a function response turn"),
    ({"contents": [USER, {"role": "model", "parts": [call(), call("g", "2")]}, {"role": "user", "parts": [result()]}]},
     "equal to the number of function call parts"),
    ({"contents": [USER, {"role": "model", "parts": [call()]}, {"role": "user", "parts": [result("g")]}]},
     "answers no call"),
    ({"contents": [{"role": "user", "parts": [call()]}]}, "from the model role"),
    ({"systemInstruction": "x"}, "(TYPE_MESSAGE)"),
    ({"tools": [{"function_declarations": [{"name": "f"}, {"name": "f"}]}]}, "Duplicate function declaration"),
    ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "additionalProperties":
                                                                     False}}]}]}, 'Unknown name "additionalProperties"'),
    ({"tools": DECLARED, "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}},
     "only be set when the mode is ANY"),
    ({"tools": DECLARED, "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["h"]}}},
     "not declared"),
    ({"generationConfig": {"maxOutputTokens": 0}}, "maxOutputTokens"),
    ({"generationConfig": {"temperature": 2.5}}, "temperature"),
    ({"generationConfig": {"max_output_tokens": "x"}}, "'generation_config.max_output_tokens' (TYPE_INT32)"),
    ({"generationConfig": {"responseJsonSchema": {}}}, "text/plain"),
    ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}}, "only one of"),
    ({"generationConfig": {"topP": 0.5, "top_p": 0.5}}, "more than once"),
])
def test_refusals(mock, members, says):
    status, body = generate(mock, **members)
    assert status == 400
    assert (body["error"]["code"], body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert says in body["error"]["message"]


def test_calls_and_their_signatures(mock):
    status, body = generate(mock, "tools=2,reason=2", tools=DECLARED)
    first, second = body["candidates"][0]["content"]["parts"]
    assert status == 200 and body["usageMetadata"]["thoughtsTokenCount"] == 2
    assert first["functionCall"]["args"] == {"a": 7}
    assert "thoughtSignature" in first and "thoughtSignature" not in second
    answers = [result(part["functionCall"]["name"], part["functionCall"]["id"]) for part in (first, second)]

    def go_on(*parts):
        return generate(mock, tools=DECLARED, contents=[USER, {"role": "model", "parts": list(parts)},
                                                        {"role": "user", "parts": answers}])
    assert go_on(first, second)[0] == 200
    bare = {"functionCall": first["functionCall"]}
    status, body = go_on(bare, second)
    assert status == 400 and "missing a thought_signature" in body["error"]["message"]
    status, body = go_on(bare | {"thoughtSignature": "AAAA"}, second)
    assert status == 400 and "Invalid thought signature" in body["error"]["message"]


def test_thoughts_are_shown_when_asked_for(mock):
    parts = generate(mock, "reason=3,tokens=1")[1]["candidates"][0]["content"]["parts"]
    assert parts == [{"text": "A"}]
    shown = {"thinkingConfig": {"includeThoughts": True}}
    thought, text = generate(mock, "reason=3,tokens=1", generationConfig=shown)[1]["candidates"][0]["content"]["parts"]
    assert thought["thought"] and thought["text"] == "Let me think" and text == {"text": "A"}
    history = [USER, {"role": "model", "parts": [thought, text]}, USER]
    assert generate(mock, contents=history)[0] == 200
    thought["text"] += "!"
    assert generate(mock, contents=history)[0] == 400


def test_errors_in_the_middle(mock):
    status, text = ask(mock, "streamGenerateContent?alt=sse", {"contents": [USER]}, {"x-mock": "error_after=2"})
    last = json.loads(text.split("\n\n")[2].removeprefix("data: "))
    assert status == 200 and last["error"]["status"] == "INTERNAL"
    status, body = generate(mock, "status=429")
    assert (status, body["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
