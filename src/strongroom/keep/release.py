"""Release: from what is logged to what leaves. The one place where a key goes out, and only wrapped."""

from dataclasses import dataclass

from strongroom.acts.release import Release
from strongroom.directory.state import Directory
from strongroom.keep.asked import text_of
from strongroom.keep.book import Logged
from strongroom.keep.vault import Vault
from strongroom.sealing.keys import PublicKey
from strongroom.statements.envelope import Envelope
from strongroom.statements.statement import parse_statement
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.errors import LogTampered, NotNow
from strongroom.terms.records import parse_record

KIND = "released/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The answer to an `open` whose entry is in the log, signed by the keep."""

    envelope: Envelope


def release(vault: Vault, directory: Directory, logged: Logged, *, at: int) -> Released:
    """Return the key that entry `logged` releases, wrapped to the recipient that it names and bound to it.

    INVARIANT: takes nothing but what is in the log. The same entry gives the same key to the same recipient, until its
    lease ends.

    Raises:
        NotNow: it has ended.
    """
    data = logged.entry.data
    if logged.entry.kind != "key.released" or not isinstance(data, dict) or not isinstance(data["expires_at"], int):
        raise LogTampered(f"entry {logged.index} releases nothing")
    if at > data["expires_at"]:
        raise NotNow("this lease has ended", hint="open it anew")
    body = parse_record(Release, parse_statement(logged.entry.envelope()).body)
    version, recipient = directory.versions[body.version], sha256(body.recipient)
    bound: dict[str, Json] = {
        "deployment": directory.deployment,
        "entry": logged.digest,
        "expires_at": data["expires_at"],
        "format": "strongroom/release/1",
        "recipient": recipient,
        "version": version.version,
    }
    wrapped = vault.release(directory, version, PublicKey(body.recipient), canonical.encode(bound), body.files)
    answer: Json = {
        "entry": logged.digest,
        "expires_at": data["expires_at"],
        "index": logged.index,
        "manifest": version.manifest,
        "recipient": recipient,
        "version": version.version,
        "wrapped": text_of(wrapped),
    }
    return Released(envelope=vault.answer(directory, KIND, answer, at=at, until=data["expires_at"]))
