"""Encryption between scheduler, workers and this process: one setting, a folder of three files."""

from __future__ import annotations

from pathlib import Path

from distributed import Security

from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError

FILES = ("ca.pem", "cert.pem", "key.pem")
"""Authority that signed everybody's certificate; own certificate; its key."""


def security_of(config: RunConfig) -> Security | None:
    """What ``run.tls`` asks for; None: connections are not encrypted.

    With it, who cannot show a certificate of the authority can neither run tasks here nor read what is sent.

    Raises:
        ConfigError: a file is missing, or the scheduler's address is not encrypted.
    """
    if not config.tls:
        return None
    folder = Path(config.tls).absolute()
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise ConfigError(
            f"run.tls: there is no {', '.join(missing)}.", folder, "Put ca.pem, cert.pem and key.pem there."
        )
    if config.scheduler and not config.scheduler.startswith("tls://"):
        raise ConfigError(
            f"run.tls is set, and run.scheduler is {config.scheduler}.",
            remedy="Its address must begin with tls://.",
        )
    authority, certificate, key = (str(folder / name) for name in FILES)
    roles = {f"tls_{role}_{part}": path for role in ("client", "scheduler", "worker")
             for part, path in (("cert", certificate), ("key", key))}  # fmt: skip
    return Security(tls_ca_file=authority, require_encryption=True, **roles)
