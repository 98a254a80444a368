"""Operations that are only relayed: moderations, audio and images, as forms, JSON, events and bytes."""

import base64
import json

import pytest

from client import Closed
from gateway import KEY, MODEL
from waiting import wait_until

BOUNDARY = "----form-7d1b8c"
AUDIO = bytes((i * 7 + (i >> 5)) & 0xff for i in range(40000))  # 3 s by the mock's rate
MODELS = {
    "model:speech": {"targets": "mock/mock-tts", "retries": "0"},
    "model:whisper": {"targets": "mock/mock-whisper", "retries": "0"},
    "model:scribe": {"targets": "mock/mock-transcribe", "retries": "0"},
    "model:painter": {"targets": "mock/mock-image", "retries": "0"},
    "model:dalle": {"targets": "mock/mock-dalle", "retries": "0"},
}


def sound(n=24000):
    """What the mock speaks."""
    return bytes((i * 31 + (i >> 8) * 7 + 13) & 0xff for i in range(n))


def part(name, data, filename=None, extra=""):
    more = f'; filename="{filename}"\r\nContent-Type: application/octet-stream' if filename else ""
    data = data if isinstance(data, bytes) else data.encode()
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n{extra}\r\n'.encode() + data


def form(*parts, boundary=BOUNDARY):
    mark = b"--" + boundary.encode()
    return b"".join(mark + b"\r\n" + p + b"\r\n" for p in parts) + mark + b"--\r\n"


def transcription(model="scribe", *more, audio=AUDIO):
    fields = [] if model is None else [part("model", model)]
    return form(part("file", audio, "speech.mp3"), *fields, *more)


def post_form(gateway, path, body, script="", boundary=BOUNDARY, **more):
    headers = [("Content-Type", f"multipart/form-data; boundary={boundary}"), *([("x-mock", script)] if script else []),
               *more.pop("headers", ())]
    return gateway.call("POST", path, body, headers, **more)


def post(gateway, path, body, script="", headers=(), **more):
    return gateway.call("POST", path, body, [*headers, *([("x-mock", script)] if script else [])], **more)


def say(gateway, script="", model="speech", **members):
    return post(gateway, "/v1/audio/speech", {"model": model, "input": "Grüße, 日本!", "voice": "alloy", **members}, script)


def records(gateway, count=1):
    return wait_until(lambda: len(found := gateway.ledger()) >= count and found, f"{count} records")


def data_of(body):
    return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(MODELS)


@pytest.fixture
def pair(make_gateway, make_mock):
    """A gateway whose model `speech` has a second provider to go to."""
    other = make_mock()
    gateway = make_gateway({
        **MODELS,
        "provider:other": {"kind": "openai", "base_url": other.base_url, "forward_headers": "x-mock"},
        "credential:other": {"provider": "other", "secret": f"file:{secret_of(make_gateway)}"},
        "model:speech": {"targets": "mock/mock-tts tier=1, other/mock-tts-2 tier=2", "retries": "1"}})
    return gateway, other


def secret_of(make_gateway):
    """The secret that every gateway of a test writes beside its INI."""
    return make_gateway(start=False).secret


# ---- speech ----

def test_audio_arrives_byte_for_byte(gateway, mock):
    answer = say(gateway)
    assert answer.status == 200, answer
    assert answer.body == sound()
    assert answer.header("content-type") == "audio/mpeg"
    assert answer.header("content-disposition") == 'attachment; filename="speech"'
    assert answer.framing == "length"
    assert answer.header("x-gw-target") == "mock/mock-tts"
    sent = mock.last_request()
    assert sent.target == "/v1/audio/speech"
    assert sent.json()["model"] == "mock-tts"
    assert sent.header("accept") == "*/*"


@pytest.mark.parametrize("script", ["framing=chunked", "framing=chunked,hchunk=1,size=3000", "framing=close",
                                    "chunk=1,size=2000", "size=3000000", "size=0,framing=length"])
