"""Aliases: `acme/atlas@prod`, a name that moves from version to version by a signed act.

    alias, done = set_alias(session, "acme/atlas@prod", "acme/atlas@7")

Whoever opens by an alias opens the version that it means at that moment, on a grant for that version.
"""

from __future__ import annotations

from strongroom.acts.alias_set import AliasSet
from strongroom.acts.table import act_named
from strongroom.client.deployment import Done
from strongroom.client.names import new_detail
from strongroom.client.session import Session
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.ids import new_id
from strongroom.terms.names import parse_alias


def set_alias(session: Session, name: str, version: str) -> tuple[str, Done]:
    """Have the alias `name`, as `org/name@alias`, mean `version` from now on; return its identifier and what was done.

    Raises:
        BadName: it is no alias's name. NotFound: no such model or version is proven.
        BadRequest: several aliases have that name. NotAllowed, Denied, …: the keep refuses.
    """
    parsed = parse_alias(name)
    directory = session.directory
    session.learn([*directory.models, *directory.aliases])
    names = session.deployment.names
    model = names.model(directory, parsed.model)
    meant = names.version(directory, version)
    own = [one for one in directory.aliases.values() if one.model == model.model]
    if unread := names.missing([one.details for one in own]):
        # A second alias of the same name would make both of them worthless.
        raise NotFound(f"the names of {len(unread)} aliases of `{parsed.model}` cannot be read", hint="try again later")
    found = [one for one in own if names.text_of(one.details) == parsed.alias]
    if len(found) > 1:
        raise BadRequest(f"{len(found)} are called `{name}`", hint="use the version's own name")
    detail = new_detail(parsed.alias, session.random)
    known = found[0] if found else None
    body = AliasSet(
        alias=known.alias if known is not None else new_id("alias", session.random),
        details=known.details if known is not None else detail.digest,
        model=model.model,
        version=meant.version,
    )
    done = session.say(act_named("alias.set"), body, details=[detail] if known is None else [])
    if known is None:
        names.add([detail])
    return body.alias, done
