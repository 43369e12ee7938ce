"""What the default policies and the floor allow and refuse, as a table that reads like a specification.

A row is a situation, then the ids that decide: the permits that allow it, or the forbids that refuse it. A refusal
without ids is one that no permit covers.
"""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.policy.requests import Change, Request, Tally
from tests.policy.acts import (
    DAILY_BYTES,
    HERSELF,
    HOUSE,
    HUGE,
    approvers,
    attester,
    deployment,
    device,
    governors,
    model,
    person,
    request,
    some_workload,
    somebody,
    version,
    workload,
    zone,
)


@dataclass(frozen=True, slots=True)
class Row:
    situation: str
    request: Request
    allowed: bool
    ids: frozenset[str]


def yes(situation: str, asked: Request, *ids: str) -> Row:
    return Row(situation, asked, True, frozenset(ids))


def no(situation: str, asked: Request, *ids: str) -> Row:
    return Row(situation, asked, False, frozenset(ids))


RESEARCHER = person("researcher", facts={"training": 1})
TRIAL = deployment(trial=True, quorum=1, people=1)
FOUNDER = person("governor", "approver", "researcher", "writer", "responder")
JOB = workload("researcher")
ALONE = Tally(people=1, teams=1, cli=1, roles={"approver": 1, "governor": 1})


def propose(act: str, *roles: str) -> Change:
    return Change(act=act, roles=frozenset(roles))


SESSIONS = [
    yes("anybody enrolled opens a session", request(person(), "session.open", HOUSE), "session-open"),
    yes("anybody enrolled reads", request(person(), "read", HOUSE), "read-enrolled"),
    no("without a session nobody reads", request(person(), "read", HOUSE, session_age_seconds=None), "session-live"),
    no("a session ends", request(person(), "read", HOUSE, session_age_seconds=3601), "session-live"),
    yes(
        "after an hour to the second it lives",
        request(person(), "read", HOUSE, session_age_seconds=3600),
        "read-enrolled",
    ),
]

PROPOSING = [
    yes(
        "a researcher proposes access",
        request(RESEARCHER, "propose", version(), change=propose("grant.give")),
        "propose-access",
    ),
    no("and no other change", request(RESEARCHER, "propose", version(), change=propose("label.lower"))),
    no("a writer does not", request(person("writer"), "propose", version(), change=propose("grant.give"))),
    no("a governor does not", request(person("governor"), "propose", version(), change=propose("grant.give"))),
    yes(
        "a governor proposes any other change",
        request(person("governor"), "propose", HOUSE, change=propose("policy.change")),
        "propose-governance",
    ),
    no("a researcher does not", request(RESEARCHER, "propose", HOUSE, change=propose("policy.change"))),
    yes(
        "a responder proposes a thaw",
        request(person("responder"), "propose", model(), change=propose("thaw")),
        "propose-thaw",
    ),
    no("others do not", request(person("writer"), "propose", model(), change=propose("thaw"))),
    no("and no other change", request(person("responder"), "propose", model(), change=propose("label.lower"))),
    yes(
        "everybody proposes a credential of their own",
        request(person(), "propose", HERSELF, own=True, change=propose("credential.add")),
        "propose-own",
    ),
    no("but no role", request(person(), "propose", HERSELF, own=True, change=propose("role.give"))),
    no(
        "nor a credential for others",
        request(person(), "propose", somebody(), change=propose("credential.add")),
    ),
    no(
        "without a session nobody proposes",
        request(RESEARCHER, "propose", version(), change=propose("grant.give"), session_age_seconds=None),
        "session-live",
    ),
    yes(
        "an approver approves in that role, without a session",
        request(person("approver"), "approve", version(), change=Change(role="approver"), session_age_seconds=None),
        "vote-in-role",
    ),
    yes(
        "and rejects",
        request(person("approver"), "reject", version(), change=Change(role="approver")),
        "vote-in-role",
    ),
    no("not in a role held by others", request(person("approver"), "approve", HOUSE, change=Change(role="governor"))),
    no("nor in one without a voice", request(RESEARCHER, "approve", version(), change=Change(role="researcher"))),
    yes("who proposed withdraws", request(person(), "withdraw", version()), "withdraw-own"),
]