def test_audio_survives_any_framing(gateway, script):
    answer = say(gateway, script)
    assert answer.status == 200, answer
    size = int(dict(word.split("=") for word in script.split(",")).get("size", 24000)) or 24000
    assert answer.body == sound(size)


def test_audio_of_a_request_is_bytes_to_bytes_but_the_model(gateway, mock):
    before = b'{"voice":"alloy" , "x":[1.50e0,"\\u00e9"],"model":"'
    after = b'","input":"Say  it.\\n","response_format":"wav" }'
    answer = post(gateway, "/v1/audio/speech", before + b"speech" + after)
    assert answer.header("content-type") == "audio/wav"
    assert mock.last_request().body == before + b"mock-tts" + after


def test_speech_is_metered_by_its_characters(gateway):
    answer = say(gateway)
    record, = records(gateway)
    assert record["units"] == 10, "code points, not bytes"
    assert record["state"] == "estimated"
    line = gateway.access_line(answer.header("x-request-id"))
    assert line["units"] == 10


def test_first_bytes_of_audio_come_before_the_last(gateway, mock):
    with gateway.connect() as connection:
        connection.request("POST", "/v1/audio/speech", [("Authorization", f"Bearer {KEY}"), ("x-mock", "hold=half"),
                                                        ("Content-Type", "application/json")],
                           json.dumps({"model": "speech", "input": "x", "voice": "alloy"}).encode())
        head = connection.read_head()
        assert connection.read_exactly(1000) == sound()[:1000]
        mock.release()
        assert connection.read_exactly(int(head.header("content-length")) - 1000) == sound()[1000:]


def test_speech_as_events(gateway):
    answer = say(gateway, stream_format="sse")
    assert answer.header("content-type").startswith("text/event-stream")
    events = data_of(answer.body)
    assert b"".join(base64.b64decode(e["audio"]) for e in events[:-1]) == sound()
    assert events[-1]["type"] == "speech.audio.done"
    record, = records(gateway)
    assert record["state"] == "settled"
    assert record["output_tokens"] == events[-1]["usage"]["output_tokens"]


@pytest.mark.parametrize("script", ["framing=chunked,cut=half", "framing=length,cut=half", "framing=chunked,cut=end",
                                    "reset=half"])
def test_cut_audio_does_not_look_finished(gateway, script):
    with pytest.raises((Closed, ConnectionResetError)):
        say(gateway, script)
    record, = records(gateway)
    assert record["state"] == "estimated"


def test_cut_audio_events_end_with_an_error_and_uncleanly(gateway):
    with gateway.connect() as connection:
        connection.request("POST", "/v1/audio/speech", [("Authorization", f"Bearer {KEY}"), ("x-mock", "cut=e3"),
                                                        ("Content-Type", "application/json")],
                           json.dumps({"model": "speech", "input": "x", "voice": "alloy", "stream_format": "sse"}).encode())
        head = connection.read_stream_head()
        seen = []
        with pytest.raises(Closed):
            for event in connection.events(head):
                seen.append(event)
    assert b'"error"' in seen[-1]
    assert sum(b"speech.audio.delta" in event for event in seen) == 3


@pytest.mark.parametrize("script", ["status=500", "status=429", "cut=start", "cut=head", "cut=body",
                                    "ctype=text/html"])
def test_a_failure_before_the_first_byte_is_another_try(pair, mock, script):
    gateway, other = pair
    mock.script(script, count=1)
    answer = say(gateway)
    assert answer.status == 200, answer
    assert answer.body == sound()
    assert answer.header("x-gw-target") == "other/mock-tts-2"
    assert answer.header("x-gw-attempts") == "2"
    assert other.last_request().json()["model"] == "mock-tts-2"


def test_a_provider_that_stops_inside_the_audio(make_gateway):
    gateway = make_gateway({**MODELS, "model:speech": {"targets": "mock/mock-tts", "idle_timeout": "200ms"}})
    with pytest.raises((Closed, ConnectionResetError)):
        say(gateway, "hang=half")
    assert records(gateway)[0]["state"] == "estimated"


