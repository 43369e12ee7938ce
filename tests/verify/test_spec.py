"""The specification's example is what its writer makes and the product reads; its words are the code's."""

from __future__ import annotations

import json
import re

from strongroom.acts.table import act_of_entry
from strongroom.directory.entries import parse_entry
from strongroom.statements.signatures import verify_es256
from strongroom.statements.signing import point_of
from strongroom.terms import outer_errors
from strongroom.terms.digests import sha256
from strongroom.tlog.tree import leaf_hash
from strongroom.verify import command, copy, log, recheck
from strongroom.verify.__main__ import LIBRARY_MISSING
from tests.verify import spec_example

PAGE = spec_example.SPEC.read_text()


def test_the_example_is_the_one_that_its_writer_makes() -> None:
    assert spec_example.written(PAGE) == PAGE


def test_the_example_as_printed_is_an_entry_with_the_printed_digest_and_hash() -> None:
    printed = re.search(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert printed
    leaf = spec_example.encode(json.loads(printed[1]))
    entry = parse_entry(leaf)
    assert entry.encode() == leaf
    assert sha256(leaf) in PAGE
    assert leaf_hash(leaf).hex() in PAGE
    assert len(leaf).to_bytes(4).hex() + ", then" in PAGE
    envelope = entry.envelope()
    verify_es256(point_of(spec_example.KEY), envelope.message, envelope.signatures[0].sig)
    act = act_of_entry(entry.kind)
    assert act is not None
    assert act.kind == spec_example.statement()["kind"]


def test_the_events_are_those_that_the_verifier_knows() -> None:
    section = PAGE.partition("**Events.**")[2].partition("##")[0]
    assert set(re.findall(r"(?m)^\| `([a-z.]+)` \| `", section)) == {"kind", *recheck.EVENTS}


def test_the_numbered_list_is_that_of_the_code() -> None:
    section = PAGE.partition("## Checking a copy")[2]
    steps = re.findall(r"(?m)^([1-9])\. (\w+ \w+)", section)
    assert steps == re.findall(r"(?m)^([1-9])\. (\w+ \w+)", log.__doc__ or "")
    assert len(steps) == 7


def test_the_numbers_and_errors_of_the_specification_are_those_of_the_code() -> None:
    assert f"{copy.LARGEST_ENTRY_BYTES:,} bytes" in PAGE
    assert (LIBRARY_MISSING, command.EXIT_NOT_RECHECKED) == (7, 8)
    assert {"bad-note", "bad-signature", "log-tampered"} <= {error.code for error in outer_errors.codes()}
    assert {error.exit_code for error in outer_errors.codes() if error.code in {"bad-signature", "log-tampered"}} == {6}
    assert f"<deployment>/{log.ERA}" in PAGE
