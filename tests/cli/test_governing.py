"""What people do with each other by the command line, besides the story: new keys, devices, facts, a no, an end."""

from __future__ import annotations

import os
import pty
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from strongroom.client.place import Place
from strongroom.client.profile import open_profile
from strongroom.terms.errors import (
    AlreadyDone,
    BadPolicy,
    BadRecord,
    BadRequest,
    Denied,
    NotAllowed,
    NotCanonical,
    NotFound,
    OutputExists,
    StrongroomError,
    UnknownSigner,
    UnsafePlace,
    WrongDeployment,
)
from strongroom.terms.outer_errors import BadName, KeepUnavailable, NotFrozen
from tests.attacks.versions import write_model
from tests.cli.command import COMMAND, run_inside
from tests.cli.keeping import PLAN, RP_ID, House

# --- what works --------------------------------------------------------------------------------


def test_somebody_new_comes_with_a_card_and_leaves_for_good(house: House) -> None:
    card = house.folder / "fay.card"
    carding = ("deployment", "card", "--name", "Fay", "--deployment", house.place, "--key", "software")
    told = house.done("Fay", *carding, "-o", card)
    assert "A SOFTWARE SECURITY KEY" in told.err
    house.govern("person.enrol", "--card", card)
    house.govern("device.enrol", "--card", card, "--zone", "lab")
    house.govern("role.give", "--subject", "Fay", "--role", "auditor", "--team", "audit")
    house.login("Fay")
    assert house.json("Fay", "whoami")["roles"] == ["auditor@audit"]
    house.govern("role.take", "--subject", "Fay", "--role", "auditor", "--team", "audit")
    house.govern("person.remove", "--person", "Fay")
    house.refused("Fay", UnknownSigner, "inbox")
    house.refused("Fay", UnknownSigner, "login")
    assert "name not proven" in house.done("Fay", "show").out


def test_a_person_gets_a_second_device_and_a_second_key(house: House) -> None:
    dan = house.json("Dan", "whoami")["subject"]
    card = house.folder / "laptop.card"
    enrolling = ("device", "enrol", house.place, "--person", dan, "--name", "Dan's laptop")
    house.done("laptop", *enrolling, "--key", "software", "-o", card)
    house.govern("device.enrol", "--card", card, "--zone", "lab")
    # The security key is plugged in there.
    shutil.copy(house.home("Dan") / "security-key.json", house.home("laptop"))
    house.login("laptop")
    assert house.json("laptop", "whoami")["subject"] == dan
    adding = house.json("Dan", "propose", "credential.add", "--purpose", "a spare one")
    assert house.agree(adding, "governor", "Ben", "Cleo")["enacted"] is not None
    assert len(house.json("Dan", "log", "list", "--kind", "credential.added")["entries"]) == 1
    house.login("Dan")


def test_a_responder_ends_a_session_and_nobody_else_another_s(house: House) -> None:
    shown = house.json("Ada", "show")
    ben = house.json("Ben", "whoami")
    (session,) = (one["session"] for one in shown["sessions"] if one["person"] == ben["subject"])
    assert ben["device"] in {one["device"] for one in shown["devices"]}
    assert [one for one in shown["credentials"] if one["person"] == ben["subject"]]
    about_ben = house.json("Ada", "show", "Ben")
    assert about_ben["sessions"] == [session]
    assert about_ben["devices"] == [ben["device"]]
    house.refused("Dan", Denied, "session", "end", session)
    assert "ended" in house.done("Ada", "session", "end", session).out
    assert session not in house.done("Ada", "show").out
    assert "your session was ended" in house.refused("Ben", UnknownSigner, "inbox").err
    house.login("Ben")


def test_outside_a_trial_nobody_is_logged_in_by_a_command(house: House) -> None:
    house.refused("Eve", UnknownSigner, "inbox")
    assert house.json("Eve", "whoami")["session_until"] is None
    assert "logged in" not in house.done("Eve", "show").err


def test_an_inbox_says_in_words_what_it_is_about(house: House) -> None:
    enrolling = ("model.enrol", "--name", "acme/words", "--label", 1, "--purpose", "for the words")
    house.done("Ada", "propose", *enrolling)
    giving = ("role.give", "--subject", "Dan", "--role", "writer", "--team", "core", "--purpose", "he asked")
    house.done("Ada", "propose", *giving)
    found = {one["act"]: one for one in house.json("Ben", "inbox")["proposals"]}
    assert found["model.enrol"]["in_words"] == "acme/words, label 1: for the words"
    assert re.fullmatch(r"person-\w+ \(Dan\), writer@core: he asked", found["role.give"]["in_words"])
    assert "acme/words, label 1: for the words" in house.done("Ben", "inbox").out
    for one in found.values():
        house.done("Ada", "withdraw", one["proposal"])