def test_client_gone_inside_the_audio_cancels_the_provider(gateway, mock):
    with gateway.connect() as connection:
        connection.request("POST", "/v1/audio/speech", [("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json"),
                                                        ("x-mock", "size=60000000")],
                           json.dumps({"model": "speech", "input": "x" * 30, "voice": "alloy"}).encode())
        connection.read_head()
        connection.reset()
    wait_until(lambda: mock.bill()[0]["outcome"] == "client_gone", "the provider to see the cancellation")
    record, = records(gateway)
    assert record["state"] == "estimated" and record["units"] == 30


def test_a_slow_client_holds_the_provider_up_not_the_memory(gateway, mock):
    """Some megabytes stay where they are until somebody reads them."""
    with gateway.connect(rcvbuf=4096) as connection:
        connection.request("POST", "/v1/audio/speech", [("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json"),
                                                        ("x-mock", "size=60000000")],
                           json.dumps({"model": "speech", "input": "x", "voice": "alloy"}).encode())
        assert connection.read_head().header("content-length") == "60000000"
        assert connection.read_exactly(100000) == sound(100000)
        assert mock.bill()[0]["outcome"] == "open"
        assert gateway.anonymous_kib() < 80 * 1024


def test_provider_errors_of_the_caller_are_passed_on(gateway):
    answer = say(gateway, "status=400")
    assert answer.status == 400
    assert answer.error["code"] == "invalid_value"


@pytest.mark.parametrize("body, param", [
    ({"input": "x", "voice": "a"}, "model"), ({"model": "speech", "voice": "a"}, "input"),
    ({"model": "speech", "input": ["x"], "voice": "a"}, "input"), ({"model": 7, "input": "x"}, "model"),
    ({"model": "speech", "input": "x", "stream_format": 1}, "stream_format")])
def test_what_speech_needs(gateway, mock, body, param):
    answer = post(gateway, "/v1/audio/speech", body)
    assert answer.status == 400
    assert answer.error["param"] == param
    assert not mock.bill()


# ---- transcriptions ----

def test_a_form_is_passed_on_but_for_the_model(gateway, mock):
    body = transcription("scribe", part("language", "de"), part("x", b"\r\n--\0 bytes \xff"))
    answer = post_form(gateway, "/v1/audio/transcriptions", body)
    assert answer.status == 200, answer
    assert answer.json()["text"]
    sent = mock.last_request()
    assert sent.target == "/v1/audio/transcriptions"
    assert sent.body == body.replace(b"\r\n\r\nscribe\r\n", b"\r\n\r\nmock-transcribe\r\n")
    assert sent.header("content-type") == f"multipart/form-data; boundary={BOUNDARY}"
    assert sent.header("content-length") == str(len(sent.body))
    record, = records(gateway)
    assert (record["state"], record["input_tokens"], record["output_tokens"]) == ("settled", 41, 9)


def test_a_boundary_may_stand_in_quotes(gateway):
    body = form(part("file", AUDIO, "a.mp3"), part("model", "scribe"), boundary="it's (odd)=?")
    answer = gateway.call("POST", "/v1/audio/transcriptions", body,
                          [("Content-Type", 'multipart/form-data; charset=utf-8; boundary="it\'s (odd)=?"')])
    assert answer.status == 200, answer


def test_the_deployment_of_the_path_is_the_model(gateway, mock):
    body = transcription(None)
    answer = post_form(gateway, "/openai/deployments/scribe/audio/transcriptions?api-version=2024-10-21", body)
    assert answer.status == 200, answer
    added = form(part("model", "mock-transcribe"))[:-len(f"--{BOUNDARY}--\r\n")]
    assert mock.last_request().body == added + body


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/audio/transcriptions", "/openai/audio/transcriptions",
                                  "/openai/v1/audio/translations", "/audio/translations"])
def test_aliases(gateway, path):
    assert post_form(gateway, path, transcription()).status == 200


@pytest.mark.parametrize("answer_format, state", [
    ("json", "settled"), ("verbose_json", "settled"), ("diarized_json", "settled"), ("text", "estimated"),
    ("srt", "estimated"), ("vtt", "estimated")])
