"""Token services of the clouds on the loopback, strict about what they are asked: signatures are verified by
code that shares nothing with the gateway's. Every token that they give holds CANARY."""

import base64
import contextlib
import datetime
import hashlib
import hmac
import http.server
import json
import socket
import socketserver
import ssl
import subprocess
import threading
import time
import urllib.parse

from ports import free_port

CANARY = "canary-token"
FORM = "application/x-www-form-urlencoded"


class Refused(Exception):
    """What the real service would refuse: (status, body)."""

    def __init__(self, status, body, why=""):
        super().__init__(why or body)
        self.status, self.body = status, body


class Call:
    def __init__(self, handler, body):
        self.method, self.headers, self.body = handler.command, handler.headers, body
        self.path, _, self.query = handler.path.partition("?")

    def form(self):
        assert self.headers.get_all("content-type") == [FORM], self.headers
        pairs = urllib.parse.parse_qsl(self.body.decode(), strict_parsing=True, keep_blank_values=True)
        assert len(dict(pairs)) == len(pairs), "a name twice"
        return dict(pairs)


class Service:
    """One server. `life` is what it says in seconds; `outage`, an (status, body), is all that it answers while
    it is set; `faults` is what it was asked wrongly."""

    def __init__(self, tls=None):
        self.port = free_port()
        self.life, self.outage, self.calls, self.faults, self.given = 3600, None, [], [], []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                service._serve(self)

            do_POST = do_PUT = do_GET

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        assert not self.faults, self.faults

    def _serve(self, handler):
        length = int(handler.headers.get("content-length", 0))
        call = Call(handler, handler.rfile.read(length))
        self.calls.append(call)
        try:
            if self.outage:
                raise Refused(*self.outage)
            status, body, headers = 200, *self.answer(call)
        except Refused as refused:
            status, body, headers = refused.status, refused.body, {}
        except Exception as fault:
            self.faults.append(f"{call.method} {call.path}: {fault!r}")
            status, body, headers = 400, '{"error":"invalid_request"}', {}
        if not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        handler.send_response(status)
        for name, value in {"content-length": len(data), "connection": "close", **headers}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(data)

    def url(self, path="", scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def token(self, *marks):
        text = "-".join([CANARY, *marks, str(len(self.given) + 1)])
        self.given.append(text)
        return text

    def bearer(self, *marks, life=None):
        return {"access_token": self.token(*marks), "expires_in": life or self.life, "token_type": "Bearer"}


class Proxy:
    """An HTTP proxy that tunnels (RFC 9110 section 9.3.6) and remembers where to."""

    def __init__(self):
        self.port, self.targets, proxy = free_port(), [], self

        class Tunnel(socketserver.StreamRequestHandler):
            def handle(self):
                method, target, _ = self.rfile.readline().decode().split(" ")
                while self.rfile.readline().strip():
                    pass
                assert method == "CONNECT", method
                proxy.targets.append(target)
                host, _, port = target.rpartition(":")
                with socket.create_connection((host, int(port)), 10) as far:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    back = threading.Thread(target=pump, args=(far, self.request), daemon=True)
                    back.start()
                    pump(self.request, far)
                    back.join(10)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self.server = Server(("127.0.0.1", self.port), Tunnel)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class GoogleAccounts(Service):
    """developers.google.com/identity/protocols/oauth2/service-account#httprest"""

    def __init__(self, folder, **more):
        super().__init__(**more)
        self.key, self.public = folder / "account.pem", folder / "account.pub"
        self.folder = folder
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                        self.key], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-out", self.public], check=True,
                       capture_output=True)

    def account(self, **members):
        """The text of a key file as Google hands it out."""
        return json.dumps({
            "type": "service_account", "project_id": "acme", "private_key_id": "key-1",
            "private_key": self.key.read_text(), "client_email": "gw@acme.iam.gserviceaccount.com",
            "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token", **members}, indent=2)

    def verify(self, assertion):
        header, claims, signature = assertion.split(".")
        text, proof = self.folder / "jwt.txt", self.folder / "jwt.sig"
        text.write_text(f"{header}.{claims}")
        proof.write_bytes(decode(signature))
        result = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.public, "-signature", proof, text],
                                capture_output=True)
        assert result.returncode == 0, result.stdout
        assert json.loads(decode(header)) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
        return json.loads(decode(claims))

    def answer(self, call):
        assert (call.method, call.path) == ("POST", "/token"), call.path
        form = call.form()
        assert form.pop("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        claims = self.verify(form.pop("assertion"))
        assert not form, form
        assert claims["iss"] == "gw@acme.iam.gserviceaccount.com"
        assert claims["aud"] == "https://oauth2.googleapis.com/token"
        assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        assert abs(claims["iat"] - time.time()) < 60 and 0 < claims["exp"] - claims["iat"] <= 3600
        return self.bearer("google"), {"content-type": "application/json"}


class GoogleMetadata(Service):
    def answer(self, call):
        assert (call.method, call.path) == (
            "GET", "/computeMetadata/v1/instance/service-accounts/default/token"), call.path
        assert call.headers.get_all("metadata-flavor") == ["Google"]
        return self.bearer("metadata"), {"metadata-flavor": "Google"}


class Entra(Service):
    """learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"""
    SECRETS = {"first-secret": "first", "second+secret/=&": "second"}
    ASSERTIONS = {"federated.one": "one", "federated.two": "two"}

    def answer(self, call):
        assert (call.method, call.path) == ("POST", "/tenant-1/oauth2/v2.0/token"), call.path
        form = call.form()
        assert form.pop("grant_type") == "client_credentials"
        assert form.pop("client_id") == "client-1"
        assert form.pop("scope") == "https://cognitiveservices.azure.com/.default"
        if "client_secret" in form:
            mark = self.SECRETS.get(form.pop("client_secret"))
        else:
            assert form.pop("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            mark = self.ASSERTIONS.get(form.pop("client_assertion"))
        assert not form, form
        if not mark:
            raise Refused(401, {"error": "invalid_client", "error_description": "AADSTS7000215: wrong secret"})
        return self.bearer(mark), {}


class AzureMetadata(Service):
    def answer(self, call):
        assert (call.method, call.path) == ("GET", "/metadata/identity/oauth2/token"), call.path
        assert call.headers.get_all("metadata") == ["true"]
        assert dict(urllib.parse.parse_qsl(call.query, strict_parsing=True)) == {
            "api-version": "2018-02-01", "resource": "https://cognitiveservices.azure.com", "client_id": "client-1"}
        answer = self.bearer("managed")
        return {**answer, "expires_in": str(answer["expires_in"]), "resource": "x"}, {}


class Keys(Service):
    """Gives AWS keys that mockllm takes: the secret of ID is secret-of-ID, its session token token-of-ID."""
    BASE = "ASIABASE"

    def keys(self):
        key_id = f"{self.BASE}{len(self.given) + 1}"
        self.given.append(key_id)
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.life)
        return {"AccessKeyId": key_id, "SecretAccessKey": f"secret-of-{key_id}", "Token": f"token-of-{key_id}",
                "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")}


