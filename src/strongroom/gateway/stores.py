"""Stores: the object store that a gateway stands before, and what makes URLs for it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from strongroom.gateway.gateway import Gateway
from strongroom.gateway.local_urls import SECRET_BYTES, LocalUrls
from strongroom.gateway.presign import S3Urls
from strongroom.objects import ObjectStore, open_store
from strongroom.objects.local import LocalStore
from strongroom.objects.s3 import S3ObjectStore
from strongroom.terms.outer_errors import BadStoreUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """The store of a gateway, and the URLs of what is in it."""

    store: ObjectStore
    urls: S3Urls | LocalUrls


def objects_of(gateway: Gateway) -> Objects | None:
    """Return the store that the settings name, if they do.

    Raises:
        BadStoreUrl, AccessDenied: it is none, or this process has no credential for it.
    """
    if gateway.settings.store is None:
        return None
    match open_store(gateway.settings.store):
        case S3ObjectStore() as store:
            return Objects(store=store, urls=S3Urls.from_environment(store))
        case LocalStore() as store:
            return Objects(store=store, urls=LocalUrls(os.urandom(SECRET_BYTES), gateway.clock))
        case store:
            raise BadStoreUrl(f"a gateway makes no URLs for {store.url}")
