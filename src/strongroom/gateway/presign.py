"""Presign: URLs by which somebody without a credential does one thing with one object in S3, for a quarter of an hour.

The signature (SigV4, by botocore) binds method, name, query and the headers that matter: a URL for reading does not
write, one for writing takes just the announced size, and never in place of what is there (`If-None-Match: *`).

The credential is the gateway's own, from the environment as `objects.s3` has it. It needs to read and to put; it never
leaves, and botocore gets to see nothing else of the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from strongroom.client.transfer.puts import FRESH
from strongroom.gateway.local_urls import URL_SECONDS
from strongroom.objects.s3 import S3Access, S3ObjectStore, access

# What is larger goes in parts, so that one that breaks off is sent again alone.
_ONE_PUT_BYTES = 16 << 20


class S3Urls:
    """URLs for the objects of one store; see `stores`."""

    one_put_bytes: ClassVar[int] = _ONE_PUT_BYTES

    def __init__(self, store: S3ObjectStore, found: S3Access) -> None:
        self._base = f"{found.endpoint.removesuffix('/')}/{store.bucket}/{store.prefix}".removesuffix("/")
        self._signer = S3SigV4QueryAuth(
            Credentials(found.key, found.secret, found.token), "s3", found.region, expires=URL_SECONDS
        )

    @classmethod
    def from_environment(cls, store: S3ObjectStore) -> S3Urls:
        """Return the URLs of `store`, signed with the credential of the environment; errors as for `access`."""
        return cls(store, access(os.environ))

    def read_url(self, name: str) -> str:
        """Return a URL to `GET`."""
        return self._sign("GET", name)

    def write_url(self, name: str, size_bytes: int, *, is_fresh: bool) -> str:
        """Return a URL to `PUT` so many bytes; with `is_fresh`, and `If-None-Match: *`, where nothing is yet."""
        return self._sign("PUT", name, headers={"Content-Length": str(size_bytes), **(FRESH if is_fresh else {})})

    def begin_url(self, name: str) -> str:
        """Return a URL to `POST`, which begins an upload in parts."""
        return self._sign("POST", name, {"uploads": ""})

    def part_url(self, name: str, upload: str, number: int, size_bytes: int) -> str:
        """Return a URL to `PUT` one part; numbers begin at 1."""
        query = {"partNumber": str(number), "uploadId": upload}
        return self._sign("PUT", name, query, headers={"Content-Length": str(size_bytes)})

    def finish_url(self, name: str, upload: str) -> str:
        """Return a URL to `POST` the list of parts, with `If-None-Match: *`."""
        return self._sign("POST", name, {"uploadId": upload}, headers=FRESH)

    def abort_url(self, name: str, upload: str) -> str:
        """Return a URL to `DELETE` an upload that was not finished; it deletes nothing else."""
        return self._sign("DELETE", name, {"uploadId": upload})

    def _sign(
        self,
        method: str,
        name: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        url = f"{self._base}/{name}" + (f"?{urlencode(query)}" if query else "")
        request = AWSRequest(method=method, url=url, headers=dict(headers or {}))
        self._signer.add_auth(request)
        signed: str = request.url
        return signed
