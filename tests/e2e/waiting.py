"""Waiting with a deadline: tests poll for what they wait for, and never sleep for a fixed time."""

import time

# Sanitizer builds are several times slower.
PATIENCE = 20.0


class Timeout(AssertionError):
    pass


def wait_until(predicate, what, deadline=PATIENCE, interval=0.005):
    """Calls predicate() until it returns something true, which is returned."""
    end = time.monotonic() + deadline
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"waited {deadline:g} s for {what}; last value: {value!r}")
        time.sleep(interval)