ACCESS = [
    yes(
        "label 0 takes one approver",
        request(RESEARCHER, "grant.give", version(0), quorum=approvers(1)),
        "access-label-0",
    ),
    no("and not none", request(RESEARCHER, "grant.give", version(0))),
    no(
        "nor one who is counted as none",
        request(RESEARCHER, "grant.give", version(0), quorum=Tally(roles={"approver": 0})),
    ),
    yes("two do no harm", request(RESEARCHER, "grant.give", version(0), quorum=approvers(2)), "access-label-0"),
    yes(
        "nor do three at label 3", request(RESEARCHER, "grant.give", version(3), quorum=approvers(3)), "access-label-3"
    ),
    *(
        no(
            f"at label {label} others ask in vain",
            request(person("writer"), "grant.give", version(label), quorum=approvers(3)),
        )
        for label in range(5)
    ),
    *(
        no(
            f"at label {label} governors do not stand in for approvers",
            request(RESEARCHER, "grant.give", version(label), quorum=tally),
        )
        for label in range(1, 5)
        for tally in (
            governors(3, teams=2),
            Tally(people=3, teams=2, cli=1, roles={"approver": 1, "governor": 2}),
        )
    ),
    yes("label 1 takes two", request(RESEARCHER, "grant.give", version(1), quorum=approvers(2)), "access-label-1-2"),
    yes("label 2 takes two", request(RESEARCHER, "grant.give", version(2), quorum=approvers(2)), "access-label-1-2"),
    no(
        "one is not enough",
        request(RESEARCHER, "grant.give", version(1), quorum=approvers(1)),
        "floor-two-people-open",
    ),
    no(
        "nor one approver and one governor",
        request(
            RESEARCHER, "grant.give", version(1), quorum=Tally(people=2, teams=2, roles={"approver": 1, "governor": 1})
        ),
    ),
    yes(
        "label 3 takes two teams", request(RESEARCHER, "grant.give", version(3), quorum=approvers(2)), "access-label-3"
    ),
    no("one team is not enough", request(RESEARCHER, "grant.give", version(3), quorum=approvers(3, teams=1))),
    no("nor no CLI", request(RESEARCHER, "grant.give", version(3), quorum=approvers(3, cli=0))),
    yes("label 4 takes three", request(RESEARCHER, "grant.give", version(4), quorum=approvers(3)), "access-label-4"),
    no("two are not enough", request(RESEARCHER, "grant.give", version(4), quorum=approvers(2))),
    no("nor three of one team", request(RESEARCHER, "grant.give", version(4), quorum=approvers(3, teams=1))),
    no("nor three without CLI", request(RESEARCHER, "grant.give", version(4), quorum=approvers(3, cli=0))),
    no("approvers open nothing", request(person("approver"), "grant.give", version(1), quorum=approvers(2))),
    no(
        "a zone is fit for labels up to its ceiling",
        request(RESEARCHER, "grant.give", version(2), quorum=approvers(2), zone=zone(ceiling=1)),
        "zone-ceiling",
    ),
    no(
        "and without a zone there is no access",
        request(RESEARCHER, "grant.give", version(0), quorum=approvers(1), zone=zone(exists=False)),
        "zone-ceiling",
    ),
]

