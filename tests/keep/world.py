"""A world around the real keep, in this process: its journal on disk, its clocks in the test's hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom.client.connection import Connection
from strongroom.client.founding import fetch_share, found, sign_genesis, unseal, unseal_key
from strongroom.client.place import Place
from strongroom.directory.state import Directory
from strongroom.journal.sqlite import SqliteJournal, create_journal, open_journal
from strongroom.keep.__main__ import log_key_of
from strongroom.keep.clock import Clocks
from strongroom.keep.keep import Keep
from tests.client_keep.logs import ROLES, Clock, World, drafted, served


@dataclass
class RealKeeper:
    """A keep that can be stopped and started again, as a machine would."""

    folder: Path
    clock: Clock
    options: dict[str, Any] = field(default_factory=dict)
    keep: Keep = field(init=False)
    journal: SqliteJournal = field(init=False)

    def __post_init__(self) -> None:
        create_journal(self.folder / "journal", high_water=self.folder / "high-water")
        self.start()

    def start(self) -> None:
        self.journal = open_journal(
            self.folder / "journal", high_water=self.folder / "high-water", log_key_of=log_key_of, reserve_bytes=1 << 16
        )
        clocks = Clocks(wall=self.clock, monotonic=self.clock)
        self.keep = Keep(self.journal, clocks=clocks, random=os.urandom, **self.options)

    def stop(self) -> None:
        self.journal.close()

    def handle(self, batch: Any) -> Any:
        return self.keep.handle(batch)

    @property
    def directory(self) -> Directory:
        assert self.keep._book is not None
        return self.keep._book.directory


@contextmanager
def founded_keep(folder: Path) -> Iterator[World]:
    """Give a world whose keep has just been founded."""
    clock = Clock()
    place = folder / "keep"
    place.mkdir(mode=0o700)
    keeper = RealKeeper(place, clock)
    with served(keeper.handle, folder / "socket" / "keep") as socket:
        world = World(folder=folder, socket=socket, clock=clock, keeper=keeper)  # type: ignore[arg-type] # the real one
        draft, profiles = drafted(folder / "people", socket, at=clock.at)
        world.profiles = dict(zip(ROLES, profiles, strict=True))
        signatures = [sign_genesis(draft, one, one.security_key()) for one in profiles]
        world.deployment = found(Connection(socket), draft, signatures)
        for profile in profiles:
            profile.join(Place(name=world.deployment, socket=socket))
        yield world
    keeper.stop()


def unseal_again(world: World) -> int:
    """Have two custodians unseal the keep, and return how many shares are missing then."""
    connection = Connection(world.socket)
    to = unseal_key(connection)
    missing = -1
    for name in list(ROLES)[:2]:
        profile = world.profiles[name]
        missing = unseal(profile, connection, shares(world)[name], to=to)
    return missing


def shares(world: World) -> dict[str, str]:
    """Return the custodians' shares, fetched while the keep was open."""
    found_shares: dict[str, str] = world.__dict__.setdefault("shares", {})
    for name in list(ROLES)[:2]:
        if name not in found_shares:
            found_shares[name] = fetch_share(world.profiles[name], Connection(world.socket))
    return found_shares
