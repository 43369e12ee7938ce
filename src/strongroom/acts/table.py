"""The table of acts: everything the keep can be asked to do, one row and one file each.

Routes, commands, the actions of the policy schema, the kinds of entries and a page of the documents come from here.
"""

from __future__ import annotations

from typing import Any

from strongroom.acts import (
    acceptance_change,
    approve,
    attester_enrol,
    attester_revoke,
    clock_confirm,
    credential_add,
    credential_remove,
    credential_report,
    deployment_found,
    device_enrol,
    device_remove,
    fact_attest,
    freeze,
    grant_give,
    grant_revoke,
    label_lower,
    label_raise,
    model_enrol,
    person_enrol,
    person_remove,
    policy_change,
    propose,
    read,
    reject,
    release,
    role_give,
    role_take,
    session_close,
    session_open,
    thaw,
    version_register,
    withdraw,
    workload_enrol,
    workload_remove,
    zone_define,
)
from strongroom.acts.act import Act
from strongroom.policy.schema import ActionRow, Schema, make_schema
from strongroom.terms.errors import UnknownFormat

ACTS: tuple[Act[Any], ...] = (
    deployment_found.ACT,
    session_open.ACT,
    session_close.ACT,
    propose.ACT,
    approve.ACT,
    reject.ACT,
    withdraw.ACT,
    release.ACT,
    read.ACT,
    version_register.ACT,
    fact_attest.ACT,
    freeze.ACT,
    credential_report.ACT,
    attester_revoke.ACT,
    grant_revoke.ACT,
    label_raise.ACT,
    grant_give.ACT,
    thaw.ACT,
    person_enrol.ACT,
    person_remove.ACT,
    credential_add.ACT,
    credential_remove.ACT,
    device_enrol.ACT,
    device_remove.ACT,
    workload_enrol.ACT,
    workload_remove.ACT,
    role_give.ACT,
    role_take.ACT,
    attester_enrol.ACT,
    zone_define.ACT,
    model_enrol.ACT,
    label_lower.ACT,
    policy_change.ACT,
    acceptance_change.ACT,
    clock_confirm.ACT,
)

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
        if act is not deployment_found.ACT
    ]
)
