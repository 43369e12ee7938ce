"""Objects in a bucket of any S3-compatible store.

TRUST: the credential and the endpoint come from the environment, as for any S3 client (`AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`). Plain HTTP is for
loopback only.

Objects above one part are multipart uploads, invisible until they are complete. A failed or aborted writer
removes its upload; a killed or dropped one cannot, and its parts cost money without being listed. So give the
bucket a lifecycle rule `AbortIncompleteMultipartUpload`, of seven days or so.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from strongroom.objects.hosts import is_loopback
from strongroom.objects.in_order import InOrderWriter
from strongroom.objects.port import ObjectInfo, check_name, check_offset, check_prefix, is_name
from strongroom.terms.errors import AccessDenied, NoSpace, NotFound, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import BadStoreUrl, ObjectSize, VersionExists

if TYPE_CHECKING:  # these exist only for type checkers
    from obstore.store import ClientConfig, RetryConfig, S3Config

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?\Z")
# S3 allows 1,024 bytes for the whole key.
_LONGEST_PREFIX = 200

_PART_BYTES = 8 << 20
_MOST_PARTS = 9_000  # of the 10,000 that S3 allows
# Memory: one part is being filled and two are on their way.
_PARTS_UNDER_WAY = 2
_MOST_DELETES = 1_000

_RETRIES: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
_NO_RETRIES: RetryConfig = {"max_retries": 0}

# Of a foreign error only these leave this room: the rest holds URLs, headers and whole answers of the server.
_STATUS = re.compile(r"status code: ([0-9]{3})\b")
_CODE = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_KIND = re.compile(r"kind: (Connect|Timeout)\b")


@dataclass(frozen=True, slots=True)
class S3ObjectStore:
    """The store under `prefix` in `bucket`."""

    bucket: str
    prefix: str
    _client: S3Store = field(repr=False)
    # INVARIANT: a conditional write is sent once. Repeated, it could take its own object for another's.
    _client_once: S3Store = field(repr=False)

    writes_in_any_order: ClassVar[bool] = False
    read_size_bytes: ClassVar[int] = 4 << 20
    parallel_reads: ClassVar[int] = 8

    @classmethod
    def from_url(cls, url: str) -> S3ObjectStore:
        """Return the store at `s3://bucket/prefix`, reached as the environment says.

        Raises:
            BadStoreUrl: not of that form, or an endpoint that is neither HTTPS nor on loopback.
            AccessDenied: the environment holds no credential.
        """
        if (match := _URL.match(url)) is None:
            raise BadStoreUrl(f"`{url[:200]!a}` is not `s3://` and the name of a bucket")
        bucket, rest = match[1], match[2] or ""
        prefix = rest.removesuffix("/")
        if rest and (len(prefix) > _LONGEST_PREFIX or not is_name(prefix)):
            raise BadStoreUrl(f"`{url[:200]!a}` has an empty part, or a character that is not allowed, in its prefix")
        config, options = _config(os.environ), _options(os.environ)

        def client(retries: RetryConfig) -> S3Store:
            return S3Store(bucket, prefix=prefix or None, config=config, client_options=options, retry_config=retries)

        with _errors(f"s3://{bucket}"):
            return cls(bucket, prefix, client(_RETRIES), client(_NO_RETRIES))

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".removesuffix("/")

    def read_into(self, name: str, offset: int, view: memoryview) -> None:
        check_name(name)
        check_offset(offset)
        if not view:
            return  # S3 has no empty ranges
        got = 0
        with _errors(self._what(name)):
            # Piece by piece: a store that answers with more than was asked for is cut off, not kept in memory.
            for chunk in obstore.get(self._client, name, options={"range": (offset, offset + len(view))}):
                piece = memoryview(chunk)
                if got + len(piece) > len(view):
                    break
                view[got : got + len(piece)] = piece
                got += len(piece)
            else:
                if got == len(view):
                    return
        raise ObjectSize(f"{self._what(name)} did not give the {len(view)} bytes from {offset}, but {got} or more")

    def read(self, name: str, *, most_bytes: int) -> bytes:
        check_name(name)
        with _errors(self._what(name)):
            answer = obstore.get(self._client, name)
            size_bytes = answer.meta["size"]
            data = bytes(answer.bytes()) if size_bytes <= most_bytes else b""
        if size_bytes > most_bytes:
            raise ObjectSize(f"{self._what(name)} has {size_bytes} bytes where at most {most_bytes} are due")
        if len(data) != size_bytes:
            raise ObjectSize(f"{self._what(name)} has {size_bytes} bytes and gave {len(data)}")
        return data

    def create(self, name: str, *, size_bytes: int) -> S3Writer:
        check_name(name)
        return S3Writer(client=self._client, name=name, what=self._what(name), size_bytes=size_bytes)

    def put(self, name: str, data: bytes) -> None:
        check_name(name)
        with _errors(self._what(name)):
            obstore.put(self._client, name, data, use_multipart=False)

    def put_new(self, name: str, data: bytes) -> None:
        check_name(name)
        with _errors(self._what(name)):
            obstore.put(self._client_once, name, data, mode="create")

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See the port. The whole folder in which `prefix` ends is asked for, so end it in `/`."""
        check_prefix(prefix)
        return self._list(prefix)

    def list_partial(self) -> Iterator[ObjectInfo]:
        """Yield nothing: S3 keeps unfinished uploads apart, out of this adapter's sight (see above)."""
        return iter(())

    def delete(self, infos: Iterable[ObjectInfo]) -> None:
        names = iter([info.name for info in infos])
        while batch := list(islice(names, _MOST_DELETES)):
            for name in batch:
                check_name(name)
            with _errors(self.url):
                obstore.delete(self._client, batch)

    def free_bytes(self) -> int | None:
        return None

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        # The client lists whole folders; and not every store sorts as S3 does (`a-b` before `a/b`).
        folder = prefix.rpartition("/")[0]
        found = []
        with _errors(self.url):
            for chunk in obstore.list(self._client, folder or None, chunk_size=1_000):
                found += [
                    ObjectInfo(
                        name=meta["path"],
                        size_bytes=meta["size"],
                        modified_at=meta["last_modified"].timestamp(),
                    )
                    for meta in chunk
                    if meta["path"].startswith(prefix) and is_name(meta["path"])
                ]
        yield from sorted(found, key=lambda info: info.name)

    def _what(self, name: str) -> str:
        return f"object `{name}` in {self.url}"


