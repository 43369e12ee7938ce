"""The gateway's own routes: what it passes on, what it proves, and how it refuses."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from strongroom.acts.read import Read
from strongroom.acts.table import ACTS, act_named
from strongroom.client.connection import Connection
from strongroom.client.deployment import Deployment
from strongroom.client.https import HttpsConnection, Response, fetch_ca
from strongroom.client.joining import connect, looker_of
from strongroom.client.looks import HEADER
from strongroom.client.replica import Replica
from strongroom.gateway.app import Hull
from strongroom.gateway.gateway import make_gateway
from strongroom.gateway.passing import SAID
from strongroom.gateway.problems import problem_body
from strongroom.gateway.settings import GatewaySettings
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import NotFound, StrongroomError
from strongroom.terms.outer_errors import GatewayFault, codes
from strongroom.tlog.proofs import check_consistency, check_inclusion
from strongroom.tlog.tree import leaf_hash
from tests.gateway.raw import raw
from tests.gateway.world import RealGateway

JSON = {"Content-Type": "application/json"}


def problem(answer: Response, error: type[StrongroomError], status: int | None = None) -> dict[str, Any]:
    """Return the problem that an answer is, once it is the one that was expected."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    told: Any = canonical.parse(answer.body)
    named = (error.code, error.family, f"urn:strongroom:error:{error.code}")
    assert (told["code"], told["family"], told["type"]) == named, told
    assert told["status"] == answer.status == (error.http_status if status is None else status)
    assert told["title"]
    assert told["hint"]
    return dict(told)


def bad_request() -> type[StrongroomError]:
    return next(kind for kind in codes() if kind.code == "bad-request")


BAD = bad_request()


