"""A private certificate authority for a test of HTTPS on loopback."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Clients that trust its `file` trust its servers.

    :param folder: for its file and those of the servers; created here.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._key, self._name = folder, ec.generate_private_key(ec.SECP256R1()), _named(folder.name)
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        extensions = [(x509.BasicConstraints(ca=True, path_length=0), True), (self._identifier, False)]
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._certificate(self._name, self._key.public_key(), extensions))

    def server(self, address: str) -> ssl.SSLContext:
        """The TLS context, with a certificate, of a server at this IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier)
        extensions = [(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False), (issuer, False)]
        file = self._folder / f"{address}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + self._certificate(_named(address), key.public_key(), extensions))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extensions: list) -> bytes:
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder(
            self._name, subject, key, x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
