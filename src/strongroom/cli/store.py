"""`strongroom store …`: what keeps a store in order."""

from __future__ import annotations

from dataclasses import asdict

import click

from strongroom.cli.options import json_option, store_option
from strongroom.cli.output import show, size, table
from strongroom.objects import ObjectStore

_SHORTEST_HOURS = 1


@click.group("store")
def group() -> None:
    """Keep a store in order."""


@group.command()
@store_option
@click.option(
    "--grace",
    "grace_hours",
    type=click.IntRange(min=_SHORTEST_HOURS),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="How long a seal must have shown no sign of life; at least 1.",
)
@click.option(
    "--dry-run", is_flag=True, help="Report only (a small probe is written all the same, to see the store's clock)."
)
@json_option
def sweep(store: ObjectStore, grace_hours: int, dry_run: bool) -> None:
    """Report and remove what killed or failed seals left behind.

    A seal that is still being written shows a sign of life every minute and is never touched. On S3, add a lifecycle
    rule AbortIncompleteMultipartUpload to the bucket as well: unfinished uploads do not show in listings.
    """
    from strongroom.client.sweep import sweep as sweep_store

    leftovers = sweep_store(store, grace_seconds=grace_hours * 3600, remove=not dry_run)
    if leftovers:
        rows = [("SEAL", "OBJECTS", "SIZE", "STILL FOR", "")]
        for left in leftovers:
            state = (
                "removed"
                if left.removed
                else "would go"
                if left.age_seconds >= grace_hours * 3600
                else "kept: may still be written"
            )
            rows.append(
                (
                    left.seal_id,
                    str(left.objects),
                    size(left.size_bytes),
                    f"{left.age_seconds / 3600:.1f} h",
                    state,
                )
            )
        lines = table(rows)
    else:
        lines = ["nothing left behind"]
    show({"leftovers": [asdict(left) for left in leftovers]}, lines)
