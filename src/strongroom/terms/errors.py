"""Errors: one root, five families by whose move is next, one class for each stable code.

`docs/errors.md` is generated from this file. Messages are lower case, without a full stop, with
input in backticks and the cause after a colon; the hint says what to do and stands apart.
"""

from typing import ClassVar


class StrongroomError(Exception):
    """Root of everything that Strongroom raises on purpose."""

    family: ClassVar[str] = ""
    move: ClassVar[str] = ""
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = ""
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint


class Malformed(StrongroomError):
    """What was sent cannot be meant: the sender's move."""

    family, move, exit_code, http_status = "Malformed", "the sender's: correct it", 3, 400


class Refused(StrongroomError):
    """Understood, and not allowed: a human's move (ask, approve, wait)."""

    family, move, exit_code, http_status = "Refused", "a human's: ask, approve, wait", 4, 403


class Conflict(StrongroomError):
    """The state is not the one the request was made for: read again."""

    family, move, exit_code, http_status = "Conflict", "read again, then decide", 5, 409


class Tampered(StrongroomError):
    """Something is not as it was made: raise the alarm."""

    family, move, exit_code, http_status = "Tampered", "raise the alarm", 6, 422


class Unavailable(StrongroomError):
    """Something that is needed cannot be had now: try later."""

    family, move, exit_code, http_status = "Unavailable", "try later", 7, 503


class NotCanonical(Malformed):
    """JSON that is not in its one canonical form (RFC 8785)."""

    code = "not-canonical"
    default_hint = "what is not canonical is refused, not mended: have its writer correct it"


class UnknownFormat(Malformed):
    """A format, suite or parameter that this release does not know, older ones included."""

    code = "unknown-format"
    default_hint = "use the release of Strongroom that wrote it"


class BadRecord(Malformed):
    """A statement, entry or other record whose fields are not as its kind has them."""

    code = "bad-record"
    default_hint = "have its writer correct the field that is named"


class BadKey(Malformed):
    """A public key or an identity that cannot be read."""

    code = "bad-key"
    default_hint = "make a new pair with `strongroom keygen`"


class BadRequest(Malformed):
    """A call whose arguments cannot be meant, such as a range beyond the end of a file."""

    code = "bad-request"
    default_hint = "see the command's `--help`"


class NotFound(Malformed):
    """A version, file, tensor or object that is not there."""

    code = "not-found"
    http_status = 404
    default_hint = "see what there is: `strongroom show` for all of a deployment, `strongroom ls` for versions"


class BadNote(Malformed):
    """A signed note, checkpoint, tile or receipt of a log that is not in its one form."""

    code = "bad-note"
    default_hint = "fetch it again; if it stays so, have its writer correct it"


class BadFrame(Malformed):
    """Bytes on a socket that are no frame: empty, or longer than any message may be."""

    code = "bad-frame"
    default_hint = "send less at a time, in frames of a length and that many bytes"


class BadPolicy(Malformed):
    """Policies that cannot be taken: not Cedar, not of the schema, without an id, or named like the floor's."""

    code = "bad-policy"
    default_hint = "correct what is named, then look again with `strongroom policy check`"


