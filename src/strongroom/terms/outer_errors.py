"""Outer errors: those of what lies outside the keep: stores, clients, commands, verifiers. As `errors` has them.

Apart, so that what the keep's process holds is no more than it can raise.
"""

from __future__ import annotations

from collections.abc import Iterator

from strongroom.terms.errors import Conflict, Malformed, Refused, StrongroomError, Tampered, Unavailable, families


class BadName(Malformed):
    """A model or version name that is not allowed."""

    code = "bad-name"
    default_hint = "a version is named like `acme/atlas@1`: lower case letters, digits, `-`, `_`, `.`"


class BadPath(Malformed):
    """A path inside a version that is not allowed."""

    code = "bad-path"
    default_hint = "rename the file, or leave it out with `--exclude`"


class BadStoreUrl(Malformed):
    """A store URL that names no kind of store, or one with unknown parts."""

    code = "bad-store-url"
    default_hint = "use `file:///folder` or `s3://bucket/prefix`"


class BadSource(Malformed):
    """A file that cannot be sealed: a device, a symlink that leaves the model, a broken safetensors file."""

    code = "bad-source"
    default_hint = "leave it out with `--exclude`, or replace it by a regular file"


class BadTensors(Malformed):
    """A safetensors header or tensor index that contradicts itself."""

    code = "bad-tensors"
    default_hint = "check the file with its maker; a git-lfs pointer is not a safetensors file"


class NotTouched(Refused):
    """The security key was not touched in time, or its PIN was wrong or is not set."""

    code = "not-touched"
    default_hint = "try again, and touch the key when it blinks"


class LeaseEnded(Refused):
    """A version that is open may not be read further: its lease is over, or the keep refuses to renew it."""

    code = "lease-ended"
    default_hint = "open it anew, on a grant that is live still; without one, ask with `strongroom request` first"


class AccessPending(Refused):
    """Access was asked for, and others have to approve it first."""

    code = "access-pending"
    default_hint = "have it approved with `strongroom approve`, then open again"


class VersionExists(Conflict):
    """The version was made by somebody else first."""

    code = "version-exists"
    default_hint = "seal under the next free number; `strongroom ls` shows what is taken"


class SourceChanged(Conflict):
    """A file changed while it was being sealed."""

    code = "source-changed"
    default_hint = "wait until nothing writes to it, then seal again"


class MarkLost(Conflict):
    """A seal was interrupted for so long that its objects may have been swept."""

    code = "mark-lost"
    default_hint = "seal again; the sweep removes what this attempt left"


class WrongManifest(Tampered):
    """The manifest is not the very one that was asked for."""

    code = "wrong-manifest"
    default_hint = "somebody replaced the version, or the digest is of another one: compare it with what `seal` printed"


class ObjectSize(Tampered):
    """A stored object is shorter or longer than the manifest says."""

    code = "object-size"
    default_hint = "run `strongroom scrub` to see all the damage, then restore the object from a backup"


class ObjectMissing(Tampered):
    """An object that the manifest names is not in the store."""

    code = "object-missing"
    default_hint = "check that this is the right store; otherwise restore the object from a backup"


class ObjectExtra(Tampered):
    """The store holds an object beside this version's own that no manifest names."""

    code = "object-extra"
    default_hint = "nobody but a writer of this version should write there: find out who did, then remove it"


class BadProof(Tampered):
    """A proof does not show that an entry, or an older state, is in the log."""

    code = "bad-proof"
    default_hint = "keep both checkpoints and the proof as evidence, and compare with what a witness sees"


class BadAnswer(Tampered):
    """An answer of the keep that is not for what was asked: another entry, version, recipient or time."""

    code = "bad-answer"
    default_hint = "use nothing of it; find out what stands between this machine and the keep"


class GatewayImpostor(Tampered):
    """A host that is not the gateway that was meant: another certificate, or another authority."""

    code = "gateway-impostor"
    default_hint = (
        "is `&ca=…` missing from the connection string (quote it: a shell cuts it off there)? otherwise compare it with"
        " whoever gave it to you; nothing was sent there"
    )


class NoSecurityKey(Unavailable):
    """No security key is there that can sign for one of these credentials."""

    code = "no-security-key"
    default_hint = "plug in the key that you enrolled, and only that one"


class KeepUnavailable(Unavailable):
    """The keep does not answer, or what comes from its socket is no answer of a keep's."""

    code = "keep-unavailable"
    default_hint = "check that the keep runs and that this is its socket, then try again"


class KeepBusy(Unavailable):
    """A gateway with as many questions for its keep as it may have; this one was not passed on."""

    code = "keep-busy"
    default_hint = "wait a second, or ask another gateway"


class LogDoubted(Unavailable):
    """A gateway whose copy of the log is too old, or that was shown another log than the one it had verified."""

    code = "log-doubted"
    default_hint = "ask another gateway, or the keep's own socket; its operator finds why in the gateway's own log"


class TooManyStreams(Unavailable):
    """No stream more for this subject, or for anybody."""

    code = "too-many-streams"
    http_status = 429
    default_hint = "close a stream that you have open, or try again in a while"


class GatewayFault(Unavailable):
    """Something that a gateway was not made for: a defect."""

    code = "gateway-fault"
    http_status = 500
    default_hint = "report it; the gateway's own log says where it happened"


class StaleTime(Unavailable):
    """The newest that is to be had was signed more than a minute ago."""

    code = "stale-time"
    default_hint = "look at this machine's clock; if it is right, what is newer is withheld: ask another gateway"


class NotFrozen(Unavailable):
    """A freeze without proof that it is in the log: it did not happen, or nobody can know."""

    code = "not-frozen"
    default_hint = "do not wait: freeze at another gateway, or on the keep's own host; tell another responder"


class NoMemory(Unavailable):
    """Not enough memory, or no place in memory for what must not touch a disk."""

    code = "no-memory"
    default_hint = "read less at a time, or give the process more memory"


class OutcomeUnknown(Unavailable):
    """A write failed in a way that leaves open whether it happened."""

    code = "outcome-unknown"
    default_hint = "look with `strongroom ls` before you try again"


def codes() -> Iterator[type[StrongroomError]]:
    """Yield every class with a stable code, by family, the keep's own first."""
    for family in families():
        yield from family.__subclasses__()
