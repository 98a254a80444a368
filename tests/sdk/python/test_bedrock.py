"""Amazon's client: Converse and ConverseStream, with a key of the gateway's as a bearer token."""

import pytest
from conftest import BOTH, KEY, ROOT, SCHEMAS, TEXT, each

boto3 = pytest.importorskip("boto3", reason="boto3 isn't installed")
UNSIGNED = pytest.importorskip("botocore").UNSIGNED
Config = pytest.importorskip("botocore.config").Config
UnknownServiceError = pytest.importorskip("botocore.exceptions").UnknownServiceError

MESSAGES = [{"role": "user", "content": [{"text": "Say hello."}]}]
TOOLS = {"tools": [{"toolSpec": {"name": name, "inputSchema": {"json": schema}}} for name, schema in SCHEMAS.items()]}


WORDS = []


def add_headers(request, **_):
    request.headers["Authorization"] = f"Bearer {KEY}"
    if WORDS:
        request.headers["x-mock"] = WORDS[0]


@pytest.fixture(scope="module")
def client():
    """It signs nothing and is given its token here, since it sends tokens of its own over TLS only."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    try:
        made = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=ROOT, config=config)
    except UnknownServiceError:
        pytest.skip(f"boto3 {boto3.__version__} has no Bedrock")
    if not hasattr(made, "converse"):
        pytest.skip(f"boto3 {boto3.__version__} has no Converse")
    made.meta.events.register("before-send.bedrock-runtime", add_headers)
    return made


@pytest.fixture
def says():
    WORDS.clear()
    yield WORDS.append
    WORDS.clear()


def text_of(answer):
    return "".join(part.get("text", "") for part in answer["output"]["message"]["content"])


def calls_of(answer):
    return [part["toolUse"] for part in answer["output"]["message"]["content"] if "toolUse" in part]


@each("bedrock")
def test_converse(client, says, target):
    says("prompt=9,completion=8")
    answer = client.converse(modelId=target["model"], messages=MESSAGES, system=[{"text": "Be brief."}])
    assert (text_of(answer), answer["stopReason"]) == (TEXT, "end_turn")
    assert (answer["usage"]["inputTokens"], answer["usage"]["outputTokens"]) == (9, 8)


@each("bedrock")
def test_stream(client, says, target):
    says("chunk=3")
    events = list(client.converse_stream(modelId=target["model"], messages=MESSAGES)["stream"])
    assert "".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event) == TEXT
    assert events[-1]["metadata"]["usage"]["outputTokens"] > 0


@each("bedrock")
def test_tools_and_their_results(client, says, target):
    says("tools=2")
    answer = client.converse(modelId=target["model"], messages=MESSAGES, toolConfig=TOOLS)
    assert answer["stopReason"] == "tool_use"
    assert [(call["name"], call["input"]) for call in calls_of(answer)] == BOTH
    results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "fine"}]}} for call in calls_of(answer)]
    WORDS.clear()
    after = client.converse(modelId=target["model"], toolConfig=TOOLS,
                            messages=[*MESSAGES, answer["output"]["message"], {"role": "user", "content": results}])
    assert text_of(after) == TEXT


@each("bedrock")
@pytest.mark.parametrize("status, error", [(400, "ValidationException"), (404, "ResourceNotFoundException"),
                                           (429, "ThrottlingException")])
def test_errors(client, says, target, status, error):
    says(f"status={status}")
    with pytest.raises(getattr(client.exceptions, error)):
        client.converse(modelId=target["model"], messages=MESSAGES)
