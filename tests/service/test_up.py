"""`strongroom up`: a trial that works at once and comes back by itself, and a service that waits for its founders."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.connection import Connection
from strongroom.client.founding import found, sign_genesis, unseal_key, unseal_words
from strongroom.client.joining import connect as connect_to
from strongroom.client.place import parse_place
from strongroom.client.profile import open_profile
from strongroom.client.session import resume
from strongroom.service.programs import keep_command
from strongroom.service.settings import KeepSettings
from strongroom.terms.errors import (
    BadRequest,
    KeepRunning,
    NotFound,
    OutputExists,
    StrongroomError,
    Tampered,
    WrongDeployment,
)
from tests.cli.command import run_inside
from tests.client_keep.logs import drafted
from tests.service.authority import SERVER, Authority
from tests.service.supervised import is_gone, until
from tests.service.upping import Up, command, up


def whoami(home: Path) -> Any:
    outcome = run_inside("--home", home, "whoami", "--json")
    assert outcome.code == 0, outcome
    return outcome.json()


def test_a_trial_is_ready_works_over_tls_and_comes_back_by_itself_until_it_is_stopped(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "home-trial"
    with up(home, "--trial", "--port", 0, "--name", "Ada") as service:
        result = service.result()
        place = parse_place(result["connect"])
        assert place.url is not None
        assert place.url.startswith("https://127.0.0.1:")
        assert place.ca is not None
        assert (result["profile"], result["store"]) == (str(home), (folder / "store").as_uri())

        own = open_profile(home)
        assert (own.who.url, own.deployment) == (place.url, place.name)
        deployment = connect_to(own)
        deployment.sync()
        directory = deployment.directory
        assert directory.trial
        assert (len(directory.people), len(directory.devices), len(directory.zones)) == (1, 1, 1)
        assert own.who.device in directory.devices
        me = whoami(home)
        assert (me["name"], me["session_until"] is not None) == ("Ada", True)

        # Whatever is killed comes back, and the keep holds its keys again without anybody's share.
        os.kill(service.pid("keep"), signal.SIGKILL)
        service.said("keep: listening", 2)
        until(lambda: run_inside("--home", home, "whoami").code == 0)
        os.kill(service.pid("gateway"), signal.SIGKILL)
        pids = [service.pid("keep", 2), service.pid("gateway", 2)]

        assert service.stop() == 0
        assert all(map(is_gone, pids))
        stopped = [one["process"] for one in service.events if one["event"] == "stopped"]
        assert stopped == ["gateway", "keep"]
        check_nothing_secret_was_said(service, home, folder)


def check_nothing_secret_was_said(service: Up, home: Path, folder: Path) -> None:
    session = open_profile(home).session()
    assert session is not None
    secrets = [
        (folder / "high" / "root.key").read_text().strip().rpartition(":")[2],
        session.private.hex(),
        *(home / "key.pem").read_text().splitlines()[1:-1],
    ]
    told = str(service.events) + "".join(service.other)
    assert len(secrets) >= 4
    assert not [one for one in secrets if one in told]


def test_a_second_up_goes_on_with_the_trial_and_its_session(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home, "--trial", "--port", 0) as service:
        first = parse_place(service.result()["connect"])
        assert service.stop() == 0
    session = resume(own := open_profile(home), connect_to(own)).profile.session()
    with up(home, "--trial", "--port", 0) as service:
        second = parse_place(service.result()["connect"])
        assert (second.name, second.ca) == (first.name, first.ca)
        assert whoami(home)["session_until"] == (session.until if session else None)
        own = open_profile(home)
        own.keep_session(None)
        assert service.stop() == 0
    # Without a session it logs in again.
    with up(home, "--trial", "--port", 0) as service:
        service.result()
        assert whoami(home)["session_until"] is not None
        assert service.stop() == 0


def test_a_trial_touches_no_profile_but_its_own(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "home-trial"
    with up(home, "--trial", "--port", 0) as service:
        service.result()
        service.stop()
    before = {path: path.read_bytes() for path in home.iterdir() if path.is_file()}
    refusals: list[tuple[Path, Path, type[StrongroomError]]] = [
        (home, tmp_path / "another", OutputExists),
        (tmp_path / "nobody", folder, NotFound),
    ]
    for profile, place, error in refusals:
        with up(profile, "--trial", "--port", 0, "--folder", place) as service:
            refusal = service.result()["error"]
            assert refusal["code"] == error.code
            assert "`--home`" in refusal["hint"] or "`strongroom --home DIR up --trial`" in refusal["hint"]
            assert service.running.wait(60) == error.exit_code
    assert {path: path.read_bytes() for path in home.iterdir() if path.is_file()} == before


def test_a_second_up_beside_the_first_is_refused_in_plain_words(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home, "--trial", "--port", 0) as first:
        first.result()
        with up(home, "--trial", "--port", 0) as second:
            refusal = second.result()["error"]
            assert (refusal["code"], second.running.wait(60)) == (KeepRunning.code, KeepRunning.exit_code)
            assert "`strongroom up` that started it" in refusal["hint"]
            assert second.events == []
        assert whoami(home)["session_until"] is not None
        assert first.stop() == 0


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        up(tmp_path / "home", "--trial", "--port", port := taken.getsockname()[1]) as service,
    ):
        refusal = service.result()["error"]
        assert f"port {port} is taken" in refusal["message"]
        assert "`--port`" in refusal["hint"]
        assert service.running.wait(60) == BadRequest.exit_code
        assert service.events == []


def test_another_keep_at_the_socket_is_not_taken_for_the_one_that_was_started(tmp_path: Path) -> None:
    """Ours cannot open its journal, which somebody else has open; meanwhile another keep answers in its place."""
    folder, elsewhere = tmp_path / "service", tmp_path / "elsewhere"
    for place in (folder, elsewhere, folder / "run"):
        place.mkdir(mode=0o700)
    journal, high_water = folder / "keep" / "journal", folder / "high" / "water"
    with (
        keep_at(elsewhere / "one", folder=journal, high_water=high_water),
        up(tmp_path / "home", "--folder", folder, "--port", 0) as service,
    ):
        service.wait(process="keep", event="died")
        with keep_at(folder / "run" / "keep", folder=elsewhere / "journal", high_water=elsewhere / "high" / "water"):
            service.wait(3, process="keep", event="died")
        assert not [line for line in service.other if "there is no deployment here yet" in line]
        assert not [one for one in service.events if one["event"] == "ready"]
        assert service.stop() == 0


@contextmanager
def keep_at(place: Path, *, folder: Path, high_water: Path) -> Iterator[None]:
    """Run a keep of somebody else's, which listens at `place`."""
    command = keep_command(KeepSettings(folder=str(folder), high_water=str(high_water), socket=str(place)))
    for made in (folder.parent, high_water.parent, place.parent):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "listening" in process.stderr.readline()
            yield
        finally:
            process.terminate()