def test_formats_of_transcripts(gateway, answer_format, state):
    body = transcription("whisper", part("response_format", answer_format))
    answer = post_form(gateway, "/v1/audio/transcriptions", body)
    assert answer.status == 200, answer
    record, = records(gateway)
    assert record["state"] == state
    if state == "settled":
        assert answer.json()["text"]
        assert record["units"] == 3, "seconds, begun ones included"
    else:
        assert answer.header("content-type") == "text/plain; charset=utf-8"
        assert b"quick brown fox" in answer.body
        assert record["units"] == 80, "the most that so many bytes can be"


def test_duration_counts_where_there_is_no_usage(gateway):
    body = transcription("whisper", part("response_format", "verbose_json"))
    answer = post_form(gateway, "/v1/audio/transcriptions", body, "usage=absent")
    assert "usage" not in answer.json()
    record, = records(gateway)
    assert (record["state"], record["units"]) == ("settled", 3)


def test_transcript_as_events(gateway):
    answer = post_form(gateway, "/v1/audio/transcriptions", transcription("scribe", part("stream", "true")))
    assert answer.header("content-type").startswith("text/event-stream")
    events = data_of(answer.body)
    assert "".join(e["delta"] for e in events[:-1]) == events[-1]["text"]
    assert events[-1]["type"] == "transcript.text.done"
    record, = records(gateway)
    assert (record["state"], record["output_tokens"]) == ("settled", 9)


@pytest.mark.parametrize("body, what", [
    (b"", "doesn't begin with the boundary"),
    (b"preamble\r\n" + transcription(), "doesn't begin with the boundary"),
    (transcription()[:-4], "something else than CRLF or --"),
    (transcription()[:-len(BOUNDARY) - 8], "the last boundary is missing"),
    (transcription() + b"epilogue", "bytes follow the last boundary"),
    (transcription().replace(b"\r\n", b"\n"), "something else than CRLF"),
    (form(b"\r\nno head"), "a part has no Content-Disposition"),
    (form(b"Content-Disposition: form-data\r\n\r\nx"), "has no name"),
    (form(b'Content-Disposition: form-data; name="model"; name="x"\r\n\r\nx'), "two names"),
    (form(b'Content-Disposition: form-data; name="a\\"b"\r\n\r\nx'), "can't be read"),
    (form(b'Content-Disposition: attachment; name="model"\r\n\r\nx'), "isn't form-data"),
    (form(part("model", "eA==", extra="Content-Transfer-Encoding: base64\r\n")), "Content-Transfer-Encoding"),
    (form(part("file", b"a--" + BOUNDARY.encode() + b"b", "f")), "a boundary stands within a part"),
    (form(*[part(f"p{i}", "") for i in range(300)]), "more than 256 parts"),
    (form(b"x: " + b"y" * 5000 + b"\r\n\r\nx"), "over 4096 bytes")])
def test_malformed_forms_are_told_what_is_wrong(gateway, mock, body, what):
    answer = post_form(gateway, "/v1/audio/transcriptions", body)
    assert answer.status == 400
    assert what in answer.error["message"], answer
    assert answer.error["code"] == "invalid_form"
    assert not mock.bill()


@pytest.mark.parametrize("content_type, what", [
    ("multipart/form-data", "has no boundary"), ("multipart/form-data; boundary=", "can't be read"),
    ("multipart/form-data; boundary=a; boundary=b", "two boundaries"),
    ("multipart/form-data; boundary=\"a b \"", "isn't 1 to 70"),
    (f"multipart/form-data; boundary={'x' * 71}", "isn't 1 to 70")])
def test_malformed_boundaries(gateway, content_type, what):
    answer = gateway.call("POST", "/v1/audio/transcriptions", transcription(), [("Content-Type", content_type)])
    assert answer.status == 400
    assert what in answer.error["message"]


