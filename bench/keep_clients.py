"""Clients of the keep, all in one process: each sends what was signed before on a connection of its own, and waits.

    python bench/keep_clients.py SOCKET REQUESTS ANSWERS CONNECTIONS

REQUESTS holds frames, to be dealt out; ANSWERS gets the frames that came back, for whoever looks into them later. Says
`ready`, begins at a line on standard input, and says at the end how long each request took, in seconds, as JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from strongroom.terms.frames import LARGEST_ANSWER_BYTES, FrameReader, encode_frame

CHUNK_BYTES = 1 << 18


@dataclass(slots=True, eq=False)
class Client:
    """One connection, and what it has asked."""

    socket: socket.socket
    reader: FrameReader = field(default_factory=lambda: FrameReader(LARGEST_ANSWER_BYTES))
    sent_at: float = 0.0

    def send(self, frame: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(frame)


def main() -> None:
    place, requests, answers, connections = sys.argv[1:]
    reader = FrameReader(1 << 20)
    waiting = deque(encode_frame(body, 1 << 20) for body in reader.feed(Path(requests).read_bytes()))
    selector = selectors.DefaultSelector()
    clients = []
    for _ in range(int(connections)):
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(place)
        clients.append(Client(connected))
        selector.register(connected, selectors.EVENT_READ, clients[-1])
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    taken, came = work(selector, clients, waiting)
    seconds = time.perf_counter() - began
    Path(answers).write_bytes(b"".join(encode_frame(body, LARGEST_ANSWER_BYTES) for body in came))
    print(json.dumps({"seconds": seconds, "taken": taken}), flush=True)


def work(
    selector: selectors.BaseSelector, clients: list[Client], waiting: deque[bytes]
) -> tuple[list[float], list[bytes]]:
    """Send all that waits, one at a time on each connection; return what each took, and the answers."""
    taken: list[float] = []
    came: list[bytes] = []
    busy = 0
    for client in clients:
        if waiting:
            client.send(waiting.popleft())
            busy += 1
    while busy:
        for key, _ in selector.select():
            client = key.data
            if not (data := client.socket.recv(CHUNK_BYTES)):
                raise SystemExit("the keep closed a connection")
            client.reader.feed(data)
            if (body := client.reader.take()) is None:
                continue
            taken.append(time.perf_counter() - client.sent_at)
            came.append(body)
            if waiting:
                client.send(waiting.popleft())
            else:
                busy -= 1
    return taken, came


if __name__ == "__main__":
    main()
