"""Listing versions: without a key, in order, and whatever else lies in the store."""

from __future__ import annotations

from strongroom.client.catalogue import describe_versions, list_versions
from strongroom.objects import open_store
from strongroom.terms.names import VersionName, parse_version
from tests.attacks.versions import ATLAS_1, MODEL, OWNER, overwrite, seal, stored, versions


def test_versions_are_listed_in_the_order_of_names_and_numbers(store_url: str) -> None:
    store = open_store(store_url)
    names = ["acme/atlas@1", "acme/atlas@2", "acme/atlas@10", "acme/atlas-2@1", "zoo/a@7", "acme.eu/b@3"]
    for name in names:
        store.put("m/" + name.replace("@", "/"), b"")
    expected = sorted(map(parse_version, names))
    assert [name for name, _ in list_versions(store)] == expected
    assert [str(name) for name in expected][:3] == ["acme.eu/b@3", "acme/atlas@1", "acme/atlas@2"]


def test_what_is_named_otherwise_is_no_version(store_url: str) -> None:
    store = open_store(store_url)
    for name in (
        "acme/atlas/01",
        "acme/atlas/0",
        "acme/atlas/x",
        "acme/1",
        "a/b/c/1",
        "Acme/atlas/1",
        "acme/atlas/1.bak",
    ):
        store.put(f"m/{name}", b"")
    assert versions(store) == []


def test_a_version_is_described_without_a_key(store_url: str) -> None:
    store = open_store(store_url)
    sealed = seal(store)
    (entry,) = describe_versions(store)
    sizes = [len(content) for name, content in stored(store).items() if name.startswith("o/")]
    assert (entry.name, entry.manifest, entry.problem) == (ATLAS_1, sealed.manifest, None)
    assert (entry.objects, entry.size_bytes) == (len(MODEL), sum(sizes))
    assert entry.recipient == OWNER.public_key().digest()


def test_an_unreadable_manifest_is_listed_as_such_among_the_others(store_url: str) -> None:
    store = open_store(store_url)
    seal(store)
    other = VersionName(model="acme/atlas", number=3)
    seal(store, name=other)
    content = stored(store)["m/acme/atlas/1"]
    overwrite(store, "m/acme/atlas/1", content[:-1])
    store.put("m/acme/atlas/2", stored(store)["m/acme/atlas/3"])
    entries = list(describe_versions(store))
    names = [("acme/atlas@1", False), ("acme/atlas@2", False), ("acme/atlas@3", True)]
    assert [(str(entry.name), entry.problem is None) for entry in entries] == names
    assert entries[0].problem is not None
    assert "not JSON" in entries[0].problem
    assert entries[1].problem == "what is stored as version acme/atlas@2 is the manifest of acme/atlas@3"
    assert entries[0].size_bytes == 0
