"""`strongroom seal` and `open`: versions into a store, and out of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

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
    threads_option,
)
from strongroom.cli.output import bar, count, note, show, size
from strongroom.objects import ObjectStore
from strongroom.sealing.keys import Identity
from strongroom.terms.errors import NotFound
from strongroom.terms.names import parse_version

if TYPE_CHECKING:
    from strongroom.client.seal import SealOptions
    from strongroom.client.session import Speaker
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
    _check_enrolled(speaker, model)
    to = store_to_write(speaker, model, store)
    made = seal_through_keep(speaker, paths, model, to, notes=notes, lineage=lineage, **options)
    sealed = made.sealed
    if sealed.left_out:
        note(f"left out: {count(len(sealed.left_out), 'file')}, `{sealed.left_out[0]}` the first")
    note(f"sealed {count(sealed.files, 'file')}, {size(sealed.size_bytes)}, as {made.name} ({made.version}). Manifest:")
    known = {"name": made.name, "version": made.version, "number": made.number, "manifest": sealed.manifest}
    known |= {"seal_id": sealed.seal_id, "files": sealed.files, "size_bytes": sealed.size_bytes}
    show(known | {"left_out": sealed.left_out}, [sealed.manifest])


def _check_enrolled(speaker: Speaker, model: str) -> None:
    """Refuse what is no model's name, with what to do about it."""
    try:
        speaker.deployment.names.model(speaker.directory, model)
    except NotFound as error:
        plain = model.partition("@")[0]
        hint = f"`strongroom show` lists the models; a new one: `strongroom propose model.enrol --name {plain} …`"
        if plain != model:
            hint = f"name the model alone, `--as {plain}`: the log numbers its versions"
        raise NotFound(error.message, hint=hint) from error


def _sealed_through_keep(
    name: str, store: ObjectStore | None, path: str | None, grant: str | None, threads: int | None
) -> SealedVersion:
    from strongroom.client.transfer.stores import open_sealed_version

    files = None if path is None else [path]
    return open_sealed_version(here.speaker(), name, store, files=files, grant=grant, threads=threads)


commands = (seal, open_)
