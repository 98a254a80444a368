"""Credentials that are fetched: by the keeper from token services, shown by the workers."""

import os
import signal

import pytest

from gateway import MODEL
from token_services import (CANARY, AzureMetadata, Container, Entra, GoogleAccounts, GoogleMetadata, Imds, Proxy, Sts)
from waiting import wait_until

ENTRA = {"provider": "mock", "auth": "entra", "tenant": "tenant-1", "client_id": "client-1"}
UNAVAILABLE = "upstream_credential_unavailable"


@pytest.fixture
def serve(request):
    """serve(Service, ...): one that lives as long as the test and must not have been asked anything wrong."""
    made = []

    def make(kind, *args, **more):
        made.append(kind(*args, **more))
        return made[-1]
    yield make
    for service in made:
        service.stop()


@pytest.fixture
def make_fetching(make_gateway):
    """make_fetching(credential, provider={}, more={}): the mock's credential is fetched. At the end no token
    may be found in what the gateway has written."""
    made = []

    def make(credential, provider=None, more=None, secret=None, start=True, **options):
        gateway = make_gateway(start=False, **options)
        made.append(gateway)
        credential = dict(credential)
        if secret is not None:
            credential["secret"] = f"file:{gateway.write_secret(secret, gateway.folder / 'token-secret')}"
        gateway.write_ini({"credential:mock": None})
        gateway.write_ini({"provider:mock": provider or {}, "credential:mock": credential, **(more or {})})
        return gateway.start() if start else gateway
    yield make
    for gateway in made:
        for path in [gateway.stderr, *gateway.state.rglob("*"), *gateway.runtime.rglob("*")]:
            if path.is_file():
                data = path.read_bytes()
                for secret in (CANARY, "token-of-", "secret-of-", "first-secret", "container-authorization"):
                    assert secret.encode() not in data, f"{path} holds {secret}"


def credential(gateway, name="mock"):
    [row] = [row for row in gateway.admin("/admin/v1/credentials")["credentials"] if row["name"] == name]
    return row


def shown(mock):
    """The token that the provider saw last."""
    kind, _, token = mock.last_request().header("authorization").partition(" ")
    assert kind == "Bearer"
    return token


def wait_state(gateway, state):
    return wait_until(lambda: (row := credential(gateway))["state"] == state and row, f"the credential to be {state}")


# ---- each way to a token ----

def test_service_account(make_fetching, serve, mock, tmp_path):
    service = serve(GoogleAccounts, tmp_path)
    gateway = make_fetching({"provider": "mock", "auth": "gcp-sa", "token_url": service.url("/token")},
                            secret=service.account())
    for _ in range(3):
        answer = gateway.chat()
        assert answer.status == 200, answer
        assert shown(mock) == service.given[0]
    assert len(service.calls) == 1
    assert gateway.admin("/admin/v1/status")["tokens"] == {"ok": 1, "fetching": 0, "failing": 0, "missing": 0}
    row = credential(gateway)
    assert (row["auth"], row["state"], row["failures"]) == ("gcp-sa", "ok", 0)
    assert 3500 < row["expires_in_us"] / 1e6 <= 3600 - 30
    assert 2300 < row["next_in_us"] / 1e6 <= 2700
    listed = gateway.gwctl("credentials").stdout
    assert "gcp-sa" in listed and CANARY not in listed


def test_google_metadata(make_fetching, serve, mock):
    service = serve(GoogleMetadata)
    gateway = make_fetching({"provider": "mock", "auth": "gcp-metadata", "metadata_url": service.url()})
    assert gateway.chat().status == 200
    assert shown(mock) == service.given[0]


def test_entra(make_fetching, serve, mock):
    service = serve(Entra)
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="second+secret/=&")
    assert gateway.chat().status == 200
    assert shown(mock) == f"{CANARY}-second-1"


def test_managed_identity(make_fetching, serve, mock):
    service = serve(AzureMetadata)
    gateway = make_fetching({"provider": "mock", "auth": "entra", "client_id": "client-1",
                             "metadata_url": service.url()})
    assert gateway.chat().status == 200
    assert shown(mock) == service.given[0]


