"""Every case of the vectors: what a reader is given, and what it must answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.tlog.reference import mth, path, proof
from tests.vectors.tlog.writer import (
    CLOCK,
    ENTRIES,
    LOG,
    ORIGIN,
    OTHER_ENTRIES,
    STRANGER,
    TIME,
    WITNESS,
    Signer,
    body,
    checkpoint,
    note,
    receipt,
    receipt_head,
    signature_line,
    text,
)

Vector = dict[str, Any]
FAMILIES = {
    "bad-key": "Malformed",
    "bad-note": "Malformed",
    "bad-proof": "Tampered",
    "bad-signature": "Tampered",
}


@dataclass(frozen=True)
class Case:
    kind: str
    name: str
    comment: str
    expect: str
    fields: Vector

    @property
    def vector(self) -> Vector:
        family = {} if self.expect == "ok" else {"family": FAMILIES[self.expect]}
        return {"comment": self.comment, "kind": self.kind, "expect": self.expect, **family, **self.fields}


def cases() -> Iterator[Case]:
    yield from verifier_keys()
    yield from notes()
    yield from checkpoints()
    yield from cosignatures()
    yield from inclusions()
    yield from consistencies()
    yield from receipts()
    yield from tile_paths()
    yield from bundles()


def verifier_keys() -> Iterator[Case]:
    def case(name: str, comment: str, vkey: str, signer: Signer | None = None) -> Case:
        fields: Vector = {"vkey": vkey}
        if signer:
            fields |= {"name": signer.name, "type": signer.kind, "public_key": signer.public.hex()}
        return Case("verifier-key", name, comment, "ok" if signer else "bad-key", fields)

    good = LOG.vkey
    name, key_id, encoded = good.split("+", 2)
    yield case("ok-log", "the key of a deployment's log", good, LOG)
    yield case("ok-clock", "the key by which the keep says its clock", CLOCK.vkey, CLOCK)
    yield case("id-of-another-name", "a key id that was made over another name", good.replace(name, name[:-1] + "1"))
    yield case("id-upper-case", "the key id in upper case", f"{name}+{key_id.upper()}+{encoded}")
    yield case("newline", "a newline at the end", good + "\n")
    yield case("no-name", "an empty name", f"+{key_id}+{encoded}")
    yield case("base64-url", "base64 in the alphabet for URLs", f"{name}+{key_id}+{encoded.translate(URL)}")
    for label, byte, length in (("type-unknown", 2, 32), ("key-short", 1, 31), ("key-long", 1, 33)):
        yield case(label, "with the right id", vkey(name, byte, (LOG.public + b"\x00")[:length]))
    yield case("name-with-space", "with the right id", vkey("a b", 1, LOG.public))
    yield case("low-order-identity", "the neutral point", vkey("w", 4, b"\x01" + bytes(31)))
    yield case("low-order-8", "a point of order 8", vkey("w", 4, bytes.fromhex(ORDER_8)))
    yield case(
        "low-order-in-another-form", "the neutral point with y + p", vkey("w", 4, b"\xee" + b"\xff" * 30 + b"\x7f")
    )
    yield case("y-too-large", "y = p + 3", vkey("w", 4, b"\xf0" + b"\xff" * 30 + b"\x7f"))


URL = str.maketrans("+/", "-_")
ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"


def vkey(name: str, kind: int, public: bytes) -> str:
    signer = Signer(name, kind)
    signer.public = public
    return signer.vkey


def notes() -> Iterator[Case]:
    keys = [LOG.vkey, WITNESS.vkey]

    def case(name: str, comment: str, content: str | bytes, expect: str = "bad-note", signers: int = 0) -> Case:
        raw = content.encode() if isinstance(content, str) else content
        fields: Vector = {"note": text(raw), "keys": keys}
        if expect == "ok":
            fields["signed_by"] = signers
        return Case("note", name, comment, expect, fields)

    content = "one\n\ntwo\n"
    good, other = LOG.line(content), WITNESS.line(content)
    unknown = STRANGER.line(content)
    bad = signature_line(LOG.name, LOG.key_id + bytes(64))
    eve = Signer(ORIGIN, 1, "eve")
    yield case("ok", "a text with an empty line, one signature", note(content, good), "ok", 1)
    yield case("ok-two", "two signatures by known keys of both types", note(content, good, other), "ok", 2)
    yield case(
        "ok-unknown-lines", "unknown signatures around a known one", note(content, unknown, good, unknown), "ok", 1
    )
    yield case("ok-twice", "the same line twice", note(content, good, good), "ok", 2)
    yield case(
        "ok-known-name-other-id", "a second key of the log's name", note(content, eve.line(content), good), "ok", 1
    )
    yield case(
        "ok-known-id-other-name",
        "the log's key id under another name",
        note(content, signature_line("x", LOG.key_id + bytes(64)), good),
        "ok",
        1,
    )
    yield case(
        "ok-sixteen",
        "sixteen signatures, each as large as a post-quantum one",
        note(content, *[signature_line("pq.example", bytes(2424))] * 15, good),
        "ok",
        1,
    )
    yield case("only-unknown", "no known key signed", note(content, unknown), "bad-signature")
    yield case(
        "one-bad-after-good",
        "a bad signature of a known key beside a good one",
        note(content, good, bad),
        "bad-signature",
    )
    yield case("one-bad-before-good", "the same in the other order", note(content, bad, good), "bad-signature")
    yield case("text-changed", "one letter of the text changed", note("One\n\ntwo\n", good), "bad-signature")
    yield case(
        "key-id-collided",
        "another key's signature under the log's name and id",
        note(content, signature_line(LOG.name, LOG.key_id + eve.private.sign(content.encode()))),
        "bad-signature",
    )
    yield case(
        "signature-short", "63 bytes", note(content, signature_line(LOG.name, LOG.key_id + bytes(63))), "bad-signature"
    )
    yield case("no-signature", "no signature line", note(content))
    yield case("no-empty-line", "no empty line", "one\n" + good)
    yield case("newline-missing", "no newline at the end", note(content, good)[:-1])
    yield case("newline-added", "an empty line at the end", note(content, good) + "\n")
    yield case("text-without-newline", "nothing above the empty line", "\n" + good)
    yield case("carriage-returns", "lines that end in CR LF", note(content, good).replace("\n", "\r\n"))
    yield case("tab", "a tab in the text", note("a\tb\n", LOG.line("a\tb\n")))
    yield case("not-utf8", "a byte that is not UTF-8", b"\xff" + note(content, good).encode())
    yield case("surrogate", "a surrogate in UTF-8", b"\xed\xa0\x80" + note(content, good).encode())
    yield case("dash", "a hyphen for the dash", note(content, good.replace("\u2014", "-")))
    yield case("two-spaces", "two spaces before the name", note(content, good.replace("\u2014 ", "\u2014  ")))
    yield case("space-at-the-end", "a space behind the signature", note(content, good.replace("\n", " \n")))
    yield case("name-with-plus", "a plus in an unknown name", note(content, unknown.replace("stranger", "a+b"), good))
    yield case(
        "name-with-no-break-space",
        "a Unicode space in an unknown name",
        note(content, unknown.replace("stranger", "a\u00a0b"), good),
    )
    yield case(
        "base64-trailing-bits", "base64 whose last bits are not zero", note(content, "\u2014 x AAAAAAB=\n", good)
    )
    yield case("base64-no-padding", "base64 without padding", note(content, "\u2014 x AAAAAAA\n", good))
    yield case("base64-url", "base64 in the alphabet for URLs", note(content, "\u2014 x AAAA-AA=\n", good))
    yield case("key-id-only", "a signature line of four bytes", note(content, "\u2014 x AAAAAA==\n", good))
    yield case("other-line", "a line that is no signature below the empty line", note(content, good, "x\n"))


def checkpoints() -> Iterator[Case]:
    def case(name: str, comment: str, content: str, expect: str = "bad-note", size: int | None = None) -> Case:
        fields: Vector = {"note": text(note(content, LOG.line(content)).encode()), "key": LOG.vkey}
        if size is not None:
            fields |= {"size": size, "root": mth(ENTRIES[:size]).hex()}
        return Case("checkpoint", name, comment, expect, fields)

    good = body(5)
    origin, size, root, _ = good.split("\n")
    yield case("ok", "five entries", good, "ok", 5)
    yield case("ok-empty", "the empty log", body(0), "ok", 0)
    yield case("ok-extension", "an extension line", good + "extension\n", "ok", 5)
    yield case(
        "origin-of-another-era",
        "the log's key signs for another origin",
        body(5, origin=origin[:-1] + "1"),
        "bad-signature",
    )
    yield case("empty-with-zero-root", "size 0 and a root of zeros", f"{origin}\n0\n{text(bytes(32))}\n")
    yield case("empty-with-root", "size 0 and the root of five", f"{origin}\n0\n{root}\n")
    yield case("two-lines", "no root", f"{origin}\n{size}\n")
    yield case("empty-origin", "an empty first line", f"\n{size}\n{root}\n")
    yield case("empty-extension", "an empty extension line", good + "\nextension\n")
    sizes = {
        "leading-zero": "05", "signed": "+5", "underscore": "1_0", "space": "5 ", "fullwidth": "\uff15",
        "negative": "-5", "fraction": "5.0", "too-large": str(2**63),
    }  # fmt: skip
    for label, bent in sizes.items():
        yield case(f"size-{label}", f"the size as `{bent}`", f"{origin}\n{bent}\n{root}\n")
    yield case("root-short", "a root of 31 bytes", f"{origin}\n{size}\n{text(bytes(31))}\n")
    yield case("root-hexadecimal", "the root in hexadecimal", f"{origin}\n{size}\n{mth(ENTRIES[:5]).hex()}\n")
    yield case("root-trailing-bits", "base64 whose last bits are not zero", f"{origin}\n{size}\n{'A' * 42}B=\n")


def cosignatures() -> Iterator[Case]:
    def case(name: str, comment: str, line: str, expect: str = "bad-signature", at: int = 0) -> Case:
        fields: Vector = {"note": text(note(body(5), LOG.line(body(5)), line).encode()), "key": WITNESS.vkey}
        return Case("cosignature", name, comment, expect, fields | ({"time": at} if expect == "ok" else {}))

    good = body(5)
    raw = TIME.to_bytes(8, "big") + WITNESS.private.sign(f"cosignature/v1\ntime {TIME}\n{good}".encode())
    yield case("ok", "a witness", WITNESS.line(good), "ok", TIME)
    yield case("ok-zero", "at the second 0", WITNESS.line(good, 0), "ok", 0)
    yield case(
        "ok-latest", "two, the later one first", WITNESS.line(good, TIME + 1) + WITNESS.line(good), "ok", TIME + 1
    )
    yield case("absent", "the witness did not sign", CLOCK.line(good))
    yield case("of-another-size", "moved from a checkpoint of another size", WITNESS.line(body(6)))
    yield case("of-another-root", "moved from the other side of a split view", WITNESS.line(body(5, OTHER_ENTRIES)))
    yield case("of-another-log", "moved from a log of another origin", WITNESS.line(body(5, origin="x/0")))
    yield case(
        "time-changed",
        "a minute later than signed",
        signature_line(WITNESS.name, WITNESS.key_id + (TIME + 60).to_bytes(8, "big") + raw[8:]),
    )
    yield case("time-too-large", "a signed time of 2^63", WITNESS.line(good, 2**63))
    yield case("short", "one byte less", signature_line(WITNESS.name, WITNESS.key_id + raw[:-1]))
    yield case(
        "without-time",
        "a plain signature under the witness's id",
        signature_line(WITNESS.name, WITNESS.key_id + WITNESS.private.sign(good.encode())),
    )


def inclusions() -> Iterator[Case]:
    def case(
        name: str, comment: str, index: int, size: int, nodes: list[bytes], expect: str = "bad-proof", **more: bytes
    ) -> Case:
        leaf = more.get("leaf", mth(ENTRIES[index : index + 1]))
        root = more.get("root", mth(ENTRIES[:size]))
        fields = {
            "index": index,
            "size": size,
            "leaf": leaf.hex(),
            "root": root.hex(),
            "proof": [n.hex() for n in nodes],
        }
        return Case("inclusion", name, comment, expect, fields)

    for index, size in ((0, 1), (0, 2), (1, 2), (2, 3), (0, 8), (7, 8), (4, 7), (6, 7), (10, 11), (3, 11)):
        yield case(f"ok-{index}-of-{size}", "", index, size, path(index, ENTRIES[:size]), "ok")
    good = path(4, ENTRIES)
    yield case("in-the-empty-tree", "index 0 of size 0", 0, 0, [], leaf=mth([]))
    yield case("index-is-size", "an index beyond the tree", 11, 11, path(10, ENTRIES), leaf=mth([ENTRIES[10]]))
    yield case("other-leaf", "the hash of another entry", 4, 11, good, leaf=mth([ENTRIES[5]]))
    yield case("other-index", "the index of a neighbour", 5, 11, good, leaf=mth([ENTRIES[4]]))
    yield case("other-size", "a size with a proof of the same length", 4, 10, good)
    yield case("other-root", "the root of another log", 4, 11, good, root=mth(OTHER_ENTRIES))
    yield case("truncated", "the last hash left out", 4, 11, good[:-1])
    yield case("extended", "a hash more", 4, 11, [*good, bytes(32)])
    yield case("reversed", "root to leaf", 4, 11, good[::-1])
    yield case("inner-node", "an inner node as the leaf, and a shorter proof", 4, 11, good[1:], leaf=mth(ENTRIES[4:6]))
    left, right = mth(ENTRIES[:1]), mth(ENTRIES[1:2])
    yield case("cut-elsewhere", "33 and 31 bytes that hash to the root", 0, 2, [right[1:]], leaf=left + right[:1])


def consistencies() -> Iterator[Case]:
    def case(
        name: str, comment: str, old: int, new: int, nodes: list[bytes], expect: str = "bad-proof", **more: bytes
    ) -> Case:
        fields = {
            "old_size": old,
            "old_root": more.get("old_root", mth(ENTRIES[:old])).hex(),
            "new_size": new,
            "new_root": more.get("new_root", mth(ENTRIES[:new])).hex(),
            "proof": [node.hex() for node in nodes],
        }
        return Case("consistency", name, comment, expect, fields)

    for old, new in ((1, 2), (1, 11), (2, 3), (3, 4), (4, 8), (6, 8), (7, 11), (8, 11), (10, 11), (11, 11)):
        yield case(f"ok-{old}-to-{new}", "", old, new, proof(old, ENTRIES[:new]), "ok")
    yield case("ok-0-to-0", "nothing to nothing", 0, 0, [], "ok")
    yield case("ok-0-to-11", "from the empty tree", 0, 11, [], "ok")
    good = proof(6, ENTRIES)
    yield case("from-empty-with-a-proof", "a proof where there is none", 0, 11, [mth(ENTRIES)])
    yield case("from-empty-with-another-root", "an empty tree with a root of zeros", 0, 11, [], old_root=bytes(32))
    yield case(
        "empty-with-another-root",
        "two empty trees with roots of zeros",
        0,
        0,
        [],
        old_root=bytes(32),
        new_root=bytes(32),
    )
    yield case("split-view", "two roots of one size", 11, 11, [], new_root=mth(OTHER_ENTRIES))
    yield case("same-size-with-a-proof", "a proof where there is none", 11, 11, [mth(ENTRIES)])
    yield case("shrunk", "the sizes the wrong way round", 11, 6, good)
    yield case("other-past", "the new root is another log's", 6, 11, good, new_root=mth(OTHER_ENTRIES))
    yield case(
        "proof-of-other-past", "and so is the proof", 6, 11, proof(6, OTHER_ENTRIES), new_root=mth(OTHER_ENTRIES)
    )
    yield case("other-old-root", "the old root is another log's", 6, 11, good, old_root=mth(OTHER_ENTRIES[:6]))
    yield case("no-proof", "the proof left out", 6, 11, [])
    yield case("truncated", "the last hash left out", 6, 11, good[:-1])
    yield case("extended", "a hash more", 6, 11, [*good, bytes(32)])
    sibling = mth(ENTRIES[2:4])
    yield case(
        "cut-elsewhere",
        "33 and 31 bytes that hash to the root",
        2,
        4,
        [sibling[1:]],
        old_root=mth(ENTRIES[:2]) + sibling[:1],
    )


def receipts() -> Iterator[Case]:
    def case(
        name: str, comment: str, content: str, expect: str = "bad-note", entry: bytes = ENTRIES[4], **more: Any
    ) -> Case:
        fields = {
            "receipt": text(content.encode()),
            "entry": text(entry),
            "key": LOG.vkey,
            "witnesses": [WITNESS.vkey],
            **more,
        }
        return Case("receipt", name, comment, expect, fields)

    good = receipt(4, 11)
    nodes = path(4, ENTRIES)
    yield case("ok", "entry 4 of 11", good, "ok", size=11)
    yield case("ok-extra", "extra data, which nothing proves", receipt(4, 11, b"extra"), "ok", size=11)
    yield case("ok-first", "the first of one: no hashes", receipt(0, 1), "ok", ENTRIES[0], size=1)
    yield case("other-entry", "another entry", good, "bad-proof", ENTRIES[5])
    yield case("other-index", "another index", good.replace("index 4", "index 5"), "bad-proof")
    yield case("index-beyond", "an index beyond the checkpoint", good.replace("index 4", "index 11"), "bad-proof")
    yield case(
        "checkpoint-of-another-size", "the proof of another size", receipt_head(4, nodes) + checkpoint(10), "bad-proof"
    )
    yield case(
        "checkpoint-of-a-split-view",
        "the other side of a split view",
        receipt_head(4, nodes) + checkpoint(11, OTHER_ENTRIES),
        "bad-proof",
    )
    unseen = note(body(11), LOG.line(body(11)))
    yield case("no-witness", "a witness has not signed", receipt_head(4, nodes) + unseen, "bad-signature")
    unsigned = note(body(11), WITNESS.line(body(11)))
    yield case("no-log", "the log has not signed", receipt_head(4, nodes) + unsigned, "bad-signature")
    yield case("header-of-another-version", "another version", good.replace("@v1", "@v2"))
    yield case("index-missing", "no index line", good.replace("index 4\n", ""))
    yield case("index-leading-zero", "`index 04`", good.replace("index 4", "index 04"))
    yield case("index-twice", "two index lines", good.replace("index 4\n", "index 4\nindex 4\n"))
    yield case("extra-empty", "an extra line without data", good.replace("index", "extra \nindex"))
    yield case(
        "extra-after-index", "the extra line in another place", good.replace("index 4\n", "index 4\nextra eA==\n")
    )
    yield case("extra-trailing-bits", "base64 whose last bits are not zero", good.replace("index", "extra eB==\nindex"))
    yield case("hash-short", "a hash of 31 bytes", good.replace(text(nodes[0]), text(nodes[0][:31])))
    yield case("empty-line-twice", "a second empty line before the checkpoint", good.replace("\n\n", "\n\n\n", 1))
    yield case("checkpoint-missing", "nothing below the empty line", receipt_head(4, nodes))
    yield case("newline-added", "an empty line at the end", good + "\n")


def tile_paths() -> Iterator[Case]:
    for name, path_text, level, number, width in (
        ("ok", "tile/0/x001/x234/067", 0, 1234067, 256),
        ("ok-partial", "tile/2/000.p/1", 2, 0, 1),
        ("ok-entries", "tile/entries/x001/000.p/255", "entries", 1000, 255),
        ("ok-highest", "tile/63/999", 63, 999, 256),
    ):
        yield Case("tile-path", name, "", "ok", {"path": path_text, "level": level, "number": number, "width": width})
    for name, path_text in (
        ("level-64", "tile/64/000"),
        ("level-leading-zero", "tile/00/000"),
        ("number-unpadded", "tile/0/5"),
        ("number-overpadded", "tile/0/x000/005"),
        ("number-without-x", "tile/0/001/234"),
        ("number-x-at-the-end", "tile/0/x001"),
        ("width-0", "tile/0/000.p/0"),
        ("width-256", "tile/0/000.p/256"),
        ("width-leading-zero", "tile/0/000.p/01"),
        ("newline", "tile/0/000\n"),
        ("parent", "tile/0/../000"),
    ):
        yield Case("tile-path", name, "", "bad-note", {"path": path_text})


def bundles() -> Iterator[Case]:
    for name, data, entries in (
        ("ok", "0000000161", ["", "61"]),
        ("ok-longest", "ffff" + "00" * 65535, ["00" * 65535]),
    ):
        yield Case("bundle", name, "", "ok", {"bundle": data, "width": len(entries), "entries": entries})
    for name, data, width in (
        ("empty", "", 1),
        ("one-too-few", "000161", 2),
        ("one-too-many", "0001610000", 1),
        ("length-cut", "00016100", 2),
        ("entry-cut", "000261", 1),
        ("byte-added", "00016100", 1),
    ):
        yield Case("bundle", name, "", "bad-note", {"bundle": data, "width": width})
