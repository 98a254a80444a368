"""Amazon Bedrock as a provider: requests signed with Signature Version 4, which mockllm checks by code of
its own, and the frames of its event streams."""

import json
import urllib.parse

import pytest

from gateway import KEY, MODEL
from waiting import wait_until

# A model's name as Bedrock writes them: the colon is encoded in the path, and encoded again in what is signed.
UPSTREAM = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": "hello é"}]}
SAID = {"messages": [{"role": "user", "content": [{"text": "hello é"}]}]}


@pytest.fixture
def make_bedrock(make_gateway, mock):
    """make_bedrock(access_key_id, secret, token=None): a gateway whose only provider is Bedrock."""
    def make(access_key_id, secret, token=None):
        gateway = make_gateway(start=False)
        credential = {"provider": "mock", "auth": "sigv4", "access_key_id": access_key_id,
                      "secret": f"file:{gateway.write_secret(secret, gateway.folder / 'secret-access-key')}"}
        if token:
            credential["session_token"] = f"file:{gateway.write_secret(token, gateway.folder / 'session-token')}"
        gateway.write_ini({
            "provider:mock": {"kind": "bedrock", "region": "eu-west-1", "base_url": f"http://127.0.0.1:{mock.port}"},
            "credential:mock": credential,
            f"model:{MODEL}": {"targets": f"mock/{UPSTREAM}"},
        })
        return gateway.start()
    return make


@pytest.mark.parametrize("key, secret, token", [
    ("AKIDMOCK", "secret-of-AKIDMOCK", None),
    ("ASIAMOCK", "secret-of-ASIAMOCK", "token-of-ASIAMOCK"),
])
def test_requests_are_signed(make_bedrock, mock, key, secret, token):
    gateway = make_bedrock(key, secret, token)
    for path, body in (("/v1/chat/completions", ASKED), (f"/model/{MODEL}/converse", SAID)):
        answer = gateway.call("POST", path, body)
        assert answer.status == 200, answer
        sent = mock.last_request()
        assert sent.target == f"/model/{urllib.parse.quote(UPSTREAM, safe='')}/converse"
        assert sent.header("authorization").startswith(f"AWS4-HMAC-SHA256 Credential={key}/")
        assert "/eu-west-1/bedrock/aws4_request, " in sent.header("authorization")
        assert sent.header("x-amz-security-token") == token
        assert json.loads(sent.body)["messages"] == SAID["messages"]
    text = gateway.stderr.read_text()
    assert secret not in text and (token is None or token not in text)


def test_a_stream_is_signed_and_translated(make_bedrock, mock):
    gateway = make_bedrock("AKIDMOCK", "secret-of-AKIDMOCK")
    answer = gateway.call("POST", "/v1/chat/completions", {**ASKED, "stream": True})
    assert answer.status == 200
    lines = [line[6:] for line in answer.body.decode().split("\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    assert {chunk["model"] for chunk in chunks} == {UPSTREAM}
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1] == "stop"
    assert mock.last_request().target.endswith("/converse-stream")
    request = answer.header("x-request-id")
    gateway.access_line(request)
    [record] = wait_until(lambda: gateway.ledger_of(request), "the record of the request")
    assert (record["state"], record["output_tokens"]) == ("settled", 8)


@pytest.mark.no_reconcile("the bill leaves out what the provider refused")
@pytest.mark.parametrize("key, secret, token", [
    ("AKIDMOCK", "secret-of-another", None),
    ("ASIAMOCK", "secret-of-ASIAMOCK", None),
    ("ASIAMOCK", "secret-of-ASIAMOCK", "token-of-another"),
])
def test_a_refused_signature_is_the_credentials_fault(make_bedrock, key, secret, token):
    gateway = make_bedrock(key, secret, token)
    answer = gateway.call("POST", "/v1/chat/completions", ASKED)
    assert answer.status >= 500, "a wrong key of ours is not the caller's fault"
    assert "signature" not in answer.body.decode().lower()
    assert gateway.access_line(answer.header("x-request-id"))["upstream_status"] == 403


def test_what_a_native_caller_says_goes_byte_for_byte(make_bedrock, mock):
    gateway = make_bedrock("AKIDMOCK", "secret-of-AKIDMOCK")
    body = b'{ "messages" : [ {"role":"user","content":[{"text":"a\\u00e9 \\n"}]} ] ,"inferenceConfig":{"maxTokens":5}}'
    answer = gateway.call("POST", f"/model/{MODEL}/converse", body)
    assert answer.status == 200, answer
    assert mock.last_request().body == body


@pytest.mark.parametrize("path, body", [("/v1/chat/completions", {**ASKED, "stream": True}),
                                        (f"/model/{MODEL}/converse-stream", SAID)])
def test_a_corrupt_frame_ends_the_stream(make_bedrock, mock, path, body):
    """Nobody can tell where the next frame begins."""
    gateway = make_bedrock("AKIDMOCK", "secret-of-AKIDMOCK")
    with gateway.connect() as connection:
        connection.request("POST", path, [("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json"),
                                          ("x-mock", "hold=e1,body=suffix")], json.dumps(body).encode())
        head = connection.read_stream_head()
        assert head.status == 200
        mock.release()
        data = connection.read_to_end()
    assert b"[DONE]" not in data and b"messageStop" not in data
    assert b'"error"' in data or b":exception-type" in data
    assert not data.endswith(b"0\r\n\r\n"), "a broken stream ended as if all were well"
