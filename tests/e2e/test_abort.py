"""Clients that leave: what the provider is told, and what is charged."""

import pytest

from gateway import MODEL
from waiting import wait_until


def only_record(gateway):
    record, = wait_until(gateway.ledger, "the record")
    return record


def test_client_gone_during_a_stream_cancels_the_provider(gateway, mock):
    with gateway.stream("tokens=100000,gap=20ms,burst=1") as (connection, head):
        events = connection.events(head)
        for _ in range(3):
            next(events)
        connection.reset()
    wait_until(lambda: mock.bill()[0]["outcome"] == "client_gone", "the provider to see the cancellation", deadline=2)
    record = only_record(gateway)
    assert record["state"] == "estimated"
    assert record["output_tokens"] >= 3 - 1, "what was generated is charged"
    assert record["input_tokens"] >= 1


def test_client_gone_by_fin_during_a_stream(gateway, mock):
    with gateway.stream("tokens=100000,gap=5ms") as (connection, head):
        next(connection.events(head))
    wait_until(lambda: mock.bill()[0]["outcome"] == "client_gone", "the provider to see the cancellation", deadline=5)
    assert only_record(gateway)["state"] == "estimated"


def test_client_gone_before_a_whole_answer_is_charged_exactly(gateway, mock):
    """The answer is drained for its usage."""
    with gateway.connect() as connection:
        connection.send(gateway.chat_bytes("prompt=21,completion=9,hold=start"))
        mock.wait_requests(1)
        connection.reset()
    wait_until(lambda: gateway.inflight()[0] == 0, "the connection to end")
    mock.release()
    record = only_record(gateway)
    assert record["state"] == "settled"
    assert (record["input_tokens"], record["output_tokens"]) == (21, 9)


def test_client_gone_and_the_provider_never_answers(make_gateway, mock):
    gateway = make_gateway({f"model:{MODEL}": {"abort_drain": "200ms"}})
    with gateway.connect() as connection:
        connection.send(gateway.chat_bytes("hang=start", max_tokens=50))
        mock.wait_requests(1)
        connection.reset()
    record = only_record(gateway)
    assert record["state"] == "unsettled"


def test_client_gone_before_its_request_is_complete(gateway, mock):
    for cut in (10, 200):
        with gateway.connect() as connection:
            connection.send(gateway.chat_bytes()[:cut])
            connection.reset()
    assert gateway.chat().status == 200
    assert len(mock.bill()) == 1
    wait_until(lambda: len(gateway.ledger()) == 1, "one record and no other")


def test_aborts_leak_nothing(make_gateway, mock):
    """Descriptors are back where they were after all kinds of ends."""
    gateway = make_gateway({"provider:mock": {"pool_idle": "100ms"}, "http": {"keepalive_timeout": "200ms"}},
                           workers=1)

    def rounds(count):
        for _ in range(count):
            gateway.chat()
            gateway.chat("cut=half")
            gateway.chat("status=500")
            with gateway.stream("tokens=50,gap=2ms") as (connection, head):
                next(connection.events(head))
                connection.reset()
            with gateway.connect() as connection:
                connection.send(gateway.chat_bytes()[:100])
                connection.reset()
        gateway.wait_idle()
    rounds(2)
    wait_until(lambda: mock.totals()["open"] == 0, "pooled connections to expire")
    before = gateway.open_fds()
    rounds(10)
    wait_until(lambda: mock.totals()["open"] == 0, "pooled connections to expire")
    wait_until(lambda: gateway.open_fds() == before, f"descriptors to be back at {before}", deadline=5)


def test_a_slow_reader_pauses_the_provider(make_gateway, mock):
    """The gateway doesn't read 60 MB from the provider for a client that takes nothing."""
    gateway = make_gateway(workers=1)
    with gateway.connect(rcvbuf=8192) as connection:
        connection.send(gateway.chat_bytes("tokens=2000,token_size=30000", stream=True))
        connection.read_head()
        sent = []

        def steady():
            sent.append(mock.bill()[0]["bytes_sent"])
            return len(sent) > 40 and sent[-1] == sent[-40]
        wait_until(steady, "the provider to be held back")
        assert sent[-1] < 30_000_000, "the answer is buffered instead of held back"
        assert gateway.anonymous_kib() < 60_000


def test_a_stalled_reader_is_given_up(make_gateway, mock):
    gateway = make_gateway({"http": {"write_timeout": "300ms"}}, workers=1)
    with gateway.connect(rcvbuf=8192) as connection:
        connection.send(gateway.chat_bytes("tokens=2000,token_size=30000", stream=True))
        connection.read_head()
        wait_until(lambda: mock.bill()[0]["outcome"] == "client_gone", "the provider to be told")
        assert gateway.inflight() == (0, 0)


@pytest.mark.parametrize("script", ["ttft=200ms", "tokens=20,gap=10ms"])
def test_half_close_is_not_an_abort(gateway, mock, script):
    with gateway.connect() as connection:
        connection.send(gateway.chat_bytes(script, stream="gap" in script)).half_close()
        head = connection.read_response()
    assert head.status == 200