@pytest.mark.parametrize("body, param, code", [
    (transcription(None), "model", "missing_required_parameter"),
    (form(part("model", "scribe")), "file", "missing_required_parameter"),
    (form(part("file", "not a file"), part("model", "scribe")), "file", "missing_required_parameter"),
    (transcription("scribe", part("model", "scribe")), "model", "duplicate_member"),
    (transcription(None, part("model", "scribe", "m.txt")), "model", "invalid_type"),
    (transcription(""), "model", "invalid_value"),
    (transcription("a\nb"), "model", "invalid_value"),
    (transcription(None, part("model", b"\xff")), "model", "invalid_value"),
    (transcription("scribe", part("stream", "maybe")), "stream", "invalid_type")])
def test_what_a_form_needs(gateway, mock, body, param, code):
    answer = post_form(gateway, "/v1/audio/transcriptions", body)
    assert answer.status == 400
    assert (answer.error["param"], answer.error["code"]) == (param, code)
    assert not mock.bill()


def test_unknown_models_of_forms(gateway):
    answer = post_form(gateway, "/v1/audio/transcriptions", transcription("nobody"))
    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"


@pytest.mark.parametrize("path, content_type, what", [
    ("/v1/audio/transcriptions", "application/json", "multipart/form-data"),
    ("/v1/audio/transcriptions", "application/x-www-form-urlencoded", "multipart/form-data"),
    ("/v1/audio/speech", f"multipart/form-data; boundary={BOUNDARY}", "application/json"),
    ("/v1/chat/completions", f"multipart/form-data; boundary={BOUNDARY}", "application/json"),
    ("/v1/images/edits", "text/plain", "multipart/form-data or application/json")])
def test_wrong_content_types(gateway, path, content_type, what):
    answer = gateway.call("POST", path, transcription(), [("Content-Type", content_type)])
    assert answer.status == 415
    assert answer.error["message"].endswith(what)


def test_compressed_forms_are_refused(gateway):
    answer = post_form(gateway, "/v1/audio/transcriptions", transcription(), headers=[("Content-Encoding", "gzip")])
    assert answer.status == 415


def test_a_large_upload_passes_and_a_larger_one_does_not(make_gateway, mock):
    gateway = make_gateway({**MODELS, "http": {"max_body": "24MiB"}})
    audio = AUDIO * 500  # 20 MB
    answer = post_form(gateway, "/v1/audio/transcriptions", transcription(audio=audio))
    assert answer.status == 200, answer
    assert len(mock.last_request().body) > len(audio)
    body = transcription(audio=AUDIO * 700)
    with gateway.connect() as connection:
        connection.request("POST", "/v1/audio/transcriptions", [
            ("Authorization", f"Bearer {KEY}"), ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),
            ("Content-Length", str(len(body)))])
        assert connection.read_response().status == 413


# ---- images ----

def paint(gateway, script="", model="painter", **members):
    members = {"prompt": "A red cube.", **({"model": model} if model else {}), **members}
    return post(gateway, "/v1/images/generations", members, script)


def test_images(gateway, mock):
    answer = paint(gateway, n=2, size="1024x1024")
    assert answer.status == 200, answer
    assert [base64.b64decode(image["b64_json"]) for image in answer.json()["data"]] == [sound(3000)] * 2
    record, = records(gateway)
    usage = answer.json()["usage"]
    assert record["state"] == "settled"
    assert (record["input_tokens"], record["output_tokens"], record["units"]) == (
        usage["input_tokens"], usage["output_tokens"], 2)


def test_images_of_megabytes(gateway):
    answer = paint(gateway, "size=6000000")
    assert base64.b64decode(answer.json()["data"][0]["b64_json"]) == sound(6000000)


def test_images_billed_by_the_piece(gateway):
    assert paint(gateway, model="dalle", n=3).status == 200
    record, = records(gateway)
    assert (record["state"], record["units"]) == ("estimated", 3)


def test_partial_images_as_events(gateway):
    answer = paint(gateway, stream=True, partial_images=2)
    types = [event["type"] for event in data_of(answer.body)]
    assert types == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    record, = records(gateway)
    assert (record["state"], record["output_tokens"], record["units"]) == ("settled", 272, 1)


