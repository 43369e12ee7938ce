"""The table of acts: everything the keep can be asked to do, one row and one file each.

Routes, commands, the actions of the policy schema, the kinds of entries and a page of the documents come from here. A
row's name, body and line of help are its file's: the name and the docstring of the module, and the class named alike.
What else the file defines under the names of `Act`'s functions is what the act does.
"""

from dataclasses import fields
from types import ModuleType
from typing import Any

# isort: off
# fmt: off
from strongroom.acts import (
    acceptance_change, alias_set, approve, attester_enrol, attester_revoke, clock_confirm, credential_add,
    credential_remove, credential_report, deployment_found, device_enrol, device_remove, fact_attest, freeze,
    grant_give, grant_revoke, label_lower, label_raise, model_enrol, person_enrol, person_remove, policy_change,
    propose, read, reject, release, role_give, role_take, session_close, session_open, thaw, version_register,
    withdraw, workload_enrol, workload_remove, zone_define,
)
# fmt: on
# isort: on
from strongroom.acts.act import DAY, HOUR, Act, Effect, Signer
from strongroom.policy.schema import ActionRow, Schema, make_schema
from strongroom.terms.errors import UnknownFormat

ANYTHING = ("Deployment", "Person", "Device", "Workload", "Attester", "Zone", "Model", "Version")
FREEZABLE = ("Deployment", "Model", "Person", "Device", "Zone", "Workload")
OPENS, GOVERNS, CLOSES, EVERYDAY = Effect.OPENS, Effect.GOVERNS, Effect.CLOSES, Effect.EVERYDAY
_HOOKS = tuple(one.name for one in fields(Act) if callable(one.default))


def _act(module: ModuleType, entry: str, effect: Effect, signer: Signer, *resources: str, **more: Any) -> Act[Any]:
    """Return the row of the act in `module`."""
    stem = module.__name__.rpartition(".")[2]
    body = getattr(module, "".join(part.capitalize() for part in stem.split("_")))
    hooks = {name: getattr(module, name) for name in _HOOKS if hasattr(module, name)}
    text = (module.__doc__ or "").partition("\n")[0].partition(": ")[2]
    return Act(
        name=stem.replace("_", "."),
        body=body,
        resources=resources,
        effect=effect,
        signer=signer,
        entry=entry,
        help=text.rstrip("."),
        **hooks,
        **more,
    )


