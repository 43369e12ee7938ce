"""`zone.define`: a quorum says what a place is: the highest label it may open, and how much can leave it in a day."""

from strongroom.acts.act import Move
from strongroom.directory.state import Directory, Zone, made
from strongroom.terms.records import Count, Digest, Label, Record, ZoneId


class ZoneDefine(Record):
    """A new zone, or a new word about one that is there. `details` is the salted digest of its name."""

    zone: ZoneId
    details: Digest
    ceiling: Label
    egress_bytes_per_day: Count


def apply(directory: Directory, move: Move[ZoneDefine]) -> None:
    body, known = move.body, directory.zones.get(move.body.zone)
    directory.zones[body.zone] = made(Zone, body, frozen=known is not None and known.frozen)


def base(directory: Directory, body: ZoneDefine) -> object:
    return directory.zones.get(body.zone)
