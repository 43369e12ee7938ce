"""Released: seal for a deployment's model, and open a version through the keep.

What comes with a release is used only when all of this holds:

1. The `key.released` entry is in the log, proven, and holds the very statement that was sent (`deployment`).
2. The answer is a statement signed by the answer key that the genesis names, for this deployment and era.
3. It is about that entry, this version and manifest, and our own fresh key, and it has not expired.
4. The key that is wrapped in it opens with our private half under exactly that binding.
5. The manifest in the store is the very one that the log has; only objects of that manifest are opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Unpack

from strongroom.acts import release as acts_release
from strongroom.acts import version_register
from strongroom.acts.table import act_named
from strongroom.client.answers import Due, Release, release_info
from strongroom.client.joining import connect
from strongroom.client.lease import Lease
from strongroom.client.mark import Clock, boot_seconds
from strongroom.client.names import new_detail
from strongroom.client.opened import OpenVersion, opened
from strongroom.client.seal import SealedForDeployment, SealOptions, seal_for_deployment
from strongroom.client.session import Program, Session, Speaker, resume
from strongroom.client.version import SealedVersion, fetch_deployment_manifest, open_released
from strongroom.directory.state import FilePath, Grant, Model, Version
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
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.errors import NotAllowed, NotFound
from strongroom.terms.ids import new_id
from strongroom.terms.outer_errors import BadAnswer
from strongroom.terms.records import Bytes, parse_record

ANEW_SECONDS = 30.0
"""For all that a new release takes, when a lease is at its end."""

_Key = Annotated[bytes, Bytes(DATA_KEY_BYTES)]


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
    sync: bool = True,
    again: Callable[[], Speaker] | None = None,
    monotonic: Clock = boot_seconds,
) -> SealedVersion:
    """Return a version with the keys that the keep released for it; see `open_through_keep`.

    Without `sync` what is known here has to do, and one question is asked: the keep decides on the newest state anyway.
    `again` gives somebody who speaks for the same subject when a lease has to be asked for anew, in any thread.
    """
    directory = speaker.deployment.sync() if sync else speaker.directory
    if sync:
        speaker.learn([*directory.models, *directory.aliases])
    version = speaker.deployment.names.version(directory, name)
    chosen = find_grant(speaker, version, files=files, grant=grant)
    asked = tuple(sorted(set(files))) if files is not None else chosen.files
    release, keys = release_keys(speaker, version, chosen, asked, monotonic=monotonic)
    manifest = fetch_deployment_manifest(
        store, version.model, version.seal_id, deployment=directory.deployment, digest=version.manifest
    )

    def anew() -> Release:
        fresh = again() if again is not None else speak_again(speaker)
        # What is open goes on meanwhile, perhaps past its end: who answers page by page must not stretch that.
        fresh.deployment = fresh.deployment.within(ANEW_SECONDS)
        fresh.deployment.sync()
        chosen = find_grant(fresh, version, files=asked)
        return release_keys(fresh, version, chosen, asked, monotonic=monotonic)[0]

    lease = Lease(release, anew, called=speaker.deployment.called(version.version), monotonic=monotonic)
    return open_released(store, manifest, keys, threads=threads, lease=lease, label=directory.label_of(version))


def speak_again(speaker: Speaker) -> Speaker:
    """Return somebody who speaks for the same subject, in the session that the profile has now, in any thread.

    Raises:
        UnknownSigner: nobody is logged in.
    """
    deployment = connect(speaker.profile, clock=speaker.clock)
    if isinstance(speaker, Session):
        return resume(speaker.profile, deployment, clock=speaker.clock, random=speaker.random)
    return Program(profile=speaker.profile, deployment=deployment, clock=speaker.clock, random=speaker.random)


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


def release_keys(
    speaker: Speaker,
    version: Version,
    grant: Grant,
    files: tuple[str, ...] | None,
    *,
    monotonic: Clock = boot_seconds,
) -> tuple[Release, ReleasedKeys]:
    """Return the keys of `version`, whole or of `files`, and their release, as its lease takes it.

    Errors as for `open_through_keep`; `monotonic` is the clock that the lease goes by.
    """
    act, recipient = act_named("release"), Identity(speaker.random(SEED_BYTES))
    body = acts_release.Release(
        version=version.version,
        manifest=version.manifest,
        grant=grant.grant,
        recipient=recipient.public_key().raw,
        files=files,
    )
    # It stays valid for as long as it may be renewed.
    envelope = speaker.sign(act, speaker.statement(act, body, seconds=act.longest_seconds))
    sent = monotonic()
    # 1
    done = speaker.deployment.act(act, envelope, alone=True)
    directory, connection = speaker.directory, speaker.deployment.connection
    due = Due(
        deployment=directory.deployment,
        era=directory.era,
        answer_key=directory.keys.answer,
        entry=sha256(done.logged.leaf),
        index=done.logged.index,
        version=version.version,
        manifest=version.manifest,
        recipient=recipient.public_key().digest(),
    )
    # 2, 3
    verified = due.verify(done.answer)
    if (late := speaker.now() - verified.body.expires_at) >= 0:
        raise BadAnswer(f"this release expired {late} s ago")
    # 4
    info = release_info(
        deployment=due.deployment,
        version=due.version,
        entry=due.entry,
        recipient=due.recipient,
        expires_at=verified.body.expires_at,
    )
    keys = _parse_keys(unwrap_with(recipient, verified.body.wrapped, info), files)

    def ask(seconds: float) -> Json:
        return connection.within(seconds).ask("act", statement=envelope.json(), details=[]).ok.get("answer")

    return Release(due=due, at=verified.at, expires_at=verified.body.expires_at, sent=sent, ask=ask), keys


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
    sealed, ancestors = seal_to_model(speaker, paths, model, store, lineage=lineage, **options)
    return register(speaker, sealed, notes=notes, lineage=ancestors)


def seal_to_model(
    speaker: Speaker,
    paths: Sequence[Path],
    model: str,
    store: ObjectStore,
    *,
    lineage: Iterable[str] = (),
    **options: Unpack[SealOptions],
) -> tuple[SealedForDeployment, list[str]]:
    """Seal as `seal_through_keep`, and do not register it yet; return it with the identifiers of its lineage."""
    directory = speaker.deployment.sync()
    speaker.learn([*directory.models, *directory.aliases])
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
    return sealed, ancestors


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
    return registered(speaker, sealed)


def registered(speaker: Speaker, sealed: SealedForDeployment) -> Registered:
    """Return the version that the log, as far as it is known here, has for what was sealed.

    Raises:
        NotFound: none.
    """
    if (found := speaker.directory.seals.get(sealed.seal_id)) is None:
        raise NotFound(f"seal `{sealed.seal_id}` is no version", hint="register it")
    version = speaker.directory.versions[found]
    model: Model = speaker.directory.models[version.model]
    text = speaker.deployment.names.text_of(model.details)
    name = f"{text if text is not None else model.model}@{version.number}"
    return Registered(name=name, version=version.version, number=version.number, sealed=sealed)


def _parse_keys(plain: bytes, files: tuple[str, ...] | None) -> ReleasedKeys:
    value: Json = canonical.parse(plain)
    if files is None:
        return DataKey(parse_record(_Whole, value).data_key)
    named = parse_record(_Named, value)
    if named.files.keys() != set(files):
        raise BadAnswer("the keep released other files than were asked for")
    return FileKeys(manifest=named.manifest_key, files=named.files)
