"""The official Google client: contents, streams, functions, counts, models, errors."""

import pytest
from conftest import BOTH, KEY, ROOT, SCHEMAS, TEXT, each, script

genai = pytest.importorskip("google.genai", reason="the google-genai client isn't installed")
types, errors = genai.types, genai.errors


@pytest.fixture(scope="module")
def client():
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=ROOT))


def config(words="", **more):
    return types.GenerateContentConfig(http_options=types.HttpOptions(headers=script(words)) if words else None, **more)


TOOLS = [types.Tool(function_declarations=[types.FunctionDeclaration(name=name, parameters_json_schema=schema)
                                           for name, schema in SCHEMAS.items()])]


def calls_of(answer):
    return [(call.name, call.args) for call in answer.function_calls]


@each("gemini")
def test_contents(client, target):
    answer = client.models.generate_content(model=target["model"], contents="Say hello.",
                                            config=config("prompt=9,completion=8", system_instruction="Be brief."))
    assert answer.text == TEXT
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert (answer.usage_metadata.prompt_token_count, answer.usage_metadata.candidates_token_count) == (9, 8)


@each("gemini")
def test_stream(client, target):
    chunks = list(client.models.generate_content_stream(model=target["model"], contents="Say hello.", config=config("chunk=3")))
    assert "".join(chunk.text or "" for chunk in chunks) == TEXT
    assert chunks[-1].usage_metadata.candidates_token_count > 0


@each("gemini")
def test_functions_and_their_results(client, target):
    asked = types.Content(role="user", parts=[types.Part(text="Say hello.")])
    answer = client.models.generate_content(model=target["model"], contents=[asked], config=config("tools=2", tools=TOOLS))
    assert calls_of(answer) == BOTH
    results = [types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "fine"}))
               for call in answer.function_calls]
    after = client.models.generate_content(
        model=target["model"], contents=[asked, answer.candidates[0].content, types.Content(role="user", parts=results)],
        config=config(tools=TOOLS))
    assert after.text == TEXT


@each("gemini")
def test_count_tokens(client, target):
    assert client.models.count_tokens(model=target["model"], contents="Say hello.").total_tokens > 0


@each("gemini")
@pytest.mark.parametrize("status, error", [(400, "ClientError"), (404, "ClientError"), (429, "ClientError"), (500, "ServerError")])
def test_errors(client, target, status, error):
    with pytest.raises(getattr(errors, error)) as caught:
        client.models.generate_content(model=target["model"], contents="Say hello.", config=config(f"status={status}"))
    assert caught.value.message


def test_models(client):
    names = [model.name for model in client.models.list(config={"page_size": 5})]
    assert len(names) > 5 and len(set(names)) == len(names) and names[0].startswith("models/")
    assert client.models.get(model=names[-1]).name == names[-1]


def test_a_wrong_key():
    wrong = genai.Client(api_key="wrong", http_options=types.HttpOptions(base_url=ROOT))
    with pytest.raises(errors.ClientError):
        list(wrong.models.list())
