"""The command line over a gateway: the same words, the same results, and the errors that a person needs."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from strongroom.client.following import News, follow
from strongroom.client.profile import open_profile
from strongroom.client.session import resume_speaker
from strongroom.terms.errors import BadRequest, NotFound, StrongroomError, UnknownSigner, WrongDeployment
from strongroom.terms.outer_errors import GatewayImpostor, KeepUnavailable
from tests.attacks.versions import MODEL, read_tree, write_model
from tests.cli.command import Outcome, run_inside
from tests.cli.test_ocsf import offences
from tests.cli.test_watching import following_at
from tests.gateway.world import RealGateway, real_gateway

EGRESS = ("--egress-bytes-per-day", 1000)
NO_DEPLOYMENT = f"sr1:{'0' * 64}"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """One person's trial, whose profile goes by the gateway."""
    with real_gateway(tmp_path_factory.mktemp("trial")) as real:
        done(real, "connect", real.place)
        done(real, "login")
        yield real


def run(real: RealGateway, *arguments: object, home: Path | None = None) -> Outcome:
    return run_inside("--home", home or real.ada.path, *arguments)


def done(real: RealGateway, *arguments: object, home: Path | None = None) -> Any:
    outcome = run(real, *arguments, "--json", home=home)
    assert outcome.code == 0, outcome
    return json.loads(outcome.out)


def refused(real: RealGateway, error: type[StrongroomError], *arguments: object, home: Path | None = None) -> Outcome:
    outcome = run(real, *arguments, "--json", home=home)
    assert outcome.code == error.exit_code, outcome
    assert json.loads(outcome.out)["error"]["code"] == error.code, outcome
    assert "  hint: " in outcome.err
    return outcome


def carry_key(where: Path, to: Path) -> None:
    """Pull a security key out in one place and plug it in in another. One that was in both would count as cloned."""
    (to / "security-key.json").write_bytes((where / "security-key.json").read_bytes())
    (to / "security-key.json").chmod(0o600)


# --- the same commands -------------------------------------------------------------------------


def test_the_whole_way_of_a_version_goes_by_the_gateway(real: RealGateway, tmp_path: Path) -> None:
    store = (tmp_path / "store").as_uri()
    who = done(real, "whoami")
    assert (who["name"], who["device_enrolled"]) == ("Ada", True)
    assert done(real, "deployment", "status")["verified"] is True
    done(real, "propose", "model.enrol", "--name", "acme/atlas", "--label", 1, "--purpose", "to try")
    made = done(real, "seal", write_model(tmp_path / "model"), "--as", "acme/atlas", "--store", store)
    done(real, "alias", "set", "acme/atlas@prod", made["name"])
    asked = done(real, "request", "acme/atlas@prod", "--for", "1h", "--purpose", "to try")
    assert asked["enacted"] is not None
    assert done(real, "inbox") == {"proposals": []}
    done(real, "open", "acme/atlas@prod", "--store", store, "--to", tmp_path / "opened")
    assert read_tree(tmp_path / "opened") == dict(sorted(MODEL.items()))
    (copy,) = done(real, "copies", "acme/atlas@prod")["copies"]
    assert copy["subject"] == who["subject"]
    done(real, "freeze", "acme/atlas", "--reason", "odd reads")
    assert "FROZEN" in run(real, "watch", "--once").out
    assert done(real, "thaw", "acme/atlas", "--purpose", "it was a test")["enacted"] is not None
    verified = done(real, "log", "verify")
    events = [json.loads(line) for line in run(real, "log", "follow", "--once", "--format", "ocsf").out.splitlines()]
    assert len(events) == verified["size"]
    assert [offences(event) for event in events] == [[] for _ in events]


def test_a_new_laptop_takes_two_commands_and_a_login(real: RealGateway, tmp_path: Path) -> None:
    """Nobody who is not enrolled may read the log: the card is made from the founding alone."""
    ada = done(real, "whoami")["subject"]
    laptop, card = tmp_path / "laptop", tmp_path / "laptop.card"
    enrolling = ("device", "enrol", real.place, "--person", ada, "--name", "laptop", "--key", "software")
    made = run(real, *enrolling, "-o", card, "--json", home=laptop)
    assert "a trial, which stays on one machine" in made.err
    device = json.loads(made.out)["device"]
    assert (laptop / "key.pem").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in card.read_text()
    for reading in (("login",), ("show",), ("ls",), ("seal", card, "--as", "acme/atlas")):
        outcome = refused(real, UnknownSigner, *reading, home=laptop)
        assert "does not know this machine yet" in outcome.err
        assert "hand over your card" in outcome.err
    proposing = ("propose", "device.enrol", "--card", card, "--zone", "here", "--purpose", "my new laptop")
    assert done(real, *proposing)["enacted"] is not None
    carry_key(real.ada.path, laptop)
    assert done(real, "login", home=laptop)["subject"] == ada
    assert done(real, "whoami", home=laptop)["device"] == device
    carry_key(laptop, real.ada.path)
    assert open_profile(laptop).who.url == real.url


