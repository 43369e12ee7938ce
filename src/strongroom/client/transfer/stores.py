"""Stores: where the sealed bytes of a deployment are had from, and go to, for somebody who did not say.

What is named wins, then what the environment says, then the gateway that the profile asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from strongroom.client.https import HttpsConnection
from strongroom.client.released import sealed_through_keep
from strongroom.client.session import Speaker
from strongroom.client.transfer.gateway_store import GatewayStore
from strongroom.client.transfer.gateway_uploads import GatewayUploads
from strongroom.client.version import SealedVersion
from strongroom.objects import ObjectStore, open_store
from strongroom.terms.errors import BadRequest

STORE = "STRONGROOM_STORE"

Store = str | ObjectStore | None
"""A store, its URL, or nothing said."""


def open_sealed_version(
    speaker: Speaker,
    name: str,
    store: Store,
    *,
    files: Sequence[str] | None = None,
    grant: str | None = None,
    threads: int | None = None,
    sync: bool = True,
    again: Callable[[], Speaker] | None = None,
) -> SealedVersion:
    """Open a version as `released.sealed_through_keep` does, from `store`, or from wherever its bytes are to be had."""
    rest = store_to_read(speaker, store)
    return sealed_through_keep(speaker, name, rest, files=files, grant=grant, threads=threads, sync=sync, again=again)


def store_to_read(speaker: Speaker, store: Store = None) -> ObjectStore:
    """Return where released versions are read from: `store`, what the environment says, or through the gateway.

    Raises:
        BadRequest: nothing says where.
    """
    if (found := _named(store)) is not None:
        return found
    if isinstance(connection := speaker.deployment.connection, HttpsConnection):
        return GatewayStore(connection, lambda: speaker.directory)
    raise _nowhere()


def store_to_write(speaker: Speaker, model: str, store: Store = None) -> ObjectStore:
    """Return where versions of `model` are sealed to; as `store_to_read`, and errors as for `Names.model`."""
    if (found := _named(store)) is not None:
        return found
    if isinstance(connection := speaker.deployment.connection, HttpsConnection):
        return GatewayUploads(connection, speaker.deployment.names.model(speaker.directory, model).model)
    raise _nowhere()


def _named(store: Store) -> ObjectStore | None:
    if isinstance(store, str) or (store is None and os.environ.get(STORE)):
        return open_store(store or os.environ[STORE])
    return store


def _nowhere() -> BadRequest:
    return BadRequest(
        "nothing says where sealed bytes rest",
        hint=f'name the store: `store="file:///…"`, or `{STORE}` in the environment',
    )
