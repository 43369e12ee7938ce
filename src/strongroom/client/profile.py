"""Profile: who this client is, in one folder for its owner alone.

    profile.json        deployment, gateway or socket, identifier, credentials, device, kind of security key
    ca.pem              the certificate of the gateway's own authority, where it has one
    key.pem             the device's own key, or the workload's or attester's: P-256
    security-key.json   the software security key, where there is no real one
    custodian.key       the identity that shares of the root key travel to
    session.json        the session and its key, until it ends
    log/                the verified copy of the log

Keys are made here and never leave; none is ever printed, logged or overwritten.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from strongroom.client.identity import create_identity, read_identity
from strongroom.client.place import Place
from strongroom.client.private_folder import PrivateFolder
from strongroom.client.security_keys.port import SecurityKey
from strongroom.client.security_keys.software import SoftwareKey
from strongroom.sealing.keys import Identity
from strongroom.terms import canonical
from strongroom.terms.errors import BadKey, BadRequest, OutputExists
from strongroom.terms.records import (
    Bytes,
    CredentialId,
    DeploymentName,
    DeviceId,
    Instant,
    Matches,
    SessionId,
    parse_record,
    record_json,
)

HOME, DEFAULT_HOME = "STRONGROOM_HOME", "~/.strongroom"
USB, SOFTWARE = "usb", "software"
_PROFILE, _KEY, _SOFTWARE_KEY, _CUSTODIAN = "profile.json", "key.pem", "security-key.json", "custodian.key"
_SESSION, _LOG, _SHARE, _CA = "session.json", "log", "share", "ca.pem"
_FORMAT = "strongroom/profile/1"
NO_PROFILE = (
    "who is new begins with `strongroom deployment card --deployment 'https://…'`, one more machine of somebody's with"
    " `strongroom device enrol 'https://…'`; to try it alone: `strongroom up --trial`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCredential:
    """A credential of this person, and how the security key itself calls it."""

    credential: CredentialId
    raw_id: Annotated[bytes, Bytes(most=1023)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """What `profile.json` says. `deployment`, and `socket` or `url`, come with `join`; a workload has no device."""

    subject: Annotated[str, Matches("(?:person|workload|attester)-[0-9a-f]{32}", "a person, workload or attester")]
    credentials: tuple[KnownCredential, ...] = ()
    security_key: Annotated[str, Matches(f"{USB}|{SOFTWARE}", f"`{USB}` or `{SOFTWARE}`")] = USB
    device: DeviceId | None = None
    deployment: DeploymentName | None = None
    socket: Annotated[str, Matches("/[^\x00]{1,4000}", "an absolute path")] | None = None
    url: Annotated[str, Matches("https://[!-~]{1,300}", "the URL of a gateway")] | None = None
    format: Annotated[str, Matches(_FORMAT, f"`{_FORMAT}`")] = _FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """A session and the private half of its key: a secret, for an hour at most."""

    session: SessionId
    until: Instant
    private: Annotated[bytes, Bytes(32)] = field(repr=False)

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Return the key."""
        return ec.derive_private_key(int.from_bytes(self.private), ec.SECP256R1())