def post(real: RealGateway, target: str, body: bytes, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to what nobody in particular sends."""
    connection = real.https()
    return connection.request("POST", target, body, headers=headers)


# --- every answer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status"),
    [("/healthz", 200), ("/v1/status", 200), ("/v1/nothing", 404), ("/v1/status?x=1", 400), ("/v1/log/entries/0", 403)],
)
def test_every_answer_has_strict_headers_and_says_nothing_of_the_server(
    shared: RealGateway, target: str, status: int
) -> None:
    answer = shared.get(target)
    assert answer.status == status
    headers = answer.headers
    assert headers["strict-transport-security"].startswith("max-age=63072000")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert not {"server", "date", "x-powered-by", "set-cookie", "access-control-allow-origin"} & headers.keys()


def test_what_is_not_there_and_what_is_asked_in_another_way_are_problems(shared: RealGateway) -> None:
    for target in ("/", "/v1", "/v1/", "/v2/status", "/v1/acts/x/y", "/metrics", "/v1/status/"):
        problem(shared.get(target), NotFound)
    answer = shared.https().request("DELETE", "/v1/status")
    problem(answer, BAD, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    problem(shared.get("/v1/unseal"), BAD, 405)
    problem(post(shared, "/healthz", b""), BAD, 405)


@pytest.mark.parametrize(
    "query",
    [
        "since",
        "since=",
        "since=-1",
        "since=+1",
        "since=01",
        "since=1_0",
        "since=1.0",
        "since=1e3",
        "since=%31",
        "since=1&since=1",
        "since=1&",
        "&since=1",
        "since=1&&since=2",
        "Since=1",
        "since=9007199254740992",
        "since=99999999999999999999999",
        "since=1&other=2",
        "other=1",
        "since=1;since=2",
        "since=1=2",
        "?since=1",
    ],
)
def test_a_query_in_any_but_its_one_form_is_refused(shared: RealGateway, query: str) -> None:
    problem(shared.get(f"/v1/status?{query}"), BAD)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{ "statement":1}',
        b'{"statement":1}\n',
        b'{"statement":1,"statement":1}',
        b'{"statement":1.0}',
        b'{"statement":NaN}',
        b'{"statement":"\\u0061"}',
        b'{"statement":"\xff"}',
        b"[" * 100_000,
        b'{"statement":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"details":[]}',
        b'{"more":1,"statement":1}',
        b'{"statement":1}',
        b'{"statement":{}}',
        b'{"statement":{"payload":"AA==","payloadType":"text/plain","signatures":[]}}',
    ],
)
def test_a_body_that_is_no_act_is_refused_here(shared: RealGateway, body: bytes) -> None:
    answer = post(shared, "/v1/acts/read", body, JSON if not body else None)
    assert answer.status == 400
    assert json.loads(answer.body)["family"] == "Malformed"


def test_a_field_that_nobody_asked_for_is_named(shared: RealGateway) -> None:
    body = b'{"more":1,"person":"x","share":"x"}'
    assert problem(post(shared, "/v1/unseal", body), BAD)["detail"] == "the body has an unknown field `more`"


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded"])
def test_a_body_that_is_said_to_be_something_else_is_refused(shared: RealGateway, kind: str) -> None:
    data = b'{"statement":1}'
    answer = shared.https().request("POST", "/v1/acts/read", data, headers={"Content-Type": kind})
    problem(answer, BAD)


def test_a_refusal_that_quotes_what_has_no_canonical_form_has_one_all_the_same() -> None:
    told: Any = canonical.parse(problem_body(NotFound("no `\ud800`", hint="not `\udfff`")))
    assert (told["detail"], told["hint"]) == ("no `\\ud800`", "not `\\udfff`")


def test_a_defect_is_told_as_one_and_says_nothing_of_what_was_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("a secret in a message")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    settings = GatewaySettings(deployment="sr1:" + "0" * 64, keep=tmp_path / "keep", folder=tmp_path)
    gateway = make_gateway(settings)
    hull = Hull(broken, gateway=gateway, paths={})
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    asyncio.run(hull(scope, receive, send))
    told = json.loads(sent[1]["body"])
    assert (sent[0]["status"], told["code"]) == (500, GatewayFault.code)
    assert "secret" not in sent[1]["body"].decode() + caplog.text
    assert "ValueError" in caplog.text
    assert b'strongroom_gateway_requests_total{route="other",status="500"} 1.0' in gateway.metrics.text()
    sent.clear()
    with pytest.raises(ValueError, match="a secret"):  # for the server, which breaks the answer off
        asyncio.run(hull({**scope, "path": "/late"}, receive, send))
    assert [message.get("status") for message in sent] == [200]


# --- the keep, passed on -----------------------------------------------------------------------


def test_status_is_the_keep_s_own(shared: RealGateway) -> None:
    told, own = shared.https().ask("status").ok, Connection(shared.socket).ask("status").ok
    assert {**told, "size": 0} == {**own, "size": 0}


def test_many_ask_for_the_status_at_once_and_each_gets_one_that_is_not_older_than_the_question(
    shared: RealGateway,
) -> None:
    connections = [shared.https() for _ in range(8)]

    def ask_often(connection: HttpsConnection) -> None:
        sizes = [int(str(connection.ask("status").ok["size"])) for _ in range(25)]
        assert sizes == sorted(sizes)

    with ThreadPoolExecutor(len(connections)) as threads:
        asked = [threads.submit(ask_often, connection) for connection in connections]
        shared.session()
        for one in asked:
            one.result()


def test_an_answer_continues_what_the_client_says_that_it_has_seen(shared: RealGateway, tmp_path: Path) -> None:
    replica = Replica(tmp_path / "log", shared.deployment)
    deployment = Deployment(shared.https(shared.ada), replica)
    deployment.sync()
    old = replica.checkpoint
    assert old is not None
    shared.session()
    answer = shared.https().ask("status", since=old.size)
    assert answer.consistency is not None
    assert answer.checkpoint is not None
    _, size, root, _ = answer.checkpoint.decode().split("\n", 3)
    new_size, new_root = int(size), base64.b64decode(root)
    assert new_size > old.size
    check_consistency(
        old_size=old.size, old_root=old.root, new_size=new_size, new_root=new_root, proof=answer.consistency
    )
    assert shared.https().ask("status", since=new_size + 1000).consistency is None
    assert shared.https().ask("status", since=0).consistency == ()


def test_an_act_is_passed_on_and_proven_without_the_entries_before_it(shared: RealGateway) -> None:
    session = shared.session()
    size = session.deployment.replica.seen_size
    assert size is not None
    assert size > session.directory.size  # it knows of its own login, and has not fetched it


def test_an_act_goes_to_the_path_of_its_own_name(shared: RealGateway) -> None:
    session = shared.session()
    act = act_named("read")
    body = {"statement": session.sign(act, session.statement(act, Read(digests=()))).json()}
    answer = post(shared, "/v1/acts/freeze", canonical.encode(body))
    assert "a statement of kind `read/1` at `freeze`" in problem(answer, BAD)["detail"]
    for name in ("nothing", "grant.give", "deployment.found", "look"):
        problem(post(shared, f"/v1/acts/{name}", canonical.encode(body)), NotFound)


def test_every_act_that_is_said_has_its_path() -> None:
    assert len(SAID) == 16
    assert {act.name for act in ACTS} - SAID.keys() == {act.name for act in ACTS if act.is_proposed} | {
        "deployment.found"
    }


def test_a_refusal_of_the_keep_comes_in_its_own_words_with_its_checkpoint(shared: RealGateway) -> None:
    session = shared.session()
    act = act_named("read")
    statement = dataclasses.replace(session.statement(act, Read(digests=())), at=session.now() - 3600)
    envelope = session.sign(act, statement)
    answer = post(shared, "/v1/acts/read", canonical.encode({"statement": envelope.json()}))
    with pytest.raises(StrongroomError) as refused:
        Connection(shared.socket).ask("act", statement=envelope.json())
    told = problem(answer, type(refused.value))
    assert told["detail"] == refused.value.message
    assert told["checkpoint"].startswith(f"{shared.deployment}/1\n")


def test_an_unknown_custodian_s_share_is_refused_by_the_keep(shared: RealGateway) -> None:
    body = {"person": "person-" + "0" * 32, "share": base64.b64encode(b"x").decode()}
    answer = post(shared, "/v1/unseal", canonical.encode(body))
    assert answer.status in {400, 403, 404}
    assert json.loads(answer.body)["checkpoint"]
    problem(post(shared, "/v1/unseal", b'{"person":"x"}'), BAD)
    problem(post(shared, "/v1/unseal?since=1", canonical.encode(body)), BAD)


# --- the log -----------------------------------------------------------------------------------


def test_the_founding_is_open_to_everybody_and_has_the_deployment_s_name(shared: RealGateway) -> None:
    told: Any = canonical.parse(shared.get("/v1/log/entries?start=0&count=1").body)
    (leaf,) = told["ok"]["entries"]
    assert shared.deployment == "sr1:" + sha256(base64.b64decode(leaf)).partition(":")[2]


@pytest.mark.parametrize("query", ["start=0&count=2", "start=1&count=1", "start=0&count=1000", "start=1000000&count=1"])
def test_everything_else_takes_a_signed_look(shared: RealGateway, query: str) -> None:
    assert shared.get(f"/v1/log/entries?{query}").status == 403
    assert shared.get("/v1/log/entries/0").status == 403


@pytest.mark.parametrize(
    "query", ["", "start=0", "count=1", "start=0&count=0", "start=0&count=1001", "start=x&count=1"]
)
def test_a_range_that_is_none_is_refused(shared: RealGateway, query: str) -> None:
    problem(shared.get(f"/v1/log/entries?{query}"), BAD)


def test_an_entry_comes_with_the_proof_that_it_is_in_the_log(shared: RealGateway) -> None:
    reader = shared.https(shared.ada)
    told: Any = reader.get("/v1/log/entries/1")
    _, size, root, _ = told["checkpoint"].split("\n", 3)
    check_inclusion(
        leaf=leaf_hash(base64.b64decode(told["leaf"])),
        index=1,
        size=int(size),
        proof=[base64.b64decode(one) for one in told["proof"]],
        root=base64.b64decode(root),
    )
    for index in ("01", "-1", "x", "1_0", "9007199254740992"):
        problem(_looked(shared, f"/v1/log/entries/{index}"), BAD)
    problem(_looked(shared, "/v1/log/entries/9007199254740991"), NotFound)


def test_entries_come_as_the_keep_gives_them(shared: RealGateway) -> None:
    size = shared.session().deployment.sync().size
    own = Connection(shared.socket).ask("entries", start=0, count=size).ok
    assert shared.https(shared.ada).ask("entries", start=0, count=size).ok == own
    some = shared.https(shared.ada).ask("entries", start=1, count=1).ok["entries"]
    assert isinstance(some, list)
    assert isinstance(own["entries"], list)
    assert some == own["entries"][1:2]
    assert shared.https(shared.ada).ask("entries", start=size, count=1).ok == {"entries": []}


def test_a_copy_on_disk_that_was_changed_is_not_shown(real: RealGateway) -> None:
    real.session()
    path = real.folder / "gateway" / "log" / "entries"
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    size = real.https().ask("status").ok["size"]
    answer = _looked(real, f"/v1/log/entries/{int(str(size)) - 1}")
    assert answer.status == 503
    assert json.loads(answer.body)["code"] == "log-doubted"


# --- looks -------------------------------------------------------------------------------------


def test_a_look_is_for_one_target_and_comes_once(shared: RealGateway) -> None:
    shared.session()
    header = looker_of(shared.ada, shared.deployment)("/v1/log/entries/1", b"")
    assert _with(shared, "/v1/log/entries/1", header).status == 200
    assert _with(shared, "/v1/log/entries/0", header).status == 400
    assert _with(shared, "/v1/log/entries/1?x=1", header).status == 400
    assert _with(shared, "/v1/log/entries/1", header[:-4] + "AAAA").status in {400, 422}
    twice = f"GET /v1/log/entries/1 HTTP/1.1\r\nHost: h\r\n{HEADER}: {header}\r\n{HEADER}: {header}\r\n\r\n"
    with raw(shared) as connection:
        connection.send(twice.encode("ascii"))
        assert connection.answer()[0] == 400


def test_a_look_is_for_one_body(real: RealGateway) -> None:
    body = canonical.encode({"person": real.ada.who.subject})
    looker = looker_of(real.ada, real.deployment)
    connection = real.https()
    for signed, status in ((body, 404), (b"", 400), (body + b" ", 400)):
        header = looker("/v1/share", signed)
        assert connection.request("POST", "/v1/share", body, headers={HEADER: header}).status == status


# --- who watches -------------------------------------------------------------------------------


def test_the_authority_is_the_one_of_the_connection_string(shared: RealGateway) -> None:
    assert shared.place.ca is not None
    assert fetch_ca(shared.url, shared.place.ca) == shared.ca_pem
    assert connect(shared.ada).name == shared.join(shared.ada).name


def test_metrics_are_for_the_loopback_and_name_nobody(real: RealGateway) -> None:
    session = real.session()
    session.deployment.sync()
    real.get("/v1/log/entries/0")
    real.get(f"/v1/people/{session.subject}")
    real.get("/v1/nothing/at-all")
    found = real.metrics()
    assert found["strongroom_gateway_keep_open"] == 1
    assert found["strongroom_gateway_log_tampered"] == 0
    assert found["strongroom_gateway_fold_entries"] == found["strongroom_gateway_journal_entries"] > 1
    assert 0 <= found["strongroom_gateway_fold_age_seconds"] < 60
    assert found["strongroom_gateway_connections"] >= 1
    assert found['strongroom_gateway_requests_total{route="/v1/acts/{name}",status="200"}'] == 1
    assert found['strongroom_gateway_requests_total{route="/v1/log/entries/{index}",status="403"}'] == 1
    assert found['strongroom_gateway_seconds_count{route="other"}'] == 1
    assert not any(re.search("[0-9a-f]{32}|at-all", name) for name in found)
    assert real.get("/metrics").status == 404


def test_a_gateway_reads_its_clock_and_not_the_client_s(shared: RealGateway) -> None:
    looker = looker_of(shared.ada, shared.deployment, clock=lambda: time.time() - 3600)
    assert _with(shared, "/v1/log/entries/1", looker("/v1/log/entries/1", b"")).status == 403


def _looked(real: RealGateway, target: str) -> Response:
    return real.https(real.ada).request("GET", target, is_signed=True)


def _with(real: RealGateway, target: str, header: str) -> Response:
    return real.https().request("GET", target, headers={HEADER: header})