# fmt: off
ACTS: tuple[Act[Any], ...] = (
    _act(deployment_found, "deployment.founded", GOVERNS, Signer.FOUNDERS, "Deployment",
         longest_seconds=7 * DAY, paths=("cli",)),
    _act(session_open, "session.opened", EVERYDAY, Signer.SECURITY_KEY_AND_DEVICE, "Deployment",
         longest_seconds=HOUR, paths=("cli", "console")),
    _act(session_close, "session.closed", CLOSES, Signer.SESSION, "Person"),
    _act(propose, "proposed", EVERYDAY, Signer.SESSION, *ANYTHING, longest_seconds=30 * DAY),
    _act(approve, "approved", EVERYDAY, Signer.SECURITY_KEY, *ANYTHING,
         longest_seconds=30 * DAY, paths=("cli", "approval")),
    _act(reject, "rejected", EVERYDAY, Signer.SECURITY_KEY, *ANYTHING,
         longest_seconds=30 * DAY, paths=("cli", "approval")),
    _act(withdraw, "withdrawn", EVERYDAY, Signer.SESSION, *ANYTHING),
    _act(release, "key.released", OPENS, Signer.SESSION_AND_DEVICE, "Version",
         principals=("Person", "Workload"), longest_seconds=HOUR),
    _act(read, "", EVERYDAY, Signer.SESSION, "Deployment", principals=("Person", "Workload")),
    _act(version_register, "version.registered", EVERYDAY, Signer.SESSION_AND_DEVICE, "Model",
         principals=("Person", "Workload")),
    _act(alias_set, "alias.set", EVERYDAY, Signer.SESSION, "Version"),
    _act(fact_attest, "fact.attested", EVERYDAY, Signer.ATTESTER, *ANYTHING,
         principals=("Attester",), longest_seconds=400 * DAY),
    _act(freeze, "frozen", CLOSES, Signer.SESSION, *FREEZABLE),
    _act(credential_report, "credential.reported", CLOSES, Signer.SESSION, "Person"),
    _act(attester_revoke, "attester.revoked", CLOSES, Signer.SESSION, "Attester"),
    _act(grant_revoke, "grant.revoked", CLOSES, Signer.SESSION, "Version"),
    _act(label_raise, "label.raised", CLOSES, Signer.SESSION, "Model", "Version"),
    _act(grant_give, "grant.given", OPENS, Signer.QUORUM, "Version", ends_on_rejection=True),
    _act(thaw, "thawed", GOVERNS, Signer.QUORUM, *FREEZABLE),
    _act(person_enrol, "person.enrolled", GOVERNS, Signer.QUORUM, "Deployment", is_sensitive=True),
    _act(person_remove, "person.removed", GOVERNS, Signer.QUORUM, "Person", is_sensitive=True),
    _act(credential_add, "credential.added", GOVERNS, Signer.QUORUM, "Person", is_sensitive=True),
    _act(credential_remove, "credential.removed", GOVERNS, Signer.QUORUM, "Person", is_sensitive=True),
    _act(device_enrol, "device.enrolled", GOVERNS, Signer.QUORUM, "Person"),
    _act(device_remove, "device.removed", GOVERNS, Signer.QUORUM, "Device"),
    _act(workload_enrol, "workload.enrolled", GOVERNS, Signer.QUORUM, "Deployment"),
    _act(workload_remove, "workload.removed", GOVERNS, Signer.QUORUM, "Workload"),
    _act(role_give, "role.given", GOVERNS, Signer.QUORUM, "Person", "Workload", is_sensitive=True),
    _act(role_take, "role.taken", GOVERNS, Signer.QUORUM, "Person", "Workload", is_sensitive=True),
    _act(attester_enrol, "attester.enrolled", GOVERNS, Signer.QUORUM, "Deployment"),
    _act(zone_define, "zone.defined", GOVERNS, Signer.QUORUM, "Deployment"),
    _act(model_enrol, "model.enrolled", GOVERNS, Signer.QUORUM, "Deployment"),
    _act(label_lower, "label.lowered", GOVERNS, Signer.QUORUM, "Model", "Version"),
    _act(policy_change, "policy.changed", GOVERNS, Signer.QUORUM, "Deployment", is_sensitive=True),
    _act(acceptance_change, "acceptance.changed", GOVERNS, Signer.QUORUM, "Deployment", is_sensitive=True),
    _act(clock_confirm, "clock.confirmed", GOVERNS, Signer.QUORUM, "Deployment"),
)
# fmt: on

_BY_NAME = {act.name: act for act in ACTS}
_BY_KIND = {act.kind: act for act in ACTS if not act.is_proposed}
_BY_ENTRY = {act.entry: act for act in ACTS if act.entry}


def act_named(name: str) -> Act[Any]:
    """Return the act of that name."""
    return _BY_NAME[name]


def act_of_kind(kind: str) -> Act[Any]:
    """Return the act that a statement of `kind` asks for.

    Raises:
        UnknownFormat: there is none.
    """
    if (act := _BY_KIND.get(kind)) is None:
        raise UnknownFormat(f"no act is asked for by a statement of kind `{kind}`")
    return act


def act_of_change(name: str) -> Act[Any]:
    """Return the act of that name that takes a proposal.

    Raises:
        UnknownFormat: there is none.
    """
    if (act := _BY_NAME.get(name)) is None or not act.is_proposed:
        raise UnknownFormat(f"no change is called `{name}`")
    return act


def act_of_entry(kind: str) -> Act[Any] | None:
    """Return the act that appends entries of `kind`; none for what the keep itself saw."""
    return _BY_ENTRY.get(kind)


def schema() -> Schema:
    """Return the policy schema, with an action for each act that policy decides."""
    return _SCHEMA


_SCHEMA = make_schema(
    [
        ActionRow(name=act.name, principals=act.principals, resources=act.resources, group=act.effect.value)
        for act in ACTS
        if act.signer is not Signer.FOUNDERS
    ]
)