def test_a_log_is_followed_through_a_restart_of_the_gateway_without_a_gap(real: RealGateway) -> None:
    size = done(real, "log", "verify")["size"]
    with following_at(real.ada.path, "log", "follow", "--json", "--from", "0") as log:
        log.until(index=size - 1)
        real.gateway.kill()
        real.start_gateway()
        done(real, "propose", "zone.define", "--name", "annex", "--ceiling", 1, *EGRESS, "--purpose", "more room")
        log.until(kind="zone.defined")
    assert [one["index"] for one in log.lines] == list(range(len(log.lines)))


def test_the_stream_of_a_gateway_wakes_who_follows(real: RealGateway) -> None:
    """The clock would wake them only after the time that a test may take."""
    ada = resume_speaker(open_profile(real.ada.path))
    size = ada.deployment.sync().size
    with News(ada.deployment) as news:
        news.pause(600)  # it begins with a checkpoint
        done(real, "propose", "zone.define", "--name", "attic", "--ceiling", 1, *EGRESS, "--purpose", "more room")
        news.pause(600)
        made = follow(ada.deployment, size, pause=lambda seconds: news.pause(600))
        assert [next(made).entry.kind for _ in range(2)] == ["proposed", "zone.defined"]


def test_a_siem_follows_the_log_as_a_workload_with_no_role(real: RealGateway, tmp_path: Path) -> None:
    siem, card = tmp_path / "siem", tmp_path / "siem.card"
    carding = ("deployment", "card", "--workload", "--name", "siem", "--deployment", real.place, "-o", card)
    done(real, *carding, home=siem)
    assert run(real, "log", "follow", "--once", home=siem).code == UnknownSigner.exit_code
    sponsoring = ("--sponsor", "Ada", "--zone", "here", "--purpose", "the log, for our SIEM")
    assert done(real, "propose", "workload.enrol", "--card", card, *sponsoring)["enacted"] is not None
    outcome = run(real, "log", "follow", "--once", "--format", "ocsf", home=siem)
    assert outcome.code == 0, outcome
    events = [json.loads(line) for line in outcome.out.splitlines()]
    assert [offences(event) for event in events] == [[] for _ in events]
    assert {"Ada", "siem"} <= {one["user"]["name"] for one in events if "user" in one}


def test_in_a_trial_the_command_line_logs_in_by_itself_and_says_so(real: RealGateway) -> None:
    own = open_profile(real.ada.path)
    for command in (("inbox",), ("show",)):
        done(real, "logout")
        outcome = run(real, *command)
        assert outcome.code == 0, outcome
        assert [line for line in outcome.err.splitlines() if "its software key takes no touch" in line]
        assert own.session() is not None
        assert "software key" not in run(real, *command).err
    assert "(Ada)" in outcome.out


def test_whose_session_another_ended_reads_on_by_the_device(real: RealGateway, tmp_path: Path) -> None:
    """A gateway shows the end of a session to nobody in it: the key is forgotten, and the device asks."""
    done(real, "login")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(real.ada.path, elsewhere)
    done(real, "login", home=elsewhere)
    other = open_profile(elsewhere).session()
    assert other is not None
    assert {one["session"] for one in done(real, "show")["sessions"]} >= {other.session}
    assert done(real, "session", "end", other.session)["entry"] == "session.closed"
    outcome = run(real, "inbox", home=elsewhere)
    assert outcome.code == 0, outcome
    assert "logged in until" in outcome.err
    fresh = open_profile(elsewhere).session()
    assert fresh is not None
    assert fresh.session != other.session
    # One's own is ended as by `logout`.
    assert done(real, "session", "end", fresh.session, home=elsewhere)["entry"] == "session.closed"
    assert open_profile(elsewhere).session() is None
    carry_key(elsewhere, real.ada.path)


# --- the errors that a person needs ------------------------------------------------------------


