"""FLOE: equal to an independent implementation, and closed to every change of a message."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.sealing.floe import (
    HEADER_BYTES,
    SEGMENT_OVERHEAD_BYTES,
    Decryptor,
    Encryptor,
    Parameters,
    decrypt_into,
    encrypt_into,
)
from strongroom.terms.errors import BadRequest, ObjectTampered
from strongroom.terms.outer_errors import ObjectSize
from tests.sealing.reader import read_message
from tests.sealing.reference import Floe
from tests.vectors.floe_cases import draw

KEY, AAD, IV = draw("test key", 32), b"test aad", draw("test iv", 32)
OTHERS = Path(__file__).parents[1] / "vectors" / "floe" / "others"
SMALL = Parameters(segment_bytes=48)


class Drawn:
    """Random bytes that were drawn before: a list to pop from, safe for threads that come in order."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def __call__(self, size: int) -> bytes:
        piece = next(self._pieces)
        assert len(piece) == size
        return piece


def sealed(plaintext: bytes, parameters: Parameters = SMALL) -> bytes:
    encryptor = Encryptor(parameters, KEY, AAD, IV)
    out = bytearray(parameters.sealed_bytes(len(plaintext)))
    ivs = (draw(f"segment {number}", 12) for number in range(parameters.segments(len(plaintext))))
    assert encrypt_into(encryptor, plaintext, memoryview(out), random=Drawn(ivs)) == len(out)
    return bytes(out)


def opened(ciphertext: bytes, size: int, parameters: Parameters = SMALL, key: bytes = KEY, aad: bytes = AAD) -> bytes:
    decryptor = Decryptor(parameters, key, aad, ciphertext[:HEADER_BYTES])
    out = bytearray(size)
    decrypt_into(decryptor, ciphertext, memoryview(out))
    return bytes(out)


# --- equal to the reference --------------------------------------------------------------------


def test_published_structure() -> None:
    one_mib = Parameters()
    assert one_mib.encode() == bytes.fromhex("0000 00100000 00000020")
    assert Parameters(segment_bytes=4096).encode() == bytes.fromhex("0000 00001000 00000020")
    assert (HEADER_BYTES, SEGMENT_OVERHEAD_BYTES, one_mib.rotation_bits) == (74, 32, 20)
    assert one_mib.plaintext_bytes == 1_048_544
    assert [one_mib.segments(size) for size in (0, 1, 1_048_544, 1_048_545)] == [1, 1, 1, 2]
    assert [one_mib.sealed_bytes(size) for size in (0, 1_048_544, 1_048_545)] == [106, 1_048_650, 1_048_683]
    ciphertext = sealed(b"x" * 17)
    assert len(ciphertext) == 74 + 48 + 33
    assert ciphertext[74:78] == b"\xff\xff\xff\xff"
    assert ciphertext[122:126] == (33).to_bytes(4, "big")


@given(
    segment_bytes=st.sampled_from([33, 40, 64, 100, 4096]),
    rotation_bits=st.sampled_from([0, 1, 2, 20, 40]),
    plaintext=st.binary(max_size=700),
    aad=st.binary(max_size=80),
    key=st.binary(min_size=32, max_size=32),
    seed=st.text(max_size=3),
)
def test_both_ways_equal_to_the_reference(
    segment_bytes: int, rotation_bits: int, plaintext: bytes, aad: bytes, key: bytes, seed: str
) -> None:
    parameters = Parameters(segment_bytes=segment_bytes, rotation_bits=rotation_bits)
    reference = Floe(segment_bytes, rotation_bits, key, aad)
    iv = draw(f"{seed} iv", 32)
    segment_ivs = [draw(f"{seed} {number}", 12) for number in range(parameters.segments(len(plaintext)))]
    ours = bytearray(parameters.sealed_bytes(len(plaintext)))
    encrypt_into(Encryptor(parameters, key, aad, iv), plaintext, memoryview(ours), random=Drawn(segment_ivs))
    assert ours == reference.encrypt(plaintext, iv, segment_ivs)
    assert reference.decrypt(bytes(ours)) == plaintext
    assert opened(bytes(ours), len(plaintext), parameters, key, aad) == plaintext


