"""Source: policy files, read with care. What is wrong is a finding, never an exception, so that all is told at once.

TRUST: nobody's. A policy text comes from a proposal; Cedar's parser recurses until the stack ends and takes the
process with it, so depth is bounded before it sees a byte.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cedarpy
from cedarpy import pst

ERROR, WARNING = "error", "warning"
FLOOR_PREFIX = "floor-"

_MOST_CHARACTERS = 64 * 1024
_MOST_FILES = 64
_DEEPEST = 150
_FILE_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\.cedar\Z")
# ASCII only: an id is read in refusals and in the log, where no two may look alike.
_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*\Z")
# Strings as Cedar has them, over many lines or not. One that never ends takes the rest with it: looking on from each of
# its quotes in turn would take time by the square of the text.
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\[^\n])*+"|//[^\n]*|(").*', re.DOTALL)
_NESTS = re.compile(r"[(\[{.!+*-]|&&|\|\||\bif\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """A named policy text; a bundle is several."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with a policy (or, with an id like `access.cedar`, with a file), how badly, and what to do."""

    policy_id: str
    severity: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"`{self.policy_id}`: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy: its id, its effect, what it requires in words, and its parsed form, which has that same id."""

    id: str
    requires: str
    template: pst.Template

    @property
    def permits(self) -> bool:
        """Whether it is a `permit`."""
        return self.template.effect == "permit"


def read_policies(files: Sequence[PolicyFile], schema: cedarpy.Schema) -> tuple[list[Policy], list[Finding]]:
    """Return the policies of `files` that can be read, and what is wrong with the rest and with the whole."""
    policies: list[Policy] = []
    findings: list[Finding] = []
    if len(files) > _MOST_FILES:
        return [], [_error("bundle", f"more than {_MOST_FILES} files", "join some of them")]
    for file in files:
        if found := list(_file_faults(file)):
            findings += found
            continue
        try:
            nodes = cedarpy.policies_to_pst(file.text)
        except ValueError as error:
            findings.append(_error(file.name, f"cannot be read: {_line(error)}", "write it as Cedar's grammar has it"))
            continue
        for template in nodes.templates.values():
            findings.append(_error(_name(template), "a template", "name the principal or resource: nothing links it"))
        for template in nodes.static_policies.values():
            findings += _annotation_faults(file, template)
            policy_id, requires = template.annotations.get("id", ""), template.annotations.get("requires", "")
            policies.append(Policy(id=policy_id, requires=requires, template=replace(template, id=policy_id)))
        findings += _schema_faults(file, nodes, schema)
    findings += _twice([file.name for file in files], "is the name of two files")
    findings += _twice([policy.id for policy in policies if policy.id], "is the id of two policies")
    return policies, findings


def _file_faults(file: PolicyFile) -> Iterator[Finding]:
    text = file.text
    if not _FILE_NAME.match(file.name):
        yield _error(file.name[:80], "not a name of a policy file", "name it like `access.cedar`")
    if len(text) > _MOST_CHARACTERS:
        yield _error(file.name, f"longer than {_MOST_CHARACTERS} characters", "split it into several files")
        return
    if not text.replace("\n", "").isprintable():
        yield _error(file.name, "holds characters that do not show", "remove control characters and invisible ones")
    # ORDER: strings and comments go first, so that no `;` inside one hides how deep a policy is. A space stands for
    # each, or the `if` of `if"a"in` would be hidden in one longer word.
    bare = _STRING_OR_COMMENT.sub(r" \1", text)
    if '"' in bare:
        yield _error(file.name, "holds a string that is not closed", 'close it; inside, write a quote as `\\"`')
    if any(len(_NESTS.findall(statement)) > _DEEPEST for statement in bare.split(";")):
        yield _error(file.name, "a policy nests or chains too much", "write it flatter, or as several policies")


def _annotation_faults(file: PolicyFile, template: pst.Template) -> Iterator[Finding]:
    policy_id, requires = template.annotations.get("id", ""), template.annotations.get("requires", "")
    where = policy_id or file.name
    if not policy_id:
        yield _error(where, "a policy has no `@id`", 'give it one, like `@id("access-label-2")`')
    elif not _ID.match(policy_id):
        yield _error(where, "not an id", "an id is lower case letters and digits, in words joined by `-`")
    if not requires.strip():
        yield _error(where, "has no `@requires`", "say in words what would satisfy it")
    elif not requires.isprintable():
        yield _error(where, "its `@requires` holds characters that do not show", "write plain text on one line")


def _schema_faults(file: PolicyFile, nodes: pst.PolicySet, schema: cedarpy.Schema) -> Iterator[Finding]:
    for fault in cedarpy.validate_policies(file.text, schema).errors:
        template = nodes.static_policies.get(fault.policy_id)
        where = _name(template) if template else file.name
        message = fault.error.removeprefix(f"for policy `{fault.policy_id}`, ")
        yield _error(where, f"does not fit the schema: {_line(message)}", "see docs/policies.md for what policies see")


def _twice(names: Sequence[str], what: str) -> Iterator[Finding]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield _error(name, what, "rename one of them")


def _name(template: pst.Template) -> str:
    return template.annotations.get("id") or template.id


def _error(where: str, message: str, hint: str) -> Finding:
    return Finding(policy_id=where, severity=ERROR, message=message, hint=hint)


def _line(text: object) -> str:
    return " ".join(str(text).split())
