"""CBOR as authenticators write it: the canonical form of CTAP2 §8, and nothing else.

Whole numbers, byte and text strings, arrays, maps, booleans and null; shortest heads, definite lengths, keys in
ascending order. So each value has one encoding, and what is parsed need not be written again to be compared.
"""

from dataclasses import dataclass

from strongroom.terms.errors import BadRecord

Cbor = None | bool | int | bytes | str | list["Cbor"] | dict["int | str", "Cbor"]

DEEPEST = 4  # CTAP2 §8
_SIMPLE: dict[int, Cbor] = {0xF4: False, 0xF5: True, 0xF6: None}


def parse_cbor(data: bytes) -> Cbor:
    """Return the value that `data` is the canonical encoding of.

    Raises:
        BadRecord: it is none.
    """
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise BadRecord(f"{len(data) - reader.at} bytes follow the CBOR")
    return value


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise BadRecord("CBOR that ends too early")
        self.at += count
        return taken

    def head(self) -> tuple[int, int]:
        """Return the major type and the number of the next head."""
        first = self.take(1)[0]
        major, short = first >> 5, first & 31
        if short < 24:
            return major, short
        if short > 27:
            raise BadRecord("CBOR of a length that is not told")
        size = 1 << (short - 24)
        number = int.from_bytes(self.take(size))
        if number < (24 if size == 1 else 1 << 4 * size):
            raise BadRecord("a CBOR head that is not the shortest")
        return major, number

    def value(self, depth: int) -> Cbor:
        if depth > DEEPEST:
            raise BadRecord(f"CBOR of more than {DEEPEST} levels")
        start = self.at
        major, number = self.head()
        match major:
            case 0:
                return number
            case 1:
                return -1 - number
            case 2:
                return self.take(number)
            case 3:
                return self.text(number)
            case 4:
                return [self.value(depth + 1) for _ in range(number)]
            case 5:
                return self.map(number, depth)
            case _ if self.data[start] in _SIMPLE:
                return _SIMPLE[self.data[start]]
            case _:
                raise BadRecord("CBOR of a type that authenticators do not use")

    def text(self, size: int) -> str:
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadRecord("CBOR text that is not UTF-8") from error

    def map(self, count: int, depth: int) -> Cbor:
        found: dict[int | str, Cbor] = {}
        last = b""
        for _ in range(count):
            start = self.at
            key = self.value(depth + 1)
            encoded = self.data[start : self.at]
            # With shortest heads, this is CTAP2's order: by type, then by length, then by bytes.
            if isinstance(key, bool) or not isinstance(key, int | str) or encoded <= last:
                raise BadRecord("CBOR keys that are not in order, twice the same, or of another type")
            last = encoded
            found[key] = self.value(depth + 1)
        return found