def read_others(folder: Path) -> list[str]:
    """Decrypt every pair `<source>_<parameters>_{ct,pt}.txt` of other implementations; return their names."""
    kinds = {
        "GCM256_IV256_64": Parameters(segment_bytes=64),
        "GCM256_IV256_4K": Parameters(segment_bytes=4096),
        "GCM256_IV256_1M": Parameters(),
        "rotation": Parameters(segment_bytes=40, rotation_bits=2),
        "lastSegAligned": Parameters(segment_bytes=40),
        "lastSegEmpty": Parameters(segment_bytes=40),
    }
    found = []
    for path in sorted(folder.glob("*_ct.txt")):
        name = path.name.removesuffix("_ct.txt")
        match = re.fullmatch(rf"[a-z]+(?:_[a-z]+)?_({'|'.join(kinds)})", name)
        assert match, f"no parameters are known for {path.name}"
        parameters = kinds[match[1]]
        stored = bytes.fromhex(path.read_text())
        expected = bytes.fromhex(path.with_name(f"{name}_pt.txt").read_text())
        # how many segments there are, an empty last one included, comes from the length here: these are no attacks
        segments = -(-(len(stored) - HEADER_BYTES) // parameters.segment_bytes)
        decryptor = Decryptor(parameters, bytes(32), b"This is AAD", stored[:HEADER_BYTES])
        assert b"".join(read_message(decryptor, stored, len(expected), segments)) == expected
        found.append(name)
    return found


def test_known_answers_of_other_implementations() -> None:
    found = read_others(OTHERS)
    print(f"{len(found)} known answers of other implementations")
    assert len(found) == len(list(OTHERS.glob("*_pt.txt"))), "a plaintext without its ciphertext"


@pytest.mark.parametrize(
    ("name", "segment_bytes", "rotation_bits", "size", "segments"),
    [
        ("java_GCM256_IV256_64", 64, 20, 131, 5),
        ("pub_java_GCM256_IV256_4K", 4096, 20, 8195, 3),
        ("rust_rotation", 40, 2, 403, 51),
        ("java_lastSegAligned", 40, 20, 16, 2),
        ("java_lastSegEmpty", 40, 20, 16, 3),
    ],
)
def test_the_runner_of_others_takes_right_pairs_only(
    tmp_path: Path, name: str, segment_bytes: int, rotation_bits: int, size: int, segments: int
) -> None:
    floe = Floe(segment_bytes, rotation_bits, bytes(32), b"This is AAD")
    plaintext = draw("other", size)
    ciphertext = floe.encrypt(plaintext, IV, [draw(f"other {number}", 12) for number in range(segments)])
    right, wrong = ciphertext.hex(), (ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])).hex()
    (tmp_path / f"{name}_pt.txt").write_text(plaintext.hex() + "\n")
    (tmp_path / f"{name}_ct.txt").write_text(right + "\n")
    assert read_others(tmp_path) == [name]
    (tmp_path / f"{name}_ct.txt").write_text(wrong)
    with pytest.raises(ObjectTampered):
        read_others(tmp_path)
    (tmp_path / f"{name}_ct.txt").write_text(right)
    (tmp_path / f"{name}_pt.txt").write_text("00" * size)
    with pytest.raises(AssertionError):
        read_others(tmp_path)


def test_an_unknown_file_of_others_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "java_GCM256_IV256_8K_ct.txt").write_text("")
    with pytest.raises(AssertionError, match="no parameters"):
        read_others(tmp_path)


# --- closed to changes -------------------------------------------------------------------------


