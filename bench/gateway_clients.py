"""Clients of a gateway, all in one process: each asks over a TLS connection of its own, waits, and asks the next.

    python bench/gateway_clients.py PLAN ANSWERS

PLAN is the JSON of a `Plan`. What is asked are signed reads, each signed by the SDK's own code just before it is sent,
or acts that were signed before. ANSWERS gets the bodies that came back, as frames, for whoever looks into them later.
Says `ready` once all are connected, begins at a line on standard input, and says at the end how long each request took,
in seconds, as JSON.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.client.looks import HEADER, say_look
from strongroom.terms.frames import LARGEST_ANSWER_BYTES, FrameReader, encode_frame

CHUNK_BYTES = 1 << 16
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Whose key signs reads; the key as a number."""

    by: str
    keyid: str
    private: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`count` reads of `targets` in turn; or, where `acts` names a file of frames, each posted to the first of them."""

    port: int
    ca: str
    connections: int
    count: int
    targets: list[str]
    deployment: str
    signers: list[Signer]
    acts: str | None = None

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


def read_plan(path: Path) -> Plan:
    told = json.loads(path.read_text())
    return Plan(**{**told, "signers": [Signer(**one) for one in told["signers"]]})


@dataclass(slots=True, eq=False)
class Client:
    """One connection, and what it has asked. `say` gives its next request."""

    socket: ssl.SSLSocket
    say: Callable[[], bytes]
    began: float = 0.0
    received: bytes = b""

    def ask(self) -> None:
        self.received, self.began = b"", time.perf_counter()
        self.socket.sendall(self.say())

    def answer(self) -> bytes | None:
        """Return the body of an answer once all of it is here."""
        try:
            while True:
                if not (data := self.socket.recv(CHUNK_BYTES)):
                    raise SystemExit("the gateway closed a connection")
                self.received += data
                header, end, body = self.received.partition(_END)
                if end and len(body) == _length(header):
                    return body
        except ssl.SSLWantReadError:
            return None


def main() -> None:
    plan, answers = read_plan(Path(sys.argv[1])), Path(sys.argv[2])
    requests = posts(plan) if plan.acts else None
    selector = selectors.DefaultSelector()
    context = ssl.create_default_context(cafile=plan.ca)
    clients = []
    for number in range(plan.connections):
        connected = context.wrap_socket(socket.create_connection(("127.0.0.1", plan.port)), server_hostname="127.0.0.1")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        say = partial(next, requests if requests is not None else reads(plan, plan.signers[number % len(plan.signers)]))
        clients.append(Client(connected, say))
        connected.setblocking(False)
        selector.register(connected, selectors.EVENT_READ, clients[-1])
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    taken, came = work(selector, clients, plan.count)
    seconds = time.perf_counter() - began
    answers.write_bytes(b"".join(encode_frame(body, LARGEST_ANSWER_BYTES) for body in came))
    print(json.dumps({"seconds": seconds, "taken": taken}), flush=True)


def work(selector: selectors.BaseSelector, clients: list[Client], count: int) -> tuple[list[float], list[bytes]]:
    """Ask `count` times, once at a time on each connection; return what each took, and the answers."""
    taken: list[float] = []
    came: list[bytes] = []
    asked = min(count, len(clients))
    for client in clients[:asked]:
        client.ask()
    while len(came) < count:
        for key, _ in selector.select():
            client = key.data
            if (body := client.answer()) is None:
                continue
            taken.append(time.perf_counter() - client.began)
            came.append(body)
            if asked < count:
                client.ask()
                asked += 1
    return taken, came


def reads(plan: Plan, signer: Signer) -> Iterator[bytes]:
    """Yield reads by one signer for ever, each signed when it is taken."""
    key = ec.derive_private_key(signer.private, ec.SECP256R1())
    for target in cycle(plan.targets):
        look = say_look(
            target,
            by=signer.by,
            keyid=signer.keyid,
            key=key,
            deployment=plan.deployment,
            era=1,
            at=int(time.time()),
            random=os.urandom,
        )
        yield f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n{HEADER}: {look}\r\n\r\n".encode("ascii")


def posts(plan: Plan) -> Iterator[bytes]:
    """Yield the acts that were signed before."""
    assert plan.acts is not None
    head = f"POST {plan.targets[0]} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: "
    bodies = FrameReader(1 << 20).feed(Path(plan.acts).read_bytes())
    return iter([head.encode("ascii") + str(len(body)).encode("ascii") + _END + body for body in bodies])


def _length(header: bytes) -> int:
    lines = header.lower().split(b"\r\n")
    if lines[0] != b"http/1.1 200 ok":
        raise SystemExit(f"the gateway answers {lines[0].decode()}")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


if __name__ == "__main__":
    main()
