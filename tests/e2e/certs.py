"""Certificates for the tests, made with the openssl command: one CA and what it signs."""

import subprocess
from pathlib import Path


def _openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Authority:
    def __init__(self, folder, name="test CA"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = self.folder / "ca.crt", self.folder / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-days", "2", "-keyout", self.key, "-out", self.certificate,
                 "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, file_name, names=("gateway.test", "localhost"), addresses=("127.0.0.1",), days=2,
              usage="serverAuth"):
        """(certificate file, key file); days=-1 gives one that has expired."""
        certificate, key = self.folder / f"{file_name}.crt", self.folder / f"{file_name}.key"
        request, extensions = self.folder / f"{file_name}.csr", self.folder / f"{file_name}.ext"
        subjects = [f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses]
        extensions.write_text(f"subjectAltName={','.join(subjects)}\nextendedKeyUsage={usage}\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={names[0]}", "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                 "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", certificate)
        key.chmod(0o600)
        return certificate, key