def test_every_flipped_bit_is_refused_and_nothing_of_its_segment_stays_in_memory() -> None:
    plaintext = draw("bits", 2 * SMALL.plaintext_bytes + 5)
    ciphertext = sealed(plaintext)
    for bit in range(8 * len(ciphertext)):
        changed = bytearray(ciphertext)
        changed[bit // 8] ^= 1 << bit % 8
        out = bytearray(b"\xaa" * len(plaintext))
        number = (bit // 8 - HEADER_BYTES) // SMALL.segment_bytes
        with pytest.raises(ObjectTampered):
            decrypt_into(Decryptor(SMALL, KEY, AAD, changed[:HEADER_BYTES]), bytes(changed), memoryview(out))
        if number >= 0:
            start = number * SMALL.plaintext_bytes
            assert out[:start] == plaintext[:start]
            assert not any(out[start : start + SMALL.plaintext_bytes])
        else:
            assert out == b"\xaa" * len(plaintext)


def test_a_header_changed_after_the_reader_was_made_is_refused() -> None:
    ciphertext = sealed(b"text")
    decryptor = Decryptor(SMALL, KEY, AAD, ciphertext[:HEADER_BYTES])
    for byte in range(HEADER_BYTES):
        changed = bytearray(ciphertext)
        changed[byte] ^= 1
        with pytest.raises(ObjectTampered, match="another header"):
            decrypt_into(decryptor, bytes(changed), memoryview(bytearray(4)))


@given(order=st.lists(st.integers(0, 3), max_size=7).filter(lambda order: order != [0, 1, 2, 3]))
def test_no_other_sequence_of_its_segments_is_the_message(order: list[int]) -> None:
    plaintext = draw("order", 3 * SMALL.plaintext_bytes + 5)
    ciphertext = sealed(plaintext)
    segments = [ciphertext[74 + 48 * number : 74 + 48 * (number + 1)] for number in range(4)]
    mixed = ciphertext[:74] + b"".join(segments[number] for number in order)
    with pytest.raises((ObjectTampered, ObjectSize)):
        opened(mixed, len(plaintext))


@given(size=st.integers(0, 100).filter(lambda size: size != 37))
def test_a_message_has_one_length_only(size: int) -> None:
    ciphertext = sealed(b"x" * 37)
    with pytest.raises((ObjectTampered, ObjectSize)):
        opened(ciphertext, size)
    decryptor = Decryptor(SMALL, KEY, AAD, ciphertext[:HEADER_BYTES])
    with pytest.raises((ObjectTampered, ObjectSize)):
        list(read_message(decryptor, ciphertext, size, SMALL.segments(size)))


def test_a_prefix_of_a_message_is_no_message_whoever_believes_its_length() -> None:
    """The attack of truncation: segments 0 and 1 alone, the reader told that there are two."""
    ciphertext = sealed(b"x" * 40)
    decryptor = Decryptor(SMALL, KEY, AAD, ciphertext[:HEADER_BYTES])
    for length_field in (b"\xff\xff\xff\xff", (48).to_bytes(4, "big")):
        segment = length_field + ciphertext[74 + 48 + 4 : 74 + 96]
        out = bytearray(b"\xaa" * 16)
        with pytest.raises(ObjectTampered):
            decryptor.decrypt_segment_into(1, memoryview(segment), memoryview(out), is_last=True)
        assert not any(out)


def test_a_last_segment_does_not_pass_for_an_inner_one() -> None:
    ciphertext = sealed(b"x" * 16)
    decryptor = Decryptor(SMALL, KEY, AAD, ciphertext[:HEADER_BYTES])
    for length_field in (b"\xff\xff\xff\xff", ciphertext[74:78]):
        segment = length_field + ciphertext[78:]
        with pytest.raises(ObjectTampered):
            decryptor.decrypt_segment_into(0, memoryview(segment), memoryview(bytearray(16)), is_last=False)


@pytest.mark.parametrize("bit", range(0, 256, 5))
def test_another_key_or_iv_opens_nothing(bit: int) -> None:
    ciphertext = sealed(b"text")
    key = (int.from_bytes(KEY, "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(ObjectTampered, match="tag"):
        opened(ciphertext, 4, key=key)
    iv = (int.from_bytes(IV, "big") ^ 1 << bit).to_bytes(32, "big")
    header = Encryptor(SMALL, KEY, AAD, iv).header
    with pytest.raises(ObjectTampered):
        opened(header + ciphertext[74:], 4)


@given(aad=st.binary(max_size=40).filter(lambda aad: aad != AAD))
def test_another_aad_opens_nothing(aad: bytes) -> None:
    with pytest.raises(ObjectTampered, match="tag"):
        opened(sealed(b"text"), 4, aad=aad)


def test_purpose_and_aad_do_not_run_into_each_other() -> None:
    tags = {Encryptor(SMALL, KEY, aad, IV).header[-32:] for aad in (b"", b":", b"a", b"HEADER_TAG:", bytes(8))}
    assert len(tags) == 5


def test_the_header_commits_to_the_key() -> None:
    """No two of many keys share a header: whoever knows several keys cannot make one message that all open."""
    keys = [draw(f"key {number}", 32) for number in range(200)]
    assert len({Encryptor(SMALL, key, AAD, IV).header for key in keys}) == len(keys)
    header = Encryptor(SMALL, keys[0], AAD, IV).header
    for key in keys[1:]:
        with pytest.raises(ObjectTampered):
            Decryptor(SMALL, key, AAD, header)


@pytest.mark.parametrize("segment_bytes", [47, 49, 4096, 1 << 20])
def test_parameters_are_the_readers_not_the_headers(segment_bytes: int) -> None:
    with pytest.raises(ObjectTampered, match="parameters"):
        opened(sealed(b"text"), 4, Parameters(segment_bytes=segment_bytes))


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_header_with_an_iv_of_another_length_is_refused_even_with_the_right_tag(size: int) -> None:
    header = Floe(48, 20, KEY, AAD).header(draw("iv", size))
    with pytest.raises(ObjectTampered, match="parameters"):
        Decryptor(SMALL, KEY, AAD, header)


# --- buffers and threads -----------------------------------------------------------------------


def test_what_the_caller_did_not_hand_over_is_not_touched() -> None:
    plaintext = draw("around", 100)
    around = bytearray(b"\xaa" * (SMALL.sealed_bytes(100) + 20))
    ivs = Drawn(draw(f"segment {number}", 12) for number in range(SMALL.segments(100)))
    length = encrypt_into(Encryptor(SMALL, KEY, AAD, IV), plaintext, memoryview(around)[10:], random=ivs)
    assert around[:10] == around[10 + length :] == b"\xaa" * 10
    ciphertext = bytes(around[10 : 10 + length])
    assert ciphertext == sealed(plaintext)
    out = bytearray(b"\xbb" * 120)
    decryptor = Decryptor(SMALL, KEY, AAD, ciphertext[:HEADER_BYTES])
    decrypt_into(decryptor, ciphertext, memoryview(out)[10:110])
    assert out == b"\xbb" * 10 + plaintext + b"\xbb" * 10


@pytest.mark.parametrize("size", [0, 1, 16, 17, 1000])
def test_threads_make_no_difference(size: int) -> None:
    plaintext = draw("threads", size)
    lock, numbers = threading.Lock(), iter(range(1 << 20))

    def random(size: int) -> bytes:
        with lock:
            return draw(f"thread {next(numbers)}", size)

    with ThreadPoolExecutor(4) as pool:
        ciphertext = bytearray(SMALL.sealed_bytes(size))
        encrypt_into(Encryptor(SMALL, KEY, AAD, IV), plaintext, memoryview(ciphertext), random=random, pool=pool)
        ivs = [ciphertext[78 + 48 * number :][:12] for number in range(SMALL.segments(size))]
        assert ciphertext == Floe(48, 20, KEY, AAD).encrypt(plaintext, IV, [bytes(iv) for iv in ivs])
        out = bytearray(size)
        decryptor = Decryptor(SMALL, KEY, AAD, ciphertext[:HEADER_BYTES])
        decrypt_into(decryptor, ciphertext, memoryview(out), pool=pool)
    assert out == plaintext


def test_after_a_failure_no_thread_works_on_the_callers_memory_any_more() -> None:
    started: list[Future[object]] = []

    class Recording(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            future = super().submit(*args, **kwargs)
            started.append(future)
            return future

    parameters = Parameters()
    ciphertext = bytearray(sealed(bytes(8 << 20), parameters))
    ciphertext[HEADER_BYTES] ^= 1  # the length of segment 0: seen at once, while the others still decrypt
    decryptor = Decryptor(parameters, KEY, AAD, ciphertext[:HEADER_BYTES])
    with Recording(4) as pool:
        out = bytearray(8 << 20)
        with pytest.raises(ObjectTampered, match="segment 0 "):
            decrypt_into(decryptor, ciphertext, memoryview(out), pool=pool)
        assert len(started) == 9
        assert all(future.done() for future in started)


# --- calls that cannot be meant ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("segment_bytes", "rotation_bits"), [(32, 20), (0, 20), (-1, 20), (2**32 - 1, 20), (64, -1), (64, 41)]
)
def test_parameters_out_of_range_are_refused(segment_bytes: int, rotation_bits: int) -> None:
    with pytest.raises(BadRequest):
        Parameters(segment_bytes=segment_bytes, rotation_bits=rotation_bits)


def test_misuse_is_refused() -> None:
    encryptor = Encryptor(SMALL, KEY, AAD, IV)
    decryptor = Decryptor(SMALL, KEY, AAD, encryptor.header)
    out, iv = memoryview(bytearray(48)), bytes(12)
    with pytest.raises(BadRequest):
        Encryptor(SMALL, KEY[:31], AAD, IV)
    with pytest.raises(BadRequest):
        Encryptor(SMALL, KEY, AAD, IV[:31])
    for plaintext, is_last in ((bytes(17), True), (bytes(17), False), (bytes(15), False)):
        with pytest.raises(BadRequest):
            encryptor.encrypt_segment_into(0, plaintext, out, iv=iv, is_last=is_last)
    for number, short_iv in ((-1, iv), (2**40, iv), (0, iv[:11])):
        with pytest.raises(BadRequest):
            encryptor.encrypt_segment_into(number, bytes(16), out, iv=short_iv, is_last=True)
    for size, is_last in ((31, True), (49, True), (47, False)):
        with pytest.raises(ObjectSize):
            decryptor.decrypt_segment_into(0, memoryview(bytes(size)), out, is_last=is_last)
    with pytest.raises(BadRequest):
        decryptor.decrypt_segment_into(0, memoryview(bytes(48)), out, is_last=True)
