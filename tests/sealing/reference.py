"""FLOE and HPKE once more, naively: what the tests hold the product against. Shares no code with it.

FLOE follows the functions of c2sp.org/FLOE one by one, names included, with whole byte strings for segments.
HKDF is written out with `hmac`; AES-GCM is the library's low-level cipher, not its one-call form. HPKE is the key
schedule of RFC 9180 §5.1 for a shared secret that the KEM has already agreed on.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM


@dataclass(frozen=True)
class Floe:
    """FLOE with the parameters that may vary; one message is `key`, `aad` and `iv`."""

    enc_seg_len: int
    rotation: int
    key: bytes
    aad: bytes

    def params(self) -> bytes:
        return b"\x00\x00" + self.enc_seg_len.to_bytes(4, "big") + b"\x00\x00\x00\x20"

    def kdf(self, key: bytes, iv: bytes, purpose: bytes, length: int) -> bytes:
        return hkdf_expand("sha384", key, self.params() + iv + purpose + self.aad, length)

    def header(self, iv: bytes) -> bytes:
        return self.params() + iv + self.kdf(self.key, iv, b"HEADER_TAG:", 32)

    def segment_key(self, iv: bytes, position: int) -> bytes:
        masked = position - position % 2**self.rotation
        message_key = self.kdf(self.key, iv, b"MESSAGE_KEY:", 48)
        return self.kdf(message_key, iv, b"DEK:" + masked.to_bytes(8, "big"), 32)

    def encrypt_segment(self, iv: bytes, segment_iv: bytes, plaintext: bytes, position: int, final: bool) -> bytes:
        length = 4 + 12 + len(plaintext) + 16
        if length > self.enc_seg_len or (length < self.enc_seg_len and not final):
            raise ValueError
        aad = position.to_bytes(8, "big") + (b"\x01" if final else b"\x00")
        sealed = aes_gcm_seal(self.segment_key(iv, position), segment_iv, plaintext, aad)
        return (length.to_bytes(4, "big") if final else b"\xff\xff\xff\xff") + segment_iv + sealed

    def decrypt_segment(self, iv: bytes, segment: bytes, position: int, final: bool) -> bytes:
        if len(segment) > self.enc_seg_len or (len(segment) < self.enc_seg_len and not final):
            raise ValueError
        if int.from_bytes(segment[:4], "big") != (len(segment) if final else 0xFFFFFFFF):
            raise ValueError
        aad = position.to_bytes(8, "big") + (b"\x01" if final else b"\x00")
        return aes_gcm_open(self.segment_key(iv, position), segment[4:16], segment[16:], aad)

    def encrypt(self, plaintext: bytes, iv: bytes, segment_ivs: Sequence[bytes]) -> bytes:
        """As many segments as there are IVs, so that an empty last one can be asked for."""
        full = self.enc_seg_len - 32
        out = self.header(iv)
        for position, segment_iv in enumerate(segment_ivs):
            piece = plaintext[position * full : (position + 1) * full]
            out += self.encrypt_segment(iv, segment_iv, piece, position, position == len(segment_ivs) - 1)
        return out

    def decrypt(self, ciphertext: bytes) -> bytes:
        """The last segment is the one that says so, as the online form of FLOE has it."""
        header, body = ciphertext[:74], ciphertext[74:]
        iv = header[10:42]
        if header != self.header(iv):
            raise ValueError
        out, position = b"", 0
        while True:
            final = body[:4] != b"\xff\xff\xff\xff"
            length = int.from_bytes(body[:4], "big") if final else self.enc_seg_len
            segment, body = body[:length], body[length:]
            out += self.decrypt_segment(iv, segment, position, final)
            if final:
                if body:
                    raise ValueError
                return out
            position += 1


def hkdf_expand(name: str, prk: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 §2.3."""
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes([count]), name)
        out, count = out + block, count + 1
    return out[:length]


def aes_gcm_seal(key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> bytes:
    encryptor = Cipher(AES(key), GCM(iv)).encryptor()
    encryptor.authenticate_additional_data(aad)
    return encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag


def aes_gcm_open(key: bytes, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
    decryptor = Cipher(AES(key), GCM(iv, sealed[-16:])).decryptor()
    decryptor.authenticate_additional_data(aad)
    return decryptor.update(sealed[:-16]) + decryptor.finalize()


def hpke_seal(shared_secret: bytes, info: bytes, plaintext: bytes) -> bytes:
    """RFC 9180 §5.1 and §5.2, mode base: X-Wing (0x647a), HKDF-SHA-256 (1), AES-256-GCM (2), no AAD."""
    suite = b"HPKE" + bytes.fromhex("647a 0001 0002")

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(label: bytes, context: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hkdf_expand("sha256", secret, labelled, length)

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared_secret, b"secret", b"")
    return aes_gcm_seal(expand(b"key", context, 32), expand(b"base_nonce", context, 12), plaintext, b"")


def file_key(data_key: bytes, seal_id: str, kind: str, path: str) -> tuple[bytes, bytes]:
    """The key of one file and its AAD, with the JSON written out by hand; `path` needs no escapes."""
    aad = f'{{"format":"strongroom/file/1","kind":"{kind}","path":"{path}","seal_id":"{seal_id}"}}'.encode()
    return hkdf_expand("sha384", data_key, aad, 32), aad


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