def test_who_asks_for_a_workload_is_told_which_role_it_lacks(house: House) -> None:
    store = (house.folder / "store").as_uri()
    house.writer("server")
    model = write_model(house.folder / "served", {"weights.bin": b"weights"})
    made = house.json("server", "seal", model, "--as", "acme/atlas", "--store", store)
    asking = ("request", made["version"], "--for", "1h", "--purpose", "to serve", "--workload", "server")
    said = house.done("Dan", *asking).err
    assert "lacks the role `researcher`" in said
    assert "`strongroom propose role.give --subject workload-" in said
    explaining = ("policy", "explain", "server", made["version"])
    assert house.json("Ada", *explaining)["be granted"]["allowed"] is False
    house.govern("role.give", "--subject", "server", "--role", "researcher", "--team", "core")
    assert "lacks" not in house.done("Dan", *asking).err
    assert house.json("Ada", *explaining)["be granted"]["allowed"] is True


def test_a_keep_that_hangs_is_not_waited_for_where_an_older_copy_will_do(house: House, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "hung"))
        hung.listen()
        shutil.copytree(house.home("Eve"), tmp_path / "eve")
        place = Place(name=house.deployment, socket=tmp_path / "hung")
        open_profile(tmp_path / "eve").join(place)
        outcome = run_inside("--home", tmp_path / "eve", "show")
    assert outcome.code == 0, outcome
    waited = re.search(r"older copy of the log: .* has not answered for ([0-9.]+) s", outcome.err)
    assert waited is not None, outcome
    assert float(waited[1]) < 25


def test_an_attester_says_facts_until_it_is_revoked(house: House) -> None:
    card = house.folder / "lms.card"
    house.done("lms", "deployment", "card", "--attester", "--name", "learning", "--deployment", house.place, "-o", card)
    house.govern("attester.enrol", "--card", card, "--kind", "training", "--longest", "7d")
    dan = house.json("Dan", "whoami")["subject"]
    assert house.json("lms", "attest", dan, "training", 1)["index"] is not None
    assert house.json("lms", "attest", dan, "training", 1)["index"] is None
    assert house.json("Ada", "show", "Dan")["facts"] == {"training": 1}
    house.refused("lms", NotAllowed, "attest", dan, "disk-encrypted", 1)
    house.done("Ada", "attester", "revoke", "learning", "--reason", "it was wrong")
    house.refused("lms", UnknownSigner, "attest", dan, "training", 1)


def test_a_no_ends_a_request_and_a_proposer_takes_back(house: House) -> None:
    store = (house.folder / "store").as_uri()
    model = write_model(house.folder / "model", {"weights.bin": b"weights"})
    made = house.json("job", "seal", model, "--as", "acme/atlas", "--store", store)
    asking = ("request", made["version"], "--for", "30m", "--purpose", "to look", "--file", "weights.bin")
    asked = house.json("Dan", *asking)
    no = ("reject", asked["proposal"], "--role", "approver", "--reason", "not now", "--yes", asked["words"])
    assert "it has ended" in house.done("Ben", *no).out
    house.refused("Ben", AlreadyDone, *no)
    mine = house.json("Dan", *asking)
    house.refused("Ada", NotAllowed, "withdraw", mine["proposal"])
    house.done("Dan", "withdraw", mine["proposal"])
    house.refused("Ada", AlreadyDone, "show", mine["proposal"])

    again = house.json("Dan", *asking)
    house.agree(again, "approver", "Ben", "Cleo")
    (grant,) = house.json("Ada", "show")["grants"]
    assert grant["files"] == ["weights.bin"]
    house.done("Ada", "grant", "revoke", grant["grant"], "--reason", "it is over")
    child = house.json("job", "seal", model, "--as", "acme/atlas", "--store", store, "--lineage", made["name"])
    assert house.json("Ada", "show", child["name"])["lineage"] == [made["version"]]


