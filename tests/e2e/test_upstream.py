"""What a provider may do wrong, and what the client is told (DESIGN of the retry table)."""

import json
import time

import pytest

from client import Closed
from gateway import MODEL, PROVIDER_SECRET
from ports import free_port
from waiting import wait_until

TWO_TARGETS = {"targets": "mock/first tier=1, mock/second tier=2", "retries": "2"}


def stream_of(gateway, script, **members):
    """(head, events, whether the stream ended cleanly)."""
    # With a pace: what arrives in one piece with its fault is a plain 502 instead of a cut stream.
    with gateway.stream(f"gap=10ms,{script}", **members) as (connection, head):
        events = []
        try:
            for event in connection.events(head):
                events.append(event)
        except (Closed, ConnectionResetError):
            return head, events, False
        return head, events, True


def provider_fault(answer):
    """A 502 in our own words that tells nothing of who is behind us."""
    assert answer.status == 502, answer
    message = json.dumps(answer.error)
    for secret in ("127.0.0.1", "localhost", PROVIDER_SECRET, "mock-chat"):
        assert secret not in message, message
    return True


@pytest.mark.parametrize("script", [
    "cut=start", "cut=head", "cut=body", "cut=half", "reset=start", "reset=half", "framing=chunked,cut=half",
    "framing=chunked,cut=end", "length=long", "length=twice", "length=twice-same", "length=with-te",
    "length=negative", "length=huge", "length=word", "length=plus", "inject=cr", "inject=lf", "inject=nul",
    "inject=fold", "inject=space", "inject=nocolon", "inject=name", "inject=status", "body=empty",
    "body=truncated", "body=html,ctype=text/html", "body=utf8", "body=suffix", "garbage=start", "gzip=1",
    "header_size=200000", "headers=5000", "status=101", "status=999", "status=302,location=http://127.0.0.1:1/",
    "interim=100000", "framing=chunked,chunk_ext=1,garbage=half"])
def test_a_broken_whole_answer_is_a_502(gateway, mock, script):
    assert provider_fault(gateway.chat(script))
    assert len(mock.bill()) == 1, "the request was sent again"
    assert gateway.chat().status == 200


@pytest.mark.parametrize("script", ["cut=start", "reset=start", "cut=head", "garbage=start", "inject=lf",
                                    "status=302,location=http://127.0.0.1:1/", "ctype=text/html"])
def test_a_stream_that_never_began_is_a_502(gateway, script):
    with gateway.stream(script) as (connection, head):
        assert head.status == 502, head


def test_a_finish_reason_ends_a_stream_without_done(gateway):
    """Some providers send no [DONE]; their finish_reason says that nothing is missing."""
    head, events, clean = stream_of(gateway, "tokens=6,done=0")
    assert head.status == 200 and clean
    assert b'"finish_reason":"stop"' in events[-1]


@pytest.mark.parametrize("script", ["tokens=6,cut=e3", "tokens=6,reset=e3", "tokens=6,cut=done",
                                    "tokens=6,framing=close,cut=e3",
                                    "tokens=6,framing=chunked,garbage=e3"])
def test_a_cut_stream_never_looks_finished(gateway, script):
    """An error event in the stream, and an end that no client can take for a clean one."""
    head, events, clean = stream_of(gateway, script)
    assert head.status == 200
    assert not any(b"[DONE]" in event for event in events)
    assert b'"error"' in events[-1], events
    assert not clean, "the stream ended like a complete one"


def test_a_stream_cut_behind_its_terminator_is_whole(gateway):
    """Nothing of the answer is missing; only the provider's connection is thrown away."""
    head, events, clean = stream_of(gateway, "tokens=6,framing=chunked,cut=end")
    assert clean and events[-1] == b"data: [DONE]\n\n"
    assert gateway.chat().status == 200


def test_an_error_event_inside_a_stream_is_passed_on(gateway):
    head, events, _ = stream_of(gateway, "tokens=6,error_after=2,error=server_error")
    assert head.status == 200
    assert any(b'"error"' in event for event in events)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_the_callers_own_errors_are_kept(gateway, mock, status):
    answer = gateway.chat(f"status={status}")
    assert answer.status == status, answer
    assert answer.error["message"]
    assert answer.header("x-request-id")
    assert len(mock.bill()) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_not_the_callers_fault(gateway, status):
    """The caller's key is fine: it hears 502, and the provider's words are replaced."""
    answer = gateway.chat(f"status={status},error=provider_words_canary")
    assert answer.status in (502, 503), answer
    assert b"canary" not in answer.body


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
def test_provider_errors_are_replaced(gateway, mock, status):
    answer = gateway.chat(f"status={status},error=provider_words_canary")
    assert answer.status in (502, 503), answer
    assert b"canary" not in answer.body
    assert len(mock.bill()) == 1