def test_who_begins_is_told_how_a_person_and_how_a_laptop_does(real: RealGateway, tmp_path: Path) -> None:
    for command in (("connect", real.place), ("show",), ("login",)):
        outcome = refused(real, NotFound, *command, home=tmp_path / "nobody")
        assert "`strongroom deployment card --deployment" in outcome.err
        assert "`strongroom device enrol" in outcome.err
    outcome = refused(real, NotFound, "seal", tmp_path, "--as", "acme/nope")
    assert "`strongroom propose model.enrol --name acme/nope" in outcome.err
    assert "`--as acme/nope`" in refused(real, NotFound, "seal", tmp_path, "--as", "acme/nope@3").err


def test_a_wrong_digest_of_the_authority_is_an_impostor_and_nothing_is_changed(real: RealGateway) -> None:
    before = (real.ada.path / "profile.json").read_bytes()
    outcome = refused(real, GatewayImpostor, "connect", f"{real.url}#{real.deployment}&ca={'0' * 64}")
    assert "another authority" in outcome.err
    assert (real.ada.path / "profile.json").read_bytes() == before


def test_an_authority_that_the_system_does_not_trust_needs_its_digest(real: RealGateway) -> None:
    outcome = refused(real, GatewayImpostor, "connect", f"{real.url}#{real.deployment}")
    assert "is `&ca=…` missing" in outcome.err


def test_another_deployment_than_the_one_that_was_named_is_refused(real: RealGateway, tmp_path: Path) -> None:
    place = f"{real.url}#{NO_DEPLOYMENT}&ca={real.ca}"
    carding = ("deployment", "card", "--name", "Gus", "--key", "software", "-o", tmp_path / "card")
    refused(real, WrongDeployment, *carding, "--deployment", place, home=tmp_path / "gus")
    refused(real, BadRequest, "connect", place)


def test_a_gateway_that_is_not_there_is_named(real: RealGateway) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"
        outcome = refused(real, KeepUnavailable, "connect", f"{url}#{real.deployment}&ca={real.ca}")
    assert url in outcome.err


@pytest.mark.parametrize(
    "place", ["https://keep.example.org", "http://127.0.0.1:1#{name}", "https://a b#{name}", "{name}"]
)
def test_what_is_no_connection_string_is_said_so(real: RealGateway, place: str) -> None:
    refused(real, BadRequest, "connect", place.format(name=real.deployment))


@contextmanager
def somebody(real: RealGateway, certificate: Path, key: Path, *, answer: bytes | None = None) -> Iterator[str]:
    """Serve TLS with a certificate, and at `/v1/ca` that of the gateway's authority, or else always the same answer."""
    shown = real.ca_pem if answer is None else answer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(shown)))
            self.end_headers()
            self.wfile.write(shown)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_what_is_no_gateway_is_said_to_be_none(real: RealGateway) -> None:
    folder = real.folder / "gateway"
    with somebody(real, folder / "server.pem", folder / "server.key", answer=b"<html>hello</html>") as url:
        outcome = refused(real, KeepUnavailable, "connect", f"{url}#{real.deployment}&ca={real.ca}")
        assert "no certificate" in outcome.err
    with somebody(real, folder / "server.pem", folder / "server.key") as url:
        outcome = refused(real, KeepUnavailable, "connect", f"{url}#{real.deployment}&ca={real.ca}")
        assert "no gateway" in outcome.err


@pytest.mark.parametrize(
    ("days", "name", "said"), [(-1, "127.0.0.1", "expired"), (1, "10.0.0.7", "10.0.0.7|IP address|match")]
)
def test_a_certificate_that_does_not_hold_is_said_to_be_why(
    real: RealGateway, tmp_path: Path, days: int, name: str, said: str
) -> None:
    """By the right authority, but expired, or made for another host."""
    certificate, key = made_certificate(real, tmp_path, days=days, name=name)
    with somebody(real, certificate, key) as url:
        outcome = refused(real, GatewayImpostor, "connect", f"{url}#{real.deployment}&ca={real.ca}")
    assert re.search(said, outcome.err), outcome.err


def made_certificate(real: RealGateway, folder: Path, *, days: int, name: str) -> tuple[Path, Path]:
    """Have the gateway's own authority certify a server for so many days from now."""
    authority = x509.load_pem_x509_certificate(real.ca_pem)
    signer = serialization.load_pem_private_key((real.folder / "gateway" / "ca.key").read_bytes(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "server.pem").write_bytes(made.public_bytes(pem))
    (folder / "server.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "server.pem", folder / "server.key"