RELEASE = [
    yes("a person opens", request(RESEARCHER, "release", version(2), quorum=approvers(2)), "access-label-1-2"),
    yes(
        "a workload opens, with neither session nor device",
        request(JOB, "release", version(2), quorum=approvers(2), session_age_seconds=None, device=device(exists=False)),
        "access-label-1-2",
    ),
    no("a workload without the role does not", request(workload("writer"), "release", version(2), quorum=approvers(2))),
    no(
        "not without a grant",
        request(RESEARCHER, "release", version(2), quorum=approvers(2), grant=False),
        "release-grant",
    ),
    no(
        "not from a browser",
        request(RESEARCHER, "release", version(2), quorum=approvers(2), device=device(exists=False)),
        "release-device",
    ),
    no(
        "not after the session",
        request(RESEARCHER, "release", version(2), quorum=approvers(2), session_age_seconds=3601),
        "session-live",
    ),
    no(
        "not when an approval was taken away since",
        request(RESEARCHER, "release", version(2), quorum=approvers(1)),
        "floor-two-people-open",
    ),
    no("not when the role was", request(person(), "release", version(2), quorum=approvers(2))),
    yes(
        "label 2 opens with an older session, without facts, however small it is",
        request(
            person("researcher"),
            "release",
            version(2, tensor_bytes=1),
            quorum=approvers(2),
            session_age_seconds=3600,
            device=device(facts={}),
            zone=zone(facts={}),
        ),
        "access-label-1-2",
    ),
    yes(
        "label 3 with everything",
        request(RESEARCHER, "release", version(3), quorum=approvers(2), session_age_seconds=900),
        "access-label-3",
    ),
    no(
        "label 3 wants a fresh session",
        request(RESEARCHER, "release", version(3), quorum=approvers(2), session_age_seconds=901),
        "release-fresh-session",
    ),
    no(
        "which none at all is not",
        request(RESEARCHER, "release", version(3), quorum=approvers(2), session_age_seconds=None),
        "release-fresh-session",
        "session-live",
    ),
    no(
        "an encrypted disk",
        request(RESEARCHER, "release", version(3), quorum=approvers(2), device=device(facts={"disk-encrypted": 0})),
        "release-disk-encrypted",
    ),
    no(
        "that somebody vouches for",
        request(RESEARCHER, "release", version(3), quorum=approvers(2), device=device(facts={})),
        "release-disk-encrypted",
    ),
    no(
        "current training",
        request(person("researcher", facts={"training": 0}), "release", version(3), quorum=approvers(2)),
        "release-training",
    ),
    no(
        "that somebody vouches for, too",
        request(person("researcher"), "release", version(3), quorum=approvers(2)),
        "release-training",
    ),
    no(
        "90 days to steal it",
        request(
            RESEARCHER,
            "release",
            version(3, tensor_bytes=HUGE - 1),
            quorum=approvers(2),
            zone=zone(facts={"egress-bytes-per-day": 1}),
        ),
        "release-time-to-steal",
    ),
    no(
        "however large the numbers are",
        request(
            RESEARCHER,
            "release",
            version(3, tensor_bytes=2**53 - 1),
            quorum=approvers(2),
            zone=zone(egress_bytes_per_day=2**53 - 1),
        ),
        "release-time-to-steal",
    ),
    no(
        "by the meter as well as by the ceiling",
        request(
            RESEARCHER,
            "release",
            version(3),
            quorum=approvers(2),
            zone=zone(facts={"egress-bytes-per-day": DAILY_BYTES + 1}),
        ),
        "release-egress-metered",
    ),
    no(
        "a meter that shows whatever it shows",
        request(
            RESEARCHER,
            "release",
            version(3, tensor_bytes=2**53 - 1),
            quorum=approvers(2),
            zone=zone(facts={"egress-bytes-per-day": 2**53 - 1}),
        ),
        "release-egress-metered",
    ),
    no(
        "and a meter at all",
        request(RESEARCHER, "release", version(3), quorum=approvers(2), zone=zone(facts={})),
        "release-egress-metered",
    ),
    yes(
        "a workload at label 3 has no session, device or training, but a zone",
        request(JOB, "release", version(3), quorum=approvers(2), session_age_seconds=None, device=device(facts={})),
        "access-label-3",
    ),
]

GOVERNANCE = [
    yes(
        "a quorum of governors governs",
        request(person(), "policy.change", HOUSE, quorum=governors(2)),
        "governance-quorum",
    ),
    no("fewer do not", request(person(), "policy.change", HOUSE, deployment=deployment(quorum=3), quorum=governors(2))),
    no("nor without CLI", request(person(), "policy.change", HOUSE, quorum=governors(2, cli=0))),
    no(
        "nor a count that contradicts itself",
        request(
            person(),
            "policy.change",
            HOUSE,
            deployment=deployment(quorum=3),
            quorum=Tally(people=2, cli=1, roles={"governor": 3}),
        ),
    ),
    no("nor approvers", request(person(), "policy.change", HOUSE, quorum=approvers(2))),
    no(
        "nor with approvers among them",
        request(person(), "policy.change", HOUSE, quorum=Tally(people=2, cli=1, roles={"approver": 1, "governor": 1})),
    ),
    yes(
        "a quorum lowers a label", request(person(), "label.lower", version(), quorum=governors(2)), "governance-quorum"
    ),
    yes("a quorum thaws", request(person(), "thaw", model(frozen=True), quorum=governors(2)), "governance-quorum"),
    no(
        "a responder alone does not",
        request(person("responder"), "thaw", model(frozen=True)),
        "floor-two-people-govern",
    ),
    yes(
        "a quorum adds a credential",
        request(person(), "credential.add", HERSELF, own=True, quorum=governors(2)),
        "governance-quorum",
    ),
]

