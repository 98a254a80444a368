"""Framing and JSON, read so that nothing questionable passes."""

import json
import struct
import zlib

from client import Closed


def _no_duplicates(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"members twice: {names}"
    return dict(pairs)


def _no_constant(word):
    raise AssertionError(f"{word} is no JSON")


def parse(text):
    """A JSON value: RFC 8259, UTF-8, no member twice."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def members(value, required, optional=()):
    """An object that has all of `required`, and besides nothing but `optional`."""
    assert isinstance(value, dict), f"not an object: {value!r}"
    missing = set(required) - set(value)
    assert not missing, f"{sorted(missing)} missing in {value}"
    unknown = set(value) - set(required) - set(optional)
    assert not unknown, f"the dialect knows no {sorted(unknown)}: {value}"
    return value


def count(value):
    assert isinstance(value, int) and not isinstance(value, bool) and value >= 0, f"no count: {value!r}"
    return value


def text(value, empty=True):
    assert isinstance(value, str) and (empty or value), f"no text: {value!r}"
    return value


def read_payload(connection, head, begun):
    """(bytes of a streamed body, whether it ended as its framing says it must). Calls begun() once
    the first of them are there."""
    assert head.header("content-length") is None, f"not a stream: {head}"
    data = b""
    is_chunked = (head.header("transfer-encoding") or "").lower() == "chunked"
    assert is_chunked, "a stream that nobody can tell from a cut one"
    try:
        while chunk := connection.read_chunk():
            if not data:
                begun()
            data += chunk
    except (Closed, ConnectionResetError):
        return data, False
    return data, True


def sse(payload):
    """[(event or None, data)] of a stream of events, comments left out.

    https://html.spec.whatwg.org/multipage/server-sent-events.html, with what all clients can read:
    one kind of line end, one blank line behind each event, at most one `data` and one `event` a piece.
    """
    events = []
    content = payload.decode("utf-8")
    if "\r" in content:
        assert content.count("\r") == content.count("\n") == content.count("\r\n"), "line ends of both kinds"
        content = content.replace("\r\n", "\n")
    assert content == "" or content.endswith("\n\n"), f"half an event at the end: {content[-200:]!r}"
    for block in content.split("\n\n")[:-1]:
        event = data = None
        for line in block.split("\n"):
            name, colon, value = line.partition(": ")
            if line.startswith(":"):
                continue
            assert colon and name in ("event", "data"), f"line {line!r}"
            if name == "event":
                assert event is None and data is None, block
                event = value
            else:
                assert data is None, block
                data = value
        if data is not None:
            events.append((event, data))
        else:
            assert event is None, f"an event without data: {block!r}"
    return events


def frames(payload):
    """[(headers, payload)] of Amazon's event-stream encoding, both CRCs checked.

    https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html
    """
    found = []
    while payload:
        assert len(payload) >= 16, "half a frame at the end"
        total, head_size, prelude_crc = struct.unpack(">III", payload[:12])
        assert zlib.crc32(payload[:8]) == prelude_crc, "CRC of the prelude"
        assert 16 + head_size <= total <= len(payload), (total, head_size, len(payload))
        assert zlib.crc32(payload[:total - 4]) == struct.unpack(">I", payload[total - 4:total])[0], "CRC of the message"
        found.append((_frame_headers(payload[12:12 + head_size]), payload[12 + head_size:total - 4]))
        payload = payload[total:]
    return found


def _frame_headers(data):
    headers = {}
    while data:
        size = data[0]
        name, kind = data[1:1 + size].decode("ascii"), data[1 + size]
        assert size and kind == 7, f"header {name!r} isn't a string"
        length = struct.unpack(">H", data[2 + size:4 + size])[0]
        assert len(data) >= 4 + size + length
        assert name not in headers, f"header {name!r} twice"
        headers[name] = data[4 + size:4 + size + length].decode("utf-8")
        data = data[4 + size + length:]
    return headers
