"""The sealed-version vectors: good ones, and ones with one fault each, by whose hand it could come."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.sealing.reference import sha256
from tests.vectors.floe_cases import digest, draw, text
from tests.vectors.version_writer import (
    IDENTITY,
    OTHER_IDENTITY,
    Json,
    Version,
    closed,
    edited,
    encode,
    released,
    safetensors,
    wrap,
)

Vector = dict[str, Any]
FAMILIES = {"bad-path": "Malformed", "bad-tensors": "Malformed", "not-canonical": "Malformed"}
FAMILIES |= {"unknown-format": "Malformed", "not-released": "Refused", "wrong-key": "Refused"}
FULL = 256 - 32
DEPLOYMENT, OTHER_DEPLOYMENT = ("sr1:" + digest(name) for name in (b"genesis", b"another genesis"))
MODEL_ID, OTHER_MODEL_ID = ("model-" + draw(name, 16).hex() for name in ("model id", "other model id"))


def vector(comment: str, version: Version, **more: Any) -> Vector:
    return {
        "comment": comment,
        "identity": IDENTITY,
        "manifest": text(version.manifest()),
        "objects": {name: text(stored) for name, stored in version.objects().items()},
    } | more


def good(comment: str, version: Version) -> Vector:
    return vector(
        comment,
        version,
        expect="ok",
        digest=sha256(version.manifest()),
        files={path: digest(content) for path, content in version.files},
        damaged=[],
        released=released(version, len(version.files)),
    )


def refused(code: str, stage: str, comment: str, version: Version, **more: Any) -> Vector:
    """`stage` is where a reader refuses: `parse` the manifest, `open` it, or `read` the objects."""
    outcome = {"expect": code, "family": FAMILIES.get(code, "Tampered"), "stage": stage, "released": digest(b"")}
    return vector(comment, version) | outcome | more


def several() -> Version:
    """Three files: one whose last segment is full, one of five segments, one small."""
    return Version(
        files=[("config.json", draw("config", FULL)), ("model.bin", draw("model", 4 * FULL + 9)), ("notes", b"n")],
        label="several",
    )


def tiny(**how: Any) -> Version:
    return Version(files=[("a.txt", b"weights\n")], **{"label": "tiny", **how})


def deployed(version: Version, **how: Any) -> Version:
    """Return `version` as it is sealed for a model of a deployment."""
    return replace(version, **{"deployment": DEPLOYMENT, "model": MODEL_ID, "number": None, "generation": 3, **how})


def cases() -> Iterator[tuple[str, Vector]]:
    yield from good_ones()
    yield from changed_objects()
    yield from broken_forms()
    yield from edited_manifests()
    yield from bad_paths()
    yield from bad_tensors()
    yield from bad_writers()
    yield from mixed_forms()
    yield from edited_in_a_deployment()
    yield from releases()


def good_ones() -> Iterator[tuple[str, Vector]]:
    weights, index = safetensors(
        {
            "layer.weight": ("F32", [4, 40], draw("weight", 640)),
            "layer.bias": ("BF16", [40], draw("bias", 80)),
            "none": ("I64", [0, 3], b""),
            "scale": ("F64", [], draw("scale", 8)),
            # UTF-16 order: the astral one first
            "\ufb01": ("U8", [1], b"\x01"),
            "\U0001f511": ("U8", [1], b"\x02"),
        },
        format="pt",
    )
    yield "ok-tiny", good("the example of the specification", tiny())
    yield "ok-no-files", good("a version may be empty", Version(files=[], label="none"))
    yield "ok-several-files", good("several files, segments and parts", several())
    yield "ok-empty-file", good("an empty file is one empty segment", Version(files=[("e", b"")], label="empty"))
    yield "ok-default-parameters", good("1 MiB segments, 64 in a part", tiny(segment_bytes=1 << 20, part_segments=64))
    yield "ok-one-segment-a-part", good("parts of one segment", tiny(part_segments=1))
    yield (
        "ok-in-a-deployment",
        good(
            "an opaque model id, no number, the generation of the model's key",
            deployed(tiny()),
        ),
    )
    yield "ok-number-large", good("the last number that a version may have", tiny(number=999_999_999))
    yield (
        "ok-tensors",
        good(
            "a safetensors file with its index and whole digest; keys in UTF-16 order",
            Version(
                files=[("model.safetensors", weights)],
                more={"model.safetensors": {"tensors": index, "sha256": digest(weights)}},
                label="tensors",
            ),
        ),
    )
    yield (
        "ok-paths",
        good(
            "spaces, dots, NFC and astral characters in paths",
            Version(
                files=[
                    (path, path.encode()) for path in (".hidden", "a b/c", "größe/模型.bin", "\U0001f511", "x" * 255)
                ],
                label="paths",
            ),
        ),
    )


def changed_objects() -> Iterator[tuple[str, Vector]]:
    """Whoever can write to the store."""
    version = several()
    small, large, last = (f"o/{version.seal_id}/{number}" for number in range(3))
    whole = version.objects()
    stored = whole[large]
    at = [74 + number * 256 for number in range(6)]
    zero, one, two, three, four = (stored[at[n] : at[n + 1]] for n in range(5))
    tampered, size = "object-tampered", "object-size"

    def case(
        name: str, comment: str, changed: dict[str, bytes | None], code: str, files: int, segments: int = 0
    ) -> tuple[str, Vector]:
        objects = {key: value for key, value in (whole | changed).items() if value is not None}
        bad = [
            [number, part]
            for number, original in enumerate(whole.values())
            for part, expected in enumerate(version.sealed_parts(original))
            if (found := changed.get(f"o/{version.seal_id}/{number}", original)) != original
            and (found is None or [*version.sealed_parts(found[: len(original)]), *[""] * 9][part] != expected)
        ]
        return f"object-{name}", refused(
            code,
            "read",
            comment,
            version,
            objects={key: text(value) for key, value in objects.items()},
            damaged=bad,
            released=released(version, files, segments),
        )

    def flip(offset: int) -> dict[str, bytes | None]:
        return {large: stored[:offset] + bytes([stored[offset] ^ 1]) + stored[offset + 1 :]}

    def body(*pieces: bytes) -> dict[str, bytes | None]:
        return {large: stored[:74] + b"".join(pieces)}

    yield case("header-flipped", "one bit of the stored parameters", flip(5), tampered, 1)
    yield case("iv-flipped", "one bit of the stored IV", flip(41), tampered, 1)
    yield case("header-tag-flipped", "one bit of the stored header tag", flip(42), tampered, 1)
    yield case("segment-length-flipped", "of segment 2", flip(at[2]), tampered, 1, 2)
    yield case("segment-iv-flipped", "of segment 2", flip(at[2] + 4), tampered, 1, 2)
    yield case("ciphertext-flipped", "in segment 2", flip(at[2] + 16), tampered, 1, 2)
    yield case("tag-flipped", "of segment 2", flip(at[3] - 1), tampered, 1, 2)
    yield case("last-length-flipped", "of the last segment", flip(at[4] + 3), tampered, 1, 4)
    yield case("last-ciphertext-flipped", "in the last segment", flip(at[4] + 16), tampered, 1, 4)
    yield case("truncated-by-a-byte", "the last byte is gone", {large: stored[:-1]}, size, 1, 4)
    yield case("truncated-by-a-segment", "the last segment is gone", body(zero, one, two, three), size, 1, 4)
    yield case("truncated-and-closed", "the last segment is gone, the one before says that it is the last",
               body(zero, one, two, (256).to_bytes(4, "big") + three[4:]), tampered, 1, 3)  # fmt: skip
    yield case("emptied", "nothing is left", {large: b""}, size, 1)
    yield case("missing", "the object is gone", {large: None}, "object-missing", 1)
    yield case("extended-by-a-byte", "a zero byte follows", {large: stored + b"\0"}, size, 2)
    yield case("extended-by-a-segment", "the last segment stands twice", {large: stored + four}, size, 2)
    yield case("segments-swapped", "segments 1 and 2", body(zero, two, one, three, four), tampered, 1, 1)
    yield case("segment-dropped", "segment 1", body(zero, two, three, four), tampered, 1, 1)
    yield case("segment-repeated", "segment 1", body(zero, one, one, two, three, four), tampered, 1, 2)
    yield case("segment-replaced", "segment 2 by segment 1", body(zero, one, one, three, four), tampered, 1, 2)
    yield case("swapped", "the first two objects", {small: stored, large: whole[small]}, tampered, 0)
    yield case("swapped-with-headers-right", "object 0 holds a segment of object 1 under its own header",
               {small: whole[small][:74] + zero}, tampered, 0)  # fmt: skip
    twin = Version(files=version.files, label="twin").objects()
    yield case("of-another-version", "the same file, sealed once more", {large: list(twin.values())[1]}, tampered, 1)
    yield case("body-of-another-version", "and under this version's header",
               {large: stored[:74] + list(twin.values())[1][74:]}, tampered, 1)  # fmt: skip
    yield case("last-flipped", "in the last object: all before it was released",
               {last: whole[last][:-1] + bytes([whole[last][-1] ^ 1])}, tampered, 2)  # fmt: skip


def broken_forms() -> Iterator[tuple[str, Vector]]:
    """Bytes that are no manifest of this format."""
    version = tiny()
    right = version.manifest()

    def case(name: str, comment: str, manifest: bytes, code: str = "not-canonical") -> tuple[str, Vector]:
        assert manifest != right
        return f"manifest-{name}", refused(code, "parse", comment, version, manifest=text(manifest))

    def replaced(old: bytes, new: bytes) -> bytes:
        assert right.count(old) == 1
        return right.replace(old, new)

    def reclosed(edit: Callable[[Json], object]) -> bytes:
        return edited(right, edit)

    body, tampered = json.loads(right), "manifest-tampered"
    yield case("space", "a space after a colon", replaced(b'"version":1', b'"version": 1'))
    yield case("trailing-newline", "as an editor leaves it", right + b"\n")
    yield case("byte-order-mark", "as another editor leaves it", b"\xef\xbb\xbf" + right, tampered)
    yield case("key-order", "`sha256` before `sealed`", json.dumps(
        {key: body[key] for key in ("public", "sha256", "sealed")}, separators=(",", ":")).encode())  # fmt: skip
    yield case("duplicate-key", "two versions", replaced(b'"version":1', b'"version":1,"version":1'), tampered)
    yield case("escaped-character", "a letter as \\u0061", replaced(b'"model":"acme/', b'"model":"\\u0061cme/'))
    yield case("escaped-slash", "a slash as \\/", replaced(b"acme/atlas", b"acme\\/atlas"))
    yield case("float", "1.0 for 1", replaced(b'"version":1', b'"version":1.0'), tampered)
    yield case("exponent", "1e0 for 1", replaced(b'"version":1', b'"version":1e0'), tampered)
    yield case("minus-zero", "-0 for 0", replaced(b'"version":1', b'"version":-0'), tampered)
    yield case("integer-too-large", "2^53", replaced(b'"version":1', b'"version":9007199254740992'), tampered)
    yield case("lone-surrogate", "\\ud800 in a name", replaced(b"acme/atlas", b"acme/\\ud800"), tampered)
    yield case("not-utf-8", "a lone continuation byte", replaced(b"acme/atlas", b"acme/\x80"), tampered)
    yield case("nested-deeply", "10,000 arrays", replaced(b'"version":1', b'"version":' + b"[" * 10_000), tampered)
    deep = b"[" * 31 + b"]" * 31
    yield case("nested-too-deeply", "33 levels", replaced(b'"version":1', b'"version":' + deep), tampered)
    yield case("truncated", "the last byte is gone", right[:-1], tampered)
    yield case("empty", "no bytes at all", b"", tampered)
    yield case("not-an-object", "an empty array", b"[]", "manifest-tampered")
    yield case("no-public-part", "a public part that is text", closed("public", ""), "manifest-tampered")

    for name, new in {"older": "0", "newer": "2", "much-newer": "10"}.items():
        written = f"strongroom/sealed-version/{new}"
        manifest = reclosed(lambda b, written=written: b["public"].update(format=written))  # type: ignore[misc]
        yield case(f"format-{name}", f"format {new}", manifest, "unknown-format")
    yield case("format-missing", "no format at all", reclosed(lambda b: b["public"].pop("format")), "unknown-format")
    yield case("format-of-a-lease", "another kind of thing",
               reclosed(lambda b: b["public"].update(format="strongroom/lease/1")), "unknown-format")  # fmt: skip
    yield case("format-newer-and-fields-unknown", "named as newer, not as damaged",
               reclosed(lambda b: b.update(public={"format": "strongroom/sealed-version/2"})),
               "unknown-format")  # fmt: skip
    yield case("suite-unknown", "HPKE with X25519 alone", reclosed(
        lambda b: b["public"].update(suite="HPKE/X25519/HKDF_SHA256/AES_256_GCM")), "unknown-format")  # fmt: skip

    checksum = body["sha256"]
    yield case("checksum-wrong", "one digit", replaced(
        checksum.encode(), checksum[:-1].encode() + (b"0" if checksum[-1] != "0" else b"1")), tampered)  # fmt: skip
    yield case("rotten", "one bit of the sealed part, and no new checksum", replaced(
        body["sealed"].encode(), body["sealed"][:-9].encode() + b"A" + body["sealed"][-8:].encode()),
        tampered)  # fmt: skip
    yield case("field-more", "`extra` beside `public`", closed(body["public"], body["sealed"], extra=1), tampered)
    yield case("field-less", "no checksum", encode({key: body[key] for key in ("public", "sealed")}), tampered)
    for name, comment, edit in form_edits():
        yield case(name, comment, reclosed(edit), tampered)


def form_edits() -> Iterator[tuple[str, str, Callable[[Json], object]]]:
    """Changes of the public part that leave it no public part of this format. The checksum is made right."""

    def put(**fields: Any) -> Callable[[Json], object]:
        return lambda body: body["public"].update(fields)

    def put_object(**fields: Any) -> Callable[[Json], object]:
        return lambda body: body["public"]["objects"][0].update(fields)

    def rewritten(field: str, change: Callable[[str], str]) -> Callable[[Json], object]:
        def edit(body: Json) -> None:
            place = body if field == "sealed" else body["public"]
            place[field] = change(place[field])

        return edit

    yield "public-field-more", "an unknown field", put(owner="mallory")
    for name in ("deployment", "generation", "model", "objects", "part_segments", "recipient", "seal_id"):
        yield f"public-without-{name}", "a field is missing", lambda body, name=name: body["public"].pop(name)  # type: ignore[misc]
    for name in ("segment_bytes", "version", "wrapped_key"):
        yield f"public-without-{name}", "a field is missing", lambda body, name=name: body["public"].pop(name)  # type: ignore[misc]
    yield "model-not-a-name", "`..` in the model", put(model="acme/../atlas")
    yield "model-upper-case", "names are lower case", put(model="acme/Atlas")
    yield "model-not-text", "a number", put(model=1)
    yield "deployment-not-text", "null", put(deployment=None)
    yield "version-zero", "versions count from 1", put(version=0)
    yield "version-negative", "versions count from 1", put(version=-1)
    yield "version-too-large", "10^9", put(version=10**9)
    yield "version-true", "a boolean is no number", put(version=True)
    yield "version-text", "text is no number", put(version="1")
    yield "generation-zero", "generations count from 1", put(generation=0)
    yield "segment-bytes-63", "fewer than 64", put(segment_bytes=63)
    yield "segment-bytes-too-large", "more than 16 MiB", put(segment_bytes=(1 << 24) + 1)
    yield "part-segments-zero", "parts of nothing", put(part_segments=0)
    yield "part-segments-too-large", "more than 65,536", put(part_segments=(1 << 16) + 1)
    yield "seal-id-upper-case", "hexadecimal is lower case", rewritten("seal_id", str.upper)
    yield "seal-id-short", "31 digits", rewritten("seal_id", lambda text: text[1:])
    yield "seal-id-a-path", "a seal id that leaves its folder", put(seal_id="../" * 10 + "up")
    yield "recipient-not-a-digest", "without `sha256:`", rewritten("recipient", lambda text: text[7:])
    yield "recipient-with-newline", "a newline at the end", rewritten("recipient", lambda text: text + "\n")
    yield "objects-not-a-list", "an object", put(objects={})
    yield "object-field-more", "an unknown field", put_object(name="x")
    yield "object-field-less", "no size", lambda body: body["public"]["objects"][0].pop("size")
    yield "object-too-small", "105 bytes: no header and segment", put_object(size=105)
    yield "object-size-text", "text is no number", put_object(size="114")
    yield "object-parts-more", "two parts for one", put_object(parts=["0" * 64] * 2)
    yield "object-parts-none", "no part for one", put_object(parts=[])
    yield "object-part-upper-case", "hexadecimal is lower case", put_object(parts=["A" * 64])
    yield "object-part-short", "63 digits", put_object(parts=["a" * 63])
    yield "base64-trailing-bits", "bits that say nothing are set", rewritten("wrapped_key", trailing_bits)
    yield "base64-newline", "a line break inside", rewritten("sealed", lambda text: text[:76] + "\n" + text[76:])
    yield "base64-unpadded", "no `=` at the end", rewritten("wrapped_key", lambda text: text.rstrip("="))
    yield "base64-padded-twice", "more `=` than due", rewritten("wrapped_key", lambda text: text + "====")
    yield "base64-url-alphabet", "`-` and `_`", put(wrapped_key="-_" * 780)
    yield "base64-not", "no base64 at all", put(wrapped_key="!")
    yield "sealed-not-text", "null", lambda body: body.update(sealed=None)


def trailing_bits(text: str) -> str:
    """Return base64 of the same bytes whose last digit before the padding has idle bits set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    assert len(body) % 4, "this one has no idle bits"
    changed = body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + "=" * (-len(body) % 4)
    assert base64.b64decode(changed) == base64.b64decode(text)
    return changed


