"""Cases that chance makes out of the OpenAPI document, against a live gateway; a process of its own, run several times.

    python -m tests.gateway.fuzzing PLAN.json SEED        prints a `Report` as JSON

Schemathesis draws the requests: for one half, so many of each operation, right ones and wrong ones; for the other, one
leads to the next by the document's links. Three things are changed, because by chance alone nothing gets past the first
door:

1. Where an identifier, a digest or a key stands, one that the deployment knows is drawn as well (`AtHand`).
2. Statements are drawn as what they say. Most are then made true (who, when, where) and signed by whoever has to sign
   (`Speaking`); the others go as they are, signed by anybody.
3. Most requests are signed as looks; the others wrongly, or not.

Whatever comes back has to be what the document says: its status, its type, its headers and its body. More than that, no
status may be of the fives, and a refusal has to have a code of ours, with that code's own status.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import hypothesis
import jsonschema_rs
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import core as hypothesis_core
from hypothesis.errors import Flaky, Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from strongroom.acts.act import Signer
from strongroom.acts.table import act_named
from strongroom.client.deployment import Deployment
from strongroom.client.https import HttpsConnection, client_context
from strongroom.client.joining import looker_of
from strongroom.client.looks import HEADER, Looker
from strongroom.client.names import Names
from strongroom.client.profile import open_profile
from strongroom.client.replica import Replica
from strongroom.client.say import enveloped
from strongroom.client.session import Program, Session, login
from strongroom.gateway.openapi import openapi_document
from strongroom.statements.envelope import Envelope
from strongroom.statements.statement import Statement
from strongroom.terms import canonical
from strongroom.terms.details import detail_digest
from strongroom.terms.errors import StrongroomError
from strongroom.terms.ids import KINDS, new_id
from strongroom.terms.outer_errors import codes

CHECKS = (
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
SETTINGS = hypothesis.settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SALT = bytes(16)
TEXTS = {detail_digest(said, SALT): said for said in ("because", "acme/drawn")}
WORDS = ("approver", "core", "governor", "self", "training", "writer")
UNENDING = ("/v1/log/stream",)
"""Not drawn: see `test_streams`."""


@dataclass(kw_only=True)
class Plan:
    """What a process is told. Identifiers by what they are good for."""

    url: str
    deployment: str
    folder: str
    """Where the profiles, the CA and the replicas are."""
    cases: int
    """For each process."""
    processes: int
    known: list[str]
    """Identifiers and digests that may be drawn anywhere."""
    only: dict[str, list[str]]
    """By `Record.field`: what alone is drawn there, so that nothing ends everything."""
    recipient: str
    attester: str


@dataclass
class Report:
    """How many were answered, as `operation status`; the failures, as text."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def json(self) -> str:
        return json.dumps({"answers": dict(self.answers), "failures": self.failures})


# --- 1: what is drawn --------------------------------------------------------------------------


