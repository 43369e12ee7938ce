"""`strongroom seal, open, ls, inspect, scrub`: versions in and out of a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from strongroom.cli.options import (
    PathText,
    identity_option,
    json_option,
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


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PathText(), metavar="PATH…")
@click.option("--as", "name", required=True, metavar="VERSION", help="What to call it: `acme/atlas@1`.")
@click.option(
    "--to",
    "public_key",
    required=True,
    metavar="PUBLIC_KEY",
    help="Who may open it: a public key, or a file that holds one.",
)
@store_option
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
@threads_option
@json_option
def seal(
    paths: tuple[Path, ...],
    name: str,
    public_key: str,
    store: ObjectStore,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    whole_file_digests: bool,
    threads: int | None,
) -> None:
    """Seal files and folders as a new version.

    A folder gives all that it holds, a snapshot of a Hugging Face cache included. Prints the manifest's digest:
    keep it, `open --manifest` insists on it.
    """
    from strongroom.client.identity import read_public_key
    from strongroom.client.seal import seal_version

    with bar("sealing") as progress:
        sealed = seal_version(
            paths,
            name=parse_version(name),
            to=read_public_key(public_key),
            store=store,
            include=include,
            exclude=exclude,
            whole_file_digests=whole_file_digests,
            threads=threads,
            on_start=progress.start,
            progress=progress.advance,
        )
    if sealed.left_out:
        note(f"left out: {count(len(sealed.left_out), 'file')}, `{sealed.left_out[0]}` the first")
    note(f"sealed {count(sealed.files, 'file')}, {size(sealed.size_bytes)}, as {sealed.name}. Manifest:")
    show(asdict(sealed) | {"name": str(sealed.name)}, [sealed.manifest])


@click.command("open")
@version_argument
@identity_option(required=True)
@store_option
@click.option(
    "--to",
    required=True,
    type=PathText(),
    metavar="DIR",
    help="A new or empty folder; with `--file`, any folder.",
)
@click.option("--file", "path", default=None, metavar="PATH", help="Only this file of the version.")
@manifest_option
@threads_option
@json_option
def open_(
    version: VersionName,
    identity: Identity,
    store: ObjectStore,
    to: Path,
    path: str | None,
    digest: str | None,
    threads: int | None,
) -> None:
    """Open a version onto disk.

    Everything appears at once, or nothing. Never overwrites. Without `--manifest` it says `writer not verified`:
    whoever has the public key can make a version.
    """
    from strongroom.client.extract import extract_version
    from strongroom.client.version import open_sealed

    sealed = open_sealed(store, version, identity, digest=digest, threads=threads)
    with bar("opening") as progress:
        made = extract_version(sealed, to, path=path, on_start=progress.start, progress=progress.advance)
    if digest is None:
        note(f"writer not verified: insist on this version with `--manifest {sealed.manifest.digest}`")
    note(f"opened {count(len(made), 'file')} of {version}:")
    result = {"name": str(version), "manifest": sealed.manifest.digest, "writer_verified": digest is not None}
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
