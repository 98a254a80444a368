"""Free loopback ports that stay ours: below the ephemeral range, each a byte of one file that this run has locked."""

import fcntl
import os
import random
import socket
import tempfile

_FIRST, _LAST = 20000, 32000
_held = set()
_file = None


def _lock(port):
    """Record locks are the process's own, so a run needs one descriptor however many ports it holds."""
    global _file
    if _file is None:
        path = os.path.join(tempfile.gettempdir(), f"gatewayd-test-ports-{os.getuid()}.lock")
        _file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _unlock(port):
    fcntl.lockf(_file, fcntl.LOCK_UN, 1, port)


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
    candidates = [port for port in range(_FIRST, _LAST) if port not in _held]
    random.shuffle(candidates)
    for port in candidates:
        if not _lock(port):
            continue
        if _bindable(port):
            _held.add(port)
            return port
        _unlock(port)
    raise RuntimeError("no free port on the loopback")
