"""Ranges by URL: what breaks off is resumed, and what is not the range that was asked for is no range at all."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.client.transfer.ranges import Ranges
from strongroom.client.transfer.transfers import Origin, Transfers, parse_url
from strongroom.terms.errors import AccessDenied, NotFound, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import BadAnswer, ObjectSize
from tests.gateway.liar import Answer, Asked, Liar, Script, piece
from tests.objects.test_tls import certify

DATA = os.urandom(1_000_000)
SECRET = "X-Amz-Signature=f00d"
PATIENCE_SECONDS = 0.5


def read(liar: Liar, first: int = 0, size_bytes: int = len(DATA), *, patience: float = 30.0) -> bytes:
    """Read a range from whatever the liar says."""
    out = bytearray(size_bytes)
    ranges = Ranges(Transfers(), patience_seconds=patience)
    ranges.read_into("object `o/x`", lambda _: liar.url(f"/bucket/x?{SECRET}"), first, memoryview(out))
    return bytes(out)


def test_a_range_is_read() -> None:
    with Liar(lambda asked: piece(DATA, asked)) as liar:
        assert read(liar, 17, 5_000) == DATA[17:5_017]
        assert [one.range() for one in liar.asked] == [(17, 5_016)]


def test_what_is_asked_for_holds_nothing_but_the_range() -> None:
    """No cookie, no credential, no signature of ours goes to whoever a URL leads to."""
    with Liar(lambda asked: piece(DATA, asked)) as liar:
        read(liar, 0, 10)
        (asked,) = liar.asked
    assert sorted(asked.headers) == [
        ("Accept-Encoding", "identity"),
        ("Host", f"127.0.0.1:{liar.port}"),
        ("Range", "bytes=0-9"),
    ]


def test_a_connection_is_used_again() -> None:
    with Liar(lambda asked: piece(DATA, asked)) as liar:
        ranges = Ranges(Transfers())
        for _ in range(5):
            ranges.read_into("it", lambda _: liar.url(), 0, memoryview(bytearray(10)))
        assert (len(liar.asked), liar.connections) == (5, 1)


def cut(sizes: list[int]) -> Script:
    """Break off after each of `sizes`, one answer after another; then be honest."""

    def script(asked: Asked) -> Answer | None:
        answer = piece(DATA, asked)
        if asked.number < len(sizes):
            return Answer(answer.status, answer.headers, answer.body[: sizes[asked.number]], cut=True)
        return answer

    return script


def test_a_dropped_connection_is_resumed_where_it_broke_off() -> None:
    with Liar(cut([300_000, 1, 200_000])) as liar:
        assert read(liar) == DATA
        starts = [asked.range()[0] for asked in liar.asked]
    assert starts == [0, 300_000, 300_001, 500_001]


def test_a_connection_that_dies_before_its_answer_is_tried_again() -> None:
    with Liar(lambda asked: piece(DATA, asked) if asked.number > 2 else None) as liar:
        assert read(liar) == DATA


def test_a_store_that_is_gone_is_given_up_in_time() -> None:
    with Liar(lambda asked: None) as liar:
        url = liar.url()
    with pytest.raises(StoreUnavailable, match=r"tried [0-9]+ times"):
        Ranges(Transfers(), patience_seconds=PATIENCE_SECONDS).read_into(
            "it", lambda _: url, 0, memoryview(bytearray(9))
        )


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_store_that_is_busy_is_asked_again(status: int) -> None:
    busy = Answer(status, [("Content-Length", "0")])
    with Liar(lambda asked: busy if asked.number < 2 else piece(DATA, asked)) as liar:
        assert read(liar) == DATA
    with Liar(lambda asked: busy) as liar, pytest.raises(StoreUnavailable, match=str(status)):
        read(liar, patience=PATIENCE_SECONDS)


def test_bytes_that_only_trickle_do_not_go_on_for_ever() -> None:
    """Each attempt brings one byte: that is progress, and has an end all the same."""
    with Liar(cut([1] * 1_000)) as liar:
        ranges = Ranges(Transfers(), patience_seconds=1e9)
        with pytest.raises(StoreUnavailable, match="tried 100 times"):
            ranges.read_into("it", lambda _: liar.url(), 0, memoryview(bytearray(1_000)))


# --- what is not the range ---------------------------------------------------------------------

WHOLE = [("Content-Length", str(len(DATA)))]
LIES: dict[str, Script] = {
    "all of it in place of the range": lambda asked: Answer(200, WHOLE, DATA),
    "a redirect": lambda asked: Answer(302, [("Location", "/elsewhere"), ("Content-Length", "0")]),
    "a redirect that keeps the method": lambda asked: Answer(
        307, [("Location", "/elsewhere"), ("Content-Length", "0")]
    ),
    "another start": lambda asked: piece(DATA, asked, content_range=f"bytes 1-1000000/{len(DATA)}"),
    "no range named": lambda asked: piece(DATA, asked, content_range="bytes"),
    "several ranges": lambda asked: piece(DATA, asked, content_range="bytes 0-1,5-9/1000000"),
    "an unknown whole": lambda asked: piece(DATA, asked, content_range="bytes 0-999999/*"),
    "more bytes than the range": lambda asked: piece(DATA + b"x", asked, content_length=str(len(DATA) + 1)),
    "fewer bytes than the range": lambda asked: piece(DATA, asked, content_length="999"),
    "two lengths": lambda asked: Answer(206, [*piece(DATA, asked).headers, ("Content-Length", "5")], DATA),
    "gzip": lambda asked: piece(DATA, asked, content_encoding="gzip"),
    "chunks": lambda asked: piece(DATA, asked, transfer_encoding="chunked"),
    "an empty answer": lambda asked: Answer(204, []),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_the_range_that_was_asked_for_is_refused(lie: str) -> None:
    with Liar(LIES[lie]) as liar:
        with pytest.raises(StoreUnavailable):
            read(liar)
        assert len(liar.asked) == 1, "and not asked again, nor anywhere else"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(404, [("Content-Length", "0")]), NotFound),
        (Answer(416, [("Content-Length", "0")]), ObjectSize),
        (Answer(403, [("Content-Length", "0")]), AccessDenied),
    ],
)
def test_refusals(answer: Answer, error: type[StrongroomError]) -> None:
    with Liar(lambda asked: answer) as liar, pytest.raises(error):
        read(liar)


def test_an_object_that_ends_before_the_range_does_is_too_short() -> None:
    with Liar(lambda asked: piece(DATA, asked)) as liar, pytest.raises(ObjectSize, match="ends before"):
        read(liar, 10, len(DATA))


def test_a_url_that_is_refused_is_renewed_once() -> None:
    def script(asked: Asked) -> Answer:
        return piece(DATA, asked) if asked.path == "/new" else Answer(403, [("Content-Length", "0")])

    def url_of(refused: str | None) -> str:
        return liar.url("/old") if refused is None else liar.url("/new")

    out = bytearray(100)
    with Liar(script) as liar:
        Ranges(Transfers()).read_into("it", url_of, 0, memoryview(out))
        assert [one.path for one in liar.asked] == ["/old", "/new"]
        with pytest.raises(AccessDenied):
            Ranges(Transfers()).read_into("it", lambda _: liar.url("/old"), 0, memoryview(out))
    assert out == DATA[:100]


def test_no_error_tells_a_url() -> None:
    """A URL is a right: whoever reads a log must not find one."""
    scripts: list[Script] = [*LIES.values(), lambda asked: None, lambda asked: Answer(403, [("Content-Length", "0")])]
    for script in scripts:
        with Liar(script) as liar, pytest.raises(StrongroomError) as caught:
            read(liar, patience=0.01)
        error: BaseException | None = caught.value
        while error is not None:
            assert SECRET not in f"{error!r} {error}"
            error = error.__cause__


# --- whole objects -----------------------------------------------------------------------------


def test_an_object_is_read_whole() -> None:
    with Liar(lambda asked: piece(DATA, asked)) as liar:
        assert Ranges(Transfers()).read("it", lambda _: liar.url(), len(DATA)) == DATA
    with Liar(lambda asked: piece(DATA[:10], asked)) as liar:
        assert Ranges(Transfers()).read("it", lambda _: liar.url(), 1 << 30) == DATA[:10]
        assert len(liar.asked) == 1


def test_an_object_that_is_larger_than_it_may_be_is_not_taken_in() -> None:
    with Liar(lambda asked: piece(DATA, asked)) as liar, pytest.raises(ObjectSize, match="at most 500000"):
        Ranges(Transfers()).read("it", lambda _: liar.url(), 500_000)


# --- where a URL leads -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://store.example.org/x",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1.example.org/x",
        "https://user:word@store.example.org/x",
        "https://store.example.org",
        "https://store.example.org/x#y",
        "https://store.example.org/x y",
        "https://store.example.org/x\r\nHost: y",
        "https://store.example.org:0/x",
        "https://store.example.org:99999/x",
        "https:///x",
        "ftp://store.example.org/x",
        "file:///etc/passwd",
        "//store.example.org/x",
        "/v1/people",
        "/v1/objects/../people\n",
        "",
        "https://store.example.org/" + "x" * 9_000,
    ],
)
def test_a_url_that_leads_where_no_store_is_is_not_followed(url: str) -> None:
    gateway = Origin(host="gateway.example.org", port=443, context=ssl.create_default_context())
    with pytest.raises(BadAnswer):
        parse_url(url, gateway)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://store.example.org/b/x?X-Amz-Date=1", "store.example.org", 443),
        ("https://store.example.org:9000/b/x", "store.example.org", 9000),
        ("http://127.0.0.1:9000/b/x", "127.0.0.1", 9000),
        ("http://[::1]/b/x", "::1", 80),
        ("http://localhost/b/x", "localhost", 80),
    ],
)
def test_where_a_url_leads(url: str, host: str, port: int) -> None:
    target = parse_url(url)
    assert (target.host, target.port) == (host, port)


def test_a_url_without_a_host_leads_nowhere_without_a_gateway() -> None:
    with pytest.raises(BadAnswer):
        parse_url("/v1/objects/o/x?until=1&key=2")


@pytest.fixture
def server_tls(tmp_path: Path) -> ssl.SSLContext:
    certify(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    return context


@pytest.fixture
def vouching(tmp_path: Path, server_tls: ssl.SSLContext) -> Callable[[], ssl.SSLContext]:
    return lambda: ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))


def test_the_gateway_s_own_ca_vouches_for_the_gateway_alone(
    server_tls: ssl.SSLContext, vouching: Callable[[], ssl.SSLContext]
) -> None:
    """With its self-made CA it must not be able to stand in for a store."""
    out = memoryview(bytearray(10))
    with Liar(lambda asked: piece(DATA, asked), tls=server_tls) as liar:
        transfers = Transfers(Origin(host="127.0.0.1", port=liar.port, context=vouching()))
        Ranges(transfers).read_into("it", lambda _: "/v1/objects/o/x", 0, out)
        assert out == DATA[:10]
        ranges = Ranges(transfers, patience_seconds=PATIENCE_SECONDS)
        with pytest.raises(StoreUnavailable, match="is not it"):
            ranges.read_into("it", lambda _: liar.url(), 0, out)
        assert len(liar.asked) == 1


def test_a_store_behind_an_own_authority_is_reached(
    server_tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with Liar(lambda asked: piece(DATA, asked), tls=server_tls) as liar:
        assert read(liar, 0, 10) == DATA[:10]


def test_a_store_that_asks_to_be_waited_for_is_not() -> None:
    """`100 Continue`, again and again, would hold a reader for as long as the store likes."""

    def wait(asked: Asked) -> Answer:
        return Answer(100, [], b"HTTP/1.1 100 X\r\n\r\n" * 1000, cut=True)

    with Liar(wait) as liar, pytest.raises(StoreUnavailable):
        read(liar, patience=PATIENCE_SECONDS)


def test_what_is_said_before_an_answer_is_no_answer() -> None:
    def first_wait(asked: Asked) -> Answer:
        honest = piece(DATA, asked)
        lines = [f"HTTP/1.1 {honest.status} X", *(f"{name}: {value}" for name, value in honest.headers)]
        return Answer(100, [], "\r\n".join([*lines, "", ""]).encode("ascii") + honest.body, cut=True)

    with Liar(first_wait) as liar, pytest.raises(StoreUnavailable):
        read(liar, 0, 10, patience=PATIENCE_SECONDS)
