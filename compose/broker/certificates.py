# SPDX-License-Identifier: Apache-2.0
"""Certificates for a secured broker on one machine, made on the spot by an authority of its own.

They are for trying and testing: in production, an organisation's own authority signs. A folder per
principal holds `certificate.pem`, `key.pem`, `authority.pem`, and `keystore.pem` for Java. The
authority's own key is kept nowhere: who comes later needs all certificates made anew.
"""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from trustme import CA

from compose.broker.layout import HOST, NODE, OPERATOR, certificates
from streams.kafka.domains import trusted
from streams.kafka.topics import AGENT, ARCHIVER, ENGINE, INTAKE, READER, TrustDomain


def principals(domains: Iterable[TrustDomain]) -> tuple[str, ...]:
    """Return everybody who comes to the broker of an installation."""
    publishers = (domain.principal for domain in domains)
    return (NODE, OPERATOR, INTAKE, ENGINE, ARCHIVER, AGENT, READER, *publishers)


def make_all_certificates(home: Path, domains: Path | None) -> tuple[str, ...]:
    """Make everybody's, with the trust domains that a TOML file declares; return for whom."""
    names = principals(trusted(domains))
    make_certificates(home, names)
    return names


def make_certificates(home: Path, names: Iterable[str]) -> None:
    """Make a certificate for each principal, below a broker's folder."""
    authority = CA(organization_name="singlepool")
    for principal in names:
        made = authority.issue_cert(HOST, "localhost", common_name=principal)
        folder = certificates(home, principal)
        folder.mkdir(parents=True, exist_ok=True)
        chain = b"".join(part.bytes() for part in made.cert_chain_pems)
        key = made.private_key_pem.bytes()
        (folder / "authority.pem").write_bytes(authority.cert_pem.bytes())
        (folder / "certificate.pem").write_bytes(chain)
        _write_secret(folder / "key.pem", key)
        _write_secret(folder / "keystore.pem", _as_pkcs8(key) + chain)


def _as_pkcs8(key: bytes) -> bytes:
    """Return a private key in the one form that Java reads from PEM."""
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_secret(path: Path, secret: bytes) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(secret)
