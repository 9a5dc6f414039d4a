# SPDX-License-Identifier: Apache-2.0
"""A broker's folder made: its layout, and with TLS all certificates."""

from pathlib import Path

from compose.broker.certificates import make_all_certificates
from compose.broker.layout import Layout, save


def make_broker(home: Path, layout: Layout, domains: Path | None) -> Layout:
    """Make a broker's folder, and return its layout.

    Where it is secured, every principal gets a certificate: those of the project, and one for each
    trust domain that `domains` (TOML) declares.
    """
    if layout.tls:
        make_all_certificates(home, domains)
    save(layout, home)
    return layout