def test_labels_zones_rules_and_the_clock(house: House, tmp_path: Path) -> None:
    house.govern("model.enrol", "--name", "acme/small", "--label", 0)
    assert house.json("Ada", "label", "raise", "acme/small", 2)["entry"] == "label.raised"
    house.govern("label.lower", "--target", "acme/small", "--label", 1)
    house.govern("zone.define", "--name", "cluster", "--ceiling", 4, "--egress-bytes-per-day", 5)
    house.govern("zone.define", "--zone", "cluster", "--name", "hall", "--ceiling", 3, "--egress-bytes-per-day", 5)
    assert {one["name"] for one in house.json("Ada", "show")["zones"]} == {"lab", "hall"}
    policies = tmp_path / "policies"
    policies.mkdir()
    for file in house.json("Ada", "policy", "show")["files"]:
        if file["name"] != "floor.cedar":
            text = house.json("Ada", "policy", "show", file["name"])["text"]
            (policies / file["name"]).write_text(text.replace("two approvers", "two good approvers"))
    house.done("Ada", "policy", "check", policies)
    house.govern("policy.change", "--policies", policies)
    assert "two good approvers" in house.done("Ada", "policy", "show", "access.cedar").out
    accepted = tmp_path / "accepted.toml"
    accepted.write_text(f'rp_id = "{RP_ID}"\nsoftware_keys = true\nclock_tolerance_seconds = 90\n')
    house.govern("acceptance.change", "--acceptance", accepted, "--quorum", 2)
    house.refused("Ada", AlreadyDone, "propose", "clock.confirm", "--purpose", "it is right")


def test_a_copy_of_the_log_is_read_where_the_keep_cannot_be_asked(house: House, tmp_path: Path) -> None:
    home = tmp_path / "away"
    shutil.copytree(house.home("Ben"), home)
    (home / "session.json").unlink()
    profile = (home / "profile.json").read_text()
    (home / "profile.json").write_text(profile.replace(str(house.keep.socket), str(tmp_path / "nowhere")))
    listed = run_inside("--home", home, "log", "list")
    assert listed.code == 0
    assert "this is an older copy of the log" in listed.err
    assert "deployment.founded" in listed.out
    assert run_inside("--home", home, "log", "verify").code == 0


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", NotAllowed.exit_code)])
def test_on_a_terminal_a_human_is_asked_before_anything_is_signed(
    house: House, tmp_path: Path, answer: str, code: int
) -> None:
    controller, terminal = pty.openpty()
    signing = ("deployment", "sign", house.folder / "genesis.draft", "-o", tmp_path / "signature")
    command = [*COMMAND, "--home", str(house.home("Ben")), *map(str, signing)]
    try:
        process = subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.write(controller, f"{answer}\n".encode())
        _, err = process.communicate(timeout=60)
    finally:
        os.close(controller)
        os.close(terminal)
    assert "Do all founders see these words" in err
    assert (process.returncode, (tmp_path / "signature").exists()) == (code, code == 0)


# --- what does not -----------------------------------------------------------------------------

