"""URLs for ciphertext go to whoever has a live release of it, and no others; a local store gives what its URLs say."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from strongroom.acts.freeze import Freeze
from strongroom.acts.table import act_named
from strongroom.client.copies import Copies
from strongroom.client.https import HttpsConnection, Response
from strongroom.client.names import new_detail
from strongroom.client.released import open_through_keep, seal_through_keep
from strongroom.client.requests import request_access
from strongroom.client.transfer.gateway_store import GatewayStore
from strongroom.gateway import objects
from strongroom.gateway.local_urls import SECRET_BYTES, URL_SECONDS, LocalUrls
from strongroom.objects import open_store
from strongroom.sealing.places import SealName, manifest_name
from strongroom.terms import canonical
from strongroom.terms.errors import AccessDenied, BadRecord, NotAllowed, NotFound
from strongroom.terms.outer_errors import WrongManifest
from tests.attacks.versions import write_model
from tests.client_keep.logs import Clock
from tests.gateway.stored import Stored, stored
from tests.gateway.world import RealGateway, real_gateway

MIB = 1 << 20


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    folder = tmp_path_factory.mktemp("objects", numbered=True)
    with stored(folder, (folder / "store").as_uri()) as trial:
        yield trial


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stored]:
    with stored(tmp_path, (tmp_path / "store").as_uri()) as trial:
        yield trial


def urls_of(trial: Stored, version: str, first: int = 0) -> dict[str, str]:
    answer = trial.real.https(trial.real.ada).post(f"/v1/versions/{version}/urls", {"first": first})
    assert isinstance(answer, dict)
    urls = answer["urls"]
    assert isinstance(urls, dict)
    return {name: str(url) for name, url in urls.items()}


def another(trial: Stored, folder: Path) -> str:
    """Seal one more version, to which there is a grant, and no release yet."""
    made = trial.seal([write_model(folder / "another", {"one.bin": os.urandom(100)})])
    request_access(trial.session, made.version, 1, "to look at it")
    return made.version


# --- who gets URLs -----------------------------------------------------------------------------


def test_a_release_gives_the_urls_of_its_version_and_of_no_other(trial: Stored, tmp_path: Path) -> None:
    version = another(trial, tmp_path)
    with pytest.raises(NotAllowed, match="no live release"):
        urls_of(trial, version)
    trial.open(version=version).close()
    found = trial.session.directory.versions[version]
    manifest = manifest_name(SealName(model=found.model, seal_id=found.seal_id))
    assert sorted(urls_of(trial, version)) == [manifest, f"o/{found.seal_id}/0"]
    assert sorted(urls_of(trial, version, first=1)) == [manifest]
    with pytest.raises(NotAllowed, match="no live release"):
        urls_of(trial, another(trial, tmp_path / "more"))


def test_there_are_no_urls_for_what_is_no_version(trial: Stored) -> None:
    with pytest.raises(NotFound):
        urls_of(trial, "version-" + "0" * 32)


@pytest.mark.parametrize("asked", [{}, {"first": -1}, {"first": "0"}, {"first": 0, "objects": []}])
def test_what_asks_for_urls_has_one_form(trial: Stored, asked: dict[str, canonical.Json]) -> None:
    with pytest.raises(BadRecord):
        trial.real.https(trial.real.ada).post(f"/v1/versions/{trial.version.version}/urls", asked)


def test_nobody_gets_urls_without_a_look(trial: Stored) -> None:
    answer = trial.real.https().request("POST", f"/v1/versions/{trial.version.version}/urls", b'{"first":0}')
    assert answer.status == 403


def test_a_freeze_ends_urls(own: Stored) -> None:
    own.open().close()
    assert urls_of(own, own.version.version)
    reason = new_detail("odd", own.session.random)
    own.session.say(act_named("freeze"), Freeze(target=own.model, reason=reason.digest), details=[reason])
    with pytest.raises(NotAllowed, match="no live release"):
        urls_of(own, own.version.version)


def test_a_manifest_that_was_replaced_gets_no_urls(own: Stored) -> None:
    """The gateway holds it against the log, and so does every client."""
    own.behind.put(manifest_name(SealName(model=own.model, seal_id=own.version.seal_id)), b"{}")
    with pytest.raises(WrongManifest):
        own.open()


def test_a_release_is_its_subject_s_and_its_device_s_alone(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    with real_gateway(tmp_path, house=True, flags=("--store", store.url)) as real:
        world = real.world
        world.model()
        dan = world.session("Dan")
        job = world.workload("job", "writer")
        made = seal_through_keep(job, [write_model(tmp_path / "model")], "acme/atlas", store)
        world.grant(made.version)
        reads = GatewayStore(real.https(world.profiles["Dan"]), lambda: dan.directory)
        # Released at the keep's own socket: the gateway looks again before it refuses.
        open_through_keep(dan, made.version, reads).close()
        world.session("Eve")
        for name in ("Eve", "job"):
            with pytest.raises(NotAllowed, match="no live release"):
                real.https(world.profiles[name]).post(f"/v1/versions/{made.version}/urls", {"first": 0})
        copies = Copies()
        copies.catch_up(dan.deployment.replica)
        at = int(world.clock())

        def is_live(device: str | None, at: int) -> bool:
            found = copies.live(dan.directory, at=at, version=made.version, subject=dan.subject, device=device)
            return found is not None

        assert is_live(dan.device, at)
        assert not is_live(None, at)
        assert not is_live("device-" + "0" * 32, at)
        assert not is_live(dan.device, at + 2 * 3600)


def test_a_gateway_without_a_store_says_so(shared: RealGateway) -> None:
    connection = shared.https(shared.ada)
    for target in ("/v1/versions/version-" + "0" * 32 + "/urls", "/v1/uploads", "/v1/uploads/parts"):
        with pytest.raises(NotFound, match="no object store"):
            connection.post(target, {})


# --- the URLs of a local store -----------------------------------------------------------------


def test_a_local_url_is_for_one_method_object_time_and_size() -> None:
    clock = Clock(1_000)
    urls = LocalUrls(bytes(SECRET_BYTES), clock)
    until, key = 1_000 + URL_SECONDS, urls.read_url("o/x").partition("key=")[2]
    urls.check("GET", "o/x", until=until, size_bytes=None, key=key)
    put = urls.write_url("o/x", 5, is_fresh=True).partition("key=")[2]
    urls.check("PUT", "o/x", until=until, size_bytes=5, key=put)
    for method, name, other_until, size_bytes, other_key in (
        ("PUT", "o/x", until, None, key),
        ("GET", "o/y", until, None, key),
        ("GET", "o/x", until + 1, None, key),
        ("GET", "o/x", until, 5, key),
        ("GET", "o/x", until, None, put),
        ("GET", "o/x", until, None, ""),
        ("GET", "o/x", until, None, key[:-1]),
        ("PUT", "o/x", until, 6, put),
    ):
        with pytest.raises(AccessDenied, match="not made by this gateway"):
            urls.check(method, name, until=other_until, size_bytes=size_bytes, key=other_key)
    stranger = LocalUrls(b"s" * SECRET_BYTES, clock).read_url("o/x").partition("key=")[2]
    with pytest.raises(AccessDenied, match="not made by this gateway"):
        urls.check("GET", "o/x", until=until, size_bytes=None, key=stranger)
    clock.at = until
    urls.check("GET", "o/x", until=until, size_bytes=None, key=key)
    clock.at = until + 1
    with pytest.raises(AccessDenied, match="lapsed"):
        urls.check("GET", "o/x", until=until, size_bytes=None, key=key)


@pytest.fixture
def connection(trial: Stored) -> HttpsConnection:
    """Somebody whom nobody knows, who has a URL."""
    return trial.real.https()


@pytest.fixture
def url(trial: Stored) -> str:
    trial.open().close()
    return urls_of(trial, trial.version.version)[f"o/{trial.version.seal_id}/0"]


@pytest.fixture
def stored_bytes(trial: Stored) -> bytes:
    return trial.behind.read(f"o/{trial.version.seal_id}/0", most_bytes=MIB)


def get(connection: HttpsConnection, url: str, asked: str | None = None) -> Response:
    return connection.request("GET", url, headers={} if asked is None else {"Range": asked})


def test_ranges_of_a_local_object(connection: HttpsConnection, url: str, stored_bytes: bytes) -> None:
    size_bytes = len(stored_bytes)
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=3-9", 3, 9),
        ("bytes=5-", 5, size_bytes - 1),
        ("bytes=0-999999999", 0, size_bytes - 1),
    ):
        answer = get(connection, url, asked)
        assert (answer.status, answer.body) == (206, stored_bytes[first : last + 1])
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{size_bytes}"
        assert answer.headers["cache-control"] == "no-store"
    whole = get(connection, url)
    assert (whole.status, whole.body) == (200, stored_bytes)
    assert "content-range" not in whole.headers


def test_an_object_of_many_pieces_comes_whole(trial: Stored, connection: HttpsConnection, tmp_path: Path) -> None:
    made = trial.seal([write_model(tmp_path / "many", {"many.bin": os.urandom(3 * MIB + 5)})])
    request_access(trial.session, made.version, 1, "to look at it")
    trial.open(version=made.version).close()
    name = f"o/{made.seal_id}/0"
    assert get(connection, urls_of(trial, made.version)[name]).body == trial.behind.read(name, most_bytes=4 * MIB)


def test_an_object_that_is_cut_short_while_it_is_read_ends_there_and_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(b"x" * 10)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def read() -> None:
        scope = {"type": "http", "method": "GET", "headers": []}
        file = os.open(tmp_path / "object", os.O_RDONLY)
        answer = objects._Bytes(Request(scope, receive), file, 0, 99, 100, is_range=False)
        await asyncio.wait_for(answer(scope, receive, send), 30)

    asyncio.run(read())
    assert [(one["body"], one["more_body"]) for one in sent[1:]] == [(b"x" * 10, True)]


@pytest.mark.parametrize(
    "asked",
    ["bytes=-5", "bytes=1-2,4-5", "bytes=01-2", "bytes=1", "items=1-2", "bytes= 1-2", "bytes=a-b"],
)
def test_what_is_not_one_range_is_refused(connection: HttpsConnection, url: str, asked: str) -> None:
    assert get(connection, url, asked).status == 400


def test_a_range_beyond_the_end_is_refused(connection: HttpsConnection, url: str, stored_bytes: bytes) -> None:
    for asked in (f"bytes={len(stored_bytes)}-", "bytes=9-3"):
        assert get(connection, url, asked).status == 416


def test_a_local_url_that_was_edited_is_refused(trial: Stored, connection: HttpsConnection, url: str) -> None:
    own, other = f"o/{trial.version.seal_id}/0", f"o/{trial.version.seal_id}/1"
    path, _, query = url.partition("?")
    for edited in (
        url.replace(own, other),
        url.replace("until=1", "until=2"),
        url[:-1] + ("A" if url[-1] != "A" else "B"),
        path,
        f"{path}?until=1&key=x",
        url.replace("/v1/objects/o/", "/v1/objects/o/./"),
    ):
        assert get(connection, edited).status in {400, 403}
    assert connection.request("PUT", url, b"x").status == 400
    assert connection.request("DELETE", url).status == 405
    assert connection.request("HEAD", url).status == 403
    assert get(connection, f"{path}?{query}&size=5").status == 400


def test_a_url_for_what_is_gone_is_not_found(trial: Stored, connection: HttpsConnection, tmp_path: Path) -> None:
    made = trial.seal([write_model(tmp_path / "gone", {"gone.bin": b"x"})])
    request_access(trial.session, made.version, 1, "to look at it")
    trial.open(version=made.version).close()
    url = urls_of(trial, made.version)[f"o/{made.seal_id}/0"]
    trial.behind.delete(list(trial.behind.list(f"o/{made.seal_id}/")))
    assert get(connection, url).status == 404


def upload_url(trial: Stored, seal_id: str, size_bytes: int) -> str:
    name = f"o/{seal_id}/0"
    answer = trial.real.https(trial.real.ada).post(
        "/v1/uploads",
        {"model": trial.model, "objects": [{"name": name, "size_bytes": size_bytes}], "seal_id": seal_id},
    )
    assert isinstance(answer, dict)
    urls = answer["urls"]
    assert isinstance(urls, dict)
    return str(urls[name])


def test_an_upload_takes_the_announced_size_where_nothing_is(trial: Stored, connection: HttpsConnection) -> None:
    seal_id = os.urandom(16).hex()
    url, name = upload_url(trial, seal_id, 5), f"o/{seal_id}/0"
    for data in (b"longer", b"less"):
        assert connection.request("PUT", url, data).status == 400
    assert connection.request("PUT", url.replace("size=5", "size=6"), b"longer").status == 403
    assert get(connection, url).status == 400
    assert connection.request("PUT", url, b"first").status == 200
    assert connection.request("PUT", url, b"other").status == 409
    assert trial.behind.read(name, most_bytes=10) == b"first"


def test_an_upload_that_breaks_off_leaves_nothing(trial: Stored) -> None:
    seal_id = os.urandom(16).hex()
    url = upload_url(trial, seal_id, 5 * MIB)
    plain = socket.create_connection(("127.0.0.1", trial.real.port))
    with trial.real.context().wrap_socket(plain, server_hostname="127.0.0.1") as tls:
        head = f"PUT {url} HTTP/1.1\r\nHost: 127.0.0.1:{trial.real.port}\r\nContent-Length: {5 * MIB}\r\n\r\n"
        tls.sendall(head.encode("ascii") + bytes(2 * MIB))
        trial.real.until(lambda: any(trial.behind.list_partial()))
    trial.real.until(lambda: not any(trial.behind.list_partial()))
    assert list(trial.behind.list(f"o/{seal_id}/")) == []


def test_no_url_is_logged(trial: Stored, connection: HttpsConnection, url: str) -> None:
    get(connection, url)
    get(connection, url + "x")
    key = url.partition("key=")[2]
    for place in trial.real.folder.glob("*.log"):
        assert key not in place.read_text()
