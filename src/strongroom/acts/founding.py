"""Founding: verifying a genesis. What stands in the first entry, every founder has signed.

1. It is a founding, in the first era, for the deployment that is called `founding`.
2. Its time fits, and it names enough people, keys that are proven, and policies that can be used.
3. Every founder signed it, each with a security key that it names, on a command line; and nobody else did.
4. Whoever is absent, the others can change policy.
"""

from strongroom.acts.decide import bundle_of
from strongroom.acts.deployment_found import DeploymentFound, check_genesis, found
from strongroom.acts.enrol import NewCredential, credential_key, touch_of
from strongroom.acts.possible import check_not_locked_out
from strongroom.acts.table import act_named
from strongroom.directory.state import Directory
from strongroom.statements.envelope import Envelope
from strongroom.statements.statement import FOUNDING, parse_statement
from strongroom.statements.webauthn import verify_assertion
from strongroom.terms.errors import BadSignature, NotAllowed, NotNow, UnknownSigner, WrongDeployment
from strongroom.terms.records import parse_record

ACT = act_named("deployment.found")


def verify_genesis(envelope: Envelope, *, name: str, at: int) -> Directory:
    """Return the directory that the founding in `envelope` begins. `name` is that of the deployment: see `fold`.

    Raises:
        StrongroomError: one of the numbered rules does not hold.
    """
    # 1
    statement = parse_statement(envelope)
    if statement.kind != ACT.kind:
        raise NotAllowed("this is no founding")
    if (statement.deployment, statement.era) != (FOUNDING, 1):
        raise WrongDeployment("a founding names the deployment `founding`, era 1")
    # 2
    if not statement.at <= at <= statement.until or statement.until - statement.at > ACT.longest_seconds:
        raise NotNow("the founding has lapsed, or is not to be yet")
    body = parse_record(DeploymentFound, statement.body)
    check_genesis(body)
    # 3
    _check_signed(envelope, body)
    directory = found(body, name=name, era=1, at=at)
    # 4
    bundle = bundle_of(directory)
    if not body.trial:
        check_not_locked_out(directory, bundle)
    return directory


def _check_signed(envelope: Envelope, body: DeploymentFound) -> None:
    owners: dict[str, tuple[str, NewCredential]] = {
        new.credential: (founder.person, new) for founder in body.founders for new in founder.credentials
    }
    signed: set[str] = set()
    for signature in envelope.signatures:
        if signature.keyid not in owners:
            raise UnknownSigner(f"`{signature.keyid}` is no founder's security key")
        person, new = owners[signature.keyid]
        verified = verify_assertion(
            touch_of(signature),
            signature.sig,
            key=credential_key(new),
            message=envelope.message,
            rp_id=body.acceptance.rp_id,
            origins=body.acceptance.origins,
        )
        if verified.path not in ACT.paths:
            raise NotAllowed("a founding is signed on the command line")
        signed.add(person)
    if missing := {founder.person for founder in body.founders} - signed:
        raise BadSignature(f"founder `{min(missing)}` has not signed")