def test_a_keep_that_was_tampered_with_stops_everything(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home, "--trial", "--port", 0) as service:
        service.result()
        water = tmp_path / "home-trial" / "high" / "water"
        water.write_bytes(water.read_bytes()[::-1])
        gateway = service.pid("gateway")
        os.kill(service.pid("keep"), signal.SIGKILL)
        assert service.running.wait(60) == Tampered.exit_code
        assert is_gone(gateway)
    assert "until people have looked" in service.wait(process="keep", event="ended")["why"]


def test_a_service_tells_how_to_found_and_its_gateway_starts_when_people_have(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    with up(tmp_path / "home", "--folder", folder, "--port", 0) as service:
        service.said("keep: listening")
        until(lambda: any("deployment found genesis.draft *.sig" in line for line in service.other))
        place = folder / "run" / "keep"
        assert not [one for one in service.events if one["process"] == "gateway"]
        draft, profiles = drafted(tmp_path / "people", place, at=int(time.time()))
        name = found(Connection(place), draft, [sign_genesis(draft, one, one.security_key()) for one in profiles])
        assert parse_place(service.result()["connect"]).name == name
        assert sum("deployment found genesis.draft" in line for line in service.other) == 1
        assert service.stop() == 0
    # From the next start on it is sealed: whoever started it is told what that takes, with the words of that start.
    with up(tmp_path / "home", "--folder", folder, "--port", 0) as service:
        until(lambda: any("these words first" in line for line in service.other))
        told = "".join(service.other)
        words = unseal_words(unseal_key(Connection(place)))
        assert "the keep is sealed: it does nothing until 2 custodians have unsealed it" in told
        assert f"these words first: {words}\n" in told
        assert service.stop() == 0


CONFIG = """
[keep]
folder = "keep/journal"
high_water = "high/water"
socket = "run/keep"
trial = true
[gateway]
folder = "another-gateway"
port = 0
"""


def test_a_service_that_was_told_its_deployment_runs_no_other(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "trial"
    with up(home, "--trial", "--folder", folder, "--port", 0) as service:
        name = parse_place(service.result()["connect"]).name
        service.stop()
    config = folder / "strongroom.toml"
    config.write_text(f'[deployment]\nname = "{name}"\n{CONFIG}public = "weights.example.org"\n')
    with up(home, "--config", config) as service:
        place = parse_place(service.result()["connect"])
        assert place.name == name
        assert str(place.url).startswith("https://weights.example.org:")
        assert service.stop() == 0
    config.write_text(f'[deployment]\nname = "sr1:{"0" * 64}"\n{CONFIG}')
    with up(home, "--config", config) as service:
        assert service.running.wait(60) == WrongDeployment.exit_code
        assert not [one for one in service.events if one["process"] == "gateway"]


def test_a_gateway_on_another_host_reaches_the_keep_through_a_relay(tmp_path: Path) -> None:
    home, folder, host = tmp_path / "home", tmp_path / "home-trial", tmp_path / "host"
    authority = Authority(tmp_path / "ca", "both")
    server = authority.issue("server", "127.0.0.1", use=SERVER)
    client = authority.issue("client", "gateway.example.org")
    relay, gateway = tmp_path / "relay.toml", tmp_path / "gateway.toml"
    relay.write_text(
        f'[relay]\nkeep = "{folder}/run/keep"\nport = 0\ncertificate = "{server.certificate}"\nkey = "{server.key}"\n'
        f'client_ca = "{authority.path}"\nclients = ["gateway.example.org"]\n'
    )
    with up(home, "--trial", "--port", 0) as service, command("relay", "--config", relay) as relaying:
        name = parse_place(service.result()["connect"]).name
        port = relaying.wait(event="listening")["port"]
        gateway.write_text(
            f'[deployment]\nname = "{name}"\n[gateway]\nfolder = "{host}"\nport = 0\nkeep = "tls://127.0.0.1:{port}"\n'
            f'keep_ca = "{authority.path}"\nkeep_certificate = "{client.certificate}"\nkeep_key = "{client.key}"\n'
        )
        with up(home, "--config", gateway) as other:
            place = parse_place(other.result()["connect"])
            until(lambda: run_inside("--home", home, "connect", place).code == 0)
            assert whoami(home)["deployment"] == name
            assert other.stop() == 0
        assert relaying.stop() == 0


@pytest.mark.parametrize("arguments", [("--trial",), ("--folder", "x"), ("--store", "file:///x")])
def test_a_file_that_says_all_goes_with_nothing_that_says_it_again(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    config = tmp_path / "strongroom.toml"
    config.write_text("")
    assert run_inside("--home", tmp_path / "home", "up", "--config", config, *arguments).code == 2


def test_settings_with_nothing_to_run_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "strongroom.toml"
    config.write_text("[deployment]\n")
    outcome = run_inside("--home", tmp_path / "home", "up", "--config", config)
    assert outcome.code == BadRequest.exit_code
    assert "nothing to run" in outcome.err
    outcome = run_inside("relay", "--config", config)
    assert outcome.code == BadRequest.exit_code