def edited_manifests() -> Iterator[tuple[str, Vector]]:
    """Whoever can write to the store and knows the format: form and checksum are right."""
    version = several()
    right = version.manifest()
    other = Version(files=version.files, label="other version", number=2)

    def case(
        name: str, comment: str, edit: Callable[[Json], object], code: str = "manifest-tampered", **more: Any
    ) -> tuple[str, Vector]:
        manifest = edited(right, edit)
        assert manifest != right
        return f"edited-{name}", refused(code, "open", comment, version, manifest=text(manifest), **more)

    def put(**fields: Any) -> Callable[[Json], object]:
        return lambda body: body["public"].update(fields)

    def put_object(**fields: Any) -> Callable[[Json], object]:
        return lambda body: body["public"]["objects"][1].update(fields)

    def rewritten(field: str, change: Callable[[bytes], bytes]) -> Callable[[Json], object]:
        def edit(body: Json) -> None:
            place = body if field == "sealed" else body["public"]
            place[field] = text(change(base64.b64decode(place[field])))

        return edit

    def flip(offset: int) -> Callable[[bytes], bytes]:
        return lambda data: data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]

    parts = version.sealed_parts(list(version.objects().values())[1])
    others = json.loads(other.manifest())
    stolen = draw("a data key of the attacker's", 32)
    binding = {"deployment": "standalone", "generation": 1, "model": "acme/atlas", "seal_id": version.seal_id}
    yield case("version-number", "an old version under a new number", put(version=2))
    yield case("model", "under another model's name", put(model="acme/other"))
    yield case("generation", "another key generation", put(generation=2))
    yield case("seal-id", "another seal's objects", put(seal_id=other.seal_id))
    yield case("recipient", "another recipient: who holds the right identity is told it is the wrong one",
               put(recipient="sha256:" + "0" * 64), "wrong-key")  # fmt: skip
    yield case("object-size", "one byte less", lambda body: put_object(
        size=body["public"]["objects"][1]["size"] - 1)(body))  # fmt: skip
    yield case("object-digest", "one part's", put_object(parts=[*parts[:-1], "0" * 64]))
    yield case("objects-swapped", "the first two", lambda body: body["public"]["objects"].insert(
        0, body["public"]["objects"].pop(1)))  # fmt: skip
    yield case("object-less", "the last object is gone", lambda body: body["public"]["objects"].pop())
    yield case("object-more", "an object that no file has", lambda body: body["public"]["objects"].append(
        {"parts": ["0" * 64], "size": 107}))  # fmt: skip
    yield case("segment-bytes", "segments of 4096, parts counted anew", lambda body: body["public"].update(
        segment_bytes=4096, objects=[{**o, "parts": o["parts"][:1]} for o in body["public"]["objects"]]))  # fmt: skip
    yield case("part-segments", "parts of 8 segments, counted anew", lambda body: body["public"].update(
        part_segments=8, objects=[{**o, "parts": o["parts"][:1]} for o in body["public"]["objects"]]))  # fmt: skip
    yield case("wrapped-key-flipped", "one bit of the ciphertext", rewritten("wrapped_key", flip(1130)))
    yield case("wrapped-key-encapsulation-flipped", "one bit of the encapsulation", rewritten("wrapped_key", flip(9)))
    yield case("wrapped-key-truncated", "one byte", rewritten("wrapped_key", lambda data: data[:-1]))
    yield case("wrapped-key-empty", "nothing", put(wrapped_key=""))
    yield case("wrapped-key-replaced", "by a data key of the attacker's, bound as it should be",
               put(wrapped_key=text(wrap(stolen, binding))))  # fmt: skip
    yield case("wrapped-key-of-another-version", "same recipient", put(
        wrapped_key=others["public"]["wrapped_key"]))  # fmt: skip
    yield case("sealed-header-flipped", "one bit of the IV", rewritten("sealed", flip(20)))
    yield case("sealed-header-tag-flipped", "one bit", rewritten("sealed", flip(73)))
    yield case("sealed-flipped", "one bit of the first segment", rewritten("sealed", flip(100)))
    yield case("sealed-truncated-by-a-byte", "the last", rewritten("sealed", lambda data: data[:-1]))
    yield case("sealed-truncated-by-a-segment", "the last", rewritten(
        "sealed", lambda data: data[: 74 + 256 * ((len(data) - 75) // 256)]))  # fmt: skip
    yield case("sealed-extended", "a zero byte", rewritten("sealed", lambda data: data + b"\0"))
    yield case("sealed-empty", "nothing", lambda body: body.update(sealed=""))
    yield case("sealed-short", "a header and no segment", rewritten("sealed", lambda data: data[:74]))
    yield case("sealed-of-another-version", "same recipient, model and files", lambda body: body.update(
        sealed=others["sealed"]))  # fmt: skip
    taken = {**others["public"], "version": 1}
    yield case("sealed-and-key-of-another-version", "and its wrapped key and seal id, under this number",
               lambda body: body.update(sealed=others["sealed"], public=taken))  # fmt: skip
    yield "wrong-identity", refused("wrong-key", "open", "somebody else's identity", version, identity=OTHER_IDENTITY)


def writer_case(name: str, code: str, comment: str, *, stage: str = "open", **how: Any) -> tuple[str, Vector]:
    return f"writer-{name}", refused(code, stage, comment, tiny(**how))


def bad_paths() -> Iterator[tuple[str, Vector]]:
    """A malicious writer, who needs only the public key: all is sealed as it should be, but for the paths."""
    paths: dict[str, tuple[str, list[str]]] = {
        "empty": ("no path", [""]),
        "dot-dot": ("out of the folder", ["../evil"]),
        "dot-dot-inside": ("in a roundabout way", ["a/../../evil"]),
        "dot-dot-last": ("a folder's parent", ["a/.."]),
        "dot": ("the same by another name", ["./a"]),
        "absolute": ("from the root", ["/etc/passwd"]),
        "empty-part": ("two slashes", ["a//b"]),
        "trailing-slash": ("a folder", ["a/"]),
        "twice": ("two files at one path", ["a", "a"]),
        "case-clash": ("one file on some systems", ["README", "readme"]),
        "case-clash-not-ascii": ("ditto", ["GRÖSSE", "größe"]),
        "folder-case-clash": ("one folder on some systems", ["A/x", "a/y"]),
        "file-and-folder": ("a file that is a folder", ["a", "a/b"]),
        "file-and-folder-case-clash": ("ditto on some systems", ["A", "a/b"]),
        "bidi-override": ("shown as another suffix", ["cod\u202egpj.exe"]),
        "bidi-isolate": ("shown in another order", ["a\u2066b"]),
        "zero-width-space": ("looks like another", ["a\u200bb"]),
        "zero-width-joiner": ("looks like another", ["a\u200db"]),
        "soft-hyphen": ("looks like another", ["a\u00adb"]),
        "nfd": ("a letter in two pieces", [unicodedata.normalize("NFD", "größe")]),
        "backslash": ("a separator on some systems", ["..\\evil"]),
        "nul": ("the end of a name in C", ["a\0b"]),
        "newline": ("two lines of a list", ["a\nb"]),
        "escape": ("moves the cursor", ["\x1b[2J"]),
        "c1-control": ("moves the cursor too", ["\x9b2J"]),
        "line-separator": ("two lines by another name", ["a\u2028b"]),
        "private-use": ("means what one likes", ["\ue000"]),
        "part-too-long": ("256 bytes", ["x" * 256]),
        "part-too-long-in-bytes": ("86 characters, 258 bytes", ["模" * 86]),
        "too-long": ("1,025 bytes", ["/".join(["x" * 204] * 5 + ["x"] * 1)[:1025].ljust(1025, "x")]),
    }
    for name, (comment, found) in paths.items():
        files = [(path, b"") for path in found]
        version = Version(files=files, label=f"path {name}") if name not in RAW else raw_path(found, name)
        yield f"path-{name}", refused("bad-path", "open", f"{comment}: {ascii(found)[:80]}", version)


RAW = {"nul", "newline", "escape", "backslash"}


def raw_path(paths: list[str], name: str) -> Version:
    """Return a version whose sealed part names a path that JSON escapes; its object is sealed under another one."""
    return Version(
        files=[("stand-in", b"")],
        label=f"path {name}",
        bend_sealed=lambda sealed: sealed["files"][0].update(path=paths[0]),
    )


def bad_tensors() -> Iterator[tuple[str, Vector]]:
    """A malicious writer again: an index that would make a reader read, allocate or show what is not there."""

    def entry(dtype: str, shape: list[Any], start: Any, stop: Any) -> Json:
        return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}

    def index(tensors: Any, **more: Any) -> Json:
        return {"data_start": 8, "metadata": {}, "tensors": tensors} | more

    fine = entry("U8", [16], 0, 16)  # the file has 24 bytes
    indexes: dict[str, tuple[str, Any]] = {
        "overlap": ("two tensors share bytes", index({"a": entry("U8", [9], 0, 9), "b": entry("U8", [8], 8, 16)})),
        "same-bytes": ("two tensors share all bytes", index({"a": fine, "b": fine})),
        "gap": ("a byte that is no tensor's", index({"a": entry("U8", [7], 0, 7), "b": entry("U8", [8], 8, 16)})),
        "gap-first": ("the first byte is no tensor's", index({"a": entry("U8", [15], 1, 16)})),
        "short-of-the-end": ("the last byte is no tensor's", index({"a": entry("U8", [15], 0, 15)})),
        "beyond-the-end": ("a byte after the file", index({"a": entry("U8", [17], 0, 17)})),
        "no-tensors": ("bytes and no tensor", index({})),
        "backwards": ("stop before start", index({"a": entry("U8", [0], 16, 0)})),
        "negative-offset": ("before the data", index({"a": entry("U8", [24], -8, 16)})),
        "wrong-size": ("shape and bytes differ", index({"a": entry("F32", [5], 0, 16)})),
        "unknown-dtype": ("a type that nobody knows", index({"a": entry("F128", [1], 0, 16)})),
        "dtype-lower-case": ("a type by another name", index({"a": entry("u8", [16], 0, 16)})),
        "half-a-byte": ("33 numbers of 4 bits", index({"a": entry("F4", [33], 0, 16)})),
        "huge-shape": ("2^53 - 1 in each of 8 dimensions", index({"a": entry("U8", [2**53 - 1] * 8, 0, 16)})),
        "wrapping-shape": ("2^32 times 2^32 is 0 in 64 bits", index(
            {"a": fine, "b": entry("U8", [2**32, 2**32], 16, 16)})),
        "negative-shape": ("-4 times -4", index({"a": entry("U8", [-4, -4], 0, 16)})),
        "shape-true": ("a boolean is no number", index({"a": entry("U8", [16, True], 0, 16)})),
        "offset-true": ("a boolean is no number", index({"a": entry("U8", [15], True, 16)})),
        "shape-not-a-list": ("a number", index({"a": {**fine, "shape": 16}})),
        "three-offsets": ("one too many", index({"a": {**fine, "data_offsets": [0, 16, 16]}})),
        "entry-field-more": ("an unknown field", index({"a": {**fine, "name": "b"}})),
        "entry-field-less": ("no shape", index({"a": {"dtype": "U8", "data_offsets": [0, 16]}})),
        "entry-not-an-object": ("null", index({"a": None})),
        "metadata-not-text": ("a number", index({"a": fine}, metadata={"format": 1})),
        "metadata-not-an-object": ("null", index({"a": fine}, metadata=None)),
        "data-start-in-the-length": ("byte 7", index({"a": entry("U8", [17], 0, 17)}, data_start=7)),
        "data-start-beyond-the-end": ("byte 25 of 24", index({}, data_start=25)),
        "index-field-more": ("an unknown field", index({"a": fine}, extra=1)),
        "index-not-an-object": ("a list", []),
    }  # fmt: skip
    for name, (comment, value) in indexes.items():
        version = Version(
            files=[("m.safetensors", bytes(24))],
            more={"m.safetensors": {"tensors": value}},
            label="bad tensors",
        )
        yield f"tensors-{name}", refused("bad-tensors", "open", comment, version)


def bad_writers() -> Iterator[tuple[str, Vector]]:
    """A malicious or broken writer who holds the public key: sealed as it should be, and wrong inside."""
    tampered = "manifest-tampered"

    def put_file(**fields: Any) -> Callable[[Json], object]:
        return lambda sealed: sealed["files"][0].update(fields)

    def changed(find: bytes, put: bytes) -> Callable[[bytes], bytes]:
        def change(plaintext: bytes) -> bytes:
            assert plaintext.count(find) == 1
            return plaintext.replace(find, put)

        return change

    bends: dict[str, tuple[str, Callable[[Json], object]]] = {
        "sealed-field-more": ("an unknown field", lambda sealed: sealed.update(extra=1)),
        "sealed-field-less": ("the public part is not bound", lambda sealed: sealed.pop("public")),
        "files-not-a-list": ("an object", lambda sealed: sealed.update(files={})),
        "file-field-more": ("an unknown field", put_file(mode=511)),
        "file-field-less": ("no size", lambda sealed: sealed["files"][0].pop("size")),
        "file-not-an-object": ("null", lambda sealed: sealed.update(files=[None])),
        "path-not-text": ("null", put_file(path=None)),
        "size-negative": ("-1", put_file(size=-1)),
        "size-other": ("a byte less than the object holds", put_file(size=7)),
        "size-huge": ("2^53 - 1 bytes", put_file(size=2**53 - 1)),
        "parts-more": ("two digests for one part", put_file(parts=["0" * 64] * 2)),
        "part-upper-case": ("hexadecimal is lower case", put_file(parts=["A" * 64])),
        "sha256-with-prefix": ("hexadecimal alone", put_file(sha256="sha256:" + "0" * 64)),
        "header-short": ("73 bytes", put_file(header="00" * 73)),
        "header-upper-case": ("hexadecimal is lower case", put_file(header="AB" * 74)),
        "files-less": ("an object without a file", lambda sealed: sealed.update(files=[])),
        "files-more": ("a file without an object", lambda sealed: sealed["files"].append(
            {**sealed["files"][0], "path": "b"})),
        "public-of-another": ("bound to another public part", lambda sealed: sealed.update(
            public="sha256:" + "0" * 64)),
    }  # fmt: skip
    for name, (comment, bend) in bends.items():
        yield writer_case(name, tampered, comment, bend_sealed=bend)
    yield writer_case("sealed-not-an-object", tampered, "an array", bend_plaintext=lambda _: b"[]")
    yield writer_case("sealed-empty", "not-canonical", "no bytes", bend_plaintext=lambda _: b"")
    yield writer_case("sealed-space", "not-canonical", "a space", bend_plaintext=changed(b'"size":', b'"size": '))
    yield writer_case("sealed-duplicate-key", "not-canonical", "two sizes",
                      bend_plaintext=changed(b'"size":8', b'"size":8,"size":8'))  # fmt: skip
    yield writer_case("sealed-float", "not-canonical", "8.0 bytes", bend_plaintext=changed(b'"size":8', b'"size":8.0'))
    yield writer_case("sealed-lone-surrogate", "not-canonical", "in a path",
                      bend_plaintext=changed(b"a.txt", b"\\ud800"))  # fmt: skip
    yield writer_case("sealed-nested-deeply", "not-canonical", "10,000 arrays",
                      bend_plaintext=lambda _: b"[" * 10_000, segment_bytes=1 << 20)  # fmt: skip
    yield writer_case("sealed-as-a-file", tampered, "under a file key for the empty path", kind="file")
    yield writer_case("sealed-empty-last-segment", tampered, "a full segment, then an empty last one", empty_last=True)
    yield writer_case("data-key-short", tampered, "a data key of 16 bytes", data_key_bytes=16)
    yield writer_case("data-key-long", tampered, "a data key of 48 bytes", data_key_bytes=48)
    yield writer_case("object-size-of-empty-last-segment", tampered, "an object 32 bytes longer than its file makes it",
                      bend_public=lambda public: public["objects"][0].update(size=146))  # fmt: skip
    wrong = draw("wrong header", 74).hex()
    yield writer_case("header-parameters", "object-tampered", "a header of other parameters", stage="read",
                      bend_sealed=put_file(header=wrong))  # fmt: skip
    right = "0000" + (256).to_bytes(4, "big").hex() + "00000020"
    yield writer_case("header-tag", "object-tampered", "a header whose tag is no key's", stage="read",
                      bend_sealed=put_file(header=right + wrong[20:]))  # fmt: skip
    yield writer_case("path-renamed", "object-tampered", "an object sealed under another path", stage="read",
                      bend_sealed=put_file(path="b.txt"))  # fmt: skip


def mixed_forms() -> Iterator[tuple[str, Vector]]:
    """Public parts that are neither of a deployment nor outside of all. The checksum is made right."""
    outside, inside = tiny(), deployed(tiny())

    def case(name: str, comment: str, base: Version, /, **fields: Any) -> tuple[str, Vector]:
        manifest = edited(base.manifest(), lambda body: body["public"].update(fields))
        return f"form-{name}", refused("manifest-tampered", "parse", comment, base, manifest=text(manifest))

    digits = DEPLOYMENT[4:]
    yield case("deployment-with-a-name", "the model's display name", inside, model="acme/atlas")
    yield case("deployment-with-a-number", "the log alone gives numbers", inside, version=1)
    yield case("deployment-with-no-number-said", "null is no missing field", inside, version=None)
    yield case("deployment-with-name-and-number", "all of a version outside", inside, model="acme/atlas", version=1)
    yield case("standalone-with-a-model-id", "an opaque id, and a number", outside, model=MODEL_ID)
    yield case("standalone-without-a-number", "all of a version inside, but for the deployment", inside,
               deployment="standalone")  # fmt: skip
    yield case("standalone-in-a-deployment", "all of a version outside, but for the deployment", outside,
               deployment=DEPLOYMENT)  # fmt: skip
    for name, comment, value in (
        ("empty", "no text", ""),
        ("upper-case", "hexadecimal is lower case", "sr1:" + digits.upper()),
        ("short", "63 digits", DEPLOYMENT[:-1]),
        ("without-prefix", "the digits alone", digits),
        ("of-another-kind", "a later form of name", "sr2:" + digits),
        ("a-digest", "as digests are written elsewhere", "sha256:" + digits),
        ("with-newline", "a newline at the end", DEPLOYMENT + "\n"),
        ("upper-standalone", "the word is lower case", "Standalone"),
    ):
        yield case(f"deployment-{name}", comment, inside, deployment=value)
    for name, comment, value in (
        ("upper-case", "hexadecimal is lower case", "model-" + MODEL_ID[6:].upper()),
        ("short", "31 digits", MODEL_ID[:-1]),
        ("of-another-kind", "a person's", "person-" + MODEL_ID[6:]),
        ("with-newline", "a newline at the end", MODEL_ID + "\n"),
        ("a-path", "an id that leaves its folder", "model-" + "../" * 10 + "up"),
    ):
        yield case(f"model-id-{name}", comment, inside, model=value)


def edited_in_a_deployment() -> Iterator[tuple[str, Vector]]:
    """Whoever can write to the store: what belongs to one deployment, model or seal is given out as another's."""
    version = deployed(several())
    others = json.loads(deployed(replace(several(), label="other seal")).manifest())

    def case(name: str, comment: str, **fields: Any) -> tuple[str, Vector]:
        def edit(body: Json) -> None:
            body["public"].update(fields)
            if fields.get("deployment") == "standalone":
                body["public"]["version"] = 1

        manifest = edited(version.manifest(), edit)
        return f"edited-{name}", refused("manifest-tampered", "open", comment, version, manifest=text(manifest))

    yield case("deployment", "another deployment", deployment=OTHER_DEPLOYMENT)
    yield case("model-id", "another model", model=OTHER_MODEL_ID)
    yield case("generation-in-a-deployment", "another key of the model", generation=2)
    yield case("seal-id-in-a-deployment", "another seal's objects", seal_id=others["public"]["seal_id"])
    yield case("wrapped-key-of-another-seal", "same model, same key", wrapped_key=others["public"]["wrapped_key"])
    yield case("out-of-the-deployment", "given a name and a number", deployment="standalone", model="acme/atlas")


def releases() -> Iterator[tuple[str, Vector]]:
    """Keys of named files instead of an identity. `paths` are the files that are read, in this order."""
    version = deployed(several())
    contents = dict(version.files)
    small, large = "config.json", "model.bin"
    named = version.release(small, large)

    def read(*paths: str) -> str:
        return digest(b"".join(contents[path] for path in paths))

    def case(name: str, code: str, comment: str, release: Json, paths: list[str], released: str) -> tuple[str, Vector]:
        fault = refused(code, "read", comment, version, release=release, paths=paths, released=released)
        del fault["identity"]
        return f"release-{name}", fault

    for name, paths in {"of-files": [small, large], "of-one-file": ["notes"], "of-no-file": []}.items():
        vector = good("the keys of these files, and of the manifest", version)
        vector |= {"release": version.release(*paths), "paths": paths, "released": read(*paths)}
        vector["files"] = {path: digest(contents[path]) for path in paths}
        del vector["identity"]
        yield f"ok-release-{name}", vector
    yield case("of-other-files", "not-released", "a file that it does not name", named, [small, "notes"], read(small))
    swapped = named["files"] | {small: named["files"][large]}
    yield case("key-of-another-file", "object-tampered", "one file's key under another's path",
               {**named, "files": swapped}, [large, small], read(large))  # fmt: skip
    twin = deployed(replace(several(), label="other seal"))
    yield case("key-of-another-seal", "object-tampered", "the same path of another seal of the same model",
               {**named, "files": twin.release(small)["files"]}, [small], read())  # fmt: skip
    for name, comment, key in (
        ("manifest-key-of-another-seal", "same model", twin.release()["manifest"]),
        ("manifest-key-of-a-file", "a file's", named["files"][small]),
        ("manifest-key-short", "31 bytes", named["manifest"][2:]),
    ):
        vector_name, fault = case(name, "manifest-tampered", comment, {**named, "manifest": key}, [small], read())
        yield vector_name, fault | {"stage": "open"}
    renamed = deployed(tiny(bend_sealed=lambda sealed: sealed["files"][0].update(path="b.txt")))
    fault = refused("object-tampered", "read", "its writer gave a file another's path: released is the path", renamed,
                    release=renamed.release("b.txt"), paths=["b.txt"])  # fmt: skip
    del fault["identity"]
    yield "release-of-a-renamed-file", fault


def registrations() -> Iterator[tuple[str, Vector]]:
    """A data key and the header of the manifest's sealed part, as the keep holds one against the other."""
    version, other = deployed(tiny()), deployed(tiny(label="other seal"))

    def header(of: Version, kind: str = "manifest", path: str = "") -> bytes:
        return of.floe(kind, path, b"")[:74]

    right = header(version)

    def case(name: str, expect: str, comment: str, stated: bytes, **more: Any) -> tuple[str, Vector]:
        vector = {"comment": comment, "expect": expect, "data_key": version.data_key.hex()}
        if expect != "ok":
            vector["family"] = FAMILIES.get(expect, "Tampered")
        return name, vector | {"seal_id": version.seal_id, "header": stated.hex()} | more

    def flipped(offset: int) -> bytes:
        return right[:offset] + bytes([right[offset] ^ 1]) + right[offset + 1 :]

    def segments(size_bytes: int) -> bytes:
        return right[:2] + size_bytes.to_bytes(4, "big") + right[6:]

    tampered = "manifest-tampered"
    yield case("ok", "ok", "the header that this data key makes for this seal", right)
    yield case("ok-largest-segments", "ok", "segments of 16 MiB", header(replace(version, segment_bytes=1 << 24)))
    yield case("data-key-of-another-seal", "wrong-key", "same model", right, data_key=other.data_key.hex())
    yield case("header-of-another-seal", "wrong-key", "same model", header(other))
    yield case("seal-id-of-another-seal", "wrong-key", "right key and header", right, seal_id=other.seal_id)
    yield case("header-of-a-file", "wrong-key", "of a file of the same seal", header(version, "file", "a.txt"))
    yield case("header-tag-flipped", "wrong-key", "one bit", flipped(73))
    yield case("header-iv-flipped", "wrong-key", "one bit", flipped(10))
    yield case("header-aead-flipped", "wrong-key", "one bit of the parameters", flipped(0))
    yield case("header-segments-other", "wrong-key", "of 512 bytes, not 256", segments(512))
    yield case("header-short", "wrong-key", "73 bytes", right[:-1])
    yield case("header-long", "wrong-key", "75 bytes", right + b"\0")
    yield case("header-empty", tampered, "no bytes", b"")
    yield case("segments-too-small", tampered, "of 63 bytes", segments(63))
    yield case("segments-too-large", tampered, "of 16 MiB and a byte", segments((1 << 24) + 1))