def test_an_error_inside_partial_images(gateway, mock):
    with gateway.connect() as connection:
        connection.request("POST", "/v1/images/generations", [
            ("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json"), ("x-mock", "error_after=1,hold=e1")],
            json.dumps({"model": "painter", "prompt": "x", "stream": True, "partial_images": 2}).encode())
        events = connection.events(connection.read_stream_head())
        assert b"partial_image" in next(events)
        mock.release()
        assert b'"server_error"' in next(events)
        with pytest.raises(Closed):
            next(events)
    assert records(gateway)[0]["state"] == "estimated"


@pytest.mark.parametrize("cut", ["cut=half", "body=truncated"])
def test_a_cut_image_is_a_clean_error(gateway, cut):
    answer = paint(gateway, cut)
    assert answer.status == 502
    assert answer.header("x-should-retry") == "false"


def test_edits_of_several_images(gateway, mock):
    body = form(part("image[]", AUDIO, "a.png"), part("image[]", b"\x89PNG", "b.png"), part("model", "painter"),
                part("prompt", "Both in one."), part("mask", b"m", "m.png"))
    answer = post_form(gateway, "/v1/images/edits", body)
    assert answer.status == 200, answer
    assert mock.last_request().body == body.replace(b"\r\npainter\r\n", b"\r\nmock-image\r\n")


def test_edits_as_json(gateway, mock):
    answer = post(gateway, "/v1/images/edits", {"model": "painter", "prompt": "Blue.",
                                                "images": [{"image_url": "https://example.test/a.png"}]})
    assert answer.status == 200, answer
    assert mock.last_request().json()["model"] == "mock-image"
    assert mock.last_request().header("content-type") == "application/json"


def test_edits_as_events(gateway):
    body = form(part("image", AUDIO, "a.png"), part("model", "painter"), part("prompt", "x"), part("stream", "true"))
    answer = post_form(gateway, "/v1/images/edits", body)
    assert data_of(answer.body)[-1]["type"] == "image_edit.completed"


def test_variations(gateway, mock):
    answer = post_form(gateway, "/v1/images/variations", form(part("image", AUDIO, "a.png"), part("model", "dalle"),
                                                              part("n", "2")))
    assert answer.status == 200, answer
    assert len(answer.json()["data"]) == 2


@pytest.mark.parametrize("n", ["0", "x", "-1", "1000000"])
def test_odd_numbers_in_forms(gateway, n):
    answer = post_form(gateway, "/v1/images/variations", form(part("image", "x", "a.png"), part("n", n)))
    assert answer.status == 400
    assert answer.error["param"] == "n"


# ---- moderations, and requests without a model ----

def test_moderations(gateway, mock):
    answer = post(gateway, "/v1/moderations", {"model": MODEL, "input": ["a", "b"]})
    assert answer.status == 200, answer
    assert len(answer.json()["results"]) == 2
    record, = records(gateway)
    assert (record["state"], record["input_tokens"], record["output_tokens"], record["units"]) == ("settled", 0, 0, 0)


def test_without_a_model_the_only_provider_is_asked(gateway, mock):
    answer = post(gateway, "/v1/moderations", b'{ "input" : "a" }')
    assert answer.status == 200, answer
    assert answer.json()["model"] == "omni-moderation-latest"
    assert answer.header("x-gw-target") == "mock"
    assert mock.last_request().body == b'{ "input" : "a" }'
    record, = records(gateway)
    assert (record["provider"], record.get("upstream_model", "")) == ("mock", "")


def test_a_form_without_a_model_is_untouched(gateway, mock):
    body = form(part("image", AUDIO, "a.png"), part("prompt", "x"))
    assert post_form(gateway, "/v1/images/edits", body).status == 200
    assert mock.last_request().body == body


