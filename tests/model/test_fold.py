"""The fold, over logs that chance wrote: one log, one directory, and nothing comes back under an old name.

`tests/acts/test_fold.py` has every kind of entry once; here are hundreds of them, in the order in which machines made
them, with crashes, leaps of the clock and refusals in between.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from strongroom.acts.fold import fold, genesis
from strongroom.directory.state import Directory, parse_directory
from tests.model.crew import Crew, in_memory, key_text, prepared
from tests.model.lab import NOTE, Lab
from tests.model.signer import named
from tests.model.test_machine import STEPS_OF_ONE, Machine

LOGS, LEAST_ENTRIES = 6, 300


class Recorder(Machine):
    """A machine that keeps its log when it ends."""

    logs: list[list[bytes]]

    def teardown(self) -> None:
        self.logs.append(list(self.lab.leaves))
        super().teardown()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    folder = in_memory()
    made = prepared(folder / "prepared")
    made.stop()
    yield made
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def logs(lab: Lab) -> list[list[bytes]]:
    Recorder.lab_prepared, Recorder.folder = lab, lab.folder.parent
    Recorder.numbers, Recorder.logs = itertools.count(), []
    chosen = settings(
        max_examples=LOGS,
        stateful_step_count=STEPS_OF_ONE,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(7)(Recorder), settings=chosen)
    assert sum(map(len, Recorder.logs)) >= LEAST_ENTRIES
    return Recorder.logs


def folded(leaves: list[bytes], directory: Directory | None = None) -> Directory:
    directory = genesis(leaves[0]) if directory is None else directory
    for leaf in leaves[directory.size :]:
        fold(directory, leaf)
    return directory


@seed(7)
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(which=st.integers(0, LOGS - 1), size=st.integers(1, 10_000), cuts=st.lists(st.integers(1, 10_000), max_size=4))
def test_any_prefix_gives_equal_bytes_folded_twice_in_pieces_and_from_snapshots(
    logs: list[list[bytes]], which: int, size: int, cuts: list[int]
) -> None:
    leaves = logs[which % len(logs)]
    prefix = leaves[: 1 + size % len(leaves)]
    whole = folded(prefix).encode()
    assert folded(prefix).encode() == whole
    pieces, resumed = folded(prefix[:1]), folded(prefix[:1])
    for cut in sorted(1 + cut % len(prefix) for cut in cuts):
        pieces = folded(prefix[:cut], pieces)
        resumed = folded(prefix[:cut], parse_directory(resumed.encode()))
    assert folded(prefix, pieces).encode() == whole
    assert folded(prefix, parse_directory(resumed.encode())).encode() == whole


def test_whoever_is_enrolled_again_under_the_same_name_inherits_nothing(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    again = lab.copy(tmp_path / "run" / "lab")
    crew, finn = Crew(again), again.known.people["Finn"]
    credential = again.known.credentials(finn)[0]
    grant = next(name for name, one in again.directory.grants.items() if one.subject == finn)
    session, device = crew.session(finn)
    crew.agree("person.remove", {"person": finn})
    assert again.directory.people[finn].removed
    assert grant not in again.directory.grants
    assert session not in again.directory.sessions
    other = named("person", again.random)
    new = again.new_security_key(other).enrolled(again.known.deployment)
    details = again.directory.people[finn].details
    for person, key in (
        (finn, new),
        (other, {**new, "public_key": key_text(again.known.security_keys[credential].key)}),
    ):
        refused = crew.proposed(again.known.people["Ada"], "person.enrol", _person(person, key, details), fits=False)
        again.say(refused)
    crew.agree("person.enrol", _person(other, new, details))
    enrolled = again.directory.people[other]
    assert (enrolled.details, enrolled.roles) == (details, ())
    assert not [one for one in again.directory.devices.values() if one.person == other]
    assert not [one for one in again.directory.grants.values() if one.subject == other]
    assert again.directory.devices[device].removed
    again.stop()


def test_a_model_enrolled_again_under_the_same_name_inherits_nothing(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    again = lab.copy(tmp_path / "run" / "lab")
    crew = Crew(again)
    old = next(iter(again.directory.models.values()))
    ben = again.known.people["Ben"]
    crew.agree("role.give", {"role": "responder", "subject": ben, "team": "core", "model": old.model})
    change = {"details": old.details, "label": 0, "model": old.model}
    again.say(crew.proposed(again.known.people["Ada"], "model.enrol", change))
    assert again.directory.models[old.model].label == old.label, "an identifier is used once"
    name = named("model", again.random)
    crew.agree("model.enrol", {**change, "model": name})
    new = again.directory.models[name]
    assert (new.details, new.versions, new.label) == (old.details, 0, 0)
    assert new.public_key != old.public_key
    assert "responder" in again.model.roles(ben, old.model)
    session, _ = crew.session(ben)
    ((verdict, _),) = again.say(again.words("freeze", ben, {"reason": NOTE, "target": new.model}, session=session))
    assert verdict == "no", "a role for the old one is none for the new one"
    again.stop()


def _person(person: str, new: object, details: str) -> dict[str, object]:
    return {"credentials": [new], "details": details, "person": person}
