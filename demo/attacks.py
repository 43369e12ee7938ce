"""The attacks of the demo: made by hand with people's own keys and the keep's own files; refused and, where anybody
signed, written down. What the keep refuses, anybody can read in the log.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
from stage import HOUSE, Stage, check, environment, say

from strongroom.acts.approve import Approve
from strongroom.acts.table import act_named
from strongroom.client.say import enveloped, sign_with_security_key
from strongroom.client.session import Session
from strongroom.directory.state import Directory
from strongroom.statements.envelope import Envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms.digests import sha256
from strongroom.terms.errors import StrongroomError


def attack(stage: Stage, model: str, version: str) -> None:
    say("6. Whoever tries more is refused, and it is written down", "Attacks with real keys, past the command line.")
    alone(stage)
    two_keys(stage, version)
    replayed(stage, version)
    edited(stage, version)
    midway(stage, version)
    swapped(stage, version)
    yesterday = copied(stage, "yesterday")
    frozen(stage, model, version)
    say("7. Whoever has the keep's disk cannot change what happened", "")
    today = copied(stage, "today")
    stage.keep.stop()
    edited_row(stage)
    put(stage, yesterday)
    stops(stage, "somebody puts yesterday's database back, of before the freeze")
    put(stage, today)
    check(stage.keep.start(), "with the right one it starts again, sealed")
    stage.keep.place()
    reopen(stage)
    verified(stage)


def alone(stage: Stage) -> None:
    proposal = propose(stage, "Ben", "role.give", "--subject", "Eve", "--role", "responder", "--team", "security")
    what = "Ben approves what he proposed himself"
    refused(stage, what, lambda: approve(stage, "Ben", proposal, "governor", "safety"))


def two_keys(stage: Stage, version: str) -> None:
    added = propose(stage, "Cleo", "credential.add")
    stage.agree(added, "Ada", "Ben")
    proposal = request(stage, version)
    approve(stage, "Cleo", proposal, "approver", "security", key=0)
    refused(
        stage,
        "Cleo approves once more, with her second security key",
        lambda: approve(stage, "Cleo", proposal, "approver", "security", key=1),
    )


def replayed(stage: Stage, version: str) -> None:
    """Send an approval that Cleo gave once more: as it is, then with the name of another request in it."""
    cleo = stage.session("Cleo")
    directory = cleo.deployment.directory
    old, new = list(directory.proposals)[-1], request(stage, version)
    envelope = next(found for found in approvals(cleo) if parse_statement(found).body["proposal"] == old)
    size = cleo.deployment.sync().size
    cleo.deployment.ask(envelope)
    check(cleo.deployment.sync().size == size, "Cleo's approval, sent again: the same answer, and no second entry")
    forged = Envelope(payload=envelope.payload.replace(old.encode(), new.encode()), signatures=envelope.signatures)
    before = voices(cleo.deployment.sync(), new)
    failed(stage, "the same approval with another request's name put in", lambda: cleo.deployment.ask(forged))
    check(
        voices(cleo.deployment.sync(), new) == before == 0,
        "it counts for nothing: nobody signed it",
    )


def edited(stage: Stage, version: str) -> None:
    proposal = request(stage, version)
    refused(
        stage,
        "Ada was shown an edited text of the request, and signed that",
        lambda: approve(stage, "Ada", proposal, "approver", "safety", digest=sha256(b"for an hour, on Dan's device")),
    )


def midway(stage: Stage, version: str) -> None:
    proposal = request(stage, version)
    role = propose(stage, "Ada", "role.give", "--subject", "Eve", "--role", "approver", "--team", "security")
    stage.agree(role, "Ben", "Cleo")
    refused(
        stage,
        "Eve, an approver since a moment ago, approves what was asked before",
        lambda: approve(stage, "Eve", proposal, "approver", "security"),
    )


def swapped(stage: Stage, version: str) -> None:
    """Have whoever runs the store and the gateway put one object's bytes in the place of another's."""
    objects = sorted(
        (found for found in (stage.keep.store / "o").rglob("*") if found.is_file()), key=lambda one: one.stat().st_size
    )
    kept = objects[0].read_bytes()
    objects[0].write_bytes(bytes([kept[0] ^ 1]) + kept[1:])
    failed(
        stage,
        "whoever has the gateway and the store changes one bit of one stored object",
        lambda: stage.run("Dan", "open", version, "--to", str(stage.scratch / "swapped")),
    )
    check(not (stage.scratch / "swapped").exists(), "nothing of it was opened")
    objects[0].write_bytes(kept)


READER = """
import sys, time, strongroom
model = strongroom.connect(sys.argv[1]).open_version(sys.argv[2])
name = min(model.keys())
print("reads", flush=True)
while True:
    model.get_tensor(name)
    time.sleep(0.2)