class AtHand:
    """Puts what is known into the schemas of requests."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self._plan = plan
        unknown = [new_id(kind, random.randbytes) for kind in KINDS]
        self._known = [*plan.known, *TEXTS, *WORDS, *unknown]

    def document(self) -> Any:
        """Return the document from which requests are drawn."""
        document: Any = json.loads(json.dumps(openapi_document()))
        for path in UNENDING:
            del document["paths"][path]
        schemas = document["components"]["schemas"]
        schemas |= {f"Asked{name}": self._asked(schema, f"{name}.") for name, schema in schemas.items()}
        for operations in document["paths"].values():
            for operation in operations.values():
                operation.pop("security", None)  # who signs, `Signed` decides
                for parameter in operation["parameters"]:
                    parameter["schema"] = self._asked(parameter["schema"], "")
                if "requestBody" in operation:
                    operation["requestBody"] = self._asked(operation["requestBody"], "")
        return document

    def _asked(self, schema: Any, where: str) -> Any:
        if isinstance(schema, list):
            return [self._asked(one, where) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if reference := schema.get("$ref"):
            return {"$ref": reference.replace("/schemas/", "/schemas/Asked")}
        if "payloadType" in schema.get("properties", ()):
            return self._asked(schema["properties"]["payload"]["contentSchema"], "")
        if schema.get("type") == "string":
            return self._text(schema, where)
        found = {name: self._asked(one, where) for name, one in schema.items() if name != "description"}
        if "properties" in schema:
            found["properties"] = {
                name: self._asked(one, f"{where}{name}") for name, one in schema["properties"].items()
            }
        if schema.get("type") == "array":
            found["maxItems"] = min(3, schema.get("maxItems", 3))
        return found

    def _text(self, schema: Any, where: str) -> Any:
        if where in self._plan.only:
            return {"enum": self._plan.only[where]}
        if "contentEncoding" in schema:
            size = re.fullmatch("([0-9]+) bytes", schema.get("description", ""))
            zeros = base64.b64encode(bytes(int(size[1]) if size else 3)).decode("ascii")
            return {"enum": [self._plan.recipient if len(zeros) == len(self._plan.recipient) else zeros]}
        fitting = [one for one in self._known if "pattern" in schema and re.search(schema["pattern"], one)]
        return {"enum": fitting} if fitting else schema


# --- 2, 3: who signs ---------------------------------------------------------------------------


@dataclass
class Speaking:
    """Turns what was drawn into envelopes. `session` is Ada's, `attester` says facts."""

    session: Session
    attester: Program

    def envelope(self, name: str, said: Any, chance: Random) -> Any:
        """Return the envelope of a statement for the act `name`: four times out of five true, and signed rightly."""
        if not isinstance(said, dict) or chance.random() < 0.2:
            payload = _bytes_of(said)
            raw = Envelope(payload=payload, signatures=()).json()
            return {
                **raw,
                "signatures": [{"keyid": self.session.subject, "sig": base64.b64encode(payload[:8]).decode()}],
            }
        act, now = act_named(name), self.session.now()
        speaker = self.attester if act.signer is Signer.ATTESTER else self.session
        true = {
            "at": now,
            "by": speaker.subject,
            "deployment": self.session.deployment.name,
            "era": 1,
            "id": new_id("statement", os.urandom),
            "kind": act.kind,
            "until": now + min(act.longest_seconds, 300),
        }
        try:
            statement = Statement(**{**true, "body": said.get("body", {})})
            statement.encode()
        except (StrongroomError, TypeError):
            return said  # it has no canonical form
        return self._signed(act, statement).json()

    def _signed(self, act: Any, statement: Statement) -> Envelope:
        match act.signer:
            case Signer.SECURITY_KEY | Signer.SECURITY_KEY_AND_DEVICE:
                key = self.session.profile.security_key()
                return enveloped(statement, self.session.touch(statement, key))
            case Signer.ATTESTER:
                return self.attester.sign(act, statement)
            case _:
                return self.session.sign(act, statement)


class Signed(requests.auth.AuthBase):
    """Makes what is about to be sent canonical, says its statements, and signs it."""

    def __init__(self, looker: Looker, speaking: Speaking, seed: int) -> None:
        self._looker, self._speaking, self._seed = looker, speaking, seed

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Finish one request. What chance decides, the request itself decides: again, it goes the same way."""
        target, given = str(request.path_url), request.body or b""
        assert isinstance(given, str | bytes)
        body = given.encode() if isinstance(given, str) else given
        chance = Random(f"{self._seed} {target}".encode() + body)
        if request.headers.get("Content-Type") == "application/json":
            body = self._said(target, body, chance)
            request.body = body
            request.headers["Content-Length"] = str(len(body))
        draw = chance.random()
        if draw < 0.9:
            request.headers[HEADER] = self._looker(target, body)
        elif draw < 0.95:
            request.headers[HEADER] = self._looker(f"{target}x", body)
        return request

    def _said(self, target: str, body: bytes, chance: Random) -> bytes:
        try:
            value = json.loads(body)
        except ValueError:
            return body
        if target.startswith("/v1/acts/") and isinstance(value, dict) and "statement" in value:
            name = target.partition("?")[0].removeprefix("/v1/acts/")
            value["statement"] = self._speaking.envelope(name, value["statement"], chance)
            due = [digest for digest in TEXTS if digest in _text_of(value["statement"])]
            if chance.random() < 0.9:
                value["details"] = [{"salt": SALT.hex(), "text": TEXTS[digest]} for digest in due]
        return _bytes_of(value)


def _text_of(envelope: Any) -> str:
    """Return what an envelope's payload says, if it is one."""
    try:
        return base64.b64decode(envelope["payload"]).decode()
    except (KeyError, TypeError, ValueError):
        return ""


def _bytes_of(value: Any) -> bytes:
    """Return JSON, canonical where it can be."""
    try:
        return canonical.encode(value)
    except StrongroomError:
        return json.dumps(value).encode("utf-8", "surrogatepass")


# --- what comes back ---------------------------------------------------------------------------


