"""The checks that all other tests lean on can fail themselves."""

import socket

import pytest

from client import Closed, Connection
from reconcile import differences
from waiting import Timeout, wait_until


def billed(number, prompt=3, completion=2, billed=True, units=0):
    return {"id": f"req_{number}", "billed": billed, "prompt_tokens": prompt, "completion_tokens": completion,
            "units": units}


def charged(number, state="settled", prompt=3, completion=2, units=0):
    return {"upstream_request_id": f"req_{number}" if number else "", "state": state,
            "input_tokens": prompt, "output_tokens": completion, "units": units}


@pytest.mark.parametrize("bill, ledger", [
    ([], []), ([billed(1)], [charged(1)]), ([billed(1), billed(2)], [charged(2), charged(1)]),
    ([billed(1)], [charged(None, "unsettled", 90, 90)]), ([billed(1, billed=False)], [charged(1, prompt=0, completion=0)]),
    ([billed(1, completion=9)], [charged(1, "estimated", completion=8)]),
    ([billed(1, units=4)], [charged(1, units=4)]), ([billed(1, units=4)], [charged(1, "estimated", units=5)])])
def test_what_agrees(bill, ledger):
    assert differences(bill, ledger) == []


@pytest.mark.parametrize("bill, ledger", [
    ([billed(1)], []), ([], [charged(1)]), ([billed(1), billed(2)], [charged(1)]),
    ([billed(1)], [charged(1), charged(1)]), ([billed(1, completion=3)], [charged(1)]),
    ([billed(1)], [charged(1, prompt=4)]), ([billed(1)], [charged(2)]),
    ([billed(1)], [charged(1, "estimated", completion=0)]), ([billed(1, units=4)], [charged(1, units=3)]),
    ([billed(1, units=4)], [charged(1, "estimated", units=3)])],
    ids=["not in the ledger", "not on the bill", "sent twice", "charged twice", "output", "input", "another id",
         "estimated at nothing", "units", "estimated at fewer units"])
def test_what_does_not_agree(bill, ledger):
    assert differences(bill, ledger)


@pytest.fixture
def pair():
    """(our Connection, the server's socket)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(listener.getsockname()[1], timeout=5)
        server, _ = listener.accept()
        yield connection, server
        server.close()
        connection.close()


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\n"])
def test_a_cut_answer_is_closed(pair, answer):
    connection, server = pair
    server.sendall(answer)
    server.close()
    with pytest.raises(Closed):
        connection.read_response()


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n"])
def test_a_crooked_answer_is_refused(pair, answer):
    connection, server = pair
    server.sendall(answer)
    server.close()
    with pytest.raises(AssertionError):
        connection.read_response()


def test_a_wait_ends():
    with pytest.raises(Timeout):
        wait_until(lambda: False, "what never comes", deadline=0.05)