class Profile:
    """The profile in `folder`; see `create_profile` and `open_profile`."""

    def __init__(self, folder: PrivateFolder, who: Who) -> None:
        self._folder, self.who = folder, who

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    @property
    def deployment(self) -> str:
        """The deployment's name.

        Raises:
            BadRequest: it belongs to none yet.
        """
        if self.who.deployment is None:
            raise BadRequest("this profile belongs to no deployment", hint="join one: `strongroom connect`")
        return self.who.deployment

    @property
    def where(self) -> str:
        """The gateway's URL or the keep's socket.

        Raises:
            BadRequest: it knows neither yet.
        """
        if (found := self.who.url or self.who.socket) is None:
            raise BadRequest("this profile knows no deployment yet", hint="join one: `strongroom connect`")
        return found

    @property
    def ca(self) -> bytes | None:
        """The certificate (PEM) of the gateway's own authority; none where it has one that the system trusts."""
        return self._folder.read(_CA)

    @property
    def credentials(self) -> Mapping[bytes, str]:
        """The person's credentials, by the security key's own id for each."""
        return {known.raw_id: known.credential for known in self.who.credentials}

    @property
    def log(self) -> Path:
        """Where the copy of the log goes."""
        return self._folder.path / _LOG

    def join(self, place: Place, ca: bytes | None = None) -> None:
        """Remember the deployment, by the name that came out of band, and where it is; `ca` as `self.ca`.

        Raises:
            BadRequest: the profile belongs to another deployment.
        """
        if self.who.deployment not in {None, place.name}:
            raise BadRequest(
                "this profile belongs to another deployment", hint=f"use another folder: set `{HOME}` to a new one"
            )
        # ORDER: never a moment at which the URL is there and the certificate that it takes is another's.
        self._change(replace(self.who, deployment=place.name, socket=None, url=None))
        if ca is None:
            self._folder.remove(_CA)
        else:
            self._folder.replace(_CA, ca)
        socket = None if place.socket is None else str(place.socket)
        self._change(replace(self.who, socket=socket, url=place.url))

    def add_credential(self, credential: str, raw_id: bytes) -> None:
        """Remember one more credential of this person."""
        known = KnownCredential(credential=credential, raw_id=raw_id)
        self._change(replace(self.who, credentials=(*self.who.credentials, known)))

    def set_device(self, device: str) -> None:
        """Remember by which identifier this machine is a device."""
        self._change(replace(self.who, device=device))

    # --- keys ----------------------------------------------------------------------------------

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Return the own key of this device, workload or attester.

        Raises:
            NotFound, UnsafePlace, BadKey: there is none, others could read it, or it is none.
        """
        data = self._folder.need(_KEY, "key of this device", "begin a new profile: `strongroom deployment card`")
        try:
            key = load_pem_private_key(data, password=None)
        except ValueError as error:
            raise BadKey(f"`{self.path / _KEY}` holds no key", hint="enrol this device anew, with a new key") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BadKey(f"`{self.path / _KEY}` is not a P-256 key", hint="enrol this device anew, with a new key")
        return key

    def secret(self, use: bytes) -> bytes:
        """Return 32 bytes that only who has that key can tell, others for each `use`; errors as for `key`."""
        private = self.key().private_numbers().private_value.to_bytes(32)
        return hmac.digest(private, b"strongroom/profile/1 " + use, hashlib.sha256)

    def make_key(self) -> ec.EllipticCurvePrivateKey:
        """Make that key, once.

        Raises:
            OutputExists: there is one.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        self._folder.write_new(_KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return key

    def security_key(
        self, *, ask_pin: Callable[[], str | None] | None = None, tell: Callable[[str], None] | None = None
    ) -> SecurityKey:
        """Return the person's security key; `ask_pin` and `tell` as `UsbKey` has them, which a software key never uses.

        Raises:
            BadRequest: a real key, and nobody to ask.
        """
        if self.who.security_key == SOFTWARE:
            key = SoftwareKey(self._folder.path / _SOFTWARE_KEY)
            if not key.path.exists():
                key.create()
            return key
        if ask_pin is None or tell is None:
            raise BadRequest("a real security key needs somebody to ask for its PIN")
        from strongroom.client.security_keys.usb import UsbKey

        return UsbKey(ask_pin=ask_pin, tell=tell)

    def custodian(self) -> Identity:
        """Return the identity that this custodian's share travels to, made when it is first asked for."""
        path = self._folder.path / _CUSTODIAN
        return read_identity(path) if path.exists() else create_identity(path)

    # --- what comes and goes -------------------------------------------------------------------

    def session(self) -> SessionKey | None:
        """Return the session that was opened last, whether it has ended or not."""
        data = self._folder.read(_SESSION)
        return None if data is None else parse_record(SessionKey, canonical.parse(data))

    def keep_session(self, session: SessionKey | None) -> None:
        """Remember a session, or with `None` forget its key."""
        if session is None:
            self._folder.remove(_SESSION)
        else:
            self._folder.replace(_SESSION, canonical.encode(record_json(session)))

    def share(self) -> bytes | None:
        """Return the custodian's share, still wrapped to the custodian's identity."""
        return self._folder.read(_SHARE)

    def keep_share(self, wrapped: bytes) -> None:
        """Remember the custodian's share, wrapped."""
        self._folder.replace(_SHARE, wrapped)

    def _change(self, who: Who) -> None:
        self._folder.replace(_PROFILE, canonical.encode(record_json(who)))
        self.who = who


def profile_folder(folder: Path | None = None) -> Path:
    """Return where the profile is: `folder`, or what the environment says, or the default."""
    return folder if folder is not None else Path(os.environ.get(HOME) or DEFAULT_HOME).expanduser()


def create_profile(
    subject: str, folder: Path | None = None, *, security_key: str = USB, device: str | None = None
) -> Profile:
    """Make the profile of a person, workload or attester, with its own key.

    Raises:
        OutputExists: there is one already. UnsafePlace: the folder is open to others.
    """
    home = PrivateFolder(profile_folder(folder))
    who = Who(subject=subject, security_key=security_key, device=device)
    parse_record(Who, record_json(who))
    try:
        home.write_new(_PROFILE, canonical.encode(record_json(who)))
    except OutputExists as error:
        raise OutputExists(f"there is a profile in `{home.path}`", hint=f"set `{HOME}` to a new folder") from error
    profile = Profile(home, who)
    profile.make_key()
    return profile


def open_profile(folder: Path | None = None) -> Profile:
    """Return the profile that was made before.

    Raises:
        NotFound: there is none. UnsafePlace: others can read it. NotCanonical, BadRecord: it is none.
    """
    home = PrivateFolder(profile_folder(folder))
    data = home.need(_PROFILE, "profile", NO_PROFILE)
    return Profile(home, parse_record(Who, canonical.parse(data)))