def two_providers(make_gateway, make_mock, settings=None):
    other = make_mock()
    base = {**MODELS, "provider:other": {"kind": "openai", "base_url": other.base_url},
            "credential:other": {"provider": "other", "secret": f"file:{secret_of(make_gateway)}"},
            "model:elsewhere": {"targets": "other/mock-chat"}}
    for section, values in (settings or {}).items():
        base[section] = {**base.get(section, {}), **values}
    return make_gateway(base), other


def moderate(gateway, provider=None, **more):
    return post(gateway, "/v1/moderations", {"input": "a"}, headers=[("x-gw-provider", provider)] if provider else [], **more)


def test_two_providers_must_be_told_apart(make_gateway, make_mock):
    gateway, other = two_providers(make_gateway, make_mock)
    answer = moderate(gateway)
    assert answer.status == 400
    assert answer.error["code"] == "provider_ambiguous"
    assert "x-gw-provider" in answer.error["message"] and "relay_provider" in answer.error["message"]
    assert moderate(gateway, "other").header("x-gw-target") == "other"
    assert moderate(gateway, "mock").header("x-gw-target") == "mock"
    assert moderate(gateway, "nobody").status == 404
    assert other.last_request().header("x-gw-provider") is None


@pytest.mark.parametrize("settings, target", [
    ({"gateway": {"relay_provider": "other"}}, "other"), ({"gateway": {"default_model": "elsewhere"}}, "other"),
    ({"gateway": {"default_model": MODEL}}, "mock"),
    ({"gateway": {"default_model": MODEL, "relay_provider": "other"}}, "other")])
def test_the_configuration_tells_them_apart(make_gateway, make_mock, settings, target):
    gateway, _ = two_providers(make_gateway, make_mock, settings)
    assert moderate(gateway).header("x-gw-target") == target


def test_a_key_reaches_the_providers_of_its_models_only(make_gateway, make_mock):
    gateway, _ = two_providers(make_gateway, make_mock, {"gateway": {"relay_provider": "mock"}})
    _, key = gateway.create_key("narrow", "--models", "elsewhere")
    assert moderate(gateway, "mock", key=key).status == 404
    assert moderate(gateway, "other", key=key).status == 200
    assert moderate(gateway, key=key).status == 400


def test_a_provider_that_does_not_offer_it(make_gateway, mock):
    gateway = make_gateway({**MODELS, "provider:mock": {"kind": "groq"}})
    answer = post(gateway, "/v1/moderations", {"model": MODEL, "input": "a"})
    assert answer.status == 400
    assert answer.error["code"] == "unsupported_operation"
    assert moderate(gateway).status == 400
    assert moderate(gateway, "mock").status == 400


def test_relay_provider_must_exist(make_gateway):
    gateway = make_gateway({"gateway": {"relay_provider": "nobody"}}, start=False)
    result = gateway.gwctl("config", "check", gateway.ini, check=False)
    assert result.returncode == 1
    assert "there is no [provider:nobody]" in result.stdout + result.stderr


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT"])
def test_methods_of_relayed_paths(gateway, method):
    answer = gateway.call(method, "/v1/images/generations")
    assert answer.status == 405
    assert answer.header("allow") == "POST"


@pytest.mark.parametrize("version, prefix, query", [
    ("2025-04-01-preview", "/openai/deployments/{}", "?api-version=2025-04-01-preview"), ("v1", "/openai/v1", "")])
def test_azure(make_gateway, mock, version, prefix, query):
    gateway = make_gateway({**MODELS, "provider:mock": {
        "kind": "azure", "base_url": f"http://127.0.0.1:{mock.port}", "api_version": version}})
    assert say(gateway).body == sound()
    assert mock.last_request().target == prefix.format("mock-tts") + "/audio/speech" + query
    assert mock.last_request().header("api-key")
    assert post_form(gateway, "/v1/audio/transcriptions", transcription()).status == 200
    assert mock.last_request().target == prefix.format("mock-transcribe") + "/audio/transcriptions" + query
    assert paint(gateway).status == 200
    assert post(gateway, "/v1/moderations", {"model": MODEL, "input": "a"}).error["code"] == "unsupported_operation"