class Exactly:
    """Holds bodies against the document to the letter: what Schemathesis lets pass, members that nobody named, too."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._validators: dict[tuple[str, int], Any] = {}

    def check(self, operation: Any, response: Response) -> None:
        """Refuse a body that is not as the operation has it."""
        kind = response.headers.get("content-type", [""])[0]
        if not kind.endswith("json"):
            return
        name, status = operation["operationId"], response.status_code
        if (name, status) not in self._validators:
            said = operation["responses"].get(str(status)) or operation["responses"]["4XX"]
            if "$ref" in said:
                said = self._document["components"]["responses"][said["$ref"].rpartition("/")[2]]
            schema = {"components": self._document["components"], **said["content"][kind]["schema"]}
            self._validators[name, status] = jsonschema_rs.Draft202012Validator(schema)
        self._validators[name, status].validate(response.json())


def check_refusal(response: Response) -> None:
    """Refuse a refusal that is none of ours. The document allows 503 everywhere; here the keep is open, not busy."""
    if response.status_code < 400:
        return
    told = response.json()
    statuses = {error.code: error.http_status for error in codes()}
    if not response.status_code == told["status"] == statuses.get(told["code"], 0) < 500:
        raise NotOurs(f"answered {response.status_code} with {told['code']}")


class NotOurs(Exception):
    """A refusal without a code of ours, with another status than that code's, or of the fives."""


# --- running -----------------------------------------------------------------------------------


def run(plan: Plan, seed: int) -> Report:
    """Send cases until there were enough, or something was found."""
    folder, report = Path(plan.folder), Report()
    ca = folder / "gateway" / "ca.pem"
    sending = requests.Session()
    sending.verify = str(ca)
    speaking, looker = speakers(plan, folder, seed)
    sending.auth = Signed(looker, speaking, seed)
    document = AtHand(plan, Random(seed)).document()
    schema, exactly = schemathesis.openapi.from_dict(document), Exactly(document)
    schema.config.update(base_url=plan.url)

    def send(case: Case[Any]) -> Response:
        return case.call(session=sending, verify=str(ca))

    def hold(response: Response, case: Case[Any]) -> None:
        """Hold an answer against the document."""
        report.answers[f"{case.operation.definition.raw['operationId']} {response.status_code}"] += 1
        try:
            case.validate_response(response, checks=list(CHECKS))
            exactly.check(case.operation.definition.raw, response)
            check_refusal(response)
        except (FailureGroup, NotOurs, jsonschema_rs.ValidationError) as error:
            report.failures.append(f"{case.operation.label}: {error}: {response.text[:2000]}")
            raise

    class Machine(schema.as_state_machine()):  # type: ignore[misc] # made at run time
        """Sends each case, and lets its answer lead to the next."""

        def call(self, case: Case[Any], **_: Any) -> Response:
            return send(case)

        def validate_response(self, response: Response, case: Case[Any], *_: Any, **__: Any) -> None:
            hold(response, case)

    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    draws = [(one, mode) for one in operations for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]
    mine = draws[seed % plan.processes :: plan.processes]
    each = max(1, plan.cases // (2 * len(mine)))
    for operation, mode in mine:
        _draw(seed, report, each, operation.as_strategy(generation_mode=mode), lambda case: hold(send(case), case))
    while report.answers.total() < plan.cases and not report.failures:
        seed += plan.processes
        _attempt(seed, report, lambda: Machine.run(settings=SETTINGS))
    return report


def _draw(seed: int, report: Report, cases: int, strategy: Any, hold: Callable[[Case[Any]], None]) -> None:
    """Send so many cases of one operation."""

    @hypothesis.settings(SETTINGS, max_examples=cases)
    @hypothesis.given(case=strategy)
    def sent(case: Case[Any]) -> None:
        hold(case)

    _attempt(seed, report, sent)


def _attempt(seed: int, report: Report, run: Callable[[], None]) -> None:
    """Run cases, and note what goes wrong."""
    vars(hypothesis_core)["global_force_seed"] = seed  # as its option for pytest does
    try:
        run()
    except (Flaky, Unsatisfiable):
        pass  # the gateway has a state, and answers no two requests alike; not everything can be said wrongly
    except (FailureGroup, Exception) as error:  # noqa: BLE001 - it is reported
        if not report.failures:
            report.failures.append(repr(error))


def speakers(plan: Plan, folder: Path, seed: int) -> tuple[Speaking, Looker]:
    """Log Ada in, for this process alone, and take up the attester."""
    context = client_context((folder / "gateway" / "ca.pem").read_bytes())

    def connected(profile: Any) -> Deployment:
        looker = looker_of(profile, plan.deployment)
        replica = Replica(folder / f"replica-{seed}-{profile.who.subject}", plan.deployment)
        return Deployment(HttpsConnection(plan.url, context=context, looker=looker), replica, Names())

    ada, attester = open_profile(folder / "ada"), open_profile(Path(plan.attester))
    session = login(ada, connected(ada), ada.security_key())
    says = Program(profile=attester, deployment=connected(attester))
    return Speaking(session=session, attester=says), looker_of(ada, plan.deployment)


def main() -> None:
    """Run one process's cases."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.write(run(plan, int(sys.argv[2])).json() + "\n")


if __name__ == "__main__":
    main()