def test_a_rate_limit_without_anything_else_to_try(gateway):
    answer = gateway.chat("status=429,retry_after=7")
    assert answer.status == 429, answer
    assert answer.error["code"] == "upstream_rate_limited"
    assert 1 <= int(answer.header("retry-after")) <= 7


@pytest.mark.parametrize("script", ["status=500", "status=503", "status=429,retry_after=30", "status=529",
                                    "cut=start", "reset=start", "cut=half", "body=truncated", "length=twice"])
def test_a_fault_is_tried_elsewhere(make_gateway, mock, script):
    gateway = make_gateway({f"model:{MODEL}": TWO_TARGETS})
    mock.script(script, model="first")
    answer = gateway.chat()
    assert answer.status == 200, answer
    assert answer.header("x-gw-target") == "mock/second"
    assert answer.header("x-gw-attempts") == "2"
    assert [entry["model"] for entry in mock.bill()] == ["first", "second"]


def test_the_callers_own_error_is_not_tried_elsewhere(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": TWO_TARGETS})
    mock.script("status=400", model="first")
    assert gateway.chat().status == 400
    assert len(mock.bill()) == 1


def test_a_refused_credential_is_followed_by_another_one(make_gateway, mock):
    gateway = make_gateway({"credential:spare": {"provider": "mock", "secret": "env:SPARE_KEY", "weight": "0"}},
                           environment={"SPARE_KEY": "sk-spare-credential"})
    mock.script("status=401", credential=PROVIDER_SECRET)
    answer = gateway.chat()
    assert answer.status == 200, answer
    assert [entry["credential"] for entry in mock.bill()] == [PROVIDER_SECRET, "sk-spare-credential"]


def test_fallback_model(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {"targets": "mock/first", "fallback": "cheap", "retries": "1"},
                            "model:cheap": {"targets": "mock/second"}})
    mock.script("status=500", model="first")
    assert gateway.chat().status == 200


def test_retry_unknown_off_never_sends_twice(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {**TWO_TARGETS, "retry_unknown": "off"}})
    mock.script("cut=start", model="first")
    assert gateway.chat().status == 502
    assert len(mock.bill()) == 1


def test_a_stream_is_not_tried_again_once_it_began(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": TWO_TARGETS})
    mock.script("tokens=5,cut=e2", model="first")
    head, events, clean = stream_of(gateway, "")
    assert head.status == 200 and not clean
    assert len(mock.bill()) == 1


def test_a_stream_is_tried_again_before_it_began(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": TWO_TARGETS})
    mock.script("cut=body", model="first")
    head, events, clean = stream_of(gateway, "")
    assert head.status == 200 and clean
    assert head.header("x-gw-attempts") == "2"


def test_nobody_listens(make_gateway):
    gateway = make_gateway({"provider:mock": {"base_url": f"http://127.0.0.1:{free_port()}/v1"}})
    started = time.monotonic()
    answer = gateway.chat()
    assert answer.status in (502, 503), answer
    assert answer.header("x-should-retry") == "true", "nothing was sent"
    assert time.monotonic() - started < 5
    assert gateway.ledger() == []


def test_a_name_that_does_not_exist(make_gateway):
    gateway = make_gateway({"provider:mock": {"base_url": "http://no-such-host.invalid/v1",
                                              "connect_timeout": "500ms"}})
    assert gateway.chat().status in (502, 503, 504)
    assert gateway.get("/healthz").status == 200


def test_connect_deadline(make_gateway, make_mock, tmp_path):
    """A port that accepts and never says a word of TLS."""
    provider = make_mock(tls=tmp_path / "tls")
    gateway = make_gateway({"provider:mock": {"base_url": provider.tls_url("stall"), "ca_file": str(provider.ca),
                                              "connect_timeout": "300ms"}})
    started = time.monotonic()
    assert gateway.chat().status in (502, 503, 504)
    assert time.monotonic() - started < 5


def test_first_byte_deadline(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {"first_byte_timeout": "300ms"}})
    with gateway.stream("hang=start") as (connection, head):
        assert head.status == 504, head


def test_total_deadline(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {"timeout": "300ms"}})
    answer = gateway.chat("hang=start")
    assert answer.status == 504, answer
    assert answer.header("x-should-retry") == "false", "it may have been billed"


def test_idle_deadline_inside_a_stream(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {"idle_timeout": "300ms"}})
    head, events, clean = stream_of(gateway, "tokens=6,hang=e3")
    assert len(events) == 4 and b'"error"' in events[-1]
    assert not clean


