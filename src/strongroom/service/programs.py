"""Programs: how the keep and the gateway are started, each with no more of an environment than it needs."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from strongroom.service.settings import GatewaySection, KeepSettings
from strongroom.terms.errors import AccessDenied, StoreUnavailable

KEEP_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
"""All of the keep's: no proxy, `LD_…` or `PYTHON…` of whoever starts it. It acts on a process before its first line."""
_STORE_PREFIX = "AWS_"
# -I: no module of the working folder, and nothing of the environment, gets to run in a program.
_PYTHON = (sys.executable, "-I", "-m")


def keep_command(keep: KeepSettings) -> list[str]:
    """Return the command that becomes the keep."""
    command = [*_PYTHON, "strongroom.keep"]
    for name, place in (("--folder", keep.folder), ("--high-water", keep.high_water), ("--socket", keep.socket)):
        command += [name, str(Path(place).absolute())]
    command += [text for user in keep.allow_users for text in ("--allow-user", user)]
    return [*command, "--trial"] if keep.trial else command


def make_places(keep: KeepSettings) -> None:
    """Make the folders that the keep's things lie in, for this user alone, where they are not there.

    Through the socket's, its group may pass if other users may connect; whom the group is of, the folder above says.

    Raises:
        AccessDenied, StoreUnavailable: one cannot be made.
    """
    for place in (keep.folder, keep.high_water):
        _make_folder(Path(place).parent, 0o700)
    _make_folder(Path(keep.socket).parent, 0o710 if keep.allow_users else 0o700)


def _make_folder(folder: Path, mode: int) -> None:
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700)
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | mode)  # whatever the umask; with the group from above
    except PermissionError as error:
        raise AccessDenied(f"`{folder}` cannot be made: {error.strerror}", hint="choose another folder") from error
    except OSError as error:
        raise StoreUnavailable(f"`{folder}` cannot be made: {error.strerror}", hint="choose another folder") from error


def gateway_command(gateway: GatewaySection, *, deployment: str, keep: str) -> list[str]:
    """Return the command of a gateway that serves `deployment` and asks the keep at `keep`, a socket or `tls://…`."""
    command = [*_PYTHON, "strongroom.gateway", "--deployment", deployment, "--keep", keep]
    command += ["--folder", gateway.folder, "--host", gateway.host, "--port", str(gateway.port)]
    options = {
        "--keep-ca": gateway.keep_ca,
        "--keep-certificate": gateway.keep_certificate,
        "--keep-key": gateway.keep_key,
        "--certificate": gateway.certificate,
        "--key": gateway.key,
        "--ca": gateway.ca,
        "--store": gateway.store,
        "--metrics-port": None if gateway.metrics_port is None else str(gateway.metrics_port),
    }
    command += [text for name, value in options.items() if value is not None for text in (name, value)]
    return command + [text for name in _names(gateway) for text in ("--name", name)]


def gateway_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the gateway gets of an environment: the object store's credential, and nothing else."""
    return KEEP_ENVIRONMENT | {name: text for name, text in environment.items() if name.startswith(_STORE_PREFIX)}


def _names(gateway: GatewaySection) -> Iterable[str]:
    return dict.fromkeys((*((gateway.public,) if gateway.public else ()), *gateway.names))
