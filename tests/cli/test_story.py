"""The whole story with the `strongroom` command alone: founded in files, unsealed, asked, approved, opened, frozen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strongroom.cli.things import RECORDS
from strongroom.client.connection import Connection
from strongroom.client.founding import fetch_share
from strongroom.client.profile import open_profile
from strongroom.keep.__main__ import log_key_of
from strongroom.terms.errors import AlreadyDone, BadRequest, Denied, NotAllowed, NotFound, OutputExists, UnknownSigner
from strongroom.terms.outer_errors import NotFrozen
from strongroom.tlog.receipts import check_receipt, parse_receipt
from strongroom.verify.__main__ import main as verify_log
from tests.attacks.versions import MODEL, read_tree, write_model
from tests.cli.keeping import CUSTODIANS, PEOPLE, House, Keep


def house_in(folder: Path) -> House:
    (folder / "keep").mkdir(mode=0o700)
    return House(folder=folder, keep=Keep(folder / "keep"))


def test_the_whole_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house = house_in(tmp_path)
    store = (tmp_path / "store").as_uri()
    with house.keep.running() as first:
        house.found()
        for name in CUSTODIANS:
            house.done(name, "share", "fetch")
    with house.keep.running() as serving:
        assert serving.words != first.words
        # Sealed: it answers who custodians compare it with, and nothing else.
        status = house.json("Dan", "deployment", "status")
        assert (status["state"], status["unseal_words"]) == ("sealed", serving.words)
        house.refused("Ada", NotAllowed, "unseal", "--yes", first.words)
        house.refused("Dan", NotFound, "unseal", "--yes", serving.words)
        for name, missing in (("Ada", 1), ("Ben", 0)):
            assert house.json(name, "unseal", "--yes", serving.words) == {"missing": missing}
        assert house.json("Dan", "deployment", "status")["verified"]

        house.login()
        who = house.json("Dan", "whoami")
        assert (who["name"], who["roles"], who["device_enrolled"]) == ("Dan", ["researcher@core"], True)

        # A model, and a training job that seals it and can open none of it.
        house.govern("model.enrol", "--name", "acme/atlas", "--label", 2)
        house.writer("job")
        model = write_model(tmp_path / "model")
        sealing = ("seal", model, "--as", "acme/atlas", "--store", store, "--notes", "the first run")
        made = house.json("job", *sealing)
        assert (made["name"], made["number"], made["files"]) == ("acme/atlas@1", 1, len(MODEL))
        opening = ("open", "acme/atlas@1", "--store", store)
        house.refused("job", NotAllowed, *opening, "--to", tmp_path / "stolen")

        # Asked for, read, approved twice.
        house.refused("Dan", NotAllowed, *opening, "--to", tmp_path / "early")
        asking = ("request", "acme/atlas@1", "--for", "4h", "--purpose", "to evaluate it")
        asked = house.json("Dan", *asking)
        assert "approver" in asked["missing"]
        (waiting,) = house.json("Ben", "inbox")["proposals"]
        assert (waiting["proposal"], waiting["voices"]) == (asked["proposal"], ["governor@core", "approver@core"])
        assert house.json("Dan", "inbox")["proposals"] == []
        shown = house.done("Ben", "show", asked["proposal"]).out
        for line in ("(Dan) proposes `grant.give`", "acme/atlas@1", "`to evaluate it`", asked["words"]):
            assert line in shown
        agreeing = ("approve", asked["proposal"], "--role", "approver")
        house.refused("Dan", NotAllowed, *agreeing, "--yes", asked["words"])
        house.refused("Ben", NotAllowed, *agreeing, "--yes", first.words)
        # A role that its giver does not hold is none to speak in, and a script cannot say yes to what it was not given.
        named = ("approve", asked["proposal"], "--role", "responder", "--team", "core", "--yes", asked["words"])
        house.refused("Ben", NotAllowed, *named)
        house.refused("Ben", NotAllowed, "approve", asked["proposal"], "--role", "auditor")
        house.refused("Ben", BadRequest, "approve", asked["proposal"], "--yes", asked["words"])
        house.refused("Ben", BadRequest, *agreeing)
        approved = house.done("Ben", *agreeing, "--yes", asked["words"], "--payload")
        assert asked["words"] in approved.err
        assert '"kind":"propose/1"' in approved.err
        house.refused("Ben", AlreadyDone, *agreeing, "--yes", asked["words"])
        assert house.agree(asked, "approver", "Cleo")["enacted"] is not None

        # Opened: whole, and one file.
        opened = house.json("Dan", *opening, "--to", tmp_path / "opened")
        assert (opened["manifest"], opened["writer_verified"]) == (made["manifest"], True)
        assert read_tree(tmp_path / "opened") == dict(sorted(MODEL.items()))
        house.done("Dan", *opening, "--to", tmp_path / "one", "--file", "config.json")
        assert (tmp_path / "one" / "config.json").read_bytes() == MODEL["config.json"]
        explained = house.done("Ada", "policy", "explain", "Dan", "acme/atlas@1")
        assert "open, on the live grant: allowed" in explained.out
        assert house.json("Ada", "policy", "explain", "Eve", "acme/atlas@1")["be granted"]["allowed"] is False

        # Frozen by one, thawed by a quorum.
        assert house.json("Ada", "freeze", "acme/atlas", "--reason", "odd reads")["entry"] == "frozen"
        house.refused("Ada", AlreadyDone, "freeze", "acme/atlas", "--reason", "again")
        house.refused("Dan", Denied, *opening, "--to", tmp_path / "frozen")
        house.refused("Dan", NotFrozen, "freeze", "deployment", "--reason", "spite")
        thawing = house.json("Ada", "thaw", "acme/atlas", "--purpose", "it was a test")
        house.agree(thawing, "governor", "Ben", "Cleo")
        house.done("Dan", *opening, "--to", tmp_path / "thawed")

        # The log, for whoever trusts nobody.
        check_log(house, tmp_path, capsys)
        check_overviews(house, made["version"])
        house.done("Dan", "logout")
        house.refused("Dan", UnknownSigner, *asking)
        assert "name not proven" in house.done("Dan", "show").out
    check_nothing_secret_was_said(house)


def check_log(house: House, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verified = house.json("Eve", "log", "verify")
    entries = house.json("Eve", "log", "list")["entries"]
    assert len(entries) == verified["size"]
    released = [one["index"] for one in entries if one["kind"] == "key.released"]
    assert len(released) == 3
    assert [one["kind"] for one in entries].count("refused") >= 2
    last = house.done("Eve", "log", "list", "--kind", "key.released", "--last", 1).out
    assert "(Dan)" in last
    assert last.count("key.released") == 1
    shown = house.json("Eve", "log", "show", released[0])
    assert (shown["kind"], shown["statement"]["kind"]) == ("key.released", "release/1")

    receipt = folder / "first.tlog-proof"
    house.done("Eve", "log", "prove", released[0], "-o", receipt)
    genesis = (house.home("Eve") / "log" / "entries").read_bytes()
    key = log_key_of(genesis[4 : 4 + int.from_bytes(genesis[:4])])
    data = receipt.read_bytes()
    assert check_receipt(data, parse_receipt(data).extra, key).size == verified["size"]

    exported = folder / "exported"
    house.done("Eve", "log", "export", exported)
    assert {one.name for one in exported.iterdir()} == {"entries", "checkpoint"}
    with capsys.disabled():
        assert verify_log([str(exported), house.deployment]) == 0
    house.refused("Eve", OutputExists, "log", "export", exported)
    house.refused("Eve", OutputExists, "log", "prove", released[0], "-o", receipt)


def check_overviews(house: House, version: str) -> None:
    everything = house.json("Eve", "show")
    assert {one["name"] for one in everything["people"]} == set(PEOPLE)
    assert [one["name"] for one in everything["versions"]] == ["acme/atlas@1"]
    assert (everything["quorum"], everything["trial"], everything["frozen"]) == (2, False, False)
    assert "acme/atlas@1" in house.done("Eve", "show").out
    assert house.json("Eve", "show", "acme/atlas@1")["version"] == version
    assert house.json("Eve", "show", "Dan")["name"] == "Dan"
    for plural in ("devices", "workloads", "grants"):
        for thing in everything[plural]:
            (kind,) = [one for one, name in RECORDS.items() if name == plural]
            assert house.json("Eve", "show", thing[kind])[kind] == thing[kind]
    assert "two approvers" in house.done("Eve", "policy", "show", "access.cedar").out
    assert "access.cedar" in house.done("Eve", "policy", "show").out


def check_nothing_secret_was_said(house: House) -> None:
    """Look for every secret of every profile, in each form that it is kept in, in all that was printed."""
    said = "\n".join(outcome.out + outcome.err for outcome in house.outcomes)
    secrets: list[str] = []
    for name in PEOPLE:
        home = house.home(name)
        secrets += [line for line in (home / "key.pem").read_text().splitlines() if "PRIVATE" not in line]
        secrets += [one["private"] for one in json.loads((home / "security-key.json").read_bytes())["credentials"]]
        secrets += (home / "custodian.key").read_text().split() if (home / "custodian.key").exists() else []
        session = home / "session.json"
        secrets += [json.loads(session.read_bytes())["private"]] if session.exists() else []
        if name in CUSTODIANS:
            # The share as its custodian would read it, which is in no file at all.
            secrets.append(fetch_share(open_profile(home), Connection(house.keep.socket)))
    assert len(secrets) > 4 * len(PEOPLE)
    assert house.deployment in said
    for secret in secrets:
        assert len(secret) > 16
        assert secret not in said
