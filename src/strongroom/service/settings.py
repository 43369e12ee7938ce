"""Settings: `strongroom.toml`, which says where things are and who may connect. It decides nothing that opens anything.

    settings = read_settings(Path("strongroom.toml"))       whole and checked, or refused
    settings = settings_in(Path("/srv/strongroom"))         everything below one folder

No field holds a secret: keys lie in files that are named here, and the store's credential comes from the environment.
What is not known is refused, with the nearest that is. `docs/settings.md` is written from this file.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from strongroom.terms.errors import AccessDenied, BadRequest, NotFound
from strongroom.terms.records import DeploymentName, Matches, Within, parse_record

T = TypeVar("T")

LARGEST_BYTES = 1 << 20
TLS = "tls://"
_HINT = "every setting is in `docs/settings.md`"

PathText = Annotated[str, Matches("[^\x00-\x1f]{1,4000}", "a path")]
HostText = Annotated[str, Matches("[0-9A-Za-z.:-]{1,253}", "a host name or an address")]
UrlText = Annotated[str, Matches("(?:file|s3)://[!-~]{1,2000}", "`file:///folder` or `s3://bucket/prefix`")]
UserText = Annotated[str, Matches("[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10}", "the name or number of a user")]
Port = Annotated[int, Within(0, 65_535)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSettings:
    """Which deployment this is."""

    name: DeploymentName | None = None
    """The deployment's name, `sr1:…`. Without it, a keep that runs beside the gateway says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSettings:
    """The keep on this machine."""

    folder: PathText
    """Where the journal rests. Its parent is made, for this user alone."""
    high_water: PathText
    """The file that remembers how far the log had come: best on another disk."""
    socket: PathText
    """Where the keep listens, in a folder that only its user can write to."""
    allow_users: tuple[UserText, ...] = ()
    """More users who may connect, such as the gateway's and the relay's. Without it, its own alone."""
    trial: bool = False
    """One person's trial: the root key rests in a file beside `high_water`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySection:
    """The gateway on this machine."""

    folder: PathText
    """Where its copy of the log and the certificates that it makes itself rest."""
    host: HostText = "127.0.0.1"
    """The address to listen at."""
    port: Port = 8443
    """The port; 0 takes a free one."""
    keep: PathText | None = None
    """The keep: its socket, or `tls://host:port` for a relay. Without it, the `socket` of `[keep]`."""
    keep_ca: PathText | None = None
    """For a relay: the CA of its certificate, in PEM."""
    keep_certificate: PathText | None = None
    """For a relay: this gateway's certificate as its client, in PEM."""
    keep_key: PathText | None = None
    """For a relay: the key of that certificate, in PEM."""
    certificate: PathText | None = None
    """Your own certificate and what leads to its CA, in PEM. Without it, the gateway makes a CA of its own."""
    key: PathText | None = None
    """The key of that certificate, in PEM."""
    ca: PathText | None = None
    """The CA that clients are to trust, in PEM, where it is none that every system has."""
    names: tuple[HostText, ...] = ()
    """More names and addresses for the certificate that it makes itself; its CA is made for these, and no others."""
    public: HostText | None = None
    """The name under which clients reach it; without it, `host`."""
    store: UrlText | None = None
    """The object store, `file:///folder` or `s3://bucket/prefix`."""
    metrics_port: Port | None = None
    """A loopback port for `/metrics`. Without it there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """A relay on this machine: ends TLS for a keep that gateways on other hosts use."""

    keep: PathText
    """The keep's socket."""
    certificate: PathText
    """The relay's certificate and what leads to its CA, in PEM."""
    key: PathText
    """The key of that certificate, in PEM."""
    client_ca: PathText
    """The CA that clients' certificates come from, in PEM: one that certifies nothing else."""
    clients: tuple[HostText, ...]
    """Who may connect: DNS names in clients' certificates."""
    host: HostText = "127.0.0.1"
    """The address to listen at."""
    port: Port = 8444
    """The port; 0 takes a free one."""
    connections: Annotated[int, Within(1, 4096)] = 256
    """How many connections there may be."""
    idle_seconds: Annotated[int, Within(1, 86_400)] = 120
    """How long a connection may carry nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of `strongroom.toml`; a section that is not there is a part that does not run here."""

    deployment: DeploymentSettings = field(default_factory=DeploymentSettings)
    keep: KeepSettings | None = None
    gateway: GatewaySection | None = None
    relay: RelaySettings | None = None


