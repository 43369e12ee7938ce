"""Security keys on this machine: what they sign is what `verify_…` takes; software in one file, USB through CTAP2."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap import CtapDevice, CtapError
from fido2.hid import ConnectionFailure
from fido2.webauthn import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRequestOptions,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)

from strongroom.client.security_keys import software
from strongroom.client.security_keys.port import ORIGIN, SecurityKey, client_data
from strongroom.client.security_keys.software import SoftwareKey
from strongroom.client.security_keys.usb import UsbKey
from strongroom.statements.envelope import Assertion
from strongroom.statements.webauthn import (
    CredentialKey,
    RegisteredKey,
    VerifiedAssertion,
    verify_assertion,
    verify_registration,
)
from strongroom.terms.errors import BadAssertion, OutputExists, StoreUnavailable, StrongroomError, UnsafePlace
from strongroom.terms.outer_errors import NoSecurityKey, NotTouched
from tests.statements.authenticator import Authenticator
from tests.vectors.statements import cases, writer

RP_ID, ENROLLING, MESSAGE = writer.RP_ID, cases.ENROLLING, cases.MESSAGE
ORIGINS = {ORIGIN: "cli"}


def enrol(key: SecurityKey, *, attested: bool = True) -> RegisteredKey:
    made = key.register(
        rp_id=RP_ID, person_handle=b"\x01" * 16, person_name="Ada", message=ENROLLING, attested=attested
    )
    registered = verify_registration(
        made.attestation_object,
        made.client_data,
        challenge_message=ENROLLING,
        rp_id=RP_ID,
        origins=ORIGINS,
        roots=[cases.ROOT],
    )
    assert registered.raw_id == made.raw_id
    return registered


def known(registered: RegisteredKey, counter: int | None = None) -> CredentialKey:
    return CredentialKey(
        credential=writer.subject("credential", 5),
        raw_id=registered.raw_id,
        public_key=registered.public_key,
        software=registered.software,
        backup_eligible=registered.backup_eligible,
        counter=registered.counter if counter is None else counter,
    )


def touch(key: SecurityKey, credential: CredentialKey, message: bytes = MESSAGE) -> VerifiedAssertion:
    made = key.sign(message, rp_id=RP_ID, raw_ids=[credential.raw_id])
    assert made.raw_id == credential.raw_id
    return verify_assertion(made.assertion, made.sig, key=credential, message=message, rp_id=RP_ID, origins=ORIGINS)


def new_key(folder: Path, flags: int = software.PRESENT | software.VERIFIED) -> SoftwareKey:
    key = SoftwareKey(folder / "key.json", flags=flags)
    key.create()
    return key


def usb(*devices: CtapDevice, pin: str | None = None, device_files: str = "/nowhere/*") -> tuple[UsbKey, list[str]]:
    told: list[str] = []
    key = UsbKey(ask_pin=lambda: pin, tell=told.append, devices=lambda: devices, device_files=device_files)
    return key, told


# --- both ---------------------------------------------------------------------------------------------


def test_our_client_data_is_written_as_webauthn_writes_it() -> None:
    # WebAuthn §5.8.1.1: these members in this order, and no space.
    assert client_data("webauthn.get", MESSAGE) == writer.client_json("webauthn.get", MESSAGE, writer.CLI)


def test_a_software_key_signs_what_is_verified(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    registered = enrol(key)
    assert registered.software
    assert registered.path == "cli"
    counters = [touch(key, known(registered, counter)).counter for counter in (1, 2, 3)]
    assert counters == [2, 3, 4]


def test_a_usb_key_signs_what_is_verified_and_says_who_made_it() -> None:
    device = Authenticator()
    key, told = usb(device)
    registered = enrol(key)
    assert not registered.software
    assert registered.aaguid == writer.AAGUID.hex()
    assert touch(key, known(registered)).counter > registered.counter
    assert told.count("touch your security key") == 2
    assert device.closed


def test_a_usb_key_that_is_not_to_say_who_made_it_counts_as_software() -> None:
    key, _ = usb(Authenticator())
    registered = enrol(key, attested=False)
    assert registered.software
    assert touch(key, known(registered)).path == "cli"


def test_what_a_real_client_library_makes_for_a_web_page_is_verified() -> None:
    collector = DefaultClientDataCollector(writer.APPROVALS)
    client = Fido2Client(Authenticator(), collector, user_interaction=UserInteraction())
    required, public_key = UserVerificationRequirement.REQUIRED, PublicKeyCredentialType.PUBLIC_KEY
    made = client.make_credential(
        PublicKeyCredentialCreationOptions(
            rp=PublicKeyCredentialRpEntity(id=RP_ID, name="Strongroom"),
            user=PublicKeyCredentialUserEntity(id=b"\x01" * 16, name="Ada"),
            challenge=writer.sha256(ENROLLING),
            pub_key_cred_params=[PublicKeyCredentialParameters(type=public_key, alg=-7)],
            authenticator_selection=AuthenticatorSelectionCriteria(user_verification=required),
        )
    ).response
    registered = verify_registration(
        bytes(made.attestation_object),
        bytes(made.client_data),
        challenge_message=ENROLLING,
        rp_id=RP_ID,
        origins=writer.ORIGINS,
        roots=[cases.ROOT],
    )
    assert registered.path == "approval"
    asked = PublicKeyCredentialRequestOptions(
        challenge=writer.sha256(MESSAGE),
        rp_id=RP_ID,
        allow_credentials=[PublicKeyCredentialDescriptor(type=public_key, id=registered.raw_id)],
        user_verification=required,
    )
    signed = client.get_assertion(asked).get_response(0).response
    found = verify_assertion(
        Assertion(authenticator_data=bytes(signed.authenticator_data), client_data=bytes(signed.client_data)),
        signed.signature,
        key=known(registered),
        message=MESSAGE,
        rp_id=RP_ID,
        origins=writer.ORIGINS,
    )
    assert (found.path, found.origin) == ("approval", writer.APPROVALS)


# --- software -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [software.PRESENT, software.VERIFIED])
def test_a_software_key_that_does_not_say_yes_cannot_be_enrolled(tmp_path: Path, flags: int) -> None:
    with pytest.raises(BadAssertion):
        enrol(new_key(tmp_path, flags))


def test_a_software_key_may_say_that_it_can_be_copied(tmp_path: Path) -> None:
    everything = software.PRESENT | software.VERIFIED | software.ELIGIBLE | software.BACKED_UP
    key = new_key(tmp_path, everything)
    registered = enrol(key)
    assert registered.backup_eligible
    assert touch(key, known(registered)).backup_eligible


def test_a_software_key_is_for_its_owner_alone_and_holds_on_to_its_counter(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    registered = enrol(key)
    touch(key, known(registered))
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key.json"]
    assert touch(SoftwareKey(key.path), known(registered)).counter == 3


def test_touches_at_the_same_time_never_have_the_same_number(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    credential = known(enrol(key))
    with ThreadPoolExecutor(8) as pool:
        counters = list(pool.map(lambda _: touch(SoftwareKey(key.path), credential).counter, range(40)))
    assert sorted(counters) == list(range(2, 42))


def test_a_counter_is_on_the_disk_before_its_signature_is_given(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    credential = known(enrol(key))
    stored = key.path.read_bytes()
    # Where the file cannot be replaced, nothing is signed.
    key.path.unlink()
    key.path.mkdir()
    with pytest.raises(StrongroomError):
        key.sign(MESSAGE, rp_id=RP_ID, raw_ids=[credential.raw_id])
    key.path.rmdir()
    key.path.write_bytes(stored)
    key.path.chmod(0o600)
    traced = trace_syncs(key.path, credential)
    assert traced == ["fsync", "rename", "fsync", "signed"]


def trace_syncs(path: Path, credential: CredentialKey) -> list[str]:
    """Return, in order, what another process that signs asks of the disk, by Python's own audit of its calls."""
    program = f"""
import os, sys
from pathlib import Path
from strongroom.client.security_keys.software import SoftwareKey
sync = os.fsync
def seen(descriptor):
    print("fsync"); sync(descriptor)
os.fsync = seen
sys.addaudithook(lambda event, about: print("rename") if event == "os.rename" else None)
SoftwareKey(Path({str(path)!r})).sign(b"", rp_id={RP_ID!r}, raw_ids=[{credential.raw_id!r}])
print("signed")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_software_key_is_never_overwritten(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    enrol(key)
    stored = key.path.read_bytes()
    with pytest.raises(OutputExists):
        key.create()
    assert key.path.read_bytes() == stored


def test_a_software_key_prints_no_secret() -> None:
    credential = software._Credential(counter=1, private=b"p" * 32, raw_id=b"r" * 32, rp_id=RP_ID)
    assert "rrrr" in repr(credential)
    assert "pppp" not in repr(credential)


@pytest.mark.parametrize(("file", "folder"), [(0o640, 0o700), (0o604, 0o700), (0o600, 0o770), (0o600, 0o707)])
def test_a_software_key_that_others_could_reach_is_not_used(tmp_path: Path, file: int, folder: int) -> None:
    key = new_key(tmp_path)
    credential = known(enrol(key))
    key.path.chmod(file)
    tmp_path.chmod(folder)
    with pytest.raises(UnsafePlace):
        touch(key, credential)
    tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_software_key_of_somebody_else_is_not_used(tmp_path: Path, what: str) -> None:
    key = new_key(tmp_path)
    credential = known(enrol(key))
    os.chown(key.path if what == "file" else tmp_path, 65534, -1)
    with pytest.raises(UnsafePlace):
        touch(key, credential)


def test_a_link_in_the_place_of_a_software_key_is_not_followed(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    credential = known(enrol(key))
    key.path.rename(tmp_path / "elsewhere")
    key.path.symlink_to("elsewhere")
    with pytest.raises(StoreUnavailable):
        touch(key, credential)


def test_a_software_key_that_is_not_there_or_holds_others_cannot_sign(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    credential = known(enrol(key))
    with pytest.raises(NoSecurityKey):
        key.sign(MESSAGE, rp_id=RP_ID, raw_ids=[b"\x01" * 32])
    with pytest.raises(NoSecurityKey):
        key.sign(MESSAGE, rp_id="other.example", raw_ids=[credential.raw_id])
    with pytest.raises(NoSecurityKey):
        touch(SoftwareKey(tmp_path / "none.json"), credential)
    with pytest.raises(StoreUnavailable):
        SoftwareKey(tmp_path / "none" / "key.json").create()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"credentials":[],"format":"strongroom/software-key/2"}'])
def test_a_file_that_is_no_software_key_is_refused(tmp_path: Path, content: bytes) -> None:
    key = new_key(tmp_path)
    key.path.write_bytes(content)
    with pytest.raises(StrongroomError) as refused:
        key.sign(MESSAGE, rp_id=RP_ID, raw_ids=[])
    assert refused.value.family == "Malformed"


# --- USB ------------------------------------------------------------------------------------------------


def sign_with(*devices: CtapDevice, pin: str | None = None) -> None:
    usb(*devices, pin=pin)[0].sign(MESSAGE, rp_id=RP_ID, raw_ids=[b"\x01" * 32])


def test_no_security_key_or_more_than_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoSecurityKey, match="no security key is plugged in"):
        sign_with()
    devices = [Authenticator(), Authenticator()]
    with pytest.raises(NoSecurityKey, match="2 security keys are plugged in"):
        sign_with(*devices)
    assert all(device.closed for device in devices)


def test_a_device_file_that_is_closed_to_us_is_said() -> None:
    program = """
