"""Passing on: what goes to the keep and comes back as it is. Statements are signed from end to end; so are the answers.

The gateway adds one thing: for whoever says with `since` how long a log they have verified, the proof that the answer's
checkpoint continues it. Being a proof, it asks nobody's trust.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from strongroom.acts.act import Act, Signer
from strongroom.acts.admit import admit
from strongroom.acts.table import ACTS
from strongroom.client.connection import parse_answer
from strongroom.gateway.asked import check_cost, check_fields, json_of, number_in, parse_query
from strongroom.gateway.gateway import Gateway
from strongroom.gateway.problems import json_answer, problem
from strongroom.statements.envelope import Envelope, parse_envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms.canonical import Json
from strongroom.terms.errors import BadRequest, NotAllowed, NotFound, StrongroomError
from strongroom.terms.outer_errors import KeepUnavailable, LogDoubted

SAID: dict[str, Act[Any]] = {act.name: act for act in ACTS if not act.is_proposed and act.signer is not Signer.FOUNDERS}
"""The acts that somebody says, by name; the others take a proposal or a founding."""


def routes(gateway: Gateway) -> list[Route]:
    """Return the routes."""

    async def status(request: Request) -> Response:
        since = _since(request)
        return await _passed(gateway, await gateway.status(), since)

    async def act(request: Request) -> Response:
        since = _since(request)
        if (asked := SAID.get(request.path_params["name"])) is None:
            raise NotFound(f"no act is called `{request.path_params['name'][:80]}`", hint="see docs/acts.md")
        body = await json_of(request)
        check_fields(body, "statement", optional=("details",))
        envelope = parse_envelope(body["statement"])
        check_cost(envelope.payload)
        if (kind := parse_statement(envelope).kind) != asked.kind:
            raise BadRequest(f"a statement of kind `{kind}` at `{asked.name}`", hint="it goes to its own act's path")
        keep = gateway.keep if _is_known(gateway, envelope) else gateway.strangers
        return await _passed(gateway, await keep.exchange("act", **body), since)

    async def unseal(request: Request) -> Response:
        parse_query(request)
        body = await json_of(request)
        check_fields(body, "person", "share")
        return await _passed(gateway, await gateway.strangers.exchange("unseal", **body), None)

    async def share(request: Request) -> Response:
        parse_query(request)
        viewer = await gateway.look(request)
        body = await json_of(request)
        check_fields(body, "person")
        if body["person"] != viewer.subject:
            raise NotAllowed("a share is for its own custodian alone")
        return await _passed(gateway, await gateway.keep.exchange("share", **body), None)

    return [
        Route("/v1/status", status),
        Route("/v1/acts/{name}", act, methods=["POST"]),
        Route("/v1/unseal", unseal, methods=["POST"]),
        Route("/v1/share", share, methods=["POST"]),
    ]


def _is_known(gateway: Gateway, envelope: Envelope) -> bool:
    """Tell whether somebody said this who is enrolled, as far as it is known here. It decides who waits for whom."""
    if (view := gateway.fold.view) is None:
        return False
    try:
        admit(view.directory, envelope, at=gateway.now(), is_first=False)
    except StrongroomError:
        return False
    return True


async def _passed(gateway: Gateway, value: Json, since: int | None) -> Response:
    """Return the keep's answer, and with it, if it can be had, the proof that it continues a log of `since`."""
    note = value.get("checkpoint") if isinstance(value, dict) else None
    size = _size(note)
    gateway.fold.told(size)
    try:
        parse_answer(value)
    except StrongroomError as error:
        return problem(error, checkpoint=note)
    assert isinstance(value, dict)  # noqa: S101 - `parse_answer` has returned
    if since is not None and (proof := await _consistency(gateway, since, size)) is not None:
        value = {**value, "consistency": proof}
    return json_answer(value)


async def _consistency(gateway: Gateway, since: int, size: int) -> list[Json] | None:
    try:
        view = await gateway.fold.reach(size)
    except LogDoubted:
        return None  # it happened all the same; the client fetches the entries instead
    return view.consistency(since, size)


def _since(request: Request) -> int | None:
    query = parse_query(request, ("since",))
    return number_in(query, "since") if "since" in query else None


def _size(note: Json) -> int:
    """Return how many entries a checkpoint says that there are; not verified: the fold does that."""
    if not isinstance(note, str):
        return 0
    try:
        return int(note.split("\n", 2)[1])
    except (IndexError, ValueError) as error:
        raise KeepUnavailable("what answers in the keep's place shows no checkpoint") from error