SECTIONS: dict[str, type[Any]] = {
    "deployment": DeploymentSettings,
    "keep": KeepSettings,
    "gateway": GatewaySection,
    "relay": RelaySettings,
}


def read_settings(path: Path) -> Settings:
    """Return the settings in a file; its relative paths start from the file's folder.

    Raises:
        NotFound, AccessDenied: it cannot be read.
        BadRequest, BadRecord: it is not TOML, or a setting is unknown, missing or out of bounds; the message names it.
    """
    return parse_settings(_read(path), path.absolute().parent)


def parse_settings(text: str, folder: Path) -> Settings:
    """Return the settings in `text`, whose relative paths start from `folder`; errors as for `read_settings`."""
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadRequest(f"the settings are not TOML: {error}", hint=_HINT) from error
    _check_known(found, SECTIONS, "section")
    sections = {name: _section(SECTIONS[name], name, value, folder) for name, value in found.items()}
    return _check_whole(Settings(**sections))


def settings_in(folder: Path, *, trial: bool = False, store: str | None = None, port: int = 8443) -> Settings:
    """Return the settings of one machine on which everything lies below one folder."""
    socket = str(folder / "run" / "keep")
    return Settings(
        keep=KeepSettings(
            folder=str(folder / "keep" / "journal"),
            high_water=str(folder / "high" / "water"),
            socket=socket,
            trial=trial,
        ),
        gateway=GatewaySection(
            folder=str(folder / "gateway"),
            port=port,
            keep=socket,
            store=(folder / "store").as_uri() if store is None else store,
        ),
    )


def _section(kind: type[T], name: str, value: Any, folder: Path) -> T:
    if not isinstance(value, Mapping):
        raise BadRequest(f"`{name}` is not a section", hint=f"write it as `[{name}]`")
    known: Any = kind
    given = {one.name: one for one in fields(known)}
    _check_known(value, given, f"setting of `[{name}]`")
    defaults = {
        key: one.default for key, one in given.items() if one.default is not MISSING and one.default is not None
    }
    section: Any = parse_record(kind, {**defaults, **value})
    hints = get_type_hints(kind, include_extras=True)
    places = {key: getattr(section, key) for key, hint in hints.items() if PathText in {hint, *get_args(hint)}}
    whole: T = replace(section, **{key: _resolved(text, folder) for key, text in places.items() if text is not None})
    return whole


def _check_known(given: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean `{near[0]}`? {_HINT}" if near else _HINT
            raise BadRequest(f"`{name[:200]}` is no {what}", hint=hint)


def _resolved(text: str, folder: Path) -> str:
    return text if text.startswith(TLS) else str(folder / text)


def _check_whole(settings: Settings) -> Settings:
    """Refuse what only together makes no sense."""
    if (gateway := settings.gateway) is not None:
        if settings.keep is None and (gateway.keep is None or settings.deployment.name is None):
            what = "`keep` in `[gateway]`, and `name` in `[deployment]`"
            raise BadRequest(f"a gateway for a keep that runs elsewhere takes {what}", hint=_HINT)
        if (gateway.certificate is None) != (gateway.key is None):
            raise BadRequest("`certificate` and `key` of `[gateway]` go together", hint=_HINT)
        relay = (gateway.keep_ca, gateway.keep_certificate, gateway.keep_key)
        if any(one is None for one in relay) if is_relay(gateway.keep) else any(relay):
            what = "`keep_ca`, `keep_certificate` and `keep_key`"
            raise BadRequest(f"{what} of `[gateway]` are for a relay, which takes all three", hint=_HINT)
    return settings


def is_relay(keep: str | None) -> bool:
    """Tell whether a gateway's `keep` is a relay's address, not a socket."""
    return keep is not None and keep.startswith(TLS)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"no settings at `{path}`", hint=_HINT) from None
    except OSError as error:
        raise AccessDenied(f"`{path}` cannot be read: {error.strerror}", hint="read it as its owner") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"`{path}` is not text", hint="write it as UTF-8") from error
    if len(data) > LARGEST_BYTES:
        raise BadRequest(f"`{path}` is larger than {LARGEST_BYTES} bytes", hint="this is not the file that is meant")
    return text
