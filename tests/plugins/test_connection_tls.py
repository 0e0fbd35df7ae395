"""The connection `r_irt` over https, with a private certificate authority: both hooks, a real TLS server."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from irt.errors import TransientError
from irt.hooks.calibration import AsyncCalibrationHook, CalibrationHook


def signed(name, *, issuer=None, key=None, ca=False):
    """A certificate of this name, for `localhost`, and its key; self-signed if no issuer is given."""
    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return builder.sign(key or own, hashes.SHA256()), own


def written(folder, name, certificate, key=None):
    file = folder / name
    content = certificate.public_bytes(serialization.Encoding.PEM)
    if key:
        content += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    file.write_bytes(content)
    return file


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"authorization": self.headers["Authorization"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The server's port, the file of its authority, and that of another one."""
    folder = tmp_path_factory.mktemp("tls")
    authority, key = signed("authority", ca=True)
    other, _ = signed("another", ca=True)
    certificate, own = signed("service", issuer=authority, key=key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(written(folder, "service.pem", certificate, own))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, written(folder, "ca.crt", authority), written(folder, "other.crt", other)
    server.shutdown()
    server.server_close()


@pytest.fixture
def connected(served, monkeypatch):
    def connect(verify: str | None) -> None:
        connection = {
            "conn_type": "http",
            "schema": "https",
            "host": "localhost",
            "port": served[0],
            "password": "token",
        }
        extra = {"extra": {"verify": verify}} if verify else {}
        monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection | extra))

    return connect


def test_the_worker_trusts_the_file_that_the_connection_names(served, connected):
    connected(str(served[1]))
    answer = CalibrationHook(method="GET", http_conn_id="r_irt").call("healthz")
    assert answer.json() == {"authorization": "Bearer token"}


def test_the_triggerer_trusts_it_too(served, connected):
    connected(str(served[1]))
    status, text = asyncio.run(AsyncCalibrationHook(http_conn_id="r_irt").request("GET", "healthz"))
    assert (status, json.loads(text)) == (200, {"authorization": "Bearer token"})


@pytest.mark.parametrize("named", ["another", "none"])
def test_a_service_of_another_authority_never_sees_the_token(served, connected, named):
    connected(str(served[2]) if named == "another" else None)
    with pytest.raises(TransientError, match="certificate verify failed"):
        CalibrationHook(method="GET", http_conn_id="r_irt").call("healthz")
    with pytest.raises(aiohttp.ClientConnectorCertificateError, match="certificate verify failed"):
        asyncio.run(AsyncCalibrationHook(http_conn_id="r_irt").request("GET", "healthz"))
