"""What the S3 adapter does beyond the port: refusals, failures, and what must never leak."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import os
import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import S3Store

from strongroom.objects import ObjectInfo, ObjectStore, open_store
from strongroom.objects.s3 import S3ObjectStore, part_bytes
from strongroom.terms.errors import AccessDenied, BadRequest, NotFound, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import BadStoreUrl
from tests.conftest import S3_MARKS
from tests.servers import S3Server

MIB = 1 << 20
SECRET = "f0r-n0-b0dys-eyes"
NEEDS_SERVER = list(S3_MARKS)

EVERY_CALL: dict[str, Callable[[ObjectStore], object]] = {
    "read": lambda store: store.read("o/x", most_bytes=10),
    "read_into": lambda store: store.read_into("o/x", 0, memoryview(bytearray(1))),
    "put": lambda store: store.put("o/x", b"x"),
    "put_new": lambda store: store.put_new("o/x", b"x"),
    "small object": lambda store: write(store, "o/x", 10),
    "large object": lambda store: write(store, "o/x", 20 * MIB),
    "list": lambda store: list(store.list("o/")),
    "delete": lambda store: store.delete([ObjectInfo(name="o/x", size_bytes=1, modified_at=0.0)]),
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set exactly these of the variables that S3 clients read; a credential is among them."""

    def set_only(**variables: str) -> None:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                monkeypatch.delenv(name)
        for name, value in {"AWS_ACCESS_KEY_ID": "AKIDTESTS", "AWS_SECRET_ACCESS_KEY": SECRET, **variables}.items():
            monkeypatch.setenv(name, value)

    set_only()
    return set_only


def write(store: ObjectStore, name: str, size_bytes: int) -> None:
    writer = store.create(name, size_bytes=size_bytes)
    for offset in range(0, size_bytes, MIB):
        writer.write_at(offset, memoryview(bytes(min(MIB, size_bytes - offset))))
    writer.finish()


def names(store: ObjectStore) -> list[str]:
    return [info.name for info in store.list("")]


# --- URLs, endpoints, credentials --------------------------------------------------------------


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://buc-ket.1/a/b_c.D", "buc-ket.1", "a/b_c.D"),
        ("s3://bucket/a/", "bucket", "a"),
    ],
)
def test_a_url_names_one_place(url: str, bucket: str, prefix: str) -> None:
    store = S3ObjectStore.from_url(url)
    assert (store.bucket, store.prefix) == (bucket, prefix)
    assert store.url == f"s3://{bucket}/{prefix}".rstrip("/")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "url",
    [
        "s3:",
        "s3://",
        "s3:///a",
        "s3://ab",
        "s3://Bucket/a",
        "s3://bucket:80/a",
        "s3://-bucket",
        "s3://buck_et",
        "s3://bucket//",
        "s3://bucket//a",
        "s3://bucket/a//b",
        "s3://bucket/a//",
        "s3://bucket/..",
        "s3://bucket/a/../b",
        "s3://bucket/.a",
        "s3://bucket/a b",
        "s3://bucket/a%2Fb",
        "s3://bucket/ü",
        "s3://bucket/a\n",
        "s3://bucket\n",
        "s3://bucket/a?x=1",
        "s3://bucket/a#x",
        "s3://key:secret@bucket/a",
        "s3://bucket/" + "a/" * 100 + "a",
    ],
)
def test_a_url_that_names_no_one_place_is_refused(url: str) -> None:
    with pytest.raises(BadStoreUrl):
        S3ObjectStore.from_url(url)
    with pytest.raises(BadStoreUrl):
        open_store(url)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.example",
        "https://s3.example:9000/base",
        "http://127.0.0.1:9000",
        "http://127.1.2.3",
        "http://[::1]:9000",
        "http://localhost:9000",
    ],
)
def test_an_endpoint_has_tls_or_is_on_this_machine(environment: Callable[..., None], endpoint: str) -> None:
    environment(AWS_ENDPOINT_URL=endpoint)
    assert S3ObjectStore.from_url("s3://bucket/a").url == "s3://bucket/a"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://s3.example",
        "http://192.0.2.1:9000",
        "http://127.0.0.1.s3.example",
        "http://localhost.s3.example",
        "http://0.0.0.0:9000",
        "http://[::ffff:192.0.2.1]",
        "http://0x7f000001",
        "HTTP://192.0.2.1",
        "http://127.0.0.1@s3.example",
        f"https://user:{SECRET}@s3.example",
        f"https://s3.example?{SECRET}",
        f"https://s3.example#{SECRET}",
        "https://",
        "https:///a",
        "https://s3.example:0",
        "https://s3.example:port",
        "https://s3.example:99999",
        "https://[s3.example",
        "https://s3.example\n",
        "s3.example",
        "ftp://s3.example",
        "file:///s3",
    ],
)
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_any_other_endpoint_is_refused(environment: Callable[..., None], endpoint: str, variable: str) -> None:
    environment(**{variable: endpoint, "AWS_ALLOW_HTTP": "true"})
    with pytest.raises(BadStoreUrl) as caught:
        S3ObjectStore.from_url("s3://bucket/a")
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_without_a_credential_nobody_is_asked_for_one(environment: Callable[..., None], missing: str) -> None:
    environment(**{missing: ""})
    with pytest.raises(AccessDenied, match="no credential"):
        S3ObjectStore.from_url("s3://bucket/a")


