"""`person.enrol`: somebody new, with the security keys that they hold."""

from strongroom.acts.act import Move
from strongroom.acts.enrol import NewCredential, add_credential, check_new_credential
from strongroom.directory import find
from strongroom.directory.state import Directory, Person, made
from strongroom.terms.errors import NotAllowed
from strongroom.terms.records import Digest, PersonId, Record


class PersonEnrol(Record):
    """`details` is the salted digest of name and contact."""

    person: PersonId
    details: Digest
    credentials: tuple[NewCredential, ...]


def check(directory: Directory, move: Move[PersonEnrol]) -> None:
    body = move.body
    find.check_new(directory.people, body.person)
    if not body.credentials:
        raise NotAllowed("somebody without a security key cannot be anybody here")
    if len({new.public_key for new in body.credentials}) != len(body.credentials):
        raise NotAllowed("one security key cannot be two credentials")
    for new in body.credentials:
        check_new_credential(directory, body.person, new)


def apply(directory: Directory, move: Move[PersonEnrol]) -> None:
    body = move.body
    directory.people[body.person] = made(Person, body, roles=(), frozen=False, removed=False)
    for new in body.credentials:
        add_credential(directory, body.person, new)
