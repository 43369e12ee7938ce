"""Every write of a seal is broken in two ways: it fails and did not happen, it fails and happened all the same.

Whatever breaks, a version is there whole or not at all, and what is acknowledged is there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

import pytest

from strongroom.client.scrub import scrub
from strongroom.client.seal import Sealed, SealedForDeployment
from strongroom.client.sweep import sweep
from strongroom.client.version import open_released
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing.keys import DataKey
from strongroom.terms.errors import AccessDenied, NoSpace, NotFound, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import MarkLost, OutcomeUnknown, VersionExists
from tests.attacks.versions import (
    ATLAS_1,
    MODEL,
    data_key,
    fetched,
    opened,
    seal,
    seal_deployed,
    stored,
    versions,
)
from tests.faults.hooked import Call, Fault, HookedStore, nothing

Made = TypeVar("Made", Sealed, SealedForDeployment)
MOST_WRITES = 40
# A mark, three objects of one, three and one writes (header, segments), a manifest, and the mark taken away.
LEAST_WRITES = 15


def attempt(store: ObjectStore, sealing: Callable[[ObjectStore], Made]) -> Made | StrongroomError:
    try:
        return sealing(store)
    except StrongroomError as error:
        return error


def check_whole_or_absent(inner: ObjectStore, outcome: Sealed | StrongroomError) -> bool:
    """Whether the version exists, which is then whole; otherwise a sweep leaves nothing of it."""
    if versions(inner):
        assert opened(inner) == MODEL
        assert scrub(inner).damage == ()
        sweep(inner, grace_seconds=0)
        assert opened(inner) == MODEL
        assert {name[0] for name in stored(inner)} == {"m", "o"}
        return True
    assert isinstance(outcome, StrongroomError)
    with pytest.raises(NotFound):
        opened(inner)
    sweep(inner, grace_seconds=0)
    assert stored(inner) == {}
    assert list(inner.list_partial()) == []
    assert isinstance(seal(inner), Sealed)
    return False


def clear(store: ObjectStore) -> None:
    store.delete([info for prefix in ("m/", "o/", "w/") for info in store.list(prefix)])


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "from-there-on"])
@pytest.mark.parametrize("happens", [False, True], ids=["failed-and-absent", "failed-but-present"])
def test_a_seal_is_whole_or_absent_whichever_write_fails(store_url: str, happens: bool, lasts: bool) -> None:
    inner = open_store(store_url)
    ends = []
    for number in itertools.count():
        assert number < MOST_WRITES
        fault = Fault(number, StoreUnavailable("broken here"), lasts=lasts)
        store = HookedStore(inner, after=fault) if happens else HookedStore(inner, before=fault)
        outcome = attempt(store, seal)
        exists = check_whole_or_absent(inner, outcome)
        ends.append((fault.call and fault.call.verb, exists, type(outcome)))
        clear(inner)
        if fault.call is None:
            break
    assert number >= LEAST_WRITES
    assert ends[-1] == (None, True, Sealed)
    manifest = [end for end in ends if end[0] == "put_new"]
    # Present, and the failure was seen through by reading back; or the store is gone, and nobody may say.
    expected = (True, Sealed) if happens and not lasts else (happens, OutcomeUnknown)
    assert manifest == [("put_new", *expected)]
    assert all(exists == (kind is Sealed) for verb, exists, kind in ends if verb != "put_new")


@pytest.mark.parametrize("happens", [False, True], ids=["failed-and-absent", "failed-but-present"])
def test_a_seal_for_a_deployment_is_whole_or_absent_whichever_write_fails(store_url: str, happens: bool) -> None:
    """What the log could be told of is there; of anything else a sweep leaves nothing."""
    inner = open_store(store_url)
    for number in itertools.count():
        assert number < MOST_WRITES
        fault = Fault(number, StoreUnavailable("broken here"))
        store = HookedStore(inner, after=fault) if happens else HookedStore(inner, before=fault)
        outcome = attempt(store, seal_deployed)
        if isinstance(outcome, SealedForDeployment):
            version = open_released(inner, fetched(inner, outcome), DataKey(data_key(outcome)))
            assert {path: version.read(path) for path in version.files} == MODEL
            assert scrub(inner).damage == ()
        else:
            assert versions(inner) == []
            assert isinstance(outcome, OutcomeUnknown) == (fault.call is not None and fault.call.verb == "put_new")
            sweep(inner, grace_seconds=0)
            assert stored(inner) == {}
        clear(inner)
        if fault.call is None:
            break
    assert number >= LEAST_WRITES


@pytest.mark.parametrize(
    "error", [NoSpace("full"), AccessDenied("no"), MarkLost("gone"), StoreUnavailable("down")], ids=repr
)
@pytest.mark.parametrize("happens", [False, True], ids=["failed-and-absent", "failed-but-present"])
def test_no_failure_of_the_manifest_makes_a_version_without_objects(
    store_url: str, error: StrongroomError, happens: bool
) -> None:
    inner = open_store(store_url)
    fault = Fault(0, error, verbs=frozenset({"put_new"}))
    store = HookedStore(inner, after=fault) if happens else HookedStore(inner, before=fault)
    outcome = attempt(store, seal)
    assert check_whole_or_absent(inner, outcome) == happens
    if happens:
        assert isinstance(outcome, Sealed)
    else:
        assert isinstance(outcome, OutcomeUnknown if isinstance(error, StoreUnavailable) else type(error))


@pytest.mark.parametrize("happens", [False, True], ids=["failed-and-absent", "failed-but-present"])
def test_an_interrupt_while_the_manifest_is_written_keeps_the_objects(store_url: str, happens: bool) -> None:
    inner = open_store(store_url)

    def interrupt(call: Call) -> None:
        if call.verb == "put_new":
            raise KeyboardInterrupt

    store = HookedStore(inner, after=interrupt) if happens else HookedStore(inner, before=interrupt)
    with pytest.raises((OutcomeUnknown, KeyboardInterrupt)) as raised:
        seal(store)
    assert raised.type is OutcomeUnknown
    assert check_whole_or_absent(inner, OutcomeUnknown("")) == happens


def test_an_unreadable_store_after_a_failed_manifest_leaves_the_outcome_open(store_url: str) -> None:
    inner = open_store(store_url)
    is_down = False

    def down(call: Call) -> None:
        nonlocal is_down
        is_down |= call.verb == "put_new"
        if is_down:
            raise StoreUnavailable("down")

    outcome = attempt(HookedStore(inner, before=nothing, after=down), seal)
    assert isinstance(outcome, OutcomeUnknown)
    assert check_whole_or_absent(inner, outcome)


def test_a_manifest_that_another_writer_made_first_stays(store_url: str) -> None:
    inner = open_store(store_url)
    winner = {"other.bin": b"the other writer's"}

    def race(call: Call) -> None:
        if call.verb == "put_new":
            seal(inner, winner)

    with pytest.raises(VersionExists):
        seal(HookedStore(inner, before=race))
    assert opened(inner) == winner
    assert scrub(inner).stray == 0
    assert len(stored(inner)) == 2
    assert sweep(inner, grace_seconds=0) == ()


def test_a_version_that_exists_is_refused_before_anything_is_written(store_url: str) -> None:
    inner = open_store(store_url)
    seal(inner)
    writes = Fault(-1, StoreUnavailable(""))
    with pytest.raises(VersionExists, match=str(ATLAS_1)):
        seal(HookedStore(inner, before=writes))
    assert writes.count == 2  # the mark, and its removal
    assert opened(inner) == MODEL
