"""Small sealed versions, for tests that attack, break or watch them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from strongroom.client.catalogue import list_versions
from strongroom.client.extract import extract_version
from strongroom.client.seal import Sealed, SealedForDeployment, seal_for_deployment, seal_version
from strongroom.client.version import fetch_deployment_manifest, open_sealed
from strongroom.objects import ObjectStore
from strongroom.objects.local import LocalStore
from strongroom.sealing.floe import Random
from strongroom.sealing.keys import Binding, Identity, PublicKey
from strongroom.sealing.manifest import Manifest
from strongroom.sealing.places import Name
from strongroom.terms.names import VersionName

OWNER = Identity(bytes(range(32)))
STRANGER = Identity(bytes(range(32, 64)))
ATLAS_1 = VersionName(model="acme/atlas", number=1)
ATLAS_2 = VersionName(model="acme/atlas", number=2)
DEPLOYMENT, OTHER_DEPLOYMENT = "sr1:" + "a1" * 32, "sr1:" + "b2" * 32
MODEL_ID, OTHER_MODEL_ID = "model-" + "c3" * 16, "model-" + "d4" * 16

Files = Mapping[str, bytes]

# No two bytes runs are alike, and none is found in a ciphertext by chance.
MODEL: Files = {
    "config.json": b'{"hidden_size": 384, "note": "the quick brown fox jumps over the lazy dog"}',
    "deep/er/empty.bin": b"",
    "weights.bin": b"".join(b"weight %06d;" % number for number in range(1_000)),
}


def write_model(folder: Path, files: Files = MODEL) -> Path:
    """Write `files` below `folder` and return it."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def write_key(place: Path, identity: Identity) -> Path:
    """Write an identity file and return its place."""
    place.touch(mode=0o600)
    place.write_text(identity.encode() + "\n")
    return place


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder`, hidden ones included."""
    return {
        place.relative_to(folder).as_posix(): place.read_bytes()
        for place in sorted(folder.rglob("*"))
        if place.is_file()
    }


def seal(
    store: ObjectStore,
    files: Files = MODEL,
    *,
    name: VersionName = ATLAS_1,
    to: PublicKey | None = None,
    segment_bytes: int = 4096,
    threads: int = 1,
    random: Random = os.urandom,
) -> Sealed:
    """Seal `files` to the owner, in small segments."""
    with tempfile.TemporaryDirectory() as scratch:
        return seal_version(
            [write_model(Path(scratch, "model"), files)],
            name=name,
            to=to or OWNER.public_key(),
            store=store,
            segment_bytes=segment_bytes,
            threads=threads,
            random=random,
        )


def seal_deployed(
    store: ObjectStore, files: Files = MODEL, *, deployment: str = DEPLOYMENT, model_id: str = MODEL_ID
) -> SealedForDeployment:
    """Seal `files` for a model of a deployment, in small segments, to the third key pair of that model."""
    with tempfile.TemporaryDirectory() as scratch:
        return seal_for_deployment(
            [write_model(Path(scratch, "model"), files)],
            deployment=deployment,
            model_id=model_id,
            generation=3,
            to=OWNER.public_key(),
            store=store,
            segment_bytes=4096,
            threads=1,
        )


def data_key(sealed: SealedForDeployment) -> bytes:
    """Return the data key as a keep has it, who knows from the log what was registered."""
    binding = Binding(
        deployment=sealed.deployment, model=sealed.model, generation=sealed.generation, seal_id=sealed.seal_id
    )
    return OWNER.unwrap(sealed.wrapped_key, binding)


def fetched(store: ObjectStore, sealed: SealedForDeployment) -> Manifest:
    """Return the manifest that was registered."""
    return fetch_deployment_manifest(
        store, sealed.model, sealed.seal_id, deployment=sealed.deployment, digest=sealed.manifest
    )


def opened(
    store: ObjectStore,
    *,
    name: VersionName = ATLAS_1,
    identity: Identity = OWNER,
    digest: str | None = None,
    threads: int = 1,
) -> dict[str, bytes]:
    """Open the version onto disk and return its files; whatever happens, nothing hidden is left beside them."""
    with tempfile.TemporaryDirectory() as scratch:
        to = Path(scratch, "opened")
        try:
            version = open_sealed(store, name, identity, digest=digest, threads=threads)
            extract_version(version, to)
        except BaseException:
            assert list(Path(scratch).iterdir()) == []
            raise
        assert list(Path(scratch).iterdir()) == [to]
        return read_tree(to)


def versions(store: ObjectStore) -> list[Name]:
    """Return what the store lists."""
    return [name for name, _ in list_versions(store)]


def stored(store: ObjectStore) -> dict[str, bytes]:
    """Return everything that the store holds, by name."""
    return {
        info.name: store.read(info.name, most_bytes=1 << 30)
        for prefix in ("m/", "o/", "w/")
        for info in store.list(prefix)
    }


def objects(store: ObjectStore, sealed: Sealed | SealedForDeployment) -> list[str]:
    """Return the names of a version's objects."""
    return [info.name for info in store.list(f"o/{sealed.seal_id}/")]


def overwrite(store: ObjectStore, name: str, content: bytes) -> None:
    """Put `content` in the place of an object, as somebody would who can write to the store: without care."""
    if isinstance(store, LocalStore):
        (store.root / name).write_bytes(content)
    else:
        store.put(name, content)


def remove(store: ObjectStore, *names: str) -> None:
    """Remove these objects, as somebody would who can write to the store."""
    wanted = set(names)
    infos = [info for prefix in ("m/", "o/", "w/") for info in store.list(prefix) if info.name in wanted]
    assert len(infos) == len(wanted)
    store.delete(infos)