# Who, what, and the error. {…} stands for a place in the house; `nobody` has no profile.
NO_ID, NO_DEPLOYMENT = "0" * 32, "sr1:" + "0" * 64
CARD = "deployment card --name Gus --key software -o {new}"
DRAFT = "deployment draft {cards} --plan {plan} --socket {socket} -o {new}"
MISTAKES: list[tuple[str, str, type[StrongroomError]]] = [
    ("nobody", "whoami", NotFound),
    ("nobody", "login", NotFound),
    ("nobody", "show", NotFound),
    ("nobody", "unseal", NotFound),
    ("nobody", f"connect {{socket}}#{NO_DEPLOYMENT}", NotFound),
    ("Ada", f"connect {{socket}}#{NO_DEPLOYMENT}", BadRequest),
    ("Ada", "connect {socket}", BadRequest),
    ("Ada", "connect {socket}#sr1:1234", BadName),
    ("Ada", "connect {nowhere}#{deployment}", KeepUnavailable),
    ("Ada", "deployment status --socket {nowhere}", KeepUnavailable),
    ("Ada", f"{CARD} --rp-id {RP_ID}", OutputExists),
    ("stranger", f"{CARD} --deployment {{socket}}#{NO_DEPLOYMENT}", WrongDeployment),
    ("stranger", f"{CARD} --deployment {{nowhere}}#{{deployment}}", KeepUnavailable),
    ("stranger2", f"device enrol {{place}} --person person-{NO_ID} --name laptop --key software -o {{new}}", NotFound),
    ("stranger3", "device enrol {place} --person Dan --name laptop --key software -o {new}", BadRequest),
    ("Ada", DRAFT.replace("{cards}", "{nowhere}"), NotFound),
    ("Ada", DRAFT.replace("{cards}", "{plan}"), NotCanonical),
    ("Ada", DRAFT.replace("{plan}", "{nowhere}"), NotFound),
    ("Ada", DRAFT.replace("{plan}", "{cards_0}"), BadRequest),
    ("Ada", DRAFT.replace("{plan}", "{empty}"), BadRecord),
    ("Ada", DRAFT.replace("{plan}", "{odd_plan}"), BadRecord),
    ("Ada", DRAFT.replace("{cards}", "{cards_0}"), NotFound),
    ("Ada", DRAFT.replace("{cards}", "{cards} {cards_0}"), BadRequest),
    ("Ada", DRAFT.replace("--plan {plan}", "--trial"), BadRequest),
    ("Ada", "deployment sign {draft} -o {new}", BadRequest),
    ("Ada", "deployment sign {draft} --yes other-words -o {new}", NotAllowed),
    ("Ada", "deployment sign {cards_0} --yes other-words -o {new}", BadRecord),
    ("Ada", "deployment sign {folder} --yes other-words -o {new}", BadRequest),
    ("job", "deployment sign {draft} --yes other-words -o {new}", BadRequest),
    ("Eve", "inbox", UnknownSigner),
    ("Eve", "request acme/atlas@1 --for 1h --purpose look", UnknownSigner),
    ("job", "login", BadRequest),
    ("job", "inbox", BadRequest),
    ("job", "unseal", BadRequest),
    ("Eve", "unseal", NotFound),
    ("Eve", "share fetch", NotFound),
    ("Dan", "request acme/nowhere@1 --for 1h --purpose look", NotFound),
    ("Dan", "request atlas --for 1h --purpose look", BadName),
    ("Dan", "request acme/atlas@1 --for 1h --purpose look --workload nowhere", NotFound),
    ("Dan", "propose role.give --subject Dan --role approver --team core --purpose more", Denied),
    ("Ada", "propose role.give --subject nobody --role approver --team core --purpose why", NotFound),
    ("Ada", "propose role.give --subject lab --role approver --team core --purpose why", NotFound),
    ("Ada", f"propose role.give --subject zone-{NO_ID} --role approver --team core --purpose why", BadRequest),
    ("Ada", "propose role.give --subject Ben --role Approver --team core --purpose why", BadRecord),
    ("Ada", "propose role.give --subject Ben --role approver --team core --purpose why", AlreadyDone),
    ("Ada", "propose person.enrol --card {nowhere} --purpose why", NotFound),
    ("Ada", "propose person.enrol --card {cards_0} --purpose why", WrongDeployment),
    ("Ada", "propose person.enrol --card {plan} --purpose why", NotCanonical),
    ("Ada", "propose model.enrol --name Atlas --label 1 --purpose why", BadName),
    ("Ada", "propose label.lower --target acme/atlas --label 3 --purpose why", NotAllowed),
    ("Ada", "propose policy.change --policies {empty_folder} --purpose why", NotFound),
    ("Ada", "propose acceptance.change --acceptance {plan} --quorum 2 --purpose why", BadRecord),
    ("Ada", "propose grant.give --subject Dan --version acme/nowhere@1 --for 1h --purpose why", NotFound),
    ("Ada", "thaw acme/atlas --purpose why", AlreadyDone),
    ("Ada", "thaw nothing --purpose why", NotFound),
    ("Ada", f"approve statement-{NO_ID}", NotFound),
    ("Ada", f"reject statement-{NO_ID} --reason no", NotFound),
    ("Ada", f"withdraw statement-{NO_ID}", NotFound),
    ("Ada", f"grant revoke grant-{NO_ID} --reason why", NotFound),
    ("Ada", f"credential report credential-{NO_ID} --reason why", NotFound),
    ("Ada", "attester revoke nobody --reason why", NotFound),
    ("Ada", "label raise acme/atlas 0", NotAllowed),
    ("Ada", "freeze nothing --reason why", NotFound),
    ("Ada", f"freeze model-{NO_ID} --reason why", NotFrozen),
    ("Ada", f"freeze version-{NO_ID} --reason why", BadRequest),
    ("Dan", "freeze deployment --reason why", NotFrozen),
    ("job", "freeze deployment --reason why", BadRequest),
    ("Ada", f"attest model-{NO_ID} training 1", BadRequest),
    ("Ada", "show nobody", NotFound),
    ("Ada", f"show model-{NO_ID}", NotFound),
    ("Ada", f"show statement-{NO_ID}", NotFound),
    ("Ada", "log show 99999", NotFound),
    ("Ada", "log prove 99999 -o {new}", NotFound),
    ("Ada", "log prove 0 -o {nowhere}/receipt", BadRequest),
    ("Ada", "log export {folder}", OutputExists),
    ("Ada", "policy check {empty_folder}", NotFound),
    ("Ada", "policy check {bad_policies}", BadPolicy),
    ("Ada", "policy show nowhere.cedar", NotFound),
    ("Ada", "policy explain Dan acme/nowhere@1", NotFound),
    ("Ada", "policy explain job acme/nowhere@1", NotFound),
    ("job", "seal {plan} --as acme/nowhere --store {store}", NotFound),
    ("job", "seal {plan} --as acme/atlas --store {store} --lineage acme/atlas@99", NotFound),
    ("Dan", "seal {plan} --as acme/atlas --store {store}", Denied),
    ("Dan", "open acme/nowhere@1 --store {store} --to {new}", NotFound),
]


