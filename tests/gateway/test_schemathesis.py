"""Whatever chance makes out of the OpenAPI document is answered as the document says, and the gateway stands."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from strongroom.acts.model_enrol import ModelEnrol
from strongroom.client.cards import make_program_card
from strongroom.client.names import new_detail
from strongroom.client.profile import Profile, create_profile
from strongroom.client.requests import proposal_id, propose, request_access
from strongroom.gateway.openapi import openapi_document
from strongroom.sealing.keys import Identity
from strongroom.terms.ids import new_id
from tests.gateway.furnished import Furnished, furnished
from tests.gateway.fuzzing import UNENDING, Plan

ROOT = Path(__file__).parents[2]
PROCESSES = 3
"""One more than there are cores: each draws cases of its own, and waits for answers half of the time."""
LIMITS = ("--limit", "linger_seconds=0.05", "--limit", "fresh_seconds=120")
"""What is refused before its body has come ends its connection: not a second later, as usual, each time. And a machine
that has much else to do is no reason to answer 503."""
SELDOM = {
    *("act.alias.set", "act.freeze", "act.grant.revoke", "uploads", "urls"),  # a few times, by chance
    *("act.attester.revoke", "act.fact.attest", "act.label.raise", "act.propose", "getFacts"),  # once or twice
    *("act.approve", "act.reject", "act.withdraw", "getProposals"),  # of a proposal that is still open
    *("act.credential.report", "act.session.close", "act.session.open"),  # it would end what draws
    *("act.version.register", "readObject", "writeObject"),  # of bytes that are, by a URL that was given
    *("share", "unseal", "uploadParts"),  # of a custodian, of a keep that is sealed, of an S3 store
}
"""What chance does not surely do rightly: of the acts among them some, at least; everything else has to be done."""


def program(trial: Furnished, kind: str) -> Profile:
    """Enrol a workload or an attester."""
    session, deployment = trial.session, trial.real.deployment
    profile = create_profile(new_id(kind, os.urandom), trial.real.folder / new_id(kind, os.urandom))
    profile.join(trial.real.place)
    card = make_program_card(profile, kind, deployment=deployment, random=os.urandom)
    if kind == "workload":
        zone = next(iter(session.directory.zones))
        change: Any = card.workload_enrol(sponsor=session.subject, zone=zone)
    else:
        change = card.attester_enrol(kinds=("training",), longest_seconds=86_400)
    propose(session, f"{kind}.enrol", change, "to have one", details=[card.detail])
    return profile


def plan_for(trial: Furnished, cases: int) -> Plan:
    """Furnish the trial some more, and say what is drawn."""
    session = trial.session
    detail = new_detail("acme/other", os.urandom)
    other = ModelEnrol(model=new_id("model", os.urandom), details=detail.digest, label=1)
    propose(session, "model.enrol", other, "to freeze", details=[detail])
    spares = [request_access(session, trial.version, 1, "to revoke") for _ in range(3)]
    workload, spare, attester = (program(trial, kind) for kind in ("workload", "attester", "attester"))
    directory = session.deployment.sync()
    nothing, manifest = [new_id("credential", os.urandom)], directory.versions[trial.version].manifest
    return Plan(
        url=trial.real.url,
        deployment=trial.real.deployment,
        folder=str(trial.real.folder),
        cases=-(-cases // PROCESSES),
        processes=PROCESSES,
        known=[
            *(trial.model, other.model, trial.version, trial.grant),
            *(session.subject, str(session.device), *directory.sessions, *directory.zones),
            *(workload.who.subject, spare.who.subject, *directory.closed),
        ],
        only={
            "CredentialRemove.credential": nothing,
            "CredentialReport.credential": nothing,
            "DeviceRemove.device": [new_id("device", os.urandom)],
            "Freeze.target": [other.model],
            "GrantRevoke.grant": [f"grant-{proposal_id(one).removeprefix('statement-')}" for one in spares],
            "PersonRemove.person": [new_id("person", os.urandom)],
            "Release.grant": [trial.grant],
            "GrantGive.manifest": [manifest],
            "Release.manifest": [manifest],
            "Thaw.target": [other.model],
        },
        recipient=base64.b64encode(Identity(os.urandom(32)).public_key().raw).decode("ascii"),
        attester=str(attester.path),
    )


def drawn(trial: Furnished, cases: int, folder: Path) -> Counter[str]:
    """Have cases drawn by several processes at once, and return how many had which operation and status."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps(asdict(plan_for(trial, cases))))
    command = [sys.executable, "-m", "tests.gateway.fuzzing", str(plan)]
    running = [
        subprocess.Popen([*command, str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for seed in range(1, PROCESSES + 1)
    ]
    told = [process.communicate()[0] for process in running]
    found: Counter[str] = Counter()
    for process, said in zip(running, told, strict=True):
        assert process.returncode == 0
        report = json.loads(said)
        assert report["failures"] == []
        found += Counter(report["answers"])
    return found


def check(trial: Furnished, found: Counter[str], cases: int) -> None:
    """See that the cases reached what they are for, and that nothing broke."""
    assert found.total() >= cases
    operations = {
        one["operationId"]
        for path, item in openapi_document()["paths"].items()
        for one in item.values()
        if path not in UNENDING
    }
    assert {key.rpartition(" ")[0] for key in found} == operations
    done = {key.removesuffix(" 200") for key in found if key.endswith(" 200")}
    assert operations >= SELDOM
    assert operations - SELDOM <= done
    assert len([one for one in done if one.startswith("act.")]) >= 6, done
    assert "a defect" not in trial.real.gateway.log.read_text()
    trial.real.until(trial.real.is_ready)
    trial.real.session().deployment.sync()


@pytest.mark.timeout(1200)
def test_five_thousand_requests_are_answered_as_the_document_says(tmp_path: Path) -> None:
    with furnished(tmp_path, flags=("--store", (tmp_path / "store").as_uri(), *LIMITS)) as trial:
        check(trial, drawn(trial, 5_000, tmp_path), 5_000)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_requests_are_answered_as_the_document_says(tmp_path: Path) -> None:
    with furnished(tmp_path, flags=("--store", (tmp_path / "store").as_uri(), *LIMITS)) as trial:
        check(trial, drawn(trial, 100_000, tmp_path), 100_000)
