"""A hostile gateway leads elsewhere, a hostile store gives something else: nothing opens, and nothing of ours leaks.

The gateway is a real one; what it answers is changed on its way, as it would by whoever has taken it over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from strongroom.client.https import HttpsConnection
from strongroom.client.joining import looker_of
from strongroom.client.released import seal_through_keep
from strongroom.client.requests import request_access
from strongroom.client.transfer.gateway_store import GatewayStore
from strongroom.client.transfer.gateway_uploads import GatewayUploads
from strongroom.objects import ObjectStore
from strongroom.sealing.places import SealName, manifest_name
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRecord, ObjectTampered, StoreUnavailable, StrongroomError
from strongroom.terms.outer_errors import BadAnswer, ObjectMissing, ObjectSize, WrongManifest
from tests.attacks.versions import MODEL, write_model
from tests.gateway.liar import Answer, Asked, Liar, Script, piece
from tests.gateway.stored import NAME, Stored, stored

PATIENCE_SECONDS = 0.3
WEIGHTS = "weights.bin"
Urls = dict[str, str]


class Hostile(HttpsConnection):
    """A gateway whose answers about URLs are changed by `lie`."""

    lie: Callable[[Any], Any] = staticmethod(lambda answer: answer)

    def post(self, target: str, value: Json) -> Json:
        """Return what the lie makes of the true answer."""
        changed: Json = self.lie(super().post(target, value))
        return changed


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    folder = tmp_path_factory.mktemp("hostile", numbered=True)
    with stored(folder, (folder / "store").as_uri()) as trial:
        yield trial


@pytest.fixture
def hostile(trial: Stored) -> Iterator[Callable[[Callable[[Any], Any]], Hostile]]:
    made: list[Hostile] = []

    def connection(lie: Callable[[Any], Any]) -> Hostile:
        looker = looker_of(trial.real.ada, trial.real.deployment)
        made.append(Hostile(trial.real.url, context=trial.real.context(), looker=looker))
        made[-1].lie = lie
        return made[-1]

    yield connection
    for one in made:
        one.close()


Connect = Callable[[Callable[[Any], Any]], Hostile]


def opens(trial: Stored, store: ObjectStore) -> bytes:
    """Open the version over `store`, and read its weights."""
    version = trial.open(store)
    try:
        return version.read(WEIGHTS)
    finally:
        version.close()


def reading(trial: Stored, connection: HttpsConnection, *, patience_seconds: float = 30) -> GatewayStore:
    return GatewayStore(connection, lambda: trial.session.directory, patience_seconds=patience_seconds)


def with_urls(change: Callable[[Urls], Urls]) -> Callable[[Any], Any]:
    return lambda answer: {**answer, "urls": change(answer["urls"])}


def objects(trial: Stored) -> list[str]:
    return [f"o/{trial.version.seal_id}/{number}" for number in range(3)]


def manifest(trial: Stored) -> str:
    return manifest_name(SealName(model=trial.model, seal_id=trial.version.seal_id))


def test_an_honest_gateway_opens(trial: Stored, hostile: Connect) -> None:
    assert opens(trial, reading(trial, hostile(lambda answer: answer))) == MODEL[WEIGHTS]


# --- URLs --------------------------------------------------------------------------------------


def test_urls_of_other_objects_open_nothing(trial: Stored, hostile: Connect) -> None:
    names = objects(trial)

    def turned(urls: Urls) -> Urls:
        return urls | {name: urls[names[(number + 1) % 3]] for number, name in enumerate(names)}

    with pytest.raises(ObjectSize):
        opens(trial, reading(trial, hostile(with_urls(turned))))


def test_an_object_of_another_version_of_the_same_size_opens_nothing(
    trial: Stored, hostile: Connect, tmp_path: Path
) -> None:
    """The same file, sealed again: it has the same size, other keys, and is refused at its first byte."""
    other = trial.seal([write_model(tmp_path / "model")])
    request_access(trial.session, other.version, 1, "to look at it")
    trial.open(version=other.version).close()
    answer: Any = trial.real.https(trial.real.ada).post(f"/v1/versions/{other.version}/urls", {"first": 0})
    others = {f"o/{trial.version.seal_id}/{name.rpartition('/')[2]}": url for name, url in answer["urls"].items()}
    with pytest.raises(ObjectTampered):
        opens(trial, reading(trial, hostile(with_urls(lambda urls: urls | others))))


def test_another_version_s_manifest_is_not_the_one_in_the_log(trial: Stored, hostile: Connect, tmp_path: Path) -> None:
    other = trial.seal([write_model(tmp_path / "model")])
    data = trial.behind.read(manifest_name(SealName(model=other.model, seal_id=other.seal_id)), most_bytes=1 << 20)
    with Liar(lambda asked: piece(data, asked)) as liar, pytest.raises(WrongManifest):
        opens(trial, reading(trial, hostile(with_urls(lambda urls: urls | {manifest(trial): liar.url()}))))


def test_a_url_that_is_withheld_is_told(trial: Stored, hostile: Connect) -> None:
    def only(names: list[str]) -> Callable[[Any], Any]:
        return with_urls(lambda urls: {name: urls[name] for name in names})

    for kept in ([manifest(trial)], objects(trial)):
        with pytest.raises(BadAnswer, match="no URL"):
            opens(trial, reading(trial, hostile(only(kept))))


def test_fewer_objects_than_the_manifest_has_are_missing(trial: Stored, hostile: Connect) -> None:
    with pytest.raises(ObjectMissing):
        opens(trial, reading(trial, hostile(lambda answer: {**answer, "objects": 2})))


@pytest.mark.parametrize(
    "lie",
    [
        lambda answer: {**answer, "urls": {"o/x": 5}},
        lambda answer: {**answer, "urls": dict.fromkeys(answer["urls"], "")},
        lambda answer: {**answer, "objects": -1},
        lambda answer: {**answer, "more": 1},
        lambda answer: [answer],
    ],
)
def test_an_answer_of_another_form_is_none(trial: Stored, hostile: Connect, lie: Callable[[Any], Any]) -> None:
    with pytest.raises(BadRecord):
        opens(trial, reading(trial, hostile(lie)))


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/", "file:///etc/passwd", "/v1/whoami", "https://a:b@c/"]
)
def test_a_url_that_leads_to_no_store_is_not_followed(trial: Stored, hostile: Connect, url: str) -> None:
    with pytest.raises(BadAnswer, match="names a store"):
        opens(trial, reading(trial, hostile(with_urls(lambda urls: dict.fromkeys(urls, url)))))


def test_another_host_gets_a_request_for_a_range_and_nothing_else(trial: Stored, hostile: Connect) -> None:
    with Liar(lambda asked: Answer(404, [("Content-Length", "0")])) as liar:
        with pytest.raises(StrongroomError):
            opens(trial, reading(trial, hostile(with_urls(lambda urls: dict.fromkeys(urls, liar.url())))))
        assert liar.asked
        for asked in liar.asked:
            assert asked.method == "GET"
            assert {name for name, _ in asked.headers} == {"Host", "Accept-Encoding", "Range"}
            assert asked.body == b""


# --- what comes from the store -----------------------------------------------------------------


def answers(trial: Stored, change: Callable[[Asked, Answer], Answer | None]) -> Script:
    """A store that has everything, and gives what `change` makes of it; manifests it gives as they are."""

    def script(asked: Asked) -> Answer | None:
        name = asked.path.removeprefix("/")
        honest = piece(trial.behind.read(name, most_bytes=1 << 24), asked)
        return honest if name.startswith("m/") else change(asked, honest)

    return script


def flipped(asked: Asked, honest: Answer) -> Answer:
    body = bytearray(honest.body)
    body[-1] ^= 1
    return Answer(honest.status, honest.headers, bytes(body))


def without(name: str) -> Callable[[Asked, Answer], Answer]:
    return lambda asked, honest: Answer(206, [one for one in honest.headers if one[0] != name], honest.body, cut=True)


def header(name: str, value: str) -> Callable[[Asked, Answer], Answer]:
    return lambda asked, honest: Answer(
        206, [*(one for one in honest.headers if one[0] != name), (name, value)], honest.body, cut=True
    )


STORES: dict[str, tuple[Callable[[Asked, Answer], Answer | None], type[StrongroomError]]] = {
    "a flipped bit": (flipped, ObjectTampered),
    "200 in place of 206": (lambda asked, honest: Answer(200, honest.headers, honest.body), StoreUnavailable),
    "a truncated body": (
        lambda asked, honest: Answer(206, honest.headers, honest.body[:-1], cut=True),
        StoreUnavailable,
    ),
    "nothing at all": (lambda asked, honest: None, StoreUnavailable),
    "gzip": (header("Content-Encoding", "gzip"), StoreUnavailable),
    "another range": (header("Content-Range", "bytes 5-9/10"), StoreUnavailable),
    "no length": (without("Content-Length"), StoreUnavailable),
    "a redirect": (lambda asked, honest: Answer(302, [("Location", "/"), ("Content-Length", "0")]), StoreUnavailable),
    "a missing object": (lambda asked, honest: Answer(404, [("Content-Length", "0")]), ObjectMissing),
    "a larger object": (header("Content-Range", "bytes 0-0/99999"), ObjectSize),
}


@pytest.mark.parametrize("lie", STORES)
def test_what_was_not_sealed_is_not_opened(trial: Stored, hostile: Connect, lie: str) -> None:
    change, error = STORES[lie]
    with Liar(answers(trial, change)) as liar:
        connection = hostile(with_urls(lambda urls: {name: liar.url(f"/{name}") for name in urls}))
        patience_seconds = PATIENCE_SECONDS if error is StoreUnavailable else 30
        with pytest.raises(error):
            opens(trial, reading(trial, connection, patience_seconds=patience_seconds))


def test_a_store_that_breaks_off_again_and_again_opens_all_the_same(trial: Stored, hostile: Connect) -> None:
    def half(asked: Asked, honest: Answer) -> Answer:
        return Answer(206, honest.headers, honest.body[: 1 + len(honest.body) // 2], cut=True)

    with Liar(answers(trial, half)) as liar:
        connection = hostile(with_urls(lambda urls: {name: liar.url(f"/{name}") for name in urls}))
        assert opens(trial, reading(trial, connection)) == MODEL[WEIGHTS]


# --- writing -----------------------------------------------------------------------------------


def writing(trial: Stored, connection: HttpsConnection, *, patience_seconds: float = 30) -> GatewayUploads:
    return GatewayUploads(connection, trial.model, patience_seconds=patience_seconds)


def test_what_is_written_elsewhere_is_sealed_and_becomes_no_version_that_opens(
    trial: Stored, hostile: Connect, tmp_path: Path
) -> None:
    """A gateway that leads a writer to a host of its own gets ciphertext, and no statement."""
    with Liar(lambda asked: Answer(404 if asked.method == "GET" else 200, [("Content-Length", "0")])) as liar:
        connection = hostile(
            lambda answer: {**answer, "urls": dict.fromkeys(answer["urls"], liar.url()), "manifest": liar.url()}
        )
        secret = os.urandom(50)
        plain = write_model(tmp_path / "plain", {"one.bin": secret})
        made = seal_through_keep(trial.session, [plain], NAME, writing(trial, connection))
        assert {asked.method for asked in liar.asked} == {"GET", "PUT"}
        for asked in liar.asked:
            assert secret not in asked.body
            assert "Strongroom-Statement" not in dict(asked.headers)
    request_access(trial.session, made.version, 1, "to look at it")
    with pytest.raises(StrongroomError):
        trial.open(version=made.version)


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_a_store_that_does_not_take_an_object_fails_the_seal(trial: Stored, hostile: Connect, status: int) -> None:
    refused = Answer(status, [("Content-Length", "0")])
    with Liar(lambda asked: refused) as liar:
        connection = hostile(with_urls(lambda urls: dict.fromkeys(urls, liar.url())))
        writes = writing(trial, connection, patience_seconds=PATIENCE_SECONDS)
        with pytest.raises(StoreUnavailable):
            writes.put(f"w/{os.urandom(16).hex()}", b"x")
        writer = writes.create(f"o/{os.urandom(16).hex()}/0", size_bytes=1)
        writer.write_at(0, memoryview(b"x"))
        with pytest.raises(StoreUnavailable):
            writer.finish()


def test_an_object_that_arrived_before_its_answer_was_lost_is_not_taken_for_another_s(
    trial: Stored, hostile: Connect
) -> None:
    def script(asked: Asked) -> Answer | None:
        return Answer(412, [("Content-Length", "0")]) if asked.number else None

    with Liar(script) as liar:
        writes = writing(trial, hostile(with_urls(lambda urls: dict.fromkeys(urls, liar.url()))))
        writer = writes.create(f"o/{os.urandom(16).hex()}/0", size_bytes=1)
        writer.write_at(0, memoryview(b"x"))
        writer.finish()
        assert [dict(asked.headers)["If-None-Match"] for asked in liar.asked] == ["*", "*"]


def test_a_gateway_that_leaves_out_where_to_put_an_object_is_told(trial: Stored, hostile: Connect) -> None:
    writes = writing(trial, hostile(with_urls(lambda urls: {})))
    with pytest.raises(BadAnswer, match="no URL to put"):
        writes.put(f"w/{os.urandom(16).hex()}", b"x")


# --- writing in parts --------------------------------------------------------------------------

PART_BYTES, LARGE_BYTES = 1_000, 2_500
NOTHING = [("Content-Length", "0")]
TAKEN = Answer(200, [*NOTHING, ("ETag", '"e-1"')])


def text(body: bytes) -> Answer:
    return Answer(200, [("Content-Length", str(len(body)))], body)


class Parting(Hostile):
    """A gateway that has every object sent in small parts, to the liar."""

    liar: Liar
    number = 3

    def post(self, target: str, value: Json) -> Json:
        """Return where the liar is."""
        asked: Any = value
        if target == "/v1/uploads/parts":
            urls: list[Json] = [self.liar.url(f"/part-{asked['first'] + n}") for n in range(self.number)]
            return {"abort": self.liar.url("/abort"), "finish": self.liar.url("/finish"), "until": 1, "urls": urls}
        part: Json = {"begin": self.liar.url("/begin"), "part_bytes": PART_BYTES}
        names = [one["name"] for one in asked["objects"]]
        return {"manifest": self.liar.url("/m"), "parted": dict.fromkeys(names, part), "until": 1, "urls": {}}


def sent_in_parts(trial: Stored, liar: Liar, *, number: int = 3, patience_seconds: float = 30) -> bytes:
    """Write an object in parts to the liar, and return what it is."""
    with closing(Parting(trial.real.url, context=trial.real.context())) as connection:
        connection.liar, connection.number = liar, number
        data = os.urandom(LARGE_BYTES)
        writes = writing(trial, connection, patience_seconds=patience_seconds)
        writer = writes.create(f"o/{os.urandom(16).hex()}/0", size_bytes=LARGE_BYTES)
        for offset in range(0, LARGE_BYTES, 700):
            writer.write_at(offset, memoryview(data)[offset : offset + 700])
        writer.finish()
        return data


PARTS: dict[str, Answer] = {
    "/begin": text(b"<X><UploadId>the-upload</UploadId></X>"),
    "/part-1": TAKEN,
    "/part-2": TAKEN,
    "/part-3": TAKEN,
    "/finish": text(b"<?xml?><CompleteMultipartUploadResult></CompleteMultipartUploadResult>"),
    "/abort": Answer(204),
}


def test_parts_are_sent_in_order_and_put_together_where_nothing_is(trial: Stored) -> None:
    with Liar(lambda asked: PARTS[asked.path]) as liar:
        data = sent_in_parts(trial, liar)
        assert [asked.path for asked in liar.asked] == ["/begin", "/part-1", "/part-2", "/part-3", "/finish"]
        assert [asked.body for asked in liar.asked[1:4]] == [data[:1000], data[1000:2000], data[2000:]]
        assert dict(liar.asked[4].headers)["If-None-Match"] == "*"
        assert liar.asked[4].body.count(b"<ETag>&quot;e-1&quot;</ETag>") == 3


def test_a_part_that_breaks_off_is_sent_again(trial: Stored) -> None:
    def script(asked: Asked) -> Answer | None:
        return None if asked.path == "/part-2" and asked.number == 2 else PARTS[asked.path]

    with Liar(script) as liar:
        data = sent_in_parts(trial, liar)
        assert [asked.body for asked in liar.asked if asked.path == "/part-2"] == [data[1000:2000]] * 2


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/begin", text(b"<Error/>")),
        ("/begin", text(b"<UploadId>a&amp;b</UploadId>")),
        ("/part-2", Answer(200, NOTHING)),
        ("/part-2", Answer(200, [*NOTHING, ("ETag", "</ETag><x>")])),
        ("/part-2", Answer(404, NOTHING)),
        ("/finish", text(b"<?xml?><Error><Code>InternalError</Code></Error>")),
        ("/finish", Answer(400, NOTHING)),
    ],
)
def test_parts_that_the_store_does_not_take_fail_the_seal_and_are_given_up(
    trial: Stored, path: str, answer: Answer
) -> None:
    with Liar(lambda asked: answer if asked.path == path else PARTS[asked.path]) as liar:
        with pytest.raises(StoreUnavailable):
            sent_in_parts(trial, liar, patience_seconds=PATIENCE_SECONDS)
        assert (liar.asked[-1].method == "DELETE") == (path != "/begin")


def test_a_part_for_which_the_gateway_has_no_url_fails_the_seal(trial: Stored) -> None:
    with Liar(lambda asked: PARTS[asked.path]) as liar, pytest.raises(BadAnswer, match="no URL for part 1"):
        sent_in_parts(trial, liar, number=0)