DUTIES = [
    *(
        row
        for roles, rule in (
            (("approver", "researcher"), "duties-approver-researcher"),
            (("approver", "writer", "responder"), "duties-approver-writer"),
            (("auditor", "responder"), "duties-auditor"),
        )
        for row in (
            no(
                f"{' and '.join(roles)} do not go together",
                request(person(), "role.give", somebody(), quorum=governors(2), change=propose("role.give", *roles)),
                rule,
            ),
            no(
                "nor is it proposed",
                request(person("governor"), "propose", somebody(), change=propose("role.give", *roles)),
                rule,
            ),
            no(
                "nor given to a workload",
                request(
                    person(), "role.give", some_workload(), quorum=governors(2), change=propose("role.give", *roles)
                ),
                rule,
            ),
            no(
                "nor on the first day",
                request(person(), "person.enrol", HOUSE, quorum=governors(2), change=propose("person.enrol", *roles)),
                rule,
            ),
            yes(
                "unless it is on the way to fewer",
                request(person("governor"), "propose", somebody(), change=propose("role.take", *roles)),
                "propose-governance",
            ),
        )
    ),
    yes(
        "other roles do",
        request(
            person(), "role.give", somebody(), quorum=governors(2), change=propose("role.give", "approver", "governor")
        ),
        "governance-quorum",
    ),
    yes(
        "an auditor is an auditor",
        request(person(), "role.give", somebody(), quorum=governors(2), change=propose("role.give", "auditor")),
        "governance-quorum",
    ),
]

SEALING = [
    yes("a writer seals", request(person("writer"), "version.register", model()), "seal-writer"),
    yes(
        "a training job seals",
        request(workload("writer"), "version.register", model(), session_age_seconds=None, device=device(exists=False)),
        "seal-writer",
    ),
    no("a researcher does not", request(RESEARCHER, "version.register", model())),
    no(
        "nobody from a browser",
        request(person("writer"), "version.register", model(), device=device(exists=False)),
        "seal-device",
    ),
    no(
        "nobody after the session",
        request(person("writer"), "version.register", model(), session_age_seconds=3601),
        "session-live",
    ),
]

ALIASES = [
    yes("a writer says which version `prod` is", request(person("writer"), "alias.set", version()), "alias-writer"),
    no("a researcher does not", request(RESEARCHER, "alias.set", version())),
    no(
        "nobody says it from a browser",
        request(person("writer"), "alias.set", version(), device=device(exists=False)),
        "alias-device",
    ),
    no(
        "nobody says it after the session",
        request(person("writer"), "alias.set", version(), session_age_seconds=3601),
        "session-live",
    ),
    *(
        no(f"`prod` stays: a frozen {what}", request(person("writer"), "alias.set", meant, **more), "alias-frozen")
        for what, meant, more in (
            ("deployment", version(), {"deployment": deployment(frozen=True)}),
            ("model", version(parent=model(frozen=True)), {}),
            ("device", version(), {"device": device(frozen=True)}),
            ("zone", version(), {"zone": zone(frozen=True)}),
        )
    ),
]

CLOSING = [
    *(
        yes(f"a responder alone may {act}", request(person("responder"), act, resource), "close-responder")
        for act, resource in (
            ("freeze", HOUSE),
            ("freeze", model()),
            ("grant.revoke", version()),
            ("session.close", somebody()),
        )
    ),
    no("others may not", request(person("approver"), "freeze", model())),
    yes("one's own session", request(person(), "session.close", HERSELF, own=True), "close-own"),
    no("not that of others", request(person(), "session.close", somebody())),
    yes("one's own key is reported", request(person(), "credential.report", HERSELF, own=True), "close-own"),
    yes(
        "whoever has a role on a model raises its label",
        request(person("writer"), "label.raise", model(2), change=Change(label=3)),
        "raise-label",
    ),
    no("others do not", request(person(), "label.raise", model(2), change=Change(label=3))),
    yes("an attester attests", request(attester(), "fact.attest", somebody()), "attest"),
]

