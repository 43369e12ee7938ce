"""A log that the real keep wrote is valid, and is told as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.acts.acceptance_change import AcceptanceChange
from strongroom.directory.entries import parse_entry
from strongroom.tlog.cosignatures import cosign, with_signature
from strongroom.tlog.notes import COSIGNATURE, VerifierKey
from strongroom.verify.__main__ import main
from strongroom.verify.command import EXIT_NOT_RECHECKED
from tests.client_keep.logs import acceptance
from tests.verify.stories import Story, keys_of, leaves_of, told


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with told(tmp_path_factory.mktemp("story")) as story:
        yield story


@pytest.fixture(scope="module")
def copy(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return story.forger.export(tmp_path_factory.mktemp("copy"))


def set_field(field: str, data: dict[str, Any]) -> None:
    data[field] = "4.0.0"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(one) for one in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code, out, _ = run(capsys, *arguments, "--json")
    return code, json.loads(out)


def test_what_the_keep_wrote_is_valid_and_leads_to_its_directory(story: Story) -> None:
    verifier = story.forger.verify(story.world.deployment)
    assert verifier.directory.encode() == story.world.keeper.directory.encode()
    kinds = {parse_entry(leaf).kind for leaf in story.forger.leaves}
    assert len(kinds) == 18
    assert {"key.released", "policy.changed", "refused", "rejected", "role.given", "thawed", "withdrawn"} < kinds


def test_the_report_says_who_opened_what_and_on_whose_approvals(
    story: Story, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = story.world
    code, report = run_json(capsys, copy, world.deployment)
    assert (code, report["verdict"], report["size"], report["not_rechecked"]) == (
        0,
        "valid",
        len(story.forger.leaves),
        [],
    )
    (release,) = report["releases"]
    assert (release["by"], release["version"]) == (world.person("Dan"), story.made.version)
    assert release["entry"] == story.forger.index("key.released")
    assert [given["person"] for given in release["approvals"]] == [world.person("Ada"), world.person("Ben")]
    assert report["frozen"] == [story.model]
    assert report["refusals"] == {"denied": 1}
    assert [one["by"] for one in report["unsealed"]] == [[], [world.person("Ada"), world.person("Ben")]]
    assert {one["person"] for one in report["people"]} == {
        world.person(name) for name in ("Ada", "Ben", "Cleo", "Dan", "Eve")
    }
    assert report["cosigned"] == [{"at": world.clock.at, "name": f"{world.deployment}/1/time"}]
    (version,) = report["versions"]
    assert (version["number"], version["label"]) == (1, 2)


def test_valid_is_the_last_word_of_the_report_in_words(
    story: Story, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, copy, story.world.deployment)
    assert (code, out.splitlines()[-1]) == (0, "valid")
    assert f"approved by {story.world.person('Ada')} as approver (core), cli" in out
    assert "refusals    1 denied" in out


def test_an_entry_and_its_policies_are_shown(story: Story, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = story.forger.index("key.released")
    arguments = (copy, story.world.deployment, "--entry", index, "--policies-of", index)
    _, report = run_json(capsys, *arguments)
    assert report["entry"]["statement"]["body"]["version"] == story.made.version
    assert report["entry"]["statement"]["signed_by"][0].startswith("session-")
    assert "own.cedar" not in report["policies"]
    _, out, _ = run(capsys, *arguments)
    assert "// access.cedar\n" in out
    last = len(story.forger.leaves) - 1
    _, report = run_json(capsys, copy, story.world.deployment, "--policies-of", last, "--entry", last)
    assert "own-nobody-at-night" in report["policies"]["own.cedar"]
    assert report["entry"]["kind"] == "keep.unsealed"
    for wrong in ("0", str(last + 1)):
        assert run(capsys, copy, story.world.deployment, "--entry", wrong)[0] == 3


def test_a_log_decided_by_another_cedar_is_never_called_valid(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for field, count in (("cedar", 1), ("floor", 2)):
        forger = story.forger.cut(len(story.forger.leaves))
        changed = [forger.index("key.released"), forger.index("grant.given")][:count]
        for index in changed:
            forger.edit(index, partial(set_field, field))
        copy = forger.export(tmp_path / field)
        code, out, _ = run(capsys, copy, story.world.deployment)
        assert code == EXIT_NOT_RECHECKED == 8
        assert "valid" not in out
        assert f"not re-checked: {count} entries" in out
        code, report = run_json(capsys, copy, story.world.deployment)
        assert (code, report["verdict"], report["not_rechecked"]) == (8, "not re-checked", sorted(changed))


def test_a_forged_log_ends_with_six_the_entry_and_the_reason(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forger = story.forger.cut(len(story.forger.leaves))
    index = forger.edit(forger.index("key.released"), lambda data: data.update(expires_at=1 << 39))
    copy = forger.export(tmp_path / "copy")
    code, out, error = run(capsys, copy, story.world.deployment)
    assert (code, out) == (6, "")
    assert f"strongroom-verify: tampered: entry {index}, `key.released`: its data is not what follows" in error
    code, report = run_json(capsys, copy, story.world.deployment)
    assert (code, report["verdict"], report["error"]["entry"], report["error"]["code"]) == (
        6,
        "tampered",
        index,
        "log-tampered",
    )


def test_a_log_of_another_name_is_not_the_one_that_was_asked_for(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = run_json(capsys, copy, f"sr1:{'0' * 64}")
    assert (code, report["error"]["entry"]) == (6, 0)


@pytest.mark.parametrize("name", ["", "sr1:", f"sr1:{'A' * 64}", f"sr1:{'0' * 64}\n", f"sr2:{'0' * 64}"])
def test_what_is_no_name_is_wrong_usage(copy: Path, name: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(copy), name])
    assert ended.value.code == 2


def test_a_copy_that_is_cut_long_or_not_there(story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = story.world.deployment
    assert run(capsys, tmp_path, name)[0] == 3
    copy = story.forger.export(tmp_path / "copy")
    entries = (copy / "entries").read_bytes()
    for cut in (1, 100):
        (copy / "entries").write_bytes(entries[:-cut])
        code, _, error = run(capsys, copy, name)
        assert (code, "ends within an entry" in error) == (6, True)
    for tail in (b"\x00", b"\x00\x00\x00"):
        (copy / "entries").write_bytes(entries + tail)
        assert run(capsys, copy, name)[0] == 6
    (copy / "entries").write_bytes(entries + (1 << 16).to_bytes(4) + bytes(1 << 16))
    code, _, error = run(capsys, copy, name)
    assert (code, "an entry of 65536 bytes" in error) == (6, True)
    (copy / "checkpoint").write_bytes(b"nothing")
    assert run(capsys, copy, name)[0] == 3
    story.forger.export(copy)
    (copy / "entries").write_bytes(b"")
    assert run(capsys, copy, name)[0] == 6
    (copy / "entries").unlink()
    code, _, error = run(capsys, copy, name)
    assert (code, "no entries to read" in error) == (3, True)


def test_witnesses_in_force_count_and_others_do_not(story: Story, tmp_path: Path) -> None:
    world = story.world
    witness, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    key = VerifierKey(name="witness.example/w1", kind=COSIGNATURE, public_key=witness.public_key().public_bytes_raw())
    accepted = acceptance()
    change = AcceptanceChange(
        acceptance=type(accepted)(
            rp_id=accepted.rp_id,
            origins=accepted.origins,
            software_keys=True,
            attestation_roots=(),
            clock_tolerance_seconds=60,
            witnesses=(str(key),),
        ),
        quorum=2,
    )
    world.govern("acceptance.change", change)
    forger = story.forger.cut(0)
    forger.leaves = leaves_of(world)
    assert keys_of(world)[0].private_bytes_raw() == forger.log_key.private_bytes_raw()
    note = forger.note()
    for name, private in (("witness.example/w1", witness), ("witness.example/w2", stranger)):
        note = with_signature(note, cosign(note, name, private, world.clock.at))
    told = forger.verify(note=note).finish()
    assert [one.name for one in told] == [f"{world.deployment}/1/time", "witness.example/w1"]
