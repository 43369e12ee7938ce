"""`strongroom seal, open, ls, inspect, scrub`: versions in and out of a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here
from strongroom.cli.options import (
    MODEL,
    VERSION,
    PathText,
    identity_option,
    json_option,
    keep_store_option,
    manifest_option,
    store_option,
    threads_option,
    version_argument,
)
from strongroom.cli.output import bar, count, moment, note, show, show_error, size, table
from strongroom.objects import ObjectStore
from strongroom.sealing.keys import Identity
from strongroom.sealing.manifest import Manifest, SealedFile
from strongroom.terms.errors import ObjectTampered
from strongroom.terms.names import VersionName, parse_version

if TYPE_CHECKING:
    from strongroom.client.seal import SealOptions
    from strongroom.client.version import SealedVersion


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PathText(), metavar="PATH…")
@click.option(
    "--as",
    "name",
    required=True,
    type=MODEL,
    metavar="NAME",
    help="What to call it: `acme/atlas@1`; through the keep, the model: `acme/atlas`, which the log numbers.",
)
@click.option(
    "--to",
    "public_key",
    default=None,
    metavar="PUBLIC_KEY",
    help="Who may open it: a public key, or a file that holds one. Without it, whom the keep lets.",
)
@keep_store_option
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Only files that match; may be repeated. `*` also matches `/`.",
)
@click.option("--exclude", multiple=True, metavar="GLOB", help="No files that match; may be repeated.")
@click.option(
    "--sha256",
    "whole_file_digests",
    is_flag=True,
    help="Also keep the SHA-256 of each whole file (reads it twice).",
)
@click.option("--notes", default=None, metavar="TEXT", help="Through the keep: private notes, kept beside the log.")
@click.option(
    "--lineage", multiple=True, metavar="VERSION", help="Through the keep: what it was made from; may be repeated."
)
@threads_option
@json_option
def seal(
    paths: tuple[Path, ...],
    name: str,
    public_key: str | None,
    store: ObjectStore | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    whole_file_digests: bool,
    notes: str | None,
    lineage: tuple[str, ...],
    threads: int | None,
) -> None:
    """Seal files and folders as a new version.

    A folder gives all that it holds, a snapshot of a Hugging Face cache included. Prints the manifest's digest:
    keep it, `open --manifest` insists on it. Without `--to`, a deployment's model is sealed to, as the person who is
    logged in or the workload of this profile, and the log has the new version.
    """
    from strongroom.client.identity import read_public_key
    from strongroom.client.seal import SealOptions, seal_version

    with bar("sealing") as progress:
        options = SealOptions(
            include=include,
            exclude=exclude,
            whole_file_digests=whole_file_digests,
            threads=threads,
            on_start=progress.start,
            progress=progress.advance,
        )
        if public_key is None:
            _seal_through_keep(paths, name, store, notes or "", lineage, options)
            return
        if notes is not None or lineage:
            raise click.UsageError("`--notes` and `--lineage` go into the log of a deployment: leave `--to` out")
        name_it, key = parse_version(name), read_public_key(public_key)
        sealed = seal_version(paths, name=name_it, to=key, store=_own_store(store), **options)
    if sealed.left_out:
        note(f"left out: {count(len(sealed.left_out), 'file')}, `{sealed.left_out[0]}` the first")
    note(f"sealed {count(sealed.files, 'file')}, {size(sealed.size_bytes)}, as {sealed.name}. Manifest:")
    show(asdict(sealed) | {"name": str(sealed.name)}, [sealed.manifest])


@click.command("open")
@click.argument("name", type=VERSION, metavar="VERSION")
@identity_option(required=False)
@keep_store_option
@click.option(
    "--to",
    required=True,
    type=PathText(),
    metavar="DIR",
    help="A new or empty folder; with `--file`, any folder. From label 3 on, one in memory.",
)
@click.option("--file", "path", default=None, metavar="PATH", help="Only this file of the version.")
@click.option("--grant", default=None, metavar="GRANT", help="Through the keep: on this grant, if you have several.")
@manifest_option
@threads_option
@json_option
def open_(
    name: str,
    identity: Identity | None,
    store: ObjectStore | None,
    to: Path,
    path: str | None,
    grant: str | None,
    digest: str | None,
    threads: int | None,
) -> None:
    """Open a version onto disk, or from label 3 on into memory.

    Everything appears at once, or nothing. Never overwrites. Without `--identity`, through the keep: on a live grant,
    in your session or as the workload of this profile; the log says which manifest it is, and has the release.

    `--identity` opens only what was sealed to it outside any deployment. Without `--manifest` it then says `writer not
    verified`: whoever has the public key can make a version.
    """
    from strongroom.client.extract import extract_version
    from strongroom.client.version import open_sealed

    if identity is None:
        if digest is not None:
            raise click.UsageError("`--manifest` goes with `--identity`: through the keep, the log says which it is")
        sealed = _sealed_through_keep(name, store, path, grant, threads)
    else:
        if grant is not None:
            raise click.UsageError("`--grant` is the keep's: leave `--identity` out")
        sealed = open_sealed(_own_store(store), parse_version(name), identity, digest=digest, threads=threads)
    with bar("opening") as progress:
        made = extract_version(sealed, to, path=path, on_start=progress.start, progress=progress.advance)
    is_verified = identity is None or digest is not None
    if not is_verified:
        note(f"writer not verified: insist on this version with `--manifest {sealed.manifest.digest}`")
    note(f"opened {count(len(made), 'file')} of {name}:")
    result = {"name": name, "manifest": sealed.manifest.digest, "writer_verified": is_verified}
    show(result | {"files": [str(place) for place in made]}, [str(made[0] if path else to)])


@click.command()
@store_option
@json_option
def ls(store: ObjectStore) -> None:
    """List the versions of a store."""
    from strongroom.client.catalogue import describe_versions

    versions = list(describe_versions(store))
    rows = [("VERSION", "FILES", "SEALED SIZE", "SEALED AT", "MANIFEST")]
    for entry in versions:
        state = entry.manifest if entry.problem is None else f"unreadable: {entry.problem}"
        rows.append((str(entry.name), str(entry.objects), size(entry.size_bytes), moment(entry.modified_at), state))
    found = [asdict(entry) | {"name": str(entry.name)} for entry in versions]
    show({"versions": found}, table(rows) if versions else [f"no versions in {store.url}"])


@click.command()
@version_argument
@identity_option(required=False)
@store_option
@manifest_option
@json_option
def inspect(version: VersionName, identity: Identity | None, store: ObjectStore, digest: str | None) -> None:
    """Show what can be known of a version: without a key its objects and sizes, with one its files and tensors."""
    from strongroom.client.version import fetch_manifest
    from strongroom.sealing.manifest import open_manifest

    manifest = fetch_manifest(store, version, digest=digest)
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


@click.command()
@click.argument("names", nargs=-1, metavar="[VERSION…]")
@store_option
@manifest_option
@threads_option
@json_option
def scrub(names: tuple[str, ...], store: ObjectStore, digest: str | None, threads: int | None) -> None:
    """Check every stored byte of versions, or of the whole store, against their manifests. Needs no key.

    Names each damaged object and place. What it shows is rot and clumsy hands: against somebody who can write to the
    store, give `--manifest`, which pins the one version that is named.
    """
    from strongroom.client.scrub import scrub as scrub_store

    if digest is not None and len(names) != 1:
        raise click.UsageError("`--manifest` goes with exactly one version")
    chosen = [parse_version(name) for name in names] or None
    with bar("scrubbing") as progress:
        report = scrub_store(
            store, chosen, digest=digest, threads=threads, on_start=progress.start, progress=progress.advance
        )
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
        show(asdict(report), [f"{summary}: all as it was sealed" if report.versions else f"no versions in {store.url}"])
        return
    error = ObjectTampered(
        f"{summary}: {count(len(report.damage), 'damaged place')}", hint="restore what is named from a backup"
    )
    show_error(error, result=asdict(report), lines=lines)
    click.get_current_context().exit(error.exit_code)


def _own_store(store: ObjectStore | None) -> ObjectStore:
    """Return the store that was named, outside any deployment."""
    if store is None:
        raise click.UsageError("outside a deployment, name the store: `--store`")
    return store


def _seal_through_keep(
    paths: tuple[Path, ...],
    model: str,
    store: ObjectStore | None,
    notes: str,
    lineage: tuple[str, ...],
    options: SealOptions,
) -> None:
    from strongroom.client.released import seal_through_keep
    from strongroom.client.transfer.stores import store_to_write

    speaker = here.speaker()
    speaker.learn(speaker.directory.models)
    to = store_to_write(speaker, model, store)
    made = seal_through_keep(speaker, paths, model, to, notes=notes, lineage=lineage, **options)
    sealed = made.sealed
    if sealed.left_out:
        note(f"left out: {count(len(sealed.left_out), 'file')}, `{sealed.left_out[0]}` the first")
    note(f"sealed {count(sealed.files, 'file')}, {size(sealed.size_bytes)}, as {made.name} ({made.version}). Manifest:")
    known = {"name": made.name, "version": made.version, "number": made.number, "manifest": sealed.manifest}
    known |= {"seal_id": sealed.seal_id, "files": sealed.files, "size_bytes": sealed.size_bytes}
    show(known | {"left_out": sealed.left_out}, [sealed.manifest])


def _sealed_through_keep(
    name: str, store: ObjectStore | None, path: str | None, grant: str | None, threads: int | None
) -> SealedVersion:
    from strongroom.client.transfer.stores import open_sealed_version

    files = None if path is None else [path]
    return open_sealed_version(here.speaker(), name, store, files=files, grant=grant, threads=threads)


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


commands = (seal, open_, ls, inspect, scrub)