TRIALS = [
    yes(
        "in a trial one person opens",
        request(FOUNDER, "release", version(2), deployment=TRIAL, quorum=Tally(people=1)),
        "trial-access",
    ),
    yes("for nobody else is there", request(FOUNDER, "release", version(2), deployment=TRIAL), "trial-access"),
    no("as a researcher", request(person(), "release", version(2), deployment=TRIAL, quorum=ALONE)),
    no(
        "up to label 2",
        request(FOUNDER, "release", version(3), deployment=TRIAL, quorum=approvers(1)),
        "floor-trial-label",
        "release-training",
    ),
    yes(
        "governs",
        request(FOUNDER, "policy.change", HOUSE, deployment=TRIAL, quorum=Tally(people=1)),
        "trial-governance",
    ),
    yes("alone", request(FOUNDER, "policy.change", HOUSE, deployment=TRIAL), "trial-governance"),
    yes(
        "holds every role",
        request(
            FOUNDER,
            "role.give",
            HERSELF,
            own=True,
            deployment=TRIAL,
            quorum=Tally(people=1),
            change=propose("role.give", "approver", "researcher", "writer", "auditor"),
        ),
        "trial-governance",
    ),
    yes(
        "and votes on what is theirs",
        request(FOUNDER, "approve", HERSELF, own=True, deployment=TRIAL, change=Change(role="governor")),
        "vote-in-role",
    ),
]

DEFAULT_ROWS = [*SESSIONS, *PROPOSING, *ACCESS, *RELEASE, *GOVERNANCE, *DUTIES, *SEALING, *ALIASES, *CLOSING, *TRIALS]

# --- the floor, under policies that permit everything to everybody -------------------------------

OPEN = "open"
"""The id of the permit that permits everything."""

AROUND_A_FREEZE = [
    ("propose", model(frozen=True)),
    ("approve", model(frozen=True)),
    ("reject", model(frozen=True)),
    ("withdraw", model(frozen=True)),
    ("thaw", model(frozen=True)),
    ("freeze", somebody(frozen=True)),
    ("session.close", somebody(frozen=True)),
    ("grant.revoke", version(frozen=True)),
]