def test_a_slow_drip_is_cut_by_the_total_deadline(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {"timeout": "600ms"}})
    answer = gateway.chat("chunk=20,drip=50ms")
    assert answer.status == 504, answer


@pytest.mark.parametrize("idle", ["close", "next", "reset", "stray"])
def test_a_pooled_connection_that_died_costs_no_request(gateway, mock, idle):
    """Found before the request is sent where it can be; and never sent twice in silence. What comes too
    late to be found, or in one read with the answer, is a 502: never another request's answer."""
    first = gateway.chat(f"idle={idle}")
    assert first.status in ((200, 502) if idle == "stray" else (200,)), first
    if idle == "close":
        wait_until(lambda: mock.totals()["open"] == 0, "the provider to close")
    # One connection is bad, and any of the workers may hold it: whichever request meets it is the only
    # one that can fail.
    answers = [gateway.chat() for _ in range(6)]
    failed = [answer for answer in answers if answer.status != 200]
    assert len(failed) <= (0 if idle == "close" else 1), failed
    assert all(answer.status == 502 for answer in failed), failed
    assert not any("EVIL" in answer.body.decode() for answer in [first, *answers])


@pytest.mark.parametrize("usage", ["null", "negative", "huge", "fraction", "string", "partial", "absent"])
@pytest.mark.parametrize("stream", [False, True])
def test_odd_usage_is_estimated(gateway, usage, stream):
    script = f"tokens=9,usage={usage}"
    if stream:
        head, events, clean = stream_of(gateway, script)
        assert clean and events[-1] == b"data: [DONE]\n\n"
        request_id = head.header("x-request-id")
    else:
        answer = gateway.chat(script)
        assert answer.status == 200, answer
        request_id = answer.header("x-request-id")
    record, = wait_until(lambda: gateway.ledger_of(request_id), "the record")
    assert record["state"] == "estimated", record
    assert record["output_tokens"] >= 1 and record["input_tokens"] >= 1


@pytest.mark.no_reconcile("the provider bills something else than it says")
@pytest.mark.parametrize("usage", ["zero", "twice"])
def test_usage_is_what_the_provider_says(gateway, usage):
    head, events, clean = stream_of(gateway, f"tokens=9,usage={usage}")
    assert clean and events[-1] == b"data: [DONE]\n\n"
    record, = wait_until(lambda: gateway.ledger_of(head.header("x-request-id")), "the record")
    assert record["state"] == "settled"


@pytest.mark.parametrize("usage", ["every", "decreasing", "first", "last", "always"])
def test_usage_in_odd_places_of_a_stream(gateway, usage):
    head, events, clean = stream_of(gateway, f"tokens=9,usage={usage}")
    assert clean and events[-1] == b"data: [DONE]\n\n"


def test_a_whole_answer_over_the_limit(make_gateway, mock):
    gateway = make_gateway({"http": {"max_response": "64KiB"}})
    assert gateway.chat("size=200000").status == 502
    assert gateway.chat("size=20000").status == 200


def test_a_huge_event_is_relayed(gateway):
    head, events, clean = stream_of(gateway, "tokens=2,token_size=4000000")
    assert clean and sum(map(len, events)) > 8_000_000


def test_bytes_after_done_and_after_the_body_are_not_the_next_answer(gateway, mock):
    assert gateway.chat("extra=100").status in (200, 502)
    for _ in range(3):
        answer = gateway.chat("prompt=3")
        assert answer.status == 200 and answer.json()["usage"]["prompt_tokens"] == 3


def test_upstream_cookies_and_limits_stay_here(gateway):
    answer = gateway.chat("inject=cookie")
    assert answer.status == 200
    assert not answer.all("set-cookie")
    assert not [name for name, _ in answer.headers if name.lower().startswith("openai-organization")]


def test_the_error_of_a_fault_is_in_the_log_and_the_ledger(gateway):
    answer = gateway.chat("cut=half")
    line = gateway.access_line(answer.header("x-request-id"))
    assert line["status"] == 502 and line["error_code"] and line["reason"]
    record, = wait_until(lambda: gateway.ledger_of(answer.header("x-request-id")), "the record")
    assert record["state"] in ("estimated", "unsettled")


@pytest.mark.no_reconcile("a restarted mock forgets its bill")
def test_a_provider_that_comes_back(gateway, mock):
    assert gateway.chat().status == 200
    mock.stop()
    assert gateway.chat().status in (502, 503)
    mock.start()
    assert gateway.chat().status == 200
    wait_until(lambda: len(gateway.ledger()) == 2, "the attempts that reached it")
