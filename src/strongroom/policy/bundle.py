"""Bundle: a deployment's policies that nothing is wrong with, parsed once, beside the floor that no vote takes away."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as packaged

import cedarpy
from cedarpy import pst

from strongroom.policy.claims import claim_findings
from strongroom.policy.schema import Schema
from strongroom.policy.source import ERROR, FLOOR_PREFIX, Finding, Policy, PolicyFile, read_policies
from strongroom.terms import canonical
from strongroom.terms.digests import sha256
from strongroom.terms.errors import BadPolicy

CEDAR_VERSION = importlib.metadata.version("cedarpy")
"""Its first two numbers are those of the Cedar engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The policies in force. `digest` names the deployment's own, `floor_version` (a digest too) those of the floor."""

    schema: Schema
    digest: str
    floor_version: str
    cedar_version: str
    policies: Mapping[str, Policy]
    floor_policies: Mapping[str, Policy]
    whole: cedarpy.PolicySet
    """Both, as one set: no id is in both."""
    permits: cedarpy.PolicySet


def floor_file() -> PolicyFile:
    """Return the floor."""
    return PolicyFile(name="floor.cedar", text=(packaged(__package__) / "floor.cedar").read_text("utf-8"))


def bundle_digest(files: Sequence[PolicyFile]) -> str:
    """Return the digest of policy files, in whatever order they come."""
    return sha256(canonical.encode([{"name": file.name, "text": file.text} for file in sorted(files, key=_by_name)]))


def parse_bundle(files: Sequence[PolicyFile], schema: Schema, *, floor: PolicyFile | None = None) -> Bundle:
    """Return the bundle of a deployment's own policy files; `floor` is for whoever re-checks under an older one.

    Raises:
        BadPolicy: something is wrong with them; the message lists everything.
    """
    policies, faults = read_policies(files, schema.handle)
    faults += [fault for policy in policies for fault in claim_findings(policy)]
    floor = floor or floor_file()
    floor_policies, floor_faults = read_policies([floor], schema.handle)
    floor_faults += [
        Finding(policy_id=policy.id, severity=ERROR, message="not of a floor", hint=f"forbid, as `{FLOOR_PREFIX}…`")
        for policy in floor_policies
        if policy.permits or not policy.id.startswith(FLOOR_PREFIX)
    ]
    _check([fault for fault in faults if fault.severity == ERROR] + floor_faults)
    return Bundle(
        schema=schema,
        digest=bundle_digest(files),
        floor_version=bundle_digest([floor]),
        cedar_version=CEDAR_VERSION,
        policies={policy.id: policy for policy in policies},
        floor_policies={policy.id: policy for policy in floor_policies},
        whole=_handle([*floor_policies, *policies]),
        permits=_handle([policy for policy in policies if policy.permits]),
    )


def _check(faults: Sequence[Finding]) -> None:
    if faults:
        raise BadPolicy("; ".join(map(str, faults)), hint="; ".join(dict.fromkeys(fault.hint for fault in faults)))


def _handle(policies: Sequence[Policy]) -> cedarpy.PolicySet:
    """Return what Cedar evaluates: the very nodes that were checked, under their own ids."""
    nodes = {policy.id: policy.template for policy in policies}
    return cedarpy.PolicySet.from_pst(pst.PolicySet(templates={}, static_policies=nodes, template_links=()))


def _by_name(file: PolicyFile) -> tuple[str, str]:
    return file.name, file.text