class Container(Keys):
    TOKEN = "container-authorization"

    def answer(self, call):
        assert (call.method, call.path) == ("GET", "/v2/credentials/1"), call.path
        if call.headers.get_all("authorization") != [self.TOKEN]:
            raise Refused(401, {"code": "InvalidToken", "message": "no"})
        return {"RoleArn": "arn:x", **self.keys()}, {}


class Imds(Keys):
    """docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html; version 1 is off."""

    def __init__(self, **more):
        super().__init__(**more)
        self.sessions = set()

    def answer(self, call):
        if call.path == "/latest/api/token":
            assert call.method == "PUT"
            assert 1 <= int(call.headers["x-aws-ec2-metadata-token-ttl-seconds"]) <= 21600
            self.sessions.add(f"session-{len(self.calls)}==")
            return f"session-{len(self.calls)}==", {}
        if call.headers["x-aws-ec2-metadata-token"] not in self.sessions:
            raise Refused(401, "")
        assert call.method == "GET"
        if call.path == "/latest/meta-data/iam/security-credentials/":
            return "the-role", {}
        assert call.path == "/latest/meta-data/iam/security-credentials/the-role", call.path
        return {"Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC", **self.keys()}, {}


class Sts(Keys):
    """AssumeRole, with Signature Version 4 verified after
    docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv4-create-signed-request.html."""
    BASE = "ASIAROLE"
    REGION = "eu-west-1"

    def verify(self, call):
        algorithm, _, rest = call.headers["authorization"].partition(" ")
        assert algorithm == "AWS4-HMAC-SHA256"
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        key_id, *scope = parts["Credential"].split("/")
        date = call.headers["x-amz-date"]
        assert scope == [date[:8], self.REGION, "sts", "aws4_request"], scope
        at = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        assert abs(time.time() - at.timestamp()) < 300
        names = parts["SignedHeaders"].split(";")
        assert names == sorted(names) and {"host", "x-amz-date", "content-type"} <= set(names), names
        if key_id.startswith("ASIA"):
            assert "x-amz-security-token" in names
            assert call.headers["x-amz-security-token"] == f"token-of-{key_id}"
        canonical = "\n".join([
            call.method, call.path, call.query, *(f"{name}:{call.headers[name].strip()}" for name in names), "",
            ";".join(names), hashlib.sha256(call.body).hexdigest()])
        to_sign = "\n".join([algorithm, date, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4secret-of-{key_id}".encode()
        for part in scope:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest() != parts["Signature"]:
            raise Refused(403, "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>"
                               "<Message>no</Message></Error></ErrorResponse>")
        return key_id

    def answer(self, call):
        assert (call.method, call.path) == ("POST", "/"), call.path
        self.signed_by = self.verify(call)
        assert call.form() == {"Action": "AssumeRole", "Version": "2011-06-15", "ExternalId": "customer 1",
                               "RoleArn": "arn:aws:iam::123456789012:role/bedrock", "RoleSessionName": "gatewayd"}
        keys = self.keys()
        return f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser><AssumedRoleId>A:gatewayd</AssumedRoleId><Arn>arn:x</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{keys["AccessKeyId"]}</AccessKeyId>
      <SecretAccessKey>{keys["SecretAccessKey"]}</SecretAccessKey>
      <SessionToken>{keys["Token"]}</SessionToken>
      <Expiration>{keys["Expiration"]}</Expiration>
    </Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>
</AssumeRoleResponse>
""", {"content-type": "text/xml"}