@pytest.fixture(scope="module")
def places(house: House) -> dict[str, str]:
    folder = house.folder
    for name in ("empty-folder", "bad-policies"):
        (folder / name).mkdir()
    (folder / "bad-policies" / "access.cedar").write_text("permit (principal, action, resource);\n")
    (folder / "empty").touch()
    (folder / "odd.toml").write_text(f"colour = 1\n{PLAN}")
    cards = sorted(folder.glob("[A-E]*.card"))
    return {
        "socket": str(house.keep.socket),
        "deployment": house.deployment,
        "place": house.place,
        "nowhere": str(folder / "nowhere"),
        "new": str(folder / "new"),
        "folder": str(folder),
        "draft": str(folder / "genesis.draft"),
        "plan": str(folder / "plan.toml"),
        "odd_plan": str(folder / "odd.toml"),
        "empty": str(folder / "empty"),
        "empty_folder": str(folder / "empty-folder"),
        "bad_policies": str(folder / "bad-policies"),
        "cards": " ".join(map(str, cards)),
        "cards_0": str(cards[0]),
        "store": (folder / "store").as_uri(),
    }


@pytest.mark.parametrize(("who", "mistake", "error"), MISTAKES)
def test_a_mistake_gets_one_line_a_hint_and_the_exit_code_of_its_family(
    house: House, places: dict[str, str], who: str, mistake: str, error: type[StrongroomError]
) -> None:
    house.refused(who, error, *mistake.format_map(places).split())
    assert not Path(places["new"]).exists()


def test_many_kinds_of_mistakes_are_met() -> None:
    assert len(MISTAKES) > 80
    assert {error.family for _, _, error in MISTAKES} == {"Malformed", "Refused", "Conflict", "Unavailable"}


@pytest.mark.parametrize(
    "mistake",
    [
        "deployment card --name Gus -o {new}",
        f"deployment card --name Gus --rp-id {RP_ID} --trial -o {{new}}",
        "deployment card --name Gus --trial --workload -o {new}",
        "device enrol {place} --name laptop -o {new}",
        "deployment draft {cards} --socket {socket} -o {new}",
        "deployment draft {cards} --plan {plan} --trial --socket {socket} -o {new}",
        "request acme/atlas@1 --for 4 --purpose look",
        "request acme/atlas@1 --for 0h --purpose look",
        "request acme/atlas@1 --for 4h",
        "propose",
        "propose nonsense",
        "propose freeze --target deployment",
        "propose role.give --subject Ben",
        "propose model.enrol --name acme/atlas --label 5 --purpose why",
        "login --for soon",
        "label raise acme/atlas 9",
        "policy check",
        "policy check {folder} --default",
        "log show first",
        "keep serve",
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(house: House, places: dict[str, str], mistake: str) -> None:
    outcome = house.run("Ada", *mistake.format_map(places).split())
    assert outcome.code == 2, outcome
    assert "Usage: strongroom" in outcome.err + outcome.out


def test_a_profile_that_others_can_read_is_not_used(house: House) -> None:
    home = house.home("Cleo")
    home.chmod(0o755)
    try:
        refused = run_inside("--home", home, "whoami")
    finally:
        home.chmod(0o700)
    assert refused.code == UnsafePlace.exit_code
    assert "chmod" in refused.err


def test_a_lost_key_ends_what_it_could_do(house: House) -> None:
    """Last: Ben's voice is gone afterwards."""
    ben = house.json("Ben", "whoami")["subject"]
    credential = next(one["keyid"] for one in _logged_in_with(house, ben))
    house.done("Ben", "credential", "report", credential, "--reason", "left on a train")
    house.refused("Ben", UnknownSigner, "login")
    house.refused("Ben", UnknownSigner, "inbox")


def _logged_in_with(house: House, person: str) -> list[dict[str, str]]:
    opened = house.json("Ada", "log", "list", "--kind", "session.opened")["entries"]
    index = next(one["index"] for one in opened if one["by"] == person)
    keys = house.json("Ada", "log", "show", index)["signed_by"]
    return [{"keyid": key} for key in keys if key.startswith("credential-")]