"""


def frozen(stage: Stage, model: str, version: str) -> None:
    print("\n   a program of Dan's has the version open, and reads on:")
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(stage.home("Dan")), version],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    check(reader.stdout.readline() == "reads\n", "it reads, on a lease that the keep renews every five seconds")
    stage.does("Ada", "freeze", model, "--reason", "somebody is at it", shown=2)
    began = time.monotonic()
    _, errors = reader.communicate(timeout=60)
    print(stage.short(errors.strip().splitlines()[-1].rpartition(".")[2]))
    check(
        "LeaseEnded" in errors,
        f"its lease ended {time.monotonic() - began:.1f} s after the freeze: it reads nothing more",
    )
    refused(
        stage,
        "Dan opens, on a grant that is still good, what was frozen",
        lambda: stage.run("Dan", "open", version, "--to", str(stage.scratch / "frozen")),
    )


def edited_row(stage: Stage) -> None:
    database = apsw.Connection(str(stage.keep.journal / "journal.db"))
    database.execute(
        "UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), '\"approved\"', '\"rejected\"') AS BLOB)"
        " WHERE seq = (SELECT max(seq) FROM entries WHERE CAST(data AS TEXT) LIKE '%approved%')"
    )
    check(database.changes() == 1, "one row is edited")
    database.close()
    stops(stage, "somebody who may write there edits one row of the database")


def copied(stage: Stage, name: str) -> Path:
    """Return a copy of the journal as it is, taken while nothing is written."""
    return Path(shutil.copytree(stage.keep.journal, stage.scratch / name, ignore=shutil.ignore_patterns("*-shm")))


def put(stage: Stage, copy: Path) -> None:
    """Put a copy of the journal in the place of the present one."""
    shutil.rmtree(stage.keep.journal)
    shutil.copytree(copy, stage.keep.journal)


def verified(stage: Stage) -> None:
    say("8. The log, verified offline", "By a small program of its own, that trusts nothing but the deployment's name.")
    copy = stage.scratch / "copy"
    stage.does("Eve", "log", "export", str(copy), shown=1)
    verifier = HOUSE / "dist" / "strongroom-verify.pyz"
    subprocess.run([sys.executable, str(HOUSE / "tools" / "verifier")], check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-I", str(verifier), str(copy), stage.deployment],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"   $ python strongroom-verify.pyz copy {stage.brief(stage.deployment)}")
    for line in done.stdout.splitlines()[:40]:
        print(stage.short(line))
    check(done.returncode == 0, "every signature, every quorum and every proof was checked again")


# --- by hand ---------------------------------------------------------------------------------------


def propose(stage: Stage, who: str, act: str, *options: str) -> str:
    done = stage.run(who, "propose", act, *options, "--purpose", "because")
    check(done.returncode == 0, f"{who} proposes `{act}`" if done.returncode == 0 else done.stderr)
    return done.stdout.strip().splitlines()[-1]


def request(stage: Stage, version: str) -> str:
    done = stage.run("Dan", "request", version, "--for", "4h", "--purpose", "to measure it again")
    check(done.returncode == 0, "Dan asks once more" if done.returncode == 0 else done.stderr)
    return done.stdout.strip().splitlines()[-1]


def approve(
    stage: Stage, who: str, proposal: str, role: str, team: str, *, digest: str | None = None, key: int = 0
) -> None:
    """Approve with somebody's own key, without what the command line checks before it asks for a touch."""
    session = stage.session(who)
    directory = session.deployment.directory
    body = Approve(proposal=proposal, digest=digest or directory.proposals[proposal].digest, role=role, team=team)
    act = act_named("approve")
    statement = session.statement(act, body)
    credentials = dict([list(session.profile.credentials.items())[key]])
    touch = sign_with_security_key(
        statement,
        session.profile.security_key(),
        rp_id=directory.acceptance.rp_id,
        credentials=credentials,
    )
    session.deployment.act(act, enveloped(statement, touch))


def approvals(session: Session) -> list[Envelope]:
    """Return the approvals in the log, the newest first."""
    replica = session.deployment.replica
    entries = [replica.entry(index) for index in reversed(range(session.deployment.directory.size))]
    return [entry.envelope() for entry in entries if entry.kind == "approved"]


def voices(directory: Directory, proposal: str) -> int:
    return len(directory.proposals[proposal].approvals)


def refused(stage: Stage, what: str, attempt: Callable[[], Any]) -> None:
    """Attempt something; it must be refused, and the refusal must be in the log."""
    before = len(stage.refusals("Eve"))
    failed(stage, what, attempt)
    entries = stage.refusals("Eve")
    check(len(entries) == before + 1, f"refused, and in the log: entry {entries[-1]['index']}")


def failed(stage: Stage, what: str, attempt: Callable[[], Any]) -> None:
    print(f"\n   {what}:")
    try:
        done = attempt()
    except StrongroomError as error:
        print(stage.short(f"{error.family.lower()}: {error.message}"))
        return
    why = getattr(done, "stderr", "").strip().splitlines()
    check(getattr(done, "returncode", 0) in {4, 5, 6}, "it was refused" if not why else stage.brief(why[0]))


def stops(stage: Stage, what: str) -> None:
    print(f"\n   {what}:")
    started = stage.keep.start()
    said = (stage.keep.said.strip() or "nothing").splitlines()[0]
    code = stage.keep.stop()
    print(stage.short(said))
    check(not started and code == 6, "the keep does not start: `Tampered`, for people to look at, never repaired")


def reopen(stage: Stage) -> None:
    """Have the custodians unseal the keep after a start."""
    for name in ("Ada", "Ben"):
        stage.told(name, "unseal", "--yes", stage.keep.words)