# --- servers that do not answer as they should -------------------------------------------------


@pytest.mark.parametrize("call", EVERY_CALL)
def test_a_server_that_is_down_is_unavailable_within_seconds(environment: Callable[..., None], call: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and nobody listens
        environment(AWS_ENDPOINT_URL=f"http://127.0.0.1:{free.getsockname()[1]}")
        store = open_store("s3://bucket/a")
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"no connection|no usable answer"):
            EVERY_CALL[call](store)
        assert time.monotonic() - started < 60


@contextmanager
def server_that_says(answer: bytes) -> Iterator[str]:
    """Run a server that gives one answer to whatever is asked; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.settimeout(5)
                        connection.recv(1 << 16)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(status: str, body: bytes = b"", headers: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n".encode()
    return head + headers + b"\r\n" + body


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer("400 Bad Request", b"<Code>NoSuchBucket</Code>"), "store-unavailable"),
        (answer("401 Unauthorized"), "access-denied"),
        (answer("403 Forbidden", b"<Code>AccessDenied</Code> status code: 404"), "access-denied"),
        (answer("404 Not Found"), "not-found"),
        (answer("404 Not Found", b"<Error><Code>NoSuchBucket</Code></Error>"), "store-unavailable"),
        (answer("409 Conflict", b"<Error><Code>ConditionalRequestConflict</Code></Error>"), "store-unavailable"),
        (answer("412 Precondition Failed"), "version-exists"),
        (answer("501 Not Implemented"), "store-unavailable"),
        (answer("507 Insufficient Storage"), "no-space"),
        (b"no HTTP at all\r\n\r\n", "store-unavailable"),
        (b"", "store-unavailable"),
    ],
)
def test_each_answer_becomes_one_error_of_ours_with_none_of_its_text(
    environment: Callable[..., None], said: bytes, code: str
) -> None:
    said = said.replace(b"</Code>", f"</Code><Message>{SECRET} http://inner.example/</Message>".encode())
    with server_that_says(said) as endpoint:
        environment(AWS_ENDPOINT_URL=endpoint)
        with pytest.raises(StrongroomError) as caught:
            open_store("s3://bucket/a").put_new("m/x", b"x")
    assert caught.value.code == code
    shown = "".join(traceback.format_exception(caught.value))
    for leak in (SECRET, "inner.example", endpoint, "Message", "AKIDTESTS"):
        assert leak not in shown


def test_bytes_of_another_range_are_not_taken_for_those_asked_for(environment: Callable[..., None]) -> None:
    ranged = answer("206 Partial Content", b"wrong", b"Content-Range: bytes 5-9/10\r\n")
    with server_that_says(ranged) as endpoint:
        environment(AWS_ENDPOINT_URL=endpoint)
        out = bytearray(b".....")
        with pytest.raises(StoreUnavailable):
            open_store("s3://bucket/a").read_into("o/x", 0, memoryview(out))
    assert out == b"....."


def test_a_whole_object_is_not_taken_for_a_range_of_it(environment: Callable[..., None]) -> None:
    whole = answer("200 OK", b"0123456789", b"Last-Modified: Mon, 23 Nov 2026 01:00:00 GMT\r\nETag: x\r\n")
    with server_that_says(whole) as endpoint:
        environment(AWS_ENDPOINT_URL=endpoint)
        out = bytearray(b"...")
        with pytest.raises(StoreUnavailable):
            open_store("s3://bucket/a").read_into("o/x", 3, memoryview(out))
    assert out == b"..."


class Relay:
    """Stands between the client and a server, until it is told to fail."""

    def __init__(self, server: S3Server) -> None:
        parts = urlsplit(server.endpoint)
        self._server = (parts.hostname, parts.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.next_answer: bytes | None = None  # in place of the server's own; empty for none at all
        self.is_cut = False
        self._open: list[socket.socket] = [self._listening]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        self.is_cut = True
        for opened in self._open:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join()
        for opened in self._open:
            opened.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self.is_cut:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._pump, args=(source, sink, source is server))
                    self._threads.append(thread)
                    thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                instead = None
                if is_answer:
                    instead, self.next_answer = self.next_answer, None
                sink.sendall(data if instead is None else instead)
                if instead is not None:
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    relay = Relay(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", relay.endpoint)
    yield relay
    relay.close()


class TestWithAServer:
    """Against the real server, which one worker runs."""

    pytestmark = NEEDS_SERVER

    @pytest.mark.parametrize("call", EVERY_CALL)
    def test_a_wrong_secret_is_denied_and_shown_nowhere(
        self, s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        right = open_store(s3_url)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        wrong = open_store(s3_url)
        with pytest.raises(AccessDenied) as caught:
            EVERY_CALL[call](wrong)
        shown = "".join(traceback.format_exception(caught.value)) + repr(wrong) + caught.value.hint
        for leak in (SECRET, s3_server.secret_access_key, s3_server.access_key_id, s3_server.endpoint, "Signature="):
            assert leak not in shown
        assert names(right) == []

    def test_a_bucket_that_is_not_there_is_no_empty_store(self, s3_url: str) -> None:
        store = open_store("s3://no-such-bucket/a")
        for call in ("read", "read_into", "list", "delete"):
            with pytest.raises(StoreUnavailable, match="there is no such bucket"):
                EVERY_CALL[call](store)

    def test_no_variable_of_the_environment_weakens_the_client(
        self, s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
        monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
        monkeypatch.setenv("AWS_BUCKET", "another")
        monkeypatch.setenv("AWS_ALLOW_INVALID_CERTIFICATES", "true")
        store = open_store(s3_url)
        store.put_new("x", b"x")
        with pytest.raises(StrongroomError) as caught:
            store.put_new("x", b"y")
        assert caught.value.code == "version-exists"
        path = s3_url.removeprefix("s3:/")
        assert signed(s3_server, "GET", f"{path}/x") == (200, "x")

    def test_offsets_out_of_order_are_refused(self, s3_url: str) -> None:
        store = open_store(s3_url)
        writer = store.create("o/x", size_bytes=4)
        writer.write_at(0, memoryview(b"12"))
        for offset in (0, 1, 3):
            with pytest.raises(BadRequest, match="in order"):
                writer.write_at(offset, memoryview(b"3"))
        writer.write_at(2, memoryview(b"34"))
        writer.finish()
        assert store.read("o/x", most_bytes=4) == b"1234"

    def test_keys_of_no_form_of_ours_are_no_objects(self, s3_server: S3Server, s3_url: str) -> None:
        store = open_store(s3_url)
        store.put("o/y", b"y")
        prefix = s3_url.removeprefix(f"s3://{s3_server.bucket}/")
        for planted in ("o/%C3%BC", "o/sp%20ace", "o/.hidden", "o/100%25"):
            assert signed(s3_server, "PUT", f"/{s3_server.bucket}/{prefix}/{planted}")[0] == 200
        assert names(store) == ["o/y"]

    def test_a_store_sees_nothing_beside_its_prefix(self, s3_url: str) -> None:
        open_store(f"{s3_url}/ab").put("x", b"x")
        open_store(f"{s3_url}/abc").put("y", b"y")
        assert names(open_store(f"{s3_url}/ab")) == ["x"]
        assert names(open_store(s3_url)) == ["ab/x", "abc/y"]

    def test_an_abort_takes_the_parts_back_from_the_server(self, s3_server: S3Server, s3_url: str) -> None:
        store = open_store(s3_url)
        writer = store.create("o/x", size_bytes=20 * MIB)
        writer.write_at(0, memoryview(bytes(20 * MIB)))
        assert len(uploads(s3_server, s3_url)) == 1
        writer.abort()
        assert uploads(s3_server, s3_url) == []
        assert names(store) == []

    def test_a_server_that_goes_away_in_the_middle_leaves_nothing_to_see(
        self, s3_url: str, relay: Relay, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer = open_store(s3_url).create("o/x", size_bytes=64 * MIB)
        writer.write_at(0, memoryview(bytes(9 * MIB)))
        relay.cut()
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            writer.write_at(9 * MIB, memoryview(bytes(55 * MIB)))
        with pytest.raises(BadRequest, match="no longer being written"):
            writer.finish()
        writer.abort()
        assert time.monotonic() - started < 60
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
        assert names(open_store(s3_url)) == []

    @pytest.mark.parametrize("instead", [b"", answer("503 Slow Down"), answer("500 Internal Server Error")])
    def test_a_new_object_whose_answer_is_lost_is_not_taken_for_somebody_elses(
        self, s3_url: str, relay: Relay, instead: bytes
    ) -> None:
        store = open_store(s3_url)
        relay.next_answer = instead
        with pytest.raises(StoreUnavailable):
            store.put_new("m/x", b"mine")
        assert store.read("m/x", most_bytes=10) == b"mine"

    def test_what_may_be_repeated_is(self, s3_url: str, relay: Relay) -> None:
        store = open_store(s3_url)
        for call in ("put", "read", "small object", "list", "delete"):
            relay.next_answer = answer("503 Slow Down")
            EVERY_CALL[call](store)
            assert relay.next_answer is None

    def test_the_client_itself_would_write_elsewhere_if_closed_after_a_failure(
        self, s3_server: S3Server, s3_url: str
    ) -> None:
        """Why a failed writer is aborted at once. If this fails, the client was mended: `_aborting` may go."""
        bucket = S3Store(
            s3_server.bucket,
            secret_access_key="wrong",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        writer = obstore.open_writer(bucket, "o/x", buffer_size=5 * MIB)
        with pytest.raises(obstore.exceptions.PermissionDeniedError):
            writer.write(bytes(6 * MIB))
        with pytest.raises(OSError, match=rf"PUT {s3_server.endpoint}/{s3_server.bucket}/ in"):
            writer.close()

    def test_what_is_deleted_is_not_found(self, s3_url: str) -> None:
        store = open_store(s3_url)
        store.put("o/x", b"x")
        store.delete(store.list(""))
        with pytest.raises(NotFound):
            store.read("o/x", most_bytes=1)


@given(st.integers(0, 5 << 40))
def test_parts_are_few_enough_for_s3_and_as_small_as_memory_wants(size_bytes: int) -> None:
    size = part_bytes(size_bytes)
    assert size >= 8 * MIB
    assert -(-size_bytes // size) <= 9_000
    assert size == 8 * MIB or size_bytes > 70 << 30


def uploads(server: S3Server, url: str) -> list[str]:
    """Return the keys of unfinished uploads below `url`, which no S3 client of ours can list."""
    status, body = signed(server, "GET", f"/{server.bucket}", "uploads=")
    assert status == 200
    prefix = url.removeprefix(f"s3://{server.bucket}/")
    return [key for key in re.findall(r"<Key>(.*?)</Key>", body) if key.startswith(prefix)]


def signed(server: S3Server, method: str, path: str, query: str = "") -> tuple[int, str]:
    """Send a request without a body, signed as AWS asks for (Signature Version 4); return status and body."""
    host = urlsplit(server.endpoint).netloc
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": now}
    names = ";".join(headers)
    lines = [f"{name}:{value}" for name, value in headers.items()]
    request = "\n".join([method, path, query, *lines, "", names, empty])
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    key = f"AWS4{server.secret_access_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={server.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path + (f"?{query}" if query else ""), headers=headers)
        answered = connection.getresponse()
        return answered.status, answered.read().decode()
    finally:
        connection.close()