class S3Writer(InOrderWriter):
    """An object that is being uploaded, part by part."""

    def __init__(self, *, client: S3Store, name: str, what: str, size_bytes: int) -> None:
        super().__init__(what, size_bytes)
        self._client, self._name = client, name
        with _errors(what):
            self._upload = obstore.open_writer(
                client, name, buffer_size=part_bytes(size_bytes), max_concurrency=_PARTS_UNDER_WAY
            )

    def _take(self, data: memoryview) -> None:
        # ORDER: a failed upload ends here. Closed after a failure, the client would write to an empty name.
        with _errors(self._what):
            for start in range(0, len(data), _PART_BYTES):
                # A copy: the client keeps what it is given until it is sent; the caller reuses `data` at once.
                self._upload.write(bytes(data[start : start + _PART_BYTES]))

    def _end(self) -> None:
        self._is_ended = True  # ORDER: what fails to close is not to be dropped as well
        with _errors(self._what):
            self._upload.close()
            stored = obstore.head(self._client, self._name)["size"]
        if stored != self._size_bytes:
            raise ObjectSize(f"{self._what} was sent with {self._size_bytes} bytes and is stored with {stored}")

    def _drop(self) -> None:
        # An exception out of its `with` is how the client is told to remove the upload, not to complete it.
        error = InterruptedError()
        with _errors(self._what):
            self._upload.__exit__(type(error), error, None)


