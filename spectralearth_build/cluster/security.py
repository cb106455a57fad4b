"""Encryption between scheduler, workers and this process. One setting names a folder of three files."""

from __future__ import annotations

from pathlib import Path

from distributed import Security

from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError

FILES = ("ca.pem", "cert.pem", "key.pem")
"""Certificate of the authority that signed all certificates; own certificate; own private key."""


OWN = ("", "inline", "slurm")
"""Values of ``run.scheduler`` that are no address: this process starts its scheduler itself, or needs none."""


def security_of(config: RunConfig) -> Security | None:
    """Return the encryption that ``run.tls`` configures; None: connections are not encrypted.

    With encryption, only those with a certificate of the authority can run tasks or read traffic.

    Raises:
        ConfigError: A file is missing, or the address of the scheduler is not encrypted.
    """
    if not config.tls:
        return None
    folder = Path(config.tls).absolute()
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise ConfigError(
            f"run.tls: the folder has no {', '.join(missing)}.",
            folder,
            "Put ca.pem, cert.pem and key.pem into the folder.",
        )
    if config.scheduler not in OWN and not config.scheduler.startswith("tls://"):
        raise ConfigError(
            f"run.tls is set, but run.scheduler={config.scheduler} is not encrypted.",
            remedy="Use an address that begins with tls://.",
        )
    authority, certificate, key = files_of(config)
    roles = {f"tls_{role}_{part}": path for role in ("client", "scheduler", "worker")
             for part, path in (("cert", certificate), ("key", key))}  # fmt: skip
    return Security(tls_ca_file=authority, require_encryption=True, **roles)


def files_of(config: RunConfig) -> tuple[str, str, str]:
    """Return the paths of authority, certificate and key in the folder ``run.tls``."""
    authority, certificate, key = (str(Path(config.tls).absolute() / name) for name in FILES)
    return authority, certificate, key
