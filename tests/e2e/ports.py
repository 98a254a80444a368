"""Free loopback ports that stay ours: below the ephemeral range, each held by a lock file."""

import fcntl
import os
import random
import socket
import tempfile

_FIRST, _LAST = 20000, 32000
_held = []


def _lock(port):
    path = os.path.join(tempfile.gettempdir(), f"gatewayd-test-port-{port}.lock")
    try:
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except PermissionError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _bindable(port):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError:
            if family == socket.AF_INET:
                return False
    return True


def free_port():
    """A port that nothing else in this or another test run will be given while we live."""
    candidates = list(range(_FIRST, _LAST))
    random.shuffle(candidates)
    for port in candidates:
        fd = _lock(port)
        if fd is None:
            continue
        if _bindable(port):
            _held.append(fd)
            return port
        os.close(fd)
    raise RuntimeError("no free port on the loopback")