def part_bytes(size_bytes: int) -> int:
    """Return the size of one part: 8 MiB up to objects of 70 GiB, then what keeps the parts few enough."""
    return max(_PART_BYTES, -(-size_bytes // _MOST_PARTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """What the environment says of where a store is, and who we are there."""

    key: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)
    region: str
    endpoint: str


def access(environment: Mapping[str, str]) -> S3Access:
    """Return what `environment` says.

    Raises:
        AccessDenied: it holds no credential. BadStoreUrl: its endpoint is none, or without TLS on another machine.
    """
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        # The client would go and ask the cloud's metadata service over plain HTTP.
        raise AccessDenied("no credential: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set")
    return S3Access(
        key=key,
        secret=secret,
        token=environment.get("AWS_SESSION_TOKEN") or None,
        region=_region(environment),
        endpoint=_endpoint(environment),
    )


def _config(environment: Mapping[str, str]) -> S3Config:
    """Return all settings that a variable of the environment could otherwise change behind our back."""
    found = access(environment)
    config: S3Config = {
        "access_key_id": found.key,
        "secret_access_key": found.secret,
        "region": found.region,
        "endpoint": found.endpoint,
        "aws_endpoint_url_s3": found.endpoint,
        "virtual_hosted_style_request": False,
        "skip_signature": False,
        "unsigned_payload": False,
        "conditional_put": "etag",
    }
    if found.token:
        config["session_token"] = found.token
    return config


def _options(environment: Mapping[str, str]) -> ClientConfig:
    options: ClientConfig = {
        "allow_http": urlsplit(_endpoint(environment)).scheme == "http",
        "allow_invalid_certificates": False,
        "connect_timeout": timedelta(seconds=5),
        "timeout": timedelta(seconds=60),
    }
    if options["allow_http"]:
        # A proxy is another machine: what goes to loopback without TLS must not pass one.
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            if environment.get(name):
                raise BadStoreUrl(f"an endpoint without TLS behind the proxy of `{name}`", hint=f"unset `{name}`")
    if bundle := environment.get("AWS_CA_BUNDLE"):
        try:
            options["root_certificate"] = Path(bundle).read_bytes()
        except OSError as error:
            raise BadStoreUrl(
                f"AWS_CA_BUNDLE names `{bundle}`, which cannot be read: {error.strerror}",
                hint="name a file of certificates in PEM form, or unset it",
            ) from error
    return options


def _region(environment: Mapping[str, str]) -> str:
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"


def _endpoint(environment: Mapping[str, str]) -> str:
    """Return the endpoint's URL: TLS, or plain HTTP that does not leave this machine.

    Raises:
        BadStoreUrl: it is neither, or carries more than a scheme, a host, a port and a path.
    """
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return f"https://s3.{_region(environment)}.amazonaws.com"
    hint = "set AWS_ENDPOINT_URL to `https://` and the store's host"
    # The message shows no part of a URL that may hold a password.
    if "@" in endpoint or not re.match(r"https?://[\x21-\x7e]+\Z", endpoint):
        raise BadStoreUrl("the endpoint is not an `https://` URL, or carries a credential", hint=hint)
    try:
        parts = urlsplit(endpoint)
        host, has_more = parts.hostname or "", bool(parts.query or parts.fragment)
        has_more |= parts.port == 0
    except ValueError as error:
        raise BadStoreUrl("the endpoint is not an `https://` URL", hint=hint) from error
    if not host or has_more:
        raise BadStoreUrl("the endpoint is more than a scheme, a host, a port and a path", hint=hint)
    if parts.scheme == "http" and not is_loopback(host):
        raise BadStoreUrl(f"the endpoint `{host}` is on another machine and without TLS", hint=hint)
    return endpoint


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    """Turn every error of the client into one of ours: the one place where that happens.

    TRUST: the client's text quotes the server's answer, so that only a number and a plain word of it are kept, and
    the error itself is no cause of ours. The first status in it is the client's own: names and URLs hold no blanks.
    """
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise _ours(what, str(error), is_missing=isinstance(error, FileNotFoundError)) from None


def _ours(what: str, text: str, *, is_missing: bool) -> StrongroomError:
    found, code, kind = _STATUS.search(text), _CODE.search(text), _KIND.search(text)
    status = int(found[1]) if found else 404 if is_missing else 0
    reason = " ".join(["the store answered", str(status), *([code[1]] if code else [])])
    match status:
        case 404 if code and code[1] == "NoSuchBucket":
            return StoreUnavailable(f"{what}: there is no such bucket")
        case 404:
            return NotFound(f"{what} is not there")
        case 401 | 403:
            return AccessDenied(f"{what}: {reason}")
        case 412:
            return VersionExists(f"{what} is there already")
        case 416:
            return ObjectSize(f"{what} ends before the bytes that were asked for")
        case 507:
            return NoSpace(f"{what}: {reason}")
        case 0:
            how = {"Connect": "no connection", "Timeout": "no answer in time"}
            return StoreUnavailable(f"{what}: {how[kind[1]] if kind else 'no usable answer'}")
        case _:
            return StoreUnavailable(f"{what}: {reason}")
