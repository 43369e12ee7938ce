"""Released: seal for a deployment's model, and open a version through the keep.

What comes with a release is used only when all of this holds:

1. The `key.released` entry is in the log, proven, and holds the very statement that was sent (`deployment`).
2. The answer is a statement signed by the answer key that the genesis names, for this deployment and era.
3. It is about that entry, this version and manifest, and our own fresh key, and it has not expired.
4. The key that is wrapped in it opens with our private half under exactly that binding.
5. The manifest in the store is the very one that the log has; only objects of that manifest are opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Unpack

from strongroom.acts import release, version_register
from strongroom.acts.table import act_named
from strongroom.client.deployment import Done, Logged
from strongroom.client.names import new_detail
from strongroom.client.opened import OpenVersion, opened
from strongroom.client.seal import SealedForDeployment, SealOptions, seal_for_deployment
from strongroom.client.session import Speaker
from strongroom.client.version import SealedVersion, fetch_deployment_manifest, open_released
from strongroom.directory.state import Directory, FilePath, Grant, Model, Version
from strongroom.objects import ObjectStore
from strongroom.sealing.keys import (
    DATA_KEY_BYTES,
    SEED_BYTES,
    DataKey,
    FileKeys,
    Identity,
    PublicKey,
    ReleasedKeys,
    unwrap_with,
)
from strongroom.statements.envelope import parse_envelope
from strongroom.statements.signing import verify_ed25519
from strongroom.statements.statement import KEEP, parse_statement
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.errors import NotAllowed
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import BadAnswer
from strongroom.terms.records import Bytes, Count, Digest, Instant, VersionId, parse_record

RELEASED = "released/1"
RELEASE_FORMAT = "strongroom/release/1"

_Key = Annotated[bytes, Bytes(DATA_KEY_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The body of the keep's answer to a release."""

    entry: Digest
    index: Count
    version: VersionId
    manifest: Digest
    recipient: Digest
    expires_at: Instant
    wrapped: Annotated[bytes, Bytes(most=8 << 20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    data_key: _Key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    manifest_key: _Key
    files: dict[FilePath, _Key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A version that the log has. `name` is `org/model@7`, or with the model's identifier where no name is proven."""

    name: str
    version: str
    number: int
    sealed: SealedForDeployment


def open_through_keep(
    speaker: Speaker,
    name: str,
    store: ObjectStore,
    *,
    files: Sequence[str] | None = None,
    grant: str | None = None,
    framework: str = "np",
    device: str | None = None,
    shown: str | None = None,
    threads: int | None = None,
) -> OpenVersion:
    """Open version `name` (`org/model@7`, or an identifier) on a live grant of this person or workload.

    `files` asks for the keys of those alone; `grant` chooses one grant. `shown` is the pattern that `open_version` has
    as `files`; `framework`, `device` and `threads` are as there.

    Raises:
        NotFound, BadName: no such version is proven. NotAllowed: no live grant.
        Denied, …: the keep refuses. BadAnswer, BadProof, BadSignature, WrongKey, …: the answer is not right.
        WrongManifest, ManifestTampered, ObjectMissing, …: the store does not hold what was sealed.
    """
    sealed = sealed_through_keep(speaker, name, store, files=files, grant=grant, threads=threads)
    return opened(sealed, framework=framework, device=device, files=shown)


def sealed_through_keep(
    speaker: Speaker,
    name: str,
    store: ObjectStore,
    *,
    files: Sequence[str] | None = None,
    grant: str | None = None,
    threads: int | None = None,
) -> SealedVersion:
    """Return a version with the keys that the keep released for it; see `open_through_keep`."""
    directory = speaker.deployment.sync()
    speaker.learn(directory.models)
    version = speaker.deployment.names.version(directory, name)
    chosen = find_grant(speaker, version, files=files, grant=grant)
    asked = tuple(sorted(set(files))) if files is not None else chosen.files
    keys = release_keys(speaker, version, chosen, asked)
    manifest = fetch_deployment_manifest(
        store, version.model, version.seal_id, deployment=directory.deployment, digest=version.manifest
    )
    return open_released(store, manifest, keys, threads=threads)


def find_grant(
    speaker: Speaker, version: Version, *, files: Sequence[str] | None = None, grant: str | None = None
) -> Grant:
    """Return the live grant of this speaker, on this device, for `version` and these files, that lasts longest.

    Raises:
        NotAllowed: there is none.
    """
    now = speaker.now()
    found = [
        one
        for one in speaker.directory.grants.values()
        if (one.subject, one.device, one.version) == (speaker.subject, speaker.device, version.version)
        and one.until > now
        and grant in {None, one.grant}
        and (one.files is None or files is None or set(files) <= set(one.files))
    ]
    if not found:
        called = speaker.deployment.called(version.version)
        raise NotAllowed(
            f"no live grant lets you open {called} on this device", hint="ask for one with `strongroom request`"
        )
    return max(found, key=lambda one: one.until)


def release_keys(speaker: Speaker, version: Version, grant: Grant, files: tuple[str, ...] | None) -> ReleasedKeys:
    """Return the keys of `version`, whole or of `files`, as the keep releases them; see `open_through_keep`."""
    recipient = Identity(speaker.random(SEED_BYTES))
    body = release.Release(
        version=version.version,
        manifest=version.manifest,
        grant=grant.grant,
        recipient=recipient.public_key().raw,
        files=files,
    )
    # 1
    done = speaker.say(act_named("release"), body)
    return _parse_keys(_unwrap(speaker.directory, done, version, recipient, now=speaker.now()), files)


def seal_through_keep(
    speaker: Speaker,
    paths: Sequence[Path],
    model: str,
    store: ObjectStore,
    *,
    notes: str = "",
    lineage: Iterable[str] = (),
    **options: Unpack[SealOptions],
) -> Registered:
    """Seal the files at `paths` to the public key of `model`, and register them as its next version.

    `model` and `lineage` are names or identifiers; `notes` are kept beside the log. The key comes from the verified log
    alone. If registering fails, what was sealed rests in the store and is no version; `register` may be tried again.

    Raises:
        NotFound, BadRequest: no such model is proven. Denied, Stale, …: the keep refuses.
        BadSource, NoSpace, …: as `seal_for_deployment`.
    """
    directory = speaker.deployment.sync()
    speaker.learn(directory.models)
    names = speaker.deployment.names
    found = names.model(directory, model)
    ancestors = [names.version(directory, one).version for one in lineage]
    sealed = seal_for_deployment(
        paths,
        deployment=directory.deployment,
        model_id=found.model,
        generation=found.generation,
        # TRUST: the directory is folded from leaves whose root the log signed. Any other key may be anybody's.
        to=PublicKey(found.public_key),
        store=store,
        **options,
    )
    return register(speaker, sealed, notes=notes, lineage=ancestors)


def register(
    speaker: Speaker, sealed: SealedForDeployment, *, notes: str = "", lineage: Iterable[str] = ()
) -> Registered:
    """Register what was sealed as the next version of its model. `lineage` are identifiers of versions."""
    why = new_detail(notes, speaker.random)
    body = version_register.VersionRegister(
        version=new_id("version", speaker.random),
        model=sealed.model,
        seal_id=sealed.seal_id,
        generation=sealed.generation,
        wrapped_key=sealed.wrapped_key,
        header=sealed.header,
        manifest=sealed.manifest,
        size_bytes=sealed.size_bytes,
        tensor_bytes=sealed.tensor_bytes,
        notes=why.digest,
        lineage=tuple(sorted(set(lineage))),
    )
    speaker.say(act_named("version.register"), body, details=[why])
    version = speaker.directory.versions[body.version]
    model: Model = speaker.directory.models[version.model]
    text = speaker.deployment.names.text_of(model.details)
    name = f"{text if text is not None else model.model}@{version.number}"
    return Registered(name=name, version=version.version, number=version.number, sealed=sealed)


def release_info(*, deployment: str, version: str, entry: str, recipient: str, expires_at: int) -> bytes:
    """Return HPKE's `info` of a release."""
    return canonical.encode(
        {
            "deployment": deployment,
            "entry": entry,
            "expires_at": expires_at,
            "format": RELEASE_FORMAT,
            "recipient": recipient,
            "version": version,
        }
    )


def _unwrap(directory: Directory, done: Done, version: Version, recipient: Identity, *, now: int) -> bytes:
    """Return what the keep wrapped to `recipient`, if its answer is what it should be."""
    logged: Logged = done.logged
    # 2
    envelope = parse_envelope(done.answer.get("envelope") if isinstance(done.answer, dict) else None)
    verify_ed25519(directory.keys.answer, envelope.message, envelope.signature(KEEP).sig)
    statement = parse_statement(envelope)
    said: tuple[Any, ...] = (statement.kind, statement.by, statement.deployment, statement.era)
    if said != (RELEASED, KEEP, directory.deployment, directory.era):
        raise BadAnswer("the keep signed something else than a release of this deployment")
    # 3
    body = parse_record(Released, statement.body)
    entry, ours = sha256(logged.leaf), recipient.public_key().digest()
    about = (body.entry, body.index, body.version, body.manifest, body.recipient)
    if about != (entry, logged.index, version.version, version.manifest, ours):
        raise BadAnswer("the keep released something else than what was asked for, or to somebody else")
    if body.expires_at <= now:
        raise BadAnswer(f"this release expired {now - body.expires_at} s ago")
    # 4
    info = release_info(
        deployment=directory.deployment,
        version=version.version,
        entry=entry,
        recipient=ours,
        expires_at=body.expires_at,
    )
    return unwrap_with(recipient, body.wrapped, info)


def _parse_keys(plain: bytes, files: tuple[str, ...] | None) -> ReleasedKeys:
    value: Json = canonical.parse(plain)
    if files is None:
        return DataKey(parse_record(_Whole, value).data_key)
    named = parse_record(_Named, value)
    if named.files.keys() != set(files):
        raise BadAnswer("the keep released other files than were asked for")
    return FileKeys(manifest=named.manifest_key, files=named.files)