class Denied(Refused):
    """Policy does not permit it; the message says which policies refuse, and what would satisfy them."""

    code = "denied"
    default_hint = "see what is missing with `strongroom policy explain`"

    def __init__(self, message: str, *, hint: str | None = None, policies: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.policies = policies


class WrongKey(Refused):
    """The identity is not the one that the version was sealed to."""

    code = "wrong-key"
    default_hint = "use the identity whose public key the version was sealed to"


class NotReleased(Refused):
    """A file of a version that the release does not include."""

    code = "not-released"
    default_hint = "request a release that names the file"


class AccessDenied(Refused):
    """The store or the file system does not let us."""

    code = "access-denied"
    default_hint = "check the permissions of the folder, or the store's credential"


class SharesMissing(Refused):
    """Fewer custodians have given their share than the root key needs."""

    code = "shares-missing"
    default_hint = "ask as many more custodians for their share as are missing"


class WrongShare(Refused):
    """A custodian’s share that does not go with the others."""

    code = "wrong-share"
    default_hint = "each custodian gives one share, all from the newest splitting of this deployment’s root key"


class UnsafePlace(Refused):
    """A file, folder or socket that somebody else could read or replace."""

    code = "unsafe-place"
    default_hint = "let it be owned by the user that the keep runs as, and closed to everybody else (`chmod go-rwx`)"


class NotHardened(Refused):
    """The process could not be protected as one that holds keys must be."""

    code = "not-hardened"
    default_hint = "run `strongroom doctor`, which says what is missing"


class NotAllowed(Refused):
    """Against a rule that no policy can waive."""

    code = "not-allowed"
    default_hint = "the message names the rule; ask somebody whom it does not bind"


class UnknownSigner(Refused):
    """Signed by nobody who is enrolled, by a session that has ended, or by another key than this act needs."""

    code = "unknown-signer"
    default_hint = "log in again with `strongroom login`, from a device that is enrolled"


class NotNow(Refused):
    """A statement outside its time: too old, too far ahead, or valid for longer than its kind may be."""

    code = "not-now"
    default_hint = "check this machine's clock, then say it again"


class WrongDeployment(Refused):
    """A statement made for another deployment, or for another era of this one."""

    code = "wrong-deployment"
    default_hint = "connect to the deployment that the statement was made for"


class BadAssertion(Refused):
    """A touch of a security key that was given elsewhere, for something else, or without its PIN."""

    code = "bad-assertion"
    default_hint = "touch again where you see what you sign, and give the key its PIN or fingerprint"


class BadAttestation(Refused):
    """A security key that cannot be enrolled: not ES256, or it does not prove what it says of its make."""

    code = "bad-attestation"
    default_hint = "enrol another key, or have a quorum accept the maker’s certificate"


class Stale(Conflict):
    """A change of something that has changed since."""

    code = "stale"
    default_hint = "look at it as it is now, then propose again"


class AlreadyDone(Conflict):
    """What is asked for is so already: approved, ended, enrolled, or under an identifier that was used before."""

    code = "already-done"
    default_hint = "look with `strongroom show`; nothing needs to be done twice"


class StatementReused(Conflict):
    """A statement's identifier, with other content than the first time."""

    code = "statement-reused"
    default_hint = "make a new statement with a new identifier"


class OutputExists(Conflict):
    """Opening would overwrite something."""

    code = "output-exists"
    default_hint = "choose another `--to`, or move what is there away"


class KeepRunning(Conflict):
    """Another keep serves at this place."""

    code = "keep-running"
    default_hint = "stop the other keep first, or choose another socket"


class ManifestTampered(Tampered):
    """The manifest is not as its writer made it."""

    code = "manifest-tampered"
    default_hint = "do not use this version; restore the manifest from a backup and find out who wrote to the store"


class ObjectTampered(Tampered):
    """A stored object is not as its writer made it: flipped, moved, swapped or mixed bytes."""

    code = "object-tampered"
    default_hint = "run `strongroom scrub` to see all the damage, then restore the object from a backup"


class BadSignature(Tampered):
    """A signature that has to be there is missing, or does not fit what it stands under."""

    code = "bad-signature"
    default_hint = "do not use it; find out who changed it, or whether it was signed by another key"


class ClonedKey(Tampered):
    """The counter of a security key did not rise: there may be two of it, or an old touch came late."""

    code = "cloned-key"
    default_hint = "touch again; if it stays so, report the credential as compromised and enrol another key"


class KeyringTampered(Tampered):
    """What rests sealed under the root key was changed, or stands where something else belongs."""

    code = "keyring-tampered"
    default_hint = "stop; restore the keyring from a backup and find out who wrote to the journal"


class LogTampered(Tampered):
    """The log is not as the keep signed it: shorter, forked, edited, unsigned, or without its high-water file."""

    code = "log-tampered"
    default_hint = "keep every file as it is and see the runbook for a `Tampered` stop; nothing is repaired by itself"


class StoreUnavailable(Unavailable):
    """The store, or the disk, does not answer as it should."""

    code = "store-unavailable"
    default_hint = "check that the store is up and can be reached, then try again"


class KeepSealed(Unavailable):
    """The keep holds no keys: it was started and not yet unsealed, or it locked them."""

    code = "sealed"
    default_hint = "custodians unseal it with `strongroom unseal`"


class NoSpace(Unavailable):
    """Not enough room."""

    code = "no-space"
    default_hint = "free the space that is named, or choose another place"


class JournalBroken(Unavailable):
    """A write to the journal failed, so what is on the disk is not known; it takes nothing more until a new start."""

    code = "journal-broken"
    default_hint = "the keep stops and recovers when it starts again; check the disk"


class JournalBusy(Unavailable):
    """Another process has the journal open."""

    code = "journal-busy"
    default_hint = "a journal belongs to one keep: stop the other one"


class OldLibrary(Unavailable):
    """A library with a known fault in what we rely on."""

    code = "old-library"
    default_hint = "install the libraries that Strongroom was locked with"


def families() -> tuple[type[StrongroomError], ...]:
    """Return the five families, in the order of their exit codes."""
    return (Malformed, Refused, Conflict, Tampered, Unavailable)
