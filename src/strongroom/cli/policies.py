"""`strongroom policy …`: check a bundle before it is proposed, read the one in force, ask what it would say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli import here
from strongroom.cli.known import Known
from strongroom.cli.options import VERSION, PathText, json_option
from strongroom.cli.output import count, note, show, show_error, table
from strongroom.terms.errors import BadPolicy, BadRequest, NotFound

if TYPE_CHECKING:
    from strongroom.directory.state import Directory, Grant
    from strongroom.policy.explain import Explanation
    from strongroom.policy.requests import Tally

_APPROVER = "approver"
_GRANTED = "be granted, if every approver agrees"


@click.group("policy")
def group() -> None:
    """Policies: what they are, and what they would say."""


@group.command()
@click.argument("folder", type=PathText(), required=False, metavar="[DIR]")
@click.option("--default", "is_default", is_flag=True, help="Those that a deployment begins with.")
@json_option
def check(folder: Path | None, is_default: bool) -> None:
    """Say what is wrong with the policies of a folder, all of it at once."""
    from strongroom.acts.table import schema
    from strongroom.cli.plans import read_policies
    from strongroom.policy.beginning import default_bundle
    from strongroom.policy.bundle import bundle_digest
    from strongroom.policy.check import check_bundle
    from strongroom.policy.source import ERROR, PolicyFile

    if is_default == (folder is not None):
        raise click.UsageError("give one of DIR and `--default`")
    files = (
        default_bundle()
        if folder is None
        else tuple(PolicyFile(name=one.name, text=one.text) for one in read_policies(folder))
    )
    findings = check_bundle(files, schema())
    errors = sum(one.severity == ERROR for one in findings)
    known = {
        "files": len(files),
        "digest": bundle_digest(files),
        "findings": [
            {"policy": one.policy_id, "severity": one.severity, "message": one.message, "hint": one.hint}
            for one in findings
        ],
    }
    lines = [f"{one.severity}: {one}: {one.hint}" for one in findings]
    if errors:
        error = BadPolicy(f"{count(errors, 'error')} in {count(len(files), 'file')}")
        show_error(error, result=known, lines=lines)
        click.get_current_context().exit(error.exit_code)
    show(known, [*lines, f"{count(len(files), 'file')} can be taken: {known['digest']}"])


@group.command("show")
@click.argument("name", required=False, metavar="[FILE]")
@json_option
def show_(name: str | None) -> None:
    """Show the policies in force, by the verified log; or the text of one file."""
    from strongroom.policy.bundle import bundle_digest, floor_file
    from strongroom.policy.source import PolicyFile

    directory = here.reader().directory
    floor = floor_file()
    files = [PolicyFile(name=one.name, text=one.text) for one in directory.policies]
    if name is not None:
        for file in (*files, floor):
            if file.name == name:
                show({"name": name, "text": file.text}, file.text.splitlines())
                return
        raise NotFound(f"no policies are called `{name}`", hint="`strongroom policy show` lists them")
    rows = [("FILE", "DIGEST"), *[(file.name, bundle_digest([file])) for file in (*files, floor)]]
    note("floor.cedar is the keep's own: no vote takes it away")
    known = [{"name": file.name, "digest": bundle_digest([file])} for file in (*files, floor)]
    show({"digest": bundle_digest(files), "files": known}, table(rows))


@group.command()
@click.argument("person", type=Known("PERSON", "person"), metavar="PERSON")
@click.argument("version", type=VERSION, metavar="VERSION")
@click.option(
    "--device", default=None, metavar="ID", help="From which device. [default: theirs, if they have one only]"
)
@click.option("--zone", default=None, metavar="THING", help="As if that device were in this zone.")
@json_option
def explain(person: str, version: str, device: str | None, zone: str | None) -> None:
    """Say whether somebody (or a workload) could open a version now, and with what they could."""
    from strongroom.cli.things import find_thing

    reader = here.reader()
    subject = find_thing(reader, person, ("person", "workload"))
    target = find_thing(reader, version, ("version",))
    place = None if zone is None else find_thing(reader, zone, ("zone",))
    chosen = _device(reader.directory, subject, device)
    steps = _steps(reader.directory, subject, target, chosen, place)
    lines = [f"could {reader.called(subject)} open {reader.called(target)}?"]
    lines += [
        f"from device {chosen or 'none'}, in zone {reader.called(_zone(reader.directory, subject, chosen, place))}"
    ]
    for title, found in steps.items():
        first, *rest = found.lines()
        lines += ["", f"{title}: {first}", *rest]
    show({title.split(",")[0]: _json(found) for title, found in steps.items()}, lines)


def lacking_role(directory: Directory, workload: str, version: str) -> str | None:
    """Return a role that somebody holds, and with which alone a workload could open what else it could not."""
    from strongroom.directory.state import made

    def could(one: Directory) -> bool:
        return _steps(one, workload, version, None, None)[_GRANTED].allowed

    if could(directory):
        return None
    for held in {held.role: held for person in directory.people.values() for held in person.roles}.values():
        supposed, own = directory.copy(), directory.workloads[workload]
        supposed.workloads[workload] = made(type(own), own, roles=(*own.roles, made(type(held), held, model=None)))
        if could(supposed):
            return held.role
    return None


def _steps(
    directory: Directory, subject: str, target: str, device: str | None, place: str | None
) -> dict[str, Explanation]:
    """Return what policy says to each step on the way: asking, being granted, opening."""
    from strongroom.acts.decide import bundle_of
    from strongroom.acts.quorum import people_behind, standing, tally
    from strongroom.acts.slices import context, label_of, principal, resource
    from strongroom.directory import find
    from strongroom.policy.explain import explain as explain_request
    from strongroom.policy.requests import Change, Tally

    at, bundle = directory.at, bundle_of(directory)
    software = any(
        one.person == subject and one.software and not (one.removed or one.compromised)
        for one in directory.credentials.values()
    )

    def said(action: str, quorum: Tally, *, grant: bool = False) -> Explanation:
        return explain_request(
            bundle,
            principal(directory, subject, target, software=software, at=at),
            action,
            resource(directory, target, at),
            context(
                directory,
                at=at,
                device=None if device is None else find.device(directory, device),
                zone=_zone(directory, subject, device, place),
                session_age_seconds=0 if subject.startswith(here.PERSON) else None,
                quorum=quorum,
                grant=grant,
                change=Change(act="grant.give"),
            ),
        )

    everybody = _everybody(directory, without=people_behind(directory, subject))
    if subject.startswith("workload-"):
        # Somebody else asks on its behalf, and is who is granted it: what it takes itself shows once it opens.
        steps = {_GRANTED: said("release", everybody, grant=True)}
    else:
        steps = {"ask, just logged in": said("propose", Tally()), _GRANTED: said("grant.give", everybody)}
    if (grant := _live_grant(directory, subject, target, device, at)) is not None:
        without = people_behind(directory, subject) | {grant.proposer}
        quorum = tally(standing(directory, grant.approvals, without=without, label=label_of(directory, target)))
        steps["open, on the live grant"] = said("release", quorum, grant=True)
    else:
        steps["open, without a live grant"] = said("release", everybody)
    return steps


def _everybody(directory: Directory, *, without: frozenset[str]) -> Tally:
    """Return the approvals of all who could give one."""
    from strongroom.policy.requests import Tally

    held = {
        name: next(one for one in person.roles if one.role == _APPROVER)
        for name, person in directory.people.items()
        if name not in without
        and not (person.frozen or person.removed)
        and any(one.role == _APPROVER for one in person.roles)
    }
    teams = {one.team for one in held.values()}
    return Tally(
        people=len(held), teams=len(teams), cli=len(held), roles=dict(Counter(one.role for one in held.values()))
    )


def _live_grant(directory: Directory, subject: str, version: str, device: str | None, at: int) -> Grant | None:
    found = [
        one
        for one in directory.grants.values()
        if (one.subject, one.version, one.device) == (subject, version, device) and one.until >= at
    ]
    return max(found, key=lambda one: one.until, default=None)


def _device(directory: Directory, subject: str, device: str | None) -> str | None:
    if subject.startswith("workload-"):
        if device is not None:
            raise BadRequest("a workload has no device", hint="leave `--device` out")
        return None
    theirs = [one.device for one in directory.devices.values() if one.person == subject and not one.removed]
    if device is None and len(theirs) > 1:
        raise BadRequest(f"they have {len(theirs)} devices", hint=f"choose with `--device`: {', '.join(theirs)}")
    return device or next(iter(theirs), None)


def _zone(directory: Directory, subject: str, device: str | None, place: str | None) -> str:
    from strongroom.directory import find

    if place is not None:
        return place
    if subject.startswith("workload-"):
        return find.workload(directory, subject).zone
    if device is None:
        raise BadRequest("they have no device that is enrolled", hint="say in which zone one would be: `--zone`")
    return find.device(directory, device).zone


def _json(found: Explanation) -> dict[str, Any]:
    return {
        "allowed": found.allowed,
        "by": [one.id for one in found.by],
        "against": [one.id for one in found.against],
        "options": [one.id for one in found.options],
        "missing": list(found.missing),
        "errors": list(found.errors),
    }
