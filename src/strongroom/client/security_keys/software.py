"""A security key in software: private keys in one file, for trials, the demo and tests. It says yes by itself.

It writes no attestation, so that policies know it for what it is. The file, for its owner alone (0600) and replaced
whole, holds the id, rpId, counter and private key of each credential.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.client.security_keys.port import Registration, Touch, client_data, without_attestation
from strongroom.statements.envelope import Assertion
from strongroom.statements.signing import point_of, sign_es256
from strongroom.terms import canonical
from strongroom.terms.errors import OutputExists, StoreUnavailable, UnsafePlace
from strongroom.terms.outer_errors import NoSecurityKey
from strongroom.terms.records import Bytes, Count, Matches, parse_record, record_json

FORMAT = "strongroom/software-key/1"
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP = 0x01, 0x04, 0x08, 0x10

_CREDENTIAL = 0x40
_RAW_ID_BYTES = 32
_LARGEST_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Credential:
    counter: Count
    private: Annotated[bytes, Bytes(32)] = field(repr=False)
    raw_id: Annotated[bytes, Bytes(_RAW_ID_BYTES)]
    rp_id: Annotated[str, Matches("[a-z0-9.-]{1,253}", "an rpId")]

    def key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(self.private), ec.SECP256R1())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    credentials: tuple[_Credential, ...]
    format: Annotated[str, Matches(FORMAT, f"`{FORMAT}`")]


class SoftwareKey:
    """The software key in the file `path`, which `create` makes. Tests may have it say other `flags` of its touches."""

    def __init__(self, path: Path, *, flags: int = PRESENT | VERIFIED) -> None:
        self.path, self._flags = path, flags

    def create(self) -> None:
        """Make the file, with no credential in it yet.

        Raises:
            OutputExists: something is there; it is left alone.
            UnsafePlace: others may write to its folder.
        """
        with _locked(self.path.parent) as folder:
            if os.path.lexists(self.path):
                raise OutputExists(f"`{self.path}` exists", hint="a key is never overwritten: choose another name")
            self._replace(folder, ())

    def register(
        self, *, rp_id: str, person_handle: bytes, person_name: str, message: bytes, attested: bool = True
    ) -> Registration:
        """Make a credential, as `SecurityKey.register` says; there is never an attestation, and no person is stored."""
        del person_handle, person_name, attested
        key, raw_id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(_RAW_ID_BYTES)
        private = key.private_numbers().private_value.to_bytes(32)
        credential = _Credential(counter=1, private=private, raw_id=raw_id, rp_id=rp_id)
        with _locked(self.path.parent) as folder:
            self._replace(folder, (*self._credentials(folder), credential))
        point = point_of(key)
        cose = bytes.fromhex("a5010203262001215820") + point[1:33] + bytes.fromhex("225820") + point[33:]
        attested_data = bytes(16) + _RAW_ID_BYTES.to_bytes(2) + raw_id + cose
        return Registration(
            attestation_object=without_attestation(self._authenticator_data(credential, _CREDENTIAL) + attested_data),
            client_data=client_data("webauthn.create", message),
            raw_id=raw_id,
        )

    def sign(self, message: bytes, *, rp_id: str, raw_ids: Sequence[bytes]) -> Touch:
        """Sign as `SecurityKey.sign` says."""
        with _locked(self.path.parent) as folder:
            stored = self._credentials(folder)
            found = [one for one in stored if one.rp_id == rp_id and one.raw_id in raw_ids]
            if not found:
                raise NoSecurityKey(f"`{self.path}` holds none of these credentials")
            credential = replace(found[0], counter=found[0].counter + 1)
            # ORDER: the counter is on the disk before a signature with it exists; a crash between skips a number,
            # and the other way round one number would be used twice, as if there were two of this key.
            self._replace(folder, tuple(credential if one is found[0] else one for one in stored))
        client = client_data("webauthn.get", message)
        data = self._authenticator_data(credential, 0)
        return Touch(
            raw_id=credential.raw_id,
            sig=sign_es256(credential.key(), data + hashlib.sha256(client).digest()),
            assertion=Assertion(authenticator_data=data, client_data=client),
        )

    def _authenticator_data(self, credential: _Credential, flags: int) -> bytes:
        about = hashlib.sha256(credential.rp_id.encode("ascii")).digest()
        return about + (self._flags | flags).to_bytes(1) + credential.counter.to_bytes(4)

    def _credentials(self, folder: int) -> tuple[_Credential, ...]:
        try:
            descriptor = os.open(self.path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            raise NoSecurityKey(
                f"no software key `{self.path}`", hint="make one, or give the file that has it"
            ) from None
        with os.fdopen(descriptor, "rb") as file:
            _check_private(os.fstat(descriptor), str(self.path), 0o077)
            data = file.read(_LARGEST_FILE_BYTES)
        return parse_record(_Stored, canonical.parse(data)).credentials

    def _replace(self, folder: int, credentials: tuple[_Credential, ...]) -> None:
        data = canonical.encode(record_json(_Stored(credentials=credentials, format=FORMAT)))
        partial = f".{secrets.token_hex(8)}.partial"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(partial, self.path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(partial, dir_fd=folder)
            raise
        os.fsync(folder)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the folder, so that no two processes take the same number of a counter; whatever fails in it is ours."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _check_private(os.fstat(folder), str(path), 0o022)
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreUnavailable(f"the software key in `{path}`: {error.strerror}", hint="check the folder") from error


def _check_private(found: os.stat_result, what: str, others: int) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid() or mode & others:
        raise UnsafePlace(f"`{what}` is open to others (user {found.st_uid}, mode {mode:04o})", hint=_PRIVATE_HINT)


_PRIVATE_HINT = "keep it in a folder of your own, `chmod 700`, and the file `chmod 600`"
