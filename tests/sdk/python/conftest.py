"""What every client is tried with; the providers behind the gateway come by way of the environment, as for
the clients for Node (../matrix.mjs). tests/sdk/run starts the gateway and the mock."""

import json
import os

import pytest

ROOT = os.environ.get("GATEWAY_ROOT", "")
KEY = os.environ.get("GATEWAY_KEY", "")
REACHABLE = json.loads(os.environ.get("GATEWAY_MATRIX", "{}"))

# What mockllm says (tests/mockllm/sample.c).
TEXT = 'A mock naïve says "hello" to every'
WEATHER, CLOCK = {"city": "mock", "days": 7}, {"zone": "UTC"}
SCHEMAS = {
    "weather": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"], "additionalProperties": False},
    "clock": {"type": "object", "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}},
              "required": ["zone"], "additionalProperties": False},
}
BOTH = [("weather", WEATHER), ("clock", CLOCK)]


def pytest_configure():
    if not ROOT:
        raise pytest.UsageError("these tests need a gateway: run tests/sdk/run")


def each(dialect):
    """A test for every provider that callers of `dialect` reach: its argument is the row of the matrix."""
    return pytest.mark.parametrize("target", REACHABLE.get(dialect, []), ids=lambda target: target["provider"])


def script(words):
    return {"x-mock": words}
