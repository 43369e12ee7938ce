"""The specification's example is the vector's, and its numbers are the code's."""

from __future__ import annotations

import json
import re

from strongroom.sealing import floe, keys, manifest, paths
from strongroom.sealing.floe import Parameters
from strongroom.terms import canonical, outer_errors
from strongroom.terms.digests import sha256
from tests.vectors import spec_example
from tests.vectors.version_writer import encode

PAGE = spec_example.SPEC.read_text()


def test_the_example_is_the_one_that_the_vector_makes() -> None:
    assert spec_example.written(PAGE) == PAGE


def test_the_example_as_printed_is_a_manifest_with_the_printed_digest() -> None:
    printed = re.search(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert printed
    data = encode(json.loads(printed[1]))
    assert manifest.parse_manifest(data).public.model == "acme/atlas"
    assert sha256(data) in PAGE.partition("The whole of it")[0]


def test_every_error_that_the_specification_names_exists() -> None:
    codes = {error.code for error in outer_errors.codes()}
    checks = PAGE.partition("## What a reader checks")[2].partition("## Other formats")[0]
    named = {word for word in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", checks) if word != "seal-id"}
    assert named == {
        "bad-path", "bad-tensors", "manifest-tampered", "not-canonical", "not-found", "not-released", "object-extra",
        "object-missing", "object-size", "object-tampered", "unknown-format", "wrong-key", "wrong-manifest",
    }  # fmt: skip
    assert named <= codes


def test_the_numbers_of_the_specification_are_those_of_the_code() -> None:
    assert manifest.FORMAT in PAGE
    assert keys.SUITE in PAGE
    assert (floe.HEADER_BYTES, floe.SEGMENT_OVERHEAD_BYTES, manifest.PART_SEGMENTS) == (74, 32, 64)
    assert (Parameters().segment_bytes, Parameters().rotation_bits, floe.MOST_SEGMENTS) == (1 << 20, 20, 2**40)
    assert (paths.LONGEST_PATH_BYTES, paths.LONGEST_PART_BYTES) == (1024, 255)
    assert (canonical.DEEPEST, manifest.LARGEST_MANIFEST_BYTES) == (32, 1 << 27)
