"""A store that answers with more than it was asked for is cut off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from strongroom.objects import open_store
from strongroom.terms.outer_errors import BadStoreUrl, ObjectSize

MIB = 1 << 20
LENGTH = 256 * MIB


class Flood(BaseHTTPRequestHandler):
    """Answers every range with the right range in words, and with far more bytes."""

    sent = 0

    def do_GET(self) -> None:
        self.send_response(206)
        self.send_header("Content-Range", "bytes 0-99/100")
        self.send_header("Content-Length", str(LENGTH))
        self.send_header("Last-Modified", "Mon, 02 Nov 2026 00:00:00 GMT")
        self.send_header("ETag", '"x"')
        self.end_headers()
        try:
            while type(self).sent < LENGTH:
                self.wfile.write(bytes(MIB))
                type(self).sent += MIB
        except OSError:
            return  # cut off

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Keep the tests' output clean."""


@pytest.fixture
def flood(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    Flood.sent = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Flood) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("flood")
def test_a_store_that_floods_its_reader_is_cut_off() -> None:
    with pytest.raises(ObjectSize):
        open_store("s3://bucket/prefix").read_into("o/x", 0, memoryview(bytearray(100)))
    assert Flood.sent < LENGTH / 2


@pytest.mark.usefixtures("flood")
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_what_goes_without_tls_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(BadStoreUrl, match="proxy"):
        open_store("s3://bucket/prefix")