FLOOR_ROWS = [
    *(
        row
        for act in ("release", "grant.give")
        for row in (
            no(
                f"one approval is not enough to {act}",
                request(person(), act, version(1), quorum=ALONE),
                "floor-two-people-open",
            ),
            yes("two are", request(person(), act, version(1), quorum=approvers(2)), OPEN),
            yes("label 0 is public", request(person(), act, version(0)), OPEN),
            yes("in a trial one is enough", request(person(), act, version(1), deployment=TRIAL, quorum=ALONE), OPEN),
            no(
                "up to label 2",
                request(person(), act, version(3), deployment=TRIAL, quorum=approvers(2)),
                "floor-trial-label",
            ),
            no(
                "a frozen deployment opens nothing",
                request(person(), act, version(), quorum=approvers(2), deployment=deployment(frozen=True)),
                "floor-frozen-deployment",
            ),
            no(
                "nor a trial that is",
                request(person(), act, version(), quorum=ALONE, deployment=deployment(trial=True, frozen=True)),
                "floor-frozen-deployment",
            ),
            no(
                "nor a frozen version",
                request(person(), act, version(frozen=True), quorum=approvers(2)),
                "floor-frozen-resource",
            ),
            no(
                "nor a version of a frozen model",
                request(person(), act, version(parent=model(frozen=True)), quorum=approvers(2)),
                "floor-frozen-resource",
            ),
            no(
                "nor a frozen device",
                request(person(), act, version(), quorum=approvers(2), device=device(frozen=True)),
                "floor-frozen-device",
            ),
            no(
                "nor a frozen zone",
                request(person(), act, version(), quorum=approvers(2), zone=zone(frozen=True)),
                "floor-frozen-zone",
            ),
            no(
                "nor somebody frozen",
                request(person(frozen=True), act, version(), quorum=approvers(2)),
                "floor-frozen-principal",
            ),
            no(
                "nor a clock in doubt, label 0 included",
                request(person(), act, version(0), quorum=approvers(2), deployment=deployment(time_doubted=True)),
                "floor-time-doubted",
            ),
            yes(
                "of which a trial only warns",
                request(person(), act, version(), quorum=ALONE, deployment=deployment(trial=True, time_doubted=True)),
                OPEN,
            ),
            no(
                "nor a software key, at label 3",
                request(person(software=True), act, version(3), quorum=approvers(2)),
                "floor-software-credential",
            ),
            yes("below it may", request(person(software=True), act, version(2), quorum=approvers(2)), OPEN),
            yes(
                "a software device is for policies to judge",
                request(person(), act, version(2), quorum=approvers(2), device=device(software=True)),
                OPEN,
            ),
        )
    ),
    yes(
        "a workload has no credential to ask about",
        request(workload(), "release", version(3), quorum=approvers(2)),
        OPEN,
    ),
    no(
        "a frozen workload opens nothing",
        request(workload(frozen=True), "release", version(0)),
        "floor-frozen-principal",
    ),
    no(
        "a frozen attester attests nothing",
        request(attester(frozen=True), "fact.attest", HOUSE),
        "floor-frozen-principal",
    ),
    no(
        "one person governs nothing",
        request(person(), "role.give", somebody(), quorum=ALONE),
        "floor-two-people-govern",
    ),
    no("nor thaws", request(person(), "thaw", model(), quorum=ALONE), "floor-two-people-govern"),
    no("nor lowers a label", request(person(), "label.lower", model(), quorum=ALONE), "floor-two-people-govern"),
    yes("two govern", request(person(), "role.give", somebody(), quorum=governors(2)), OPEN),
    yes("in a trial one governs", request(person(), "role.give", somebody(), deployment=TRIAL, quorum=ALONE), OPEN),
    yes(
        "a clock in doubt is confirmed",
        request(person(), "clock.confirm", HOUSE, quorum=governors(2), deployment=deployment(time_doubted=True)),
        OPEN,
    ),
    *(
        yes(
            f"a freeze leaves {act}",
            request(
                person(),
                act,
                resource,
                quorum=governors(2),
                deployment=deployment(frozen=True),
                device=device(frozen=True),
                zone=zone(frozen=True),
            ),
            OPEN,
        )
        for act, resource in AROUND_A_FREEZE
    ),
    *(
        no(
            f"somebody frozen does not {act}",
            request(person(frozen=True), act, resource, quorum=governors(2)),
            "floor-frozen-principal",
        )
        for act, resource in [
            *AROUND_A_FREEZE,
            ("session.open", HOUSE),
            ("read", HOUSE),
            ("credential.report", somebody()),
        ]
    ),
    *(
        yes(
            f"but may {act}, of their own",
            request(person(frozen=True), act, HERSELF, own=True),
            OPEN,
        )
        for act in ("session.close", "credential.report")
    ),
    no(
        "and not freeze even themselves",
        request(person(frozen=True), "freeze", HERSELF, own=True),
        "floor-frozen-principal",
    ),
    *(
        no(f"nobody votes on what is theirs: {act}", request(person(), act, HERSELF, own=True), "floor-no-own-vote")
        for act in ("approve", "reject")
    ),
    yes("but in a trial", request(person(), "approve", HERSELF, own=True, deployment=TRIAL), OPEN),
    *(
        no(
            f"to raise a label from 2 to {label} is none",
            request(person(), "label.raise", model(2), change=Change(label=label)),
            "floor-raise-only-raises",
        )
        for label in (0, 1, 2)
    ),
    yes("to 3 is one", request(person(), "label.raise", model(2), change=Change(label=3)), OPEN),
    *(
        no(f"no agent may {act}", request(workload(), act, HOUSE), "floor-only-people-decide")
        for act in ("propose", "approve", "reject", "withdraw")
    ),
]
