"""Names: what people, models and purposes are called, shown only where it fits the digest in the log.

Texts lie beside the log; the directory has their salted digests. Whoever hands out texts, the keep included, is not
believed: a text is kept under the digest that it has, so that a false one is found under no identifier. What is not
proven is shown by its identifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from strongroom.directory.state import Alias, Directory, Model, Person, Version
from strongroom.terms.canonical import Json
from strongroom.terms.details import SALT_BYTES, detail_digest
from strongroom.terms.errors import BadRequest, NotFound
from strongroom.terms.ids import Random
from strongroom.terms.names import is_alias, parse_alias, parse_version
from strongroom.terms.records import Matches, parse_record, record_json

LONGEST_TEXT = 16_384
NOT_PROVEN = "name not proven"

N = TypeVar("N", Alias, Model, Person)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A text and the salt, in hexadecimal, under whose digest it stands in the log."""

    salt: Annotated[str, Matches(f"[0-9a-f]{{{2 * SALT_BYTES}}}", "a salt in hexadecimal")]
    text: Annotated[str, Matches(f"(?s:.{{0,{LONGEST_TEXT}}})", f"text of at most {LONGEST_TEXT} characters")]

    @property
    def digest(self) -> str:
        """The digest that the log has."""
        return detail_digest(self.text, bytes.fromhex(self.salt))

    def json(self) -> Json:
        """Return the detail as it travels."""
        return record_json(self)


def new_detail(text: str, random: Random) -> Detail:
    """Return `text` under a fresh salt.

    Raises:
        BadRequest: it is too long.
    """
    if len(text) > LONGEST_TEXT:
        raise BadRequest(f"a text of {len(text)} characters", hint=f"say it in {LONGEST_TEXT}")
    return Detail(salt=random(SALT_BYTES).hex(), text=text)


def parse_detail(value: Json) -> Detail:
    """Return the detail that `value` is.

    Raises:
        BadRecord: it is none.
    """
    return parse_record(Detail, value)


class Names:
    """The texts that this client has seen, each under its own digest."""

    def __init__(self, details: Iterable[Detail] = ()) -> None:
        self._texts: dict[str, str] = {}
        self.add(details)

    def add(self, details: Iterable[Detail]) -> None:
        """Take texts in, from anybody."""
        for detail in details:
            # TRUST: nobody's. The digest is computed here, never taken from whoever sent the text.
            self._texts[detail.digest] = detail.text

    def text_of(self, digest: str) -> str | None:
        """Return the text whose salted digest is `digest`; none if nobody has shown one."""
        return self._texts.get(digest)

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return those of `digests` whose text is not here, in order, each once."""
        return sorted(set(digests) - self._texts.keys())

    def called(self, directory: Directory, identifier: str) -> str:
        """Return what people read for an identifier: a proven name beside it, or that there is none.

        A name that does not show whole, with control characters or such as turn the direction of text, is none.
        """
        if identifier.startswith("version-") and (version := directory.versions.get(identifier)) is not None:
            return self._called_at(directory, identifier, version.model, str(version.number))
        if identifier.startswith("alias-") and (alias := directory.aliases.get(identifier)) is not None:
            return self._called_at(directory, identifier, alias.model, self._printable(alias.details))
        if (digest := details_of(directory, identifier)) is None:
            return identifier
        return f"{identifier} ({self._printable(digest) or NOT_PROVEN})"

    def model(self, directory: Directory, name: str) -> Model:
        """Return the model with the identifier or the proven name `name`.

        Raises:
            NotFound: none, or none that is proven. BadRequest: more than one.
        """
        return self._one(directory.models, name, "model", {key: one.details for key, one in directory.models.items()})

    def person(self, directory: Directory, name: str) -> Person:
        """Return the person with the identifier or the proven name `name`; errors as for `model`."""
        return self._one(directory.people, name, "person", {key: one.details for key, one in directory.people.items()})

    def version(self, directory: Directory, name: str) -> Version:
        """Return the version that `name` says: an identifier, or `org/name@7` by the proven name of its model.

        `org/name@prod`, or an alias's identifier, is the version that the alias points to now.

        Raises:
            NotFound: none, or none that is proven. BadName, BadRequest: it names nothing, or more than one.
        """
        if (found := directory.versions.get(name)) is not None:
            return found
        if name in directory.aliases or is_alias(name):
            return directory.versions[self.alias(directory, name).version]
        parsed = parse_version(name)
        model = self.model(directory, parsed.model)
        for version in directory.versions.values():
            if (version.model, version.number) == (model.model, parsed.number):
                return version
        raise NotFound(f"no version `{name}`: `{parsed.model}` has {model.versions}")

    def alias(self, directory: Directory, name: str) -> Alias:
        """Return the alias with the identifier `name`, or that `org/name@prod` says; errors as for `version`."""
        if (found := directory.aliases.get(name)) is not None:
            return found
        parsed = parse_alias(name)
        model = self.model(directory, parsed.model).model
        own = {key: one for key, one in directory.aliases.items() if one.model == model}
        return self._one(own, parsed.alias, "alias", {key: one.details for key, one in own.items()})

    def _called_at(self, directory: Directory, identifier: str, model: str, which: str) -> str:
        name = self._printable(directory.models[model].details)
        return f"{identifier} ({f'{name}@{which}' if name and which else NOT_PROVEN})"

    def _one(self, things: dict[str, N], name: str, what: str, details: dict[str, str]) -> N:
        if name in things:
            return things[name]
        found = [key for key, digest in details.items() if self.text_of(digest) == name]
        if len(found) > 1:
            raise BadRequest(f"{len(found)} are called `{name[:200]}`", hint=f"name it by its id: {', '.join(found)}")
        if not found:
            raise NotFound(
                f"no {what} is proven to be called `{name[:200]}`",
                hint=f"name it by its id, `{what}-…`; a name counts only where it fits the digest in the log",
            )
        return things[found[0]]

    def _printable(self, digest: str) -> str:
        text = self.text_of(digest)
        return text if text is not None and text.isprintable() else ""


def details_of(directory: Directory, identifier: str) -> str | None:
    """Return the salted digest of the name of `identifier`, for a version its model's; none for what has no name."""
    if (version := directory.versions.get(identifier)) is not None:
        identifier = version.model
    kind = identifier.partition("-")[0]
    named: dict[str, Mapping[str, Any]] = {
        "alias": directory.aliases,
        "person": directory.people,
        "model": directory.models,
        "workload": directory.workloads,
        "attester": directory.attesters,
        "zone": directory.zones,
    }
    found = named.get(kind, {}).get(identifier)
    return None if found is None else str(found.details)
