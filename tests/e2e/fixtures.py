"""Fixtures of e2e/ and fault/: a mock provider, a gateway in front of it, and what must hold after every test."""

import shutil

import pytest

from certs import Authority
from gateway import KEY, PROVIDER_SECRET, Gateway, build_dir
from mock import Mock
from reconcile import reconcile


def pytest_configure(config):
    config.addinivalue_line("markers", "no_reconcile(why): bill and ledger can't agree in this test")
    for program in ("gatewayd", "gwctl", "mockllm"):
        if not (build_dir() / program).exists():
            raise pytest.UsageError(f"{build_dir() / program} is missing: run make first")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def mock(tmp_path):
    provider = Mock(tmp_path).start()
    yield provider
    provider.stop()


@pytest.fixture
def make_mock(tmp_path):
    """Further providers: make_mock(options, tls=(certificate, key))."""
    made = []

    def make(**more):
        made.append(Mock(tmp_path, **more).start())
        return made[-1]
    make.made = made
    yield make
    for provider in made:
        provider.stop()


@pytest.fixture
def make_gateway(request, tmp_path, mock, make_mock):
    """Gateways of a test: make_gateway({section: {key: value}}, workers=2, start=True). At the end
    each must have gone idle, agree with the provider's bill, end cleanly and have kept its secrets."""
    made = []

    def make(settings=None, start=True, **more):
        gateway = Gateway(tmp_path / f"gateway{len(made)}", mock, settings, **more)
        made.append(gateway)
        return gateway.start() if start else gateway
    yield make
    try:
        passed = getattr(request.node, "report_call", None)
        if passed is not None and passed.passed:
            check_after(made, [mock, *make_mock.made], request.node.get_closest_marker("no_reconcile"))
        for gateway in made:
            report = gateway.sanitizer_reports()
            assert not report, report
    finally:
        for gateway in made:
            gateway.kill_all()
            # 70 MB of shared memory each: five hundred tests would fill a disk.
            shutil.rmtree(gateway.runtime, ignore_errors=True)


@pytest.fixture
def gateway(make_gateway):
    return make_gateway()


def check_after(gateways, mocks, no_reconcile):
    running = [gateway for gateway in gateways
               if gateway.process is not None and gateway.process.poll() is None and gateway.is_ready()]
    for gateway in running:
        gateway.wait_idle()
    if running and len(running) == len(gateways) and not no_reconcile:
        reconcile(running, mocks)
    for gateway in running:
        gateway.stop()
    for gateway in gateways:
        check_secrets(gateway)


def check_secrets(gateway):
    """No key and no provider secret anywhere that outlives a request: logs, databases, shared memory."""
    for path in [gateway.stderr, *gateway.state.rglob("*"), *gateway.runtime.rglob("*")]:
        if not path.is_file():
            continue
        data = path.read_bytes()
        for secret in (KEY, PROVIDER_SECRET):
            assert secret.encode() not in data, f"{path} holds a secret"
