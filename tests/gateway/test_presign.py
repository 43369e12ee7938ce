"""URLs for S3: each lets its holder do one thing with one object, against a real server."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest

from strongroom.gateway.presign import S3Urls
from strongroom.objects import open_store
from strongroom.objects.s3 import S3ObjectStore
from strongroom.terms.errors import AccessDenied
from tests.conftest import S3_MARKS
from tests.servers import S3Server

pytestmark = list(S3_MARKS)

FRESH = {"If-None-Match": "*"}
NAME, OTHER = "o/" + "a" * 32 + "/0", "o/" + "a" * 32 + "/1"


@pytest.fixture
def store(s3_url: str) -> S3ObjectStore:
    store = open_store(s3_url)
    assert isinstance(store, S3ObjectStore)
    return store


@pytest.fixture
def urls(store: S3ObjectStore) -> S3Urls:
    return S3Urls.from_environment(store)


def ask(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Send a request by somebody who has the URL and nothing else."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_url_is_good_for_a_quarter_of_an_hour_and_holds_no_secret(urls: S3Urls, s3_server: S3Server) -> None:
    url = urls.read_url(NAME)
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["900"]
    assert s3_server.secret_access_key not in url


def test_a_reader_s_url_reads_that_object_and_does_nothing_else(store: S3ObjectStore, urls: S3Urls) -> None:
    for name in (NAME, OTHER):
        store.put(name, name.encode())
    url = urls.read_url(NAME)
    assert ask("GET", url) == (200, NAME.encode())
    assert ask("GET", url, headers={"Range": "bytes=2-5"}) == (206, NAME.encode()[2:6])
    assert ask("GET", url.replace(NAME, OTHER))[0] == 403
    assert ask("PUT", url, b"x")[0] == 403
    assert ask("DELETE", url)[0] == 403
    assert ask("GET", re.sub("X-Amz-Expires=900", "X-Amz-Expires=9000", url))[0] == 403
    assert store.read(NAME, most_bytes=100) == NAME.encode()


def test_a_writer_s_url_takes_the_announced_size_where_nothing_is(store: S3ObjectStore, urls: S3Urls) -> None:
    url = urls.write_url(NAME, 5, is_fresh=True)
    assert ask("PUT", url, b"longer", FRESH)[0] == 403
    assert ask("PUT", url, b"first")[0] == 403, "without the condition it is not what was signed"
    assert ask("PUT", url, b"first", FRESH)[0] == 200
    assert ask("PUT", url, b"other", FRESH)[0] == 412
    assert ask("GET", url)[0] == 403
    assert ask("DELETE", url)[0] == 403
    assert store.read(NAME, most_bytes=100) == b"first"


def test_a_mark_is_written_again_and_again(store: S3ObjectStore, urls: S3Urls) -> None:
    for data in (b"one", b"two"):
        assert ask("PUT", urls.write_url("w/x", 3, is_fresh=False), data)[0] == 200
    assert store.read("w/x", most_bytes=10) == b"two"


def begun(urls: S3Urls, name: str) -> str:
    status, answer = ask("POST", urls.begin_url(name), b"")
    match = re.search(rb"<UploadId>([^<]+)</UploadId>", answer)
    assert status == 200
    assert match is not None
    return match[1].decode("ascii")


def test_an_upload_in_parts_never_takes_the_place_of_what_is_there(store: S3ObjectStore, urls: S3Urls) -> None:
    part, list_of_one = (
        bytes(5 << 20),
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
    )
    upload = begun(urls, NAME)
    url = urls.part_url(NAME, upload, 1, len(part))
    assert ask("PUT", url, part[1:])[0] == 403, "another size than was announced"
    assert ask("PUT", url, part)[0] == 200
    store.put(NAME, b"was faster")
    done = list_of_one.format('"5f363e0e58a95f06cbe9bbc662c5dfb6"').encode()
    assert ask("POST", urls.finish_url(NAME, upload), done)[0] == 403, "without the condition"
    assert ask("POST", urls.finish_url(NAME, upload), done, FRESH)[0] == 412
    assert store.read(NAME, most_bytes=100) == b"was faster"


def test_what_aborts_an_upload_deletes_nothing_else(store: S3ObjectStore, urls: S3Urls) -> None:
    store.put(NAME, b"kept")
    url = urls.abort_url(NAME, begun(urls, NAME))
    assert ask("DELETE", re.sub("uploadId=[^&]+&", "", url))[0] == 403
    assert ask("DELETE", url)[0] == 204
    assert store.read(NAME, most_bytes=100) == b"kept"


def test_a_temporary_credential_goes_with_its_token(store: S3ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token")
    url = S3Urls.from_environment(store).read_url(NAME)
    assert parse_qs(urlsplit(url).query)["X-Amz-Security-Token"] == ["the-token"]


def test_without_a_credential_there_are_no_urls(store: S3ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AccessDenied, match="no credential"):
        S3Urls.from_environment(store)
