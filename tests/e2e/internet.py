"""The providers' own hosts, in a box: an HTTP proxy behind which every name is one server of ours, so
that requests can be seen as they leave for the real addresses."""

import json
import socket
import ssl
import threading
from dataclasses import dataclass, field

# What each operation answers; the stream where it is asked for one.
CHAT = {"id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}
MESSAGE = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}],
           "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 2}}
GENERATED = {"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "index": 0}],
             "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}}
CONVERSED = {"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn",
             "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, "metrics": {"latencyMs": 1}}
COHERE = {"id": "1", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
          "usage": {"billed_units": {"input_tokens": 5, "output_tokens": 2}, "tokens": {"input_tokens": 5, "output_tokens": 2}}}
ANSWERS = (("/v2/chat", COHERE), ("generateContent", GENERATED), ("/converse", CONVERSED), ("rawPredict", MESSAGE),
           ("/messages", MESSAGE), ("/chat/completions", CHAT))


def chunk(choices, **more):
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


def stream_of(body):
    """Usage comes in an event of its own where it was asked for, else in the last one, unasked."""
    asked = body.get("stream_options", {}).get("include_usage", False)
    usage = {"usage": CHAT["usage"]}
    end = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    events = [chunk([{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}]),
              chunk(end, **({} if asked else usage)), *([chunk([], **usage)] if asked else [])]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode() + b"data: [DONE]\n\n"


@dataclass
class Seen:
    authority: str  # what the proxy was asked to connect to
    tls: bool
    method: str
    target: str
    headers: dict
    body: bytes = field(repr=False)

    def json(self):
        return json.loads(self.body)


class Internet:
    """`hosts` are the names that its certificate is for."""

    def __init__(self, authority, hosts):
        certificate, key = authority.issue("internet", names=hosts)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen, self.answers = [], {}
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    @property
    def last(self):
        return self.seen[-1]

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection:
                method, authority, _, _ = self._read(connection.makefile("rb"))
                assert method == "CONNECT", method
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                tls = authority.endswith(":443")
                with self.tls.wrap_socket(connection, server_side=True) if tls else connection as inner:
                    stream = inner.makefile("rb")
                    while True:
                        self.seen.append(Seen(authority, tls, *self._read(stream)))
                        inner.sendall(self._answer(self.last))
        except (OSError, EOFError):
            pass  # the other side is gone

    @staticmethod
    def _read(stream):
        if not (line := stream.readline()):
            raise EOFError
        method, target, _ = line.decode().split(" ")
        headers = {}
        while (line := stream.readline().decode().strip()):
            name, _, value = line.partition(":")
            assert name.lower() not in headers, line
            headers[name.lower()] = value.strip()
        return method, target, headers, stream.read(int(headers.get("content-length", 0)))

    def _answer(self, request):
        status, kind, payload = "200 OK", "application/json", None
        body = request.json()
        if body.get("model") in self.answers:
            status, answer = self.answers[body["model"]]
        elif request.target.split("?")[0].endswith("/chat/completions") and body.get("stream"):
            kind, payload, answer = "text/event-stream", stream_of(body), None
        else:
            answer = next(answer for part, answer in ANSWERS if part in request.target)
        payload = payload or json.dumps(answer).encode()
        return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(payload)}\r\n\r\n".encode() + payload
