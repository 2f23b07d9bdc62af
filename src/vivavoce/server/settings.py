"""What a server is told when it starts: where it listens, who may use it, and how much."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from vivavoce.core.errors import ConfigError

LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Safe by default: only this machine, and limits on everything that can grow."""

    host: str = "127.0.0.1"
    port: int = 8765
    api_keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    """Web origins that may connect, besides our own page."""
    tls_cert: Path | None = None
    """Certificate chain (PEM) to be reached over https and wss only."""
    tls_key: Path | None = None
    """Its private key (PEM); None where the certificate's file has it too."""
    data: Path | None = None
    """Folder of voices and consents; None keeps them in memory."""
    session_seconds: float = 3600.0
    idle_seconds: float = 300.0
    """A connection that says nothing for so long is closed."""
    connect_seconds: float = 15.0
    """A WebRTC peer whose offer was answered has to come within so long."""
    events_per_minute: int = 12_000
    responses_per_minute: int = 120
    requests_per_minute: int = 600
    upload_bytes: int = 25 * 1024 * 1024
    drain_seconds: float = 10.0
    """After SIGTERM replies may finish for so long."""
    secrets_kept: int = 10_000

    def __post_init__(self) -> None:
        """Refuses to be reachable by others without a key."""
        if self.host not in LOCAL and not self.api_keys:
            raise ConfigError(
                f"Listening on {self.host} lets others connect, so a key is needed; give --api-key or use 127.0.0.1."
            )
        if self.tls_key and not self.tls_cert:
            raise ConfigError("A key without a certificate was given; give --tls-cert too.")
        if self.tls_cert:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                    self.tls_cert, self.tls_key, password=""
                )
            except (OSError, ValueError) as error:
                files = " and ".join(str(path) for path in (self.tls_cert, self.tls_key) if path)
                raise ConfigError(
                    f"{files} cannot be used for TLS ({error}); give a PEM certificate and its key without a password."
                ) from error
