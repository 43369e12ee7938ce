"""`strongroom log …`: this client's verified copy of the log, read, proven and handed on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here
from strongroom.cli.files import write_file
from strongroom.cli.options import PathText, json_option, output_option
from strongroom.cli.output import moment, note, show, table
from strongroom.terms.errors import LogTampered, NotFound, OutputExists, StoreUnavailable, StrongroomError

if TYPE_CHECKING:
    from strongroom.client.replica import Replica
    from strongroom.directory.entries import Entry
    from strongroom.tlog.checkpoints import Checkpoint

LENGTH_BYTES = 4


@click.group("log")
def group() -> None:
    """Read the log, prove what is in it, hand it on to an auditor."""


@group.command("list")
@click.option("--kind", default=None, metavar="WORD", help="Only entries of this kind, such as `key.released`.")
@click.option("--last", type=click.IntRange(1), default=None, metavar="NUMBER", help="Only the last so many of those.")
@json_option
def list_(kind: str | None, last: int | None) -> None:
    """List entries: when, what, by whom."""
    reader = here.reader()
    replica = reader.deployment.replica
    found = [
        (index, entry)
        for index in range(_checkpoint(replica).size)
        if kind in {None, (entry := replica.entry(index)).kind}
    ]
    found = found[-last:] if last is not None else found
    reader.learn({by for _, entry in found if (by := said_by(entry)) in reader.directory.people})
    rows = [("ENTRY", "TIME", "KIND", "BY")]
    rows += [(str(index), moment(one.at), one.kind, reader.called(said_by(one))) for index, one in found]
    entries = [{"index": index, "at": one.at, "kind": one.kind, "by": said_by(one) or None} for index, one in found]
    show({"entries": entries}, table(rows))


@group.command("show")
@click.argument("index", type=click.IntRange(0))
@json_option
def show_(index: int) -> None:
    """Show one entry: the statement that caused it, and what the keep added."""
    from strongroom.terms import canonical

    known = entry_json(index, here.reader().deployment.replica.leaf(index))
    lines = [
        f"{name:<10} {value if isinstance(value, str) else canonical.encode(value).decode('utf-8')}"
        for name, value in known.items()
        if value is not None
    ]
    show(known, lines)


@group.command()
@json_option
def verify() -> None:
    """Verify this copy: every entry folds, and their root is the one that the log signed.

    Signatures and quorums of entries are verified again, trusting nobody, by `strongroom-verify` on a `log export`.
    """
    replica = here.reader().deployment.replica
    checkpoint = _checkpoint(replica)
    tree = _tree(replica, checkpoint)
    if tree.root() != checkpoint.root:
        raise LogTampered("the entries here are not those of the checkpoint")
    root = checkpoint.root.hex()
    known = {"deployment": replica.deployment, "size": checkpoint.size, "root": root, "keep_time": replica.keep_time}
    show(known, [f"{checkpoint.size} entries, as the log signed them: root {root}"])


@group.command()
@click.argument("index", type=click.IntRange(0))
@output_option
@json_option
def prove(index: int, output: Path) -> None:
    """Write a receipt (`tlog-proof`): all that it takes to check offline that one entry is in the log."""
    from strongroom.tlog.proofs import check_inclusion
    from strongroom.tlog.receipts import Receipt, encode_receipt
    from strongroom.tlog.tree import leaf_hash

    replica = here.reader().deployment.replica
    checkpoint = _checkpoint(replica)
    leaf = replica.leaf(index)
    proof = _tree(replica, checkpoint).inclusion_proof(index, checkpoint.size)
    check_inclusion(leaf=leaf_hash(leaf), index=index, size=checkpoint.size, proof=proof, root=checkpoint.root)
    receipt = Receipt(index=index, proof=proof, checkpoint=_note(replica), extra=leaf)
    write_file(output, encode_receipt(receipt))
    note(f"receipt of entry {index} of {checkpoint.size}, the entry itself in its `extra` line")
    show({"receipt": str(output), "index": index, "size": checkpoint.size}, [str(output)])


@group.command()
@click.argument("folder", type=PathText(), metavar="DIR")
@json_option
def export(folder: Path) -> None:
    """Write the log into a new folder, as `strongroom-verify DIR sr1:…` reads it.

    \b
    entries      for each entry its length (4 bytes, big-endian) and its bytes
    checkpoint   the signed note with the root of them all
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"
    replica = here.reader().deployment.replica
    checkpoint = _checkpoint(replica)
    note_bytes = _note(replica)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise OutputExists(f"`{folder}` exists", hint="choose a new folder") from None
    except OSError as error:
        raise StoreUnavailable(f"`{folder}` cannot be made: {error.strerror}", hint="choose another folder") from error
    try:
        with (folder / "entries").open("xb") as file:
            for index in range(checkpoint.size):
                leaf = replica.leaf(index)
                file.write(len(leaf).to_bytes(LENGTH_BYTES) + leaf)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreUnavailable(f"`{folder}` cannot be written: {error.strerror}", hint="check the disk") from error
    # ORDER: the checkpoint last, so that a folder with one is whole.
    write_file(folder / "checkpoint", note_bytes)
    note(f"{checkpoint.size} entries in {folder}: `strongroom-verify {folder} {replica.deployment}`")
    known = {"folder": str(folder), "size": checkpoint.size, "root": checkpoint.root.hex()}
    show(known | {"deployment": replica.deployment}, [str(folder)])


def entry_json(index: int, leaf: bytes) -> dict[str, Any]:
    """Return what an entry says, its statement decoded."""
    from strongroom.directory.entries import parse_entry
    from strongroom.statements.statement import parse_statement
    from strongroom.terms.digests import sha256
    from strongroom.terms.records import record_json

    entry = parse_entry(leaf)
    known: dict[str, Any] = {"index": index, "at": entry.at, "kind": entry.kind, "leaf": sha256(leaf)}
    if entry.statement is not None:
        envelope = entry.envelope()
        known["statement"] = record_json(parse_statement(envelope))
        known["signed_by"] = [one.keyid for one in envelope.signatures]
    known["data"] = entry.data
    return known


def said_by(entry: Entry) -> str:
    """Return whose statement caused it; nobody's for what the keep itself saw or enacted."""
    from strongroom.statements.statement import parse_statement

    try:
        return parse_statement(entry.envelope()).by
    except StrongroomError:
        return ""


def _checkpoint(replica: Replica) -> Checkpoint:
    if replica.checkpoint is None:
        raise NotFound("nothing of the log is here yet", hint="run this where the keep can be asked")
    return replica.checkpoint


def _tree(replica: Replica, checkpoint: Checkpoint) -> Any:
    from strongroom.tlog.tree import Tree, leaf_hash

    return Tree(leaf_hash(replica.leaf(index)) for index in range(checkpoint.size))


def _note(replica: Replica) -> bytes:
    if replica.note is None:
        raise NotFound("no checkpoint is here yet", hint="run this where the keep can be asked")
    return replica.note
