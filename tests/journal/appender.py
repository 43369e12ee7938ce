"""Append to a journal until killed; say after each append how many entries are acknowledged. `test_kills` runs it."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from strongroom.journal.port import Kept
from tests.journal.logs import GENESIS, Place, sign


def main() -> None:
    journal = Place(Path(sys.argv[1])).open()
    chance = random.Random(sys.argv[2])
    while True:
        size = journal.size
        entries = [os.urandom(chance.randrange(3_000)) for _ in range(chance.randrange(1, 20))]
        # now and then something is erased, which moves the WAL into the database and cuts it
        data = None if chance.random() < 0.1 else str(size).encode()
        journal.append(entries if size else [GENESIS], sign=sign, kept=[Kept(kind="size", name="last", data=data)])
        print(journal.size, "-" if data is None else data.decode(), flush=True)


if __name__ == "__main__":
    main()
