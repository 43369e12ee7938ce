"""Objects: where sealed bytes rest. One port (`port.py`), one adapter for each kind of store, chosen by URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from strongroom.objects.port import ObjectInfo, ObjectStore, ObjectWriter
from strongroom.terms.outer_errors import BadStoreUrl

__all__ = ["ObjectInfo", "ObjectStore", "ObjectWriter", "open_store"]


def open_store(url: str) -> ObjectStore:
    """Return the store at `url`: `file:///folder` or `s3://bucket/prefix`.

    Raises:
        BadStoreUrl: no such kind of store, or parts that it does not have.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadStoreUrl("not a URL") from error
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise BadStoreUrl("a store URL carries no credential, query or fragment")
    match parts.scheme:
        case "file":
            from strongroom.objects.local import LocalStore

            return LocalStore.from_url(url)
        case "s3":
            from strongroom.objects.s3 import S3ObjectStore

            return S3ObjectStore.from_url(url)
        case _:
            raise BadStoreUrl(f"unknown kind of store `{parts.scheme}:`")