def test_federated_token_is_read_again_for_every_fetch(make_fetching, serve, mock, tmp_path):
    service = serve(Entra)
    service.life = 3
    federated = tmp_path / "federated"
    federated.write_text("federated.one\n")
    gateway = make_fetching({"provider": "mock", "auth": "entra"}, environment={
        "AZURE_FEDERATED_TOKEN_FILE": str(federated), "AZURE_TENANT_ID": "tenant-1",
        "AZURE_CLIENT_ID": "client-1", "AZURE_AUTHORITY_HOST": service.url("/")})
    assert gateway.chat().status == 200
    assert shown(mock).startswith(f"{CANARY}-one-")
    federated.write_text("federated.two\n")
    wait_until(lambda: gateway.chat().status == 200 and shown(mock).startswith(f"{CANARY}-two-"), "the new token")


BEDROCK = {"kind": "bedrock", "region": "eu-west-1", "forward_headers": None}


def bedrock(mock):
    return {**BEDROCK, "base_url": f"http://127.0.0.1:{mock.port}"}


def signed_by(mock):
    head = mock.last_request().header("authorization")
    return head.split("Credential=")[1].split("/")[0]


@pytest.mark.parametrize("file", [False, True])
def test_container_keys(make_fetching, serve, mock, tmp_path, file):
    service = serve(Container)
    token = tmp_path / "authorization"
    token.write_text(Container.TOKEN)
    gateway = make_fetching({"provider": "mock", "auth": "sigv4-container"}, bedrock(mock), environment={
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": service.url("/v2/credentials/1"),
        **({"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)} if file else
           {"AWS_CONTAINER_AUTHORIZATION_TOKEN": Container.TOKEN})})
    assert gateway.chat().status == 200
    assert signed_by(mock) == "ASIABASE1"


def test_instance_keys_rotate(make_fetching, serve, mock):
    """mockllm verifies each signature: a signer that kept the key of the keys before would be refused."""
    service = serve(Imds)
    service.life = 5
    gateway = make_fetching({"provider": "mock", "auth": "sigv4-imds", "metadata_url": service.url()}, bedrock(mock))
    seen = set()

    def rotated():
        assert gateway.chat().status == 200
        seen.add(signed_by(mock))
        return len(seen) >= 3
    wait_until(rotated, "three pairs of keys")


@pytest.mark.parametrize("base", ["static", "imds"])
def test_a_role_is_assumed(make_fetching, serve, mock, base):
    sts = serve(Sts)
    role = {"provider": "mock", "role_arn": "arn:aws:iam::123456789012:role/bedrock", "external_id": "customer 1",
            "sts_url": sts.url()}
    if base == "static":
        gateway = make_fetching({**role, "auth": "sigv4", "access_key_id": "AKIDOWN"}, bedrock(mock),
                                secret="secret-of-AKIDOWN")
    else:
        gateway = make_fetching({**role, "auth": "sigv4-imds", "metadata_url": serve(Imds).url()}, bedrock(mock))
    assert gateway.chat().status == 200
    assert signed_by(mock) == "ASIAROLE1"
    assert sts.signed_by == ("AKIDOWN" if base == "static" else "ASIABASE1")


def test_a_wrong_base_key_is_told(make_fetching, serve, mock):
    sts = serve(Sts)
    gateway = make_fetching({
        "provider": "mock", "auth": "sigv4", "access_key_id": "AKIDOWN", "sts_url": sts.url(),
        "role_arn": "arn:aws:iam::123456789012:role/bedrock"}, bedrock(mock), secret="not-its-secret")
    row = wait_state(gateway, "missing")
    assert row["error"] == "assume-role: status 403 SignatureDoesNotMatch"


# ---- time ----

def test_a_token_is_renewed_before_it_expires(make_fetching, serve, mock):
    service = serve(Entra)
    service.life = 4
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret")
    seen = set()

    def renewed():
        assert gateway.chat().status == 200, "between two tokens there was none"
        seen.add(shown(mock))
        return len(seen) >= 3
    wait_until(renewed, "three tokens")


def test_an_outage_is_waited_out(make_fetching, serve, mock):
    service = serve(Entra)
    service.outage = (503, "<html>busy</html>")
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret")
    row = wait_state(gateway, "missing")
    assert row["error"] == "token: status 503" and row["failures"] >= 1
    answer = gateway.chat()
    assert answer.status == 503 and answer.json()["error"]["code"] == UNAVAILABLE, answer
    assert answer.header("x-should-retry") == "true", "nothing was sent"
    assert answer.header("retry-after") == "1"
    assert mock.requests() == []
    calls = wait_until(lambda: len(service.calls) >= 3 and len(service.calls), "further tries")
    assert calls < 8, "it asks without a pause"
    service.outage = None
    wait_until(lambda: gateway.chat().status == 200, "a token after the outage")
    assert wait_state(gateway, "ok")["failures"] == 0
    lines = [line for line in gateway.log_lines() if line.get("msg") == "the token of a credential can't be fetched"]
    assert len(lines) >= 3 and all(line["credential"] == "mock" for line in lines)


def test_an_old_token_lasts_through_an_outage(make_fetching, serve, mock):
    service = serve(Entra)
    service.life = 10
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret")
    assert gateway.chat().status == 200
    service.outage = (400, {"error": "temporarily_unavailable"})
    row = wait_until(lambda: (row := credential(gateway))["failures"] and row, "a failure")
    assert row["state"] == "failing" and row["error"] == "token: status 400 temporarily_unavailable"
    assert gateway.chat().status == 200 and shown(mock) == service.given[0]
    answer = wait_until(lambda: (answer := gateway.chat()).status != 200 and answer, "the end of the old token")
    assert answer.json()["error"]["code"] == UNAVAILABLE
    assert credential(gateway)["state"] == "missing"


# ---- processes ----

def test_the_keeper_may_die(make_fetching, serve, mock):
    service = serve(Entra)
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret")
    assert gateway.chat().status == 200
    [keeper] = gateway.pids("keeper")
    os.kill(keeper, signal.SIGKILL)
    assert gateway.chat().status == 200 and shown(mock) == service.given[0]

    def back():
        try:
            return gateway.pids("keeper") != [keeper] and credential(gateway)["state"] == "ok"
        except (OSError, AssertionError):
            return False
    wait_until(back, "another keeper")
    assert gateway.chat().status == 200 and shown(mock) == service.given[0]
    assert len(service.calls) == 1, "the token was there: nothing had to be asked"


def test_a_worker_may_die(make_fetching, serve, mock):
    service = serve(Entra)
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret", workers=1)
    assert gateway.chat().status == 200
    gateway.kill_worker()
    wait_until(gateway.is_ready, "another worker")
    assert gateway.chat().status == 200 and shown(mock) == service.given[0]


def test_no_file_holds_a_token(make_fetching, serve, mock):
    service = serve(Entra)
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret")
    assert gateway.chat().status == 200
    assert "tokens.shm" not in os.listdir(gateway.runtime)
    for pid in gateway.pids("worker"):
        flags = smaps_flags(pid, "/memfd:tokens")
        assert "dd" in flags, "the table is in a core dump"


def smaps_flags(pid, name):
    """VmFlags of a mapping (proc(5)); dd is MADV_DONTDUMP."""
    inside = False
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            if "-" in line.split(" ")[0] and ":" not in line.split(" ")[0]:
                inside = name in line
            if inside and line.startswith("VmFlags:"):
                return line.split()[1:]
    raise AssertionError(f"{pid} doesn't map {name}")


# ---- reloads and refusals ----

def test_another_secret_is_another_token(make_fetching, serve, mock):
    service = serve(Entra)
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret")
    assert gateway.chat().status == 200 and shown(mock) == f"{CANARY}-first-1"
    gateway.write_secret("second+secret/=&", gateway.folder / "token-secret")
    gateway.reload()
    for _ in range(10):
        assert gateway.chat().status == 200
        assert shown(mock) == f"{CANARY}-second-2"
    gateway.write_secret("wrong-secret", gateway.folder / "token-secret")
    gateway.reload()
    before = len(mock.requests())
    answer = gateway.chat()
    assert answer.json()["error"]["code"] == UNAVAILABLE, "the token of the secret before was shown"
    assert len(mock.requests()) == before
    assert wait_state(gateway, "missing")["error"] == "token: status 401 invalid_client"


def test_a_reload_that_changes_something_else_keeps_the_token(make_fetching, serve, mock):
    service = serve(Entra)
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret")
    assert gateway.chat().status == 200
    gateway.write_ini({f"model:{MODEL}": {"retries": "1"}})
    gateway.reload()
    assert gateway.chat().status == 200 and shown(mock) == service.given[0]
    assert len(service.calls) == 1


@pytest.mark.no_reconcile("the bill leaves out what the provider refused")
def test_a_refused_token_is_replaced_early(make_fetching, serve, mock):
    service = serve(Entra)
    gateway = make_fetching({**ENTRA, "authority": service.url()}, secret="first-secret")
    assert gateway.chat().status == 200
    mock.script("status=401")
    for _ in range(20):
        assert gateway.chat().status == 502
    wait_until(lambda: len(service.given) == 2, "another token")
    for _ in range(20):
        gateway.chat()
    assert len(service.given) == 2, "each refusal asked for a token"
    mock.reset()
    assert gateway.chat().status == 200 and shown(mock) == service.given[1]


def test_another_credential_is_asked(make_fetching, serve, mock):
    service = serve(Entra)
    service.outage = (503, "")
    gateway = make_fetching({**ENTRA, "authority": service.url(), "weight": "1000000"}, secret="first-secret",
                            more={"credential:spare": {"provider": "mock", "secret": "env:SPARE", "weight": "1"}},
                            environment={"SPARE": "sk-spare"})
    wait_state(gateway, "missing")
    for _ in range(3):
        answer = gateway.chat()
        assert answer.status == 200 and shown(mock) == "sk-spare"
        assert gateway.access_line(answer.header("x-request-id"))["attempts"] == 1


# ---- trust ----

def test_the_service_must_be_trusted(make_fetching, serve, mock, authority):
    service = serve(Entra, tls=authority.issue("tokens"))
    settings = {**ENTRA, "authority": service.url(scheme="https")}
    gateway = make_fetching(settings, secret="first-secret")
    row = wait_state(gateway, "missing")
    assert "no trusted TLS connection" in row["error"], row
    assert service.calls == []
    gateway.write_ini({"credential:mock": {"token_ca_file": str(authority.certificate)}})
    gateway.reload()
    wait_until(lambda: gateway.chat().status == 200, "a token after the reload")
    assert shown(mock) == service.given[0]


def test_a_certificate_for_another_name_is_refused(make_fetching, serve, mock, authority):
    service = serve(Entra, tls=authority.issue("elsewhere", names=("elsewhere.test",), addresses=("127.0.0.9",)))
    gateway = make_fetching({**ENTRA, "authority": service.url(scheme="https"),
                             "token_ca_file": str(authority.certificate)}, secret="first-secret")
    assert "no trusted TLS connection" in wait_state(gateway, "missing")["error"]
    assert service.calls == []


@pytest.mark.parametrize("which", ["provider", "environment", "excepted"])
def test_the_services_are_reached_through_the_proxy(make_fetching, serve, mock, authority, which):
    service, proxy = serve(Entra, tls=authority.issue("tokens")), serve(Proxy)
    settings = {**ENTRA, "authority": service.url(scheme="https"), "token_ca_file": str(authority.certificate)}
    environment = {"HTTPS_PROXY": proxy.url} if which != "provider" else {}
    if which == "excepted":
        environment["NO_PROXY"] = "elsewhere.test, 127.0.0.1"
    gateway = make_fetching(settings, {"proxy": proxy.url} if which == "provider" else {}, secret="first-secret",
                            environment=environment)
    assert gateway.chat().status == 200 and shown(mock) == service.given[0]
    assert (f"127.0.0.1:{service.port}" in proxy.targets) == (which != "excepted")


@pytest.mark.parametrize("account, said", [
    ('{"type":"service_account"}', "`client_email` must be a text"),
    ("not json", "the file is no JSON"),
    (None, "`token_uri` must begin with https://"),
])
def test_a_bad_account_file_is_refused_at_the_start(make_fetching, serve, tmp_path, account, said):
    text = account or serve(GoogleAccounts, tmp_path).account(token_uri="http://10.0.0.1/token")
    gateway = make_fetching({"provider": "mock", "auth": "gcp-sa"}, secret=text, start=False)
    gateway.spawn("-t")
    assert gateway.process.wait(20) == 2
    assert f"[credential:mock] secret: service account: {said}" in gateway.log_text()
    assert "PRIVATE KEY" not in gateway.log_text()
