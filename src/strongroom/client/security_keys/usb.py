"""A real security key on USB, through python-fido2: it speaks CTAP2, asks for the PIN, waits for the touch.

The library chooses how the key verifies its person (PIN or fingerprint); what is signed is ours: `port.client_data`.
One key at a time: with several plugged in, nobody could say which one was meant.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob

from fido2.client import ClientDataCollector, ClientError, Fido2Client, PinRequiredError, UserInteraction
from fido2.cose import ES256
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2.pin import ClientPin
from fido2.hid import ConnectionFailure, CtapHidDevice
from fido2.webauthn import (
    AuthenticatorSelectionCriteria,
    CollectedClientData,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRequestOptions,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from strongroom.client.security_keys.port import Registration, Touch, client_data, without_attestation
from strongroom.statements.envelope import Assertion
from strongroom.terms.errors import AccessDenied
from strongroom.terms.outer_errors import NoSecurityKey, NotTouched

TIMEOUT_SECONDS = 60
DEVICE_FILES = "/dev/hidraw*"  # on Linux; where there are none of that name, nothing is said of permissions

_PUBLIC_KEY = PublicKeyCredentialType.PUBLIC_KEY
_REQUIRED = UserVerificationRequirement.REQUIRED


class UsbKey:
    """The one security key that is plugged in.

    `ask_pin` asks its person for the PIN (`None` to give up), `tell` shows one line, such as that the key waits for a
    touch. `devices` finds the keys.
    """

    def __init__(
        self,
        *,
        ask_pin: Callable[[], str | None],
        tell: Callable[[str], None],
        devices: Callable[[], Iterable[CtapDevice]] = CtapHidDevice.list_devices,
        device_files: str = DEVICE_FILES,
    ) -> None:
        self._person = _Person(ask_pin, tell)
        self._devices, self._device_files = devices, device_files

    def register(
        self, *, rp_id: str, person_handle: bytes, person_name: str, message: bytes, attested: bool = True
    ) -> Registration:
        """Make a credential, as `SecurityKey.register` says."""
        client = client_data("webauthn.create", message)
        options = PublicKeyCredentialCreationOptions(
            rp=PublicKeyCredentialRpEntity(id=rp_id, name=rp_id),
            user=PublicKeyCredentialUserEntity(id=person_handle, name=person_name, display_name=person_name),
            challenge=b"",  # in the client data already
            pub_key_cred_params=[PublicKeyCredentialParameters(type=_PUBLIC_KEY, alg=ES256.ALGORITHM)],
            timeout=TIMEOUT_SECONDS * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.DISCOURAGED, user_verification=_REQUIRED
            ),
        )
        with self._client(client, rp_id) as key:
            made = key.make_credential(options)
        attestation = made.response.attestation_object
        return Registration(
            attestation_object=bytes(attestation) if attested else without_attestation(attestation.auth_data),
            client_data=client,
            raw_id=made.raw_id,
        )

    def sign(self, message: bytes, *, rp_id: str, raw_ids: Sequence[bytes]) -> Touch:
        """Sign as `SecurityKey.sign` says."""
        client = client_data("webauthn.get", message)
        options = PublicKeyCredentialRequestOptions(
            challenge=b"",
            timeout=TIMEOUT_SECONDS * 1000,
            rp_id=rp_id,
            allow_credentials=[PublicKeyCredentialDescriptor(type=_PUBLIC_KEY, id=raw_id) for raw_id in raw_ids],
            user_verification=_REQUIRED,
        )
        with self._client(client, rp_id) as key:
            made = key.get_assertion(options).get_response(0)
        data = bytes(made.response.authenticator_data)
        return Touch(
            raw_id=made.raw_id,
            sig=made.response.signature,
            assertion=Assertion(authenticator_data=data, client_data=client),
        )

    @contextmanager
    def _client(self, client: bytes, rp_id: str) -> Iterator[Fido2Client]:
        """Yield the key that is plugged in, with everything that it or the library raises turned into our errors."""
        device = self._only_device()
        try:
            # No extensions: nothing that we have not asked for may stand in what is signed.
            yield Fido2Client(device, _Given(client, rp_id), self._person, extensions=())
        except ClientError as error:
            raise _our_error(error) from error
        except (ConnectionFailure, CtapError, OSError, ValueError, TypeError) as error:
            raise NoSecurityKey(f"the security key failed: {error}", hint="plug it in anew and try again") from error
        finally:
            device.close()

    def _only_device(self) -> CtapDevice:
        try:
            found = list(self._devices())
        except (ConnectionFailure, CtapError, OSError) as error:
            raise NoSecurityKey(f"the security key failed: {error}", hint="plug it in anew and try again") from error
        if len(found) == 1:
            return found[0]
        for device in found:
            device.close()
        if found:
            raise NoSecurityKey(f"{len(found)} security keys are plugged in")
        if any(not os.access(file, os.R_OK | os.W_OK) for file in glob(self._device_files)):
            raise AccessDenied(
                "there may be a security key, but its device file is closed to us",
                hint="install your system's udev rules for FIDO keys, then plug it in anew",
            )
        raise NoSecurityKey("no security key is plugged in")


class _Given(ClientDataCollector):
    """Gives the library the client data that is already written."""

    def __init__(self, client: bytes, rp_id: str) -> None:
        self._given = (CollectedClientData(client), rp_id)

    def collect_client_data(
        self, options: PublicKeyCredentialCreationOptions | PublicKeyCredentialRequestOptions
    ) -> tuple[CollectedClientData, str]:
        del options
        return self._given


class _Person(UserInteraction):
    """The person at the key, for the library."""

    def __init__(self, ask_pin: Callable[[], str | None], tell: Callable[[str], None]) -> None:
        self._ask_pin, self._tell = ask_pin, tell

    def prompt_up(self) -> None:
        self._tell("touch your security key")

    def request_pin(self, permissions: ClientPin.PERMISSION, rp_id: str | None) -> str | None:
        del permissions, rp_id
        return self._ask_pin()

    def request_uv(self, permissions: ClientPin.PERMISSION, rp_id: str | None) -> bool:
        del permissions, rp_id
        self._tell("let your security key verify you")
        return True


def _our_error(error: ClientError) -> NoSecurityKey | NotTouched:
    code = error.cause.code if isinstance(error.cause, CtapError) else None
    if isinstance(error, PinRequiredError):
        return NotTouched("no PIN was given")
    if code in {CtapError.ERR.PIN_INVALID, CtapError.ERR.PIN_AUTH_INVALID}:
        return NotTouched("the PIN is wrong")
    if code in {CtapError.ERR.PIN_BLOCKED, CtapError.ERR.PIN_AUTH_BLOCKED, CtapError.ERR.UV_BLOCKED}:
        return NotTouched(
            "the security key is locked after too many wrong PINs",
            hint="plug it in anew; if it stays locked, it has to be reset and enrolled anew",
        )
    if code == CtapError.ERR.OPERATION_DENIED or error.code == ClientError.ERR.TIMEOUT:
        return NotTouched("the security key was not touched in time")
    match error.code:
        case ClientError.ERR.DEVICE_INELIGIBLE:
            return NoSecurityKey("the security key that is plugged in holds none of these credentials")
        case ClientError.ERR.CONFIGURATION_UNSUPPORTED:
            return NotTouched(
                "the security key has no PIN yet, or cannot verify its person",
                hint="set a PIN with the tool of its maker",
            )
        case _:
            return NoSecurityKey(f"the security key failed: {error!r}", hint="plug it in anew and try again")