import os, sys
from strongroom.client.security_keys.usb import UsbKey
if os.geteuid() == 0:  # whom nothing is closed to
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
key = UsbKey(ask_pin=lambda: None, tell=print, devices=lambda: [], device_files=sys.argv[1] + "/hidraw*")
try:
    key.sign(b"", rp_id="strongroom.example", raw_ids=[])
except Exception as error:
    print(error.code)
"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for mode, code in ((0o000, "access-denied"), (0o444, "access-denied"), (0o666, "no-security-key")):
            (Path(folder) / "hidraw0").touch()
            (Path(folder) / "hidraw0").chmod(mode)
            command = [sys.executable, "-c", program, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            assert done.stdout.strip() == code


def test_a_security_key_that_holds_none_of_the_credentials_is_said() -> None:
    with pytest.raises(NoSecurityKey, match="holds none of these credentials"):
        sign_with(Authenticator())


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (CtapError.ERR.PIN_INVALID, NotTouched, "the PIN is wrong"),
        (CtapError.ERR.PIN_AUTH_INVALID, NotTouched, "the PIN is wrong"),
        (CtapError.ERR.PIN_BLOCKED, NotTouched, "locked after too many wrong PINs"),
        (CtapError.ERR.PIN_AUTH_BLOCKED, NotTouched, "locked after too many wrong PINs"),
        (CtapError.ERR.OPERATION_DENIED, NotTouched, "not touched in time"),
        (CtapError.ERR.USER_ACTION_TIMEOUT, NotTouched, "not touched in time"),
        (CtapError.ERR.KEEPALIVE_CANCEL, NotTouched, "not touched in time"),
        (CtapError.ERR.UNSUPPORTED_OPTION, NotTouched, "has no PIN yet"),
        (CtapError.ERR.OTHER, NoSecurityKey, "the security key failed"),
    ],
)
def test_what_a_security_key_answers_is_said_in_our_words(
    status: int, error: type[StrongroomError], message: str
) -> None:
    device = Authenticator(refusal=status)
    with pytest.raises(error, match=message):
        sign_with(device)
    assert device.closed


@pytest.mark.parametrize("failure", [ConnectionFailure("Wrong channel"), OSError(5, "gone"), ValueError("odd")])
def test_a_security_key_that_is_pulled_out_is_said(failure: Exception) -> None:
    device = Authenticator(failure=failure)
    with pytest.raises(NoSecurityKey, match="the security key failed"):
        sign_with(device)
    assert device.closed


def test_a_bus_that_fails_is_said() -> None:
    def failing() -> Iterator[CtapDevice]:
        yield Authenticator()
        raise OSError(5, "gone")

    key = UsbKey(ask_pin=lambda: None, tell=print, devices=failing)
    with pytest.raises(NoSecurityKey, match="the security key failed"):
        key.sign(MESSAGE, rp_id=RP_ID, raw_ids=[])


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (Authenticator(options={}), "has no PIN yet"),
        (Authenticator(options={"clientPin": False}), "has no PIN yet"),
        (Authenticator(options={"clientPin": True}), "no PIN was given"),
        (Authenticator(capabilities=0), "has no PIN yet"),  # an older key, which knows presence only
    ],
)
def test_a_security_key_that_verifies_nobody_signs_nothing(device: Authenticator, message: str) -> None:
    with pytest.raises(NotTouched, match=message):
        sign_with(device)
