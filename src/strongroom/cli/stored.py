"""`strongroom ls, inspect, scrub`: which versions there are, what can be known of one, whether its bytes are whole.

Of a store that is named, or, without one, of the deployment: the verified log says which versions there are, and a
gateway gives the manifest and the bytes of those that were released to whoever asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here
from strongroom.cli.options import (
    VERSION,
    identity_option,
    json_option,
    listed_store_option,
    manifest_option,
    threads_option,
)
from strongroom.cli.output import bar, count, moment, note, show, show_error, size, table
from strongroom.objects import ObjectStore
from strongroom.sealing.keys import Identity
from strongroom.sealing.manifest import Manifest, SealedFile
from strongroom.terms.errors import (
    BadRequest,
    Malformed,
    NotAllowed,
    NotFound,
    ObjectTampered,
    Refused,
    Tampered,
    Unavailable,
)
from strongroom.terms.names import parse_version
from strongroom.terms.outer_errors import BadName

if TYPE_CHECKING:
    from strongroom.cli.here import Reader
    from strongroom.client.scrub import ScrubReport
    from strongroom.directory.state import Version
    from strongroom.sealing.places import Name

Kept = tuple[ObjectStore, "Name | None", str | None]
"""Where a version is: the store, its name there (none: all that it holds), and the digest that pins its manifest."""


@click.command()
@listed_store_option
@json_option
def ls(store: ObjectStore | None) -> None:
    """List the versions of your deployment, as its verified log has them, and who may open them now; or of a store."""
    if store is None:
        _list_deployment()
        return
    from strongroom.client.catalogue import describe_versions

    versions = list(describe_versions(store))
    rows = [("VERSION", "FILES", "SEALED SIZE", "SEALED AT", "MANIFEST")]
    for entry in versions:
        state = entry.manifest if entry.problem is None else f"unreadable: {entry.problem}"
        rows.append((str(entry.name), str(entry.objects), size(entry.size_bytes), moment(entry.modified_at), state))
    found = [asdict(entry) | {"name": str(entry.name)} for entry in versions]
    show({"versions": found}, table(rows) if versions else [f"no versions in {store.url}"])


@click.command()
@click.argument("name", type=VERSION, metavar="VERSION")
@identity_option(required=False)
@listed_store_option
@manifest_option
@json_option
def inspect(name: str, identity: Identity | None, store: ObjectStore | None, digest: str | None) -> None:
    """Show what can be known of a version: of your deployment's, what the log says, and what its manifest shows to all.

    With `--store`, of that store: its objects and sizes, and with a key its files and tensors.
    """
    if store is not None and _is_alone(store, name):
        _inspect_alone(store, name, identity, digest)
        return
    if identity is not None or digest is not None:
        raise click.UsageError("`--identity` and `--manifest` are for versions outside a deployment, with `--store`")
    reader, version = _registered(name)
    known = _described(reader, version)
    lines = [f"{key.replace('_', ' '):<12} {_said(value)}" for key, value in known.items() if value not in ([], None)]
    try:
        objects = _public(_manifest(reader, version, store))["objects"]
    except (Malformed, Refused, Unavailable) as error:
        note(f"its objects are not shown: {error.message}")
        objects = None
    else:
        lines.append(f"{'objects':<12} {len(objects)}, with the manifest that the log names")
    show(known | {"objects": objects}, lines)


@click.command()
@click.argument("names", nargs=-1, metavar="[VERSION…]")
@listed_store_option
@manifest_option
@threads_option
@json_option
def scrub(names: tuple[str, ...], store: ObjectStore | None, digest: str | None, threads: int | None) -> None:
    """Check every stored byte of versions, or of the whole store, against their manifests. Needs no key.

    Names each damaged object and place. What it shows is rot and clumsy hands: against somebody who can write to the
    store, give `--manifest`, which pins the one version that is named. Of a deployment's versions, the log pins each;
    without `--store`, a gateway gives the bytes of those that were released to you.
    """
    from strongroom.client.scrub import scrub as scrub_store

    if digest is not None and len(names) != 1:
        raise click.UsageError("`--manifest` goes with exactly one version")
    reports = []
    for where, which, pinned in _kept_as(names, store, digest):
        chosen = None if which is None else [which]
        with bar("scrubbing") as progress, _what_a_release_takes():
            report = scrub_store(
                where, chosen, digest=pinned, threads=threads, on_start=progress.start, progress=progress.advance
            )
        reports.append(report)
    _show_report(_together(reports), "the deployment" if store is None else store.url)


# --- of a deployment ---------------------------------------------------------------------------


def _list_deployment() -> None:
    reader = here.reader()
    directory = reader.directory
    versions = list(directory.versions.values())
    known = [_described(reader, version) for version in versions]
    rows = [("VERSION", "LABEL", "SEALED SIZE", "ALSO CALLED", "MAY BE OPENED NOW BY")]
    for version, one in zip(versions, known, strict=True):
        name = one["name"] or reader.called(version.version)
        also, may = ", ".join(one["aliases"]), ", ".join(one["may_open"])
        rows.append((name, str(one["label"]), size(version.size_bytes), also, may))
    found = {"deployment": directory.deployment, "versions": known}
    show(found, table(rows) if known else ["no versions in the log"])


def _registered(name: str) -> tuple[Reader, Version]:
    """Return the version that `name` says, as the log has it; errors as for `find_thing`."""
    from strongroom.cli.things import find_thing

    reader = here.reader()
    return reader, reader.directory.versions[_checked(reader, find_thing(reader, name, ("version",)))]


def _checked(reader: Reader, identifier: str) -> str:
    if identifier not in reader.directory.versions:
        raise NotFound(f"no version `{identifier}`", hint="`strongroom ls` lists them")
    return identifier


def _described(reader: Reader, version: Version) -> dict[str, Any]:
    """Return what the log says of a version. Names are there where they are proven."""
    from strongroom.cli.things import name_of

    directory = reader.directory
    aliases = [one.alias for one in directory.aliases.values() if one.version == version.version]
    grants = [one for one in directory.grants.values() if one.version == version.version and one.until >= directory.at]
    reader.learn([version.version, version.by, *aliases, *(one.subject for one in grants)], [version.notes])
    return {
        "version": version.version,
        "name": name_of(reader.deployment, version.version),
        "model": version.model,
        "number": version.number,
        "label": directory.label_of(version),
        "size_bytes": version.size_bytes,
        "tensor_bytes": version.tensor_bytes,
        "manifest": version.manifest,
        "seal_id": version.seal_id,
        "by": reader.called(version.by),
        "notes": reader.deployment.names.text_of(version.notes),
        "lineage": list(version.lineage),
        "aliases": [name_of(reader.deployment, one) or one for one in aliases],
        "may_open": [f"{reader.called(one.subject)} until {moment(one.until)}" for one in grants],
    }


def _manifest(reader: Reader, version: Version, store: ObjectStore | None) -> Manifest:
    """Return the manifest that the log names, from `store` or through the gateway."""
    from strongroom.client.version import fetch_deployment_manifest

    return fetch_deployment_manifest(
        _store_of(reader, store),
        version.model,
        version.seal_id,
        deployment=reader.directory.deployment,
        digest=version.manifest,
    )


def _store_of(reader: Reader, store: ObjectStore | None) -> ObjectStore:
    from strongroom.client.session import Program
    from strongroom.client.transfer.stores import store_to_read

    return store_to_read(reader.speaker or Program(profile=reader.profile, deployment=reader.deployment), store)


# --- of a store --------------------------------------------------------------------------------


def _is_alone(store: ObjectStore, name: str) -> bool:
    """Tell whether `name` is a version of the store that no deployment has; where nobody is in one, it always is."""
    from strongroom.client.version import fetch_manifest

    try:
        fetch_manifest(store, parse_version(name))
    except (NotFound, BadName):
        return not here.is_joined()
    except (Malformed, Tampered):
        pass
    return True


def _inspect_alone(store: ObjectStore, name: str, identity: Identity | None, digest: str | None) -> None:
    from strongroom.client.version import fetch_manifest
    from strongroom.sealing.manifest import open_manifest

    manifest = fetch_manifest(store, parse_version(name), digest=digest)
    known = _public(manifest)
    lines = [f"{key.replace('_', ' '):<12} {value}" for key, value in known.items() if not isinstance(value, list)]
    if identity is None:
        note("files and tensors are sealed: give an `--identity` to see them")
    else:
        files = open_manifest(manifest, identity).files
        known["files"] = [_file(file) for file in files]
        if digest is None:
            note(f"writer not verified: insist on this version with `--manifest {manifest.digest}`")
        lines += ["", *table([("FILE", "SIZE", "TENSORS"), *[_file_row(file) for file in files]])]
        for file in files:
            lines += _tensor_lines(file)
    show(known, lines)


def _kept_as(names: Iterable[str], store: ObjectStore | None, digest: str | None) -> Iterator[Kept]:
    """Yield where the versions are that are to be checked."""
    if not names and store is None:
        raise BadRequest(
            "through a gateway, versions are checked one by one",
            hint="name those that were released to you, which `strongroom copies --live` lists; or all: `--store`",
        )
    if not names and store is not None:
        yield store, None, None
    for name in names:
        yield _kept(name, store, digest)


def _kept(name: str, store: ObjectStore | None, digest: str | None) -> Kept:
    from strongroom.sealing.places import SealName

    if store is not None and _is_alone(store, name):
        return store, parse_version(name), digest
    if digest is not None:
        raise click.UsageError("`--manifest` is for a version outside a deployment: the log pins those in it")
    reader, version = _registered(name)
    return _store_of(reader, store), SealName(model=version.model, seal_id=version.seal_id), version.manifest


@contextmanager
def _what_a_release_takes() -> Iterator[None]:
    try:
        yield
    except NotAllowed as error:
        raise NotAllowed(
            error.message,
            hint="a gateway gives ciphertext to who has a live release: `strongroom open` it first; or `--store`",
        ) from error


def _together(reports: Iterable[ScrubReport]) -> ScrubReport:
    """Return several reports as one."""
    from strongroom.client.scrub import ScrubReport

    found = list(reports)
    return ScrubReport(
        versions=sum(one.versions for one in found),
        objects=sum(one.objects for one in found),
        size_bytes=sum(one.size_bytes for one in found),
        damage=tuple(damaged for one in found for damaged in one.damage),
        stray=sum(one.stray for one in found),
    )


def _show_report(report: ScrubReport, where: str) -> None:
    lines = [
        f"damaged: {found.version}: `{found.object}` at byte {found.offset}, {found.length} bytes: {found.what}"
        for found in report.damage
    ]
    if report.stray:
        note(f"{count(report.stray, 'object')} of no version: see `strongroom store sweep`")
    summary = (
        f"checked {count(report.versions, 'version')}, {count(report.objects, 'object')}, {size(report.size_bytes)}"
    )
    if not report.damage:
        show(asdict(report), [f"{summary}: all as it was sealed" if report.versions else f"no versions in {where}"])
        return
    error = ObjectTampered(
        f"{summary}: {count(len(report.damage), 'damaged place')}", hint="restore what is named from a backup"
    )
    show_error(error, result=asdict(report), lines=lines)
    click.get_current_context().exit(error.exit_code)


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _public(manifest: Manifest) -> dict[str, Any]:
    public = manifest.public
    return {
        "version": str(public.name),
        "manifest": manifest.digest,
        "seal_id": public.seal_id,
        "deployment": public.deployment,
        "recipient": public.recipient,
        "sealed_size": sum(stored.size_bytes for stored in public.objects),
        "objects": [
            {"name": public.object_name(number), "size_bytes": stored.size_bytes}
            for number, stored in enumerate(public.objects)
        ],
    }


def _file(file: SealedFile) -> dict[str, Any]:
    known: dict[str, Any] = {"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256}
    if file.tensors is not None:
        known["metadata"] = dict(file.tensors.metadata)
        known["tensors"] = [
            {
                "name": tensor.name,
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
                "size_bytes": tensor.size_bytes,
            }
            for tensor in file.tensors.tensors.values()
        ]
    return known


def _file_row(file: SealedFile) -> tuple[str, str, str]:
    if file.tensors is None:
        return file.path, size(file.size_bytes), ""
    dtypes = Counter(tensor.dtype for tensor in file.tensors.tensors.values())
    return file.path, size(file.size_bytes), ", ".join(f"{number} {dtype}" for dtype, number in dtypes.items())


def _tensor_lines(file: SealedFile) -> list[str]:
    if file.tensors is None or not file.tensors.tensors:
        return []
    rows = [
        (tensor.name, tensor.dtype, str(list(tensor.shape)), size(tensor.size_bytes))
        for tensor in file.tensors.tensors.values()
    ]
    return ["", *table([(f"TENSOR OF {file.path}", "TYPE", "SHAPE", "SIZE"), *rows])]


commands = (ls, inspect, scrub)
