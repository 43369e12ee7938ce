"""Many at once say what others said before: the same few envelopes, through one gateway, each until it is answered.

    python -m tests.faults.many_voices URL CA ENVELOPES TOLD SEED COUNT

COUNT threads, each with a connection of its own, submit one each of the ENVELOPES (a JSON list) at the same moment.
What each was told goes to TOLD: `taken` with its entry, or `refused`; and `again` where there was no answer.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from strongroom.client.https import HttpsConnection, client_context
from strongroom.terms.errors import StrongroomError, Unavailable
from tests.faults.told import Told


def submit(connection: HttpsConnection, number: int, envelope: Any, told: Told) -> None:
    """Say it until there is an answer."""
    while True:
        try:
            ok: Any = connection.ask("act", statement=envelope, details=[]).ok
        except Unavailable as error:
            told.note("again", code=error.code)
            time.sleep(random.uniform(0.05, 1.0))
        except StrongroomError as error:
            told.note("refused", number=number, code=error.code, message=error.message)
            return
        else:
            enacted = ok["enacted"]["index"] if "enacted" in ok else None
            told.note("taken", number=number, index=ok["index"], leaf=ok["leaf"], enacted=enacted)
            return


def main(url: str, ca: Path, envelopes: Path, told: Path, seed: int, count: int) -> None:
    context, dice, noted = client_context(ca.read_bytes()), random.Random(seed), Told(told)
    known = json.loads(envelopes.read_text())
    together = threading.Barrier(count)

    def one(number: int) -> None:
        connection = HttpsConnection(url, context=context)
        try:
            together.wait()
            submit(connection, number, known[number], noted)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(dice.randrange(len(known)),)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    url, ca, envelopes, told, seed, count = sys.argv[1:]
    main(url, Path(ca), Path(envelopes), Path(told), int(seed), int(count))
