"""The checkpoint that goes with every answer: the log's end, and the keep's time at that batch."""

from __future__ import annotations

from pathlib import Path

from strongroom.client.connection import Connection
from strongroom.tlog.notes import COSIGNATURE, VerifierKey
from strongroom.tlog.witnesses import verify_cosignature
from tests.keep.world import founded_keep


def test_the_time_beside_a_checkpoint_goes_on_while_nothing_is_written(tmp_path: Path) -> None:
    with founded_keep(tmp_path) as world:
        connection, directory = Connection(world.socket), world.keeper.directory
        key = VerifierKey(name=f"{directory.origin}/time", kind=COSIGNATURE, public_key=directory.keys.time)
        for _ in range(3):
            note = connection.ask("status").checkpoint
            assert note is not None
            assert verify_cosignature(note, key) == int(world.clock())
            world.clock.at += 7
