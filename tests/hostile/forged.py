"""Another history of the deployment, signed with its own log key: as if Mallory had had two custodians' shares.

fork = Fork(scene, leaves)          a log of these leaves; `append` makes it longer
mallory.attack = fork.attack        shows it to victims, with every proof that it takes
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from strongroom.acts.table import act_named
from strongroom.client.https import Response
from strongroom.directory.entries import Entry, parse_entry
from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import combine, parse_share
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint
from strongroom.tlog.cosignatures import cosign, with_signature
from strongroom.tlog.proofs import consistency_proof
from strongroom.tlog.tree import Tree, leaf_hash
from tests.hostile.proxy import Ask, Asked, Attack, edited, is_log, only, says
from tests.hostile.scene import Scene

Leaves = list[bytes]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def stolen_root(scene: Scene) -> RootKey:
    """Return the root key, as two custodians together can make it."""
    return combine([parse_share(share) for share in scene.real.shares.values()])


def odd(code: str = "another") -> bytes:
    """Return an entry that may be anywhere in a log, and that the true one has not."""
    return Entry(at=int(time.time()), kind="keep.unsealed", data={"code": code}).encode()


@dataclass
class Fork:
    """A log that the real keep knows nothing of."""

    scene: Scene
    leaves: list[bytes]

    def __post_init__(self) -> None:
        self.root = stolen_root(self.scene)
        self.tree = Tree(leaf_hash(leaf) for leaf in self.leaves)

    def append(self, leaf: bytes) -> int:
        self.leaves.append(leaf)
        return self.tree.append(leaf_hash(leaf))

    def note(self) -> str:
        """Return its checkpoint, with the time as it is."""
        origin = f"{self.scene.real.deployment}/1"
        checkpoint = Checkpoint(origin=origin, size=self.tree.size, root=self.tree.root())
        signed = sign_checkpoint(checkpoint, self.root.log_key())
        return with_signature(signed, cosign(signed, f"{origin}/time", self.root.time_key(), int(time.time()))).decode()

    def logged(self, index: int) -> dict[str, Any]:
        proof = self.tree.inclusion_proof(index, self.tree.size)
        return {"index": index, "leaf": b64(self.leaves[index]), "proof": [b64(one) for one in proof]}

    def answer(self, ok: dict[str, Any], since: int | None = None) -> Response:
        """Return an answer under its checkpoint, with a proof of consistency as good as can be had."""
        told: dict[str, Any] = {"checkpoint": self.note(), "ok": ok}
        if since is not None and since <= self.tree.size:
            told["consistency"] = [b64(one) for one in consistency_proof(self.tree, since, self.tree.size)]
        return says(told)

    def attack(self, asked: Asked, ask: Ask) -> Response:
        """Answer as a keep with this log would."""
        query = dict(pair.split("=") for pair in asked.target.partition("?")[2].split("&") if pair)
        since = int(query["since"]) if "since" in query else None
        if asked.path == "/v1/status":
            return self.answer({"state": "open", "size": self.tree.size}, since)
        if asked.path == "/v1/log/entries":
            start, count = int(query["start"]), int(query["count"])
            return self.answer({"entries": [b64(leaf) for leaf in self.leaves[start : start + count]]})
        if asked.act and asked.act != "read":
            kind = act_named(asked.act).entry
            leaf = Entry(at=int(time.time()), kind=kind, statement=asked.json()["statement"]).encode()
            return self.answer(self.logged(self.append(leaf)), since)
        return ask(asked)


# --- lies about the entries of the true log ------------------------------------------------------


def entries_edited(change: Callable[[Leaves], Leaves]) -> Attack:
    """Return an attack on the entries of the log: `change` gets all that are in one answer."""

    def edit(answer: Any) -> Any:
        shown = change([base64.b64decode(one) for one in answer["ok"]["entries"]])
        return {**answer, "ok": {"entries": [b64(leaf) for leaf in shown]}}

    return only(is_log, edited(edit))


def replaced(old: bytes, new: bytes) -> Callable[[Leaves], Leaves]:
    """Return what puts `new` for `old` in one entry, in the keep's own part of it or in the statement that it holds."""

    def change(shown: Leaves) -> Leaves:
        for index, leaf in enumerate(shown):
            if old in leaf:
                return [*shown[:index], leaf.replace(old, new, 1), *shown[index + 1 :]]
            entry = parse_entry(leaf)
            if entry.statement is not None and old in (payload := entry.envelope().payload):
                forged = replace(entry.envelope(), payload=payload.replace(old, new, 1)).json()
                return [*shown[:index], replace(entry, statement=forged).encode(), *shown[index + 1 :]]
        raise AssertionError(old)

    return change
