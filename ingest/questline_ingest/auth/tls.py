"""Certificates for the doors, read again when their files change."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc

from questline_core.errors import BadInput
from questline_ingest.settings import GatewaySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where certificate, key and, for mutual TLS, the clients' authority are; PEM."""

    certificate: Path
    key: Path
    client_ca: Path | None

    @classmethod
    def of(cls, settings: GatewaySettings) -> Files | None:
        """Give the files that the settings name; None where TLS is off."""
        if not settings.tls_certificate or not settings.tls_key:
            return None
        return cls(certificate=settings.tls_certificate, key=settings.tls_key, client_ca=settings.tls_client_ca)

    def contents(self) -> tuple[bytes, bytes, bytes | None]:
        """Read key, certificate and authority.

        Raises:
            BadInput: a file cannot be read.
        """
        try:
            authority = self.client_ca.read_bytes() if self.client_ca else None
            return self.key.read_bytes(), self.certificate.read_bytes(), authority
        except OSError as error:
            raise BadInput(f"TLS: {error.filename} cannot be read ({error.strerror}); see QUESTLINE_TLS_*") from None


def grpc_credentials(files: Files) -> grpc.ServerCredentials:
    """Give what gRPC listens with; a certificate that is replaced is taken with the next connection.

    Raises:
        BadInput: a file cannot be read.
    """
    known = files.contents()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal known
        try:
            read = files.contents()
        except BadInput:  # a file that is being replaced: the next handshake looks again
            return None
        if read == known:
            return None
        known = read
        return grpc.ssl_server_certificate_configuration([read[:2]], read[2])

    return grpc.dynamic_ssl_server_credentials(
        grpc.ssl_server_certificate_configuration([known[:2]], known[2]),
        # Its stubs forget that None is the answer for no change.
        cast("type[grpc.ServerCertificateConfiguration]", changed),
        require_client_authentication=files.client_ca is not None,
    )


def http_context(files: Files) -> ssl.SSLContext:
    """Give what the HTTP door listens with; `load` puts a replaced certificate into it.

    Raises:
        BadInput: the files cannot be used together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
    load(context, files)
    return context


def load(context: ssl.SSLContext, files: Files) -> None:
    """Let new connections have the certificate that the files hold now.

    Raises:
        BadInput: the files cannot be used together.
    """
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.client_ca:
            context.load_verify_locations(files.client_ca)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"TLS: {files.certificate} and its key cannot be used ({error}); replace both") from None
