"""A security key on the other end of CTAP2, for python-fido2's own clients to talk to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import fido2.cbor
from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.hid import CAPABILITY

from tests.vectors.statements import cases, writer

MAKE_CREDENTIAL, GET_ASSERTION, GET_INFO = 1, 2, 4


class Authenticator(CtapDevice):
    """One key. `options` are what it says that it can do; `refusal` is what it answers instead of signing."""

    def __init__(
        self,
        *,
        options: dict[str, bool] | None = None,
        refusal: int | None = None,
        failure: Exception | None = None,
        capabilities: int = CAPABILITY.CBOR,
    ) -> None:
        self.options = {"uv": True} if options is None else options
        self.refusal, self.failure = refusal, failure
        self.held: dict[bytes, writer.Key] = {}
        self.counter = 0
        self.closed = False
        self._capabilities = capabilities

    @property
    def capabilities(self) -> int:
        return self._capabilities

    def close(self) -> None:
        self.closed = True

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        yield cls()

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        # Decoded as the real ones do: the request is canonical, so nothing is lost.
        request: Any = fido2.cbor.decode(data[1:]) if len(data) > 1 else {}
        if data[:1] == bytes([GET_INFO]):
            return self.answer({1: ["FIDO_2_0"], 3: writer.AAGUID, 4: self.options, 6: [2]})
        if self.failure:
            raise self.failure
        if self.refusal:
            return bytes([self.refusal])
        asks_for_touch = request.get(5, request.get(7, {})).get("up", True)
        if on_keepalive and asks_for_touch:
            on_keepalive(STATUS.UPNEEDED)
        if data[:1] == bytes([MAKE_CREDENTIAL]):
            return self.make_credential(request)
        assert data[:1] == bytes([GET_ASSERTION])
        return self.get_assertion(request)

    def answer(self, value: Any) -> bytes:
        return b"\0" + fido2.cbor.encode(value)

    def make_credential(self, request: Any) -> bytes:
        assert request[4] == [{"type": "public-key", "alg": -7}]
        key, raw_id = writer.private(1000 + len(self.held)), hashlib.sha256(bytes([len(self.held)])).digest()
        self.held[raw_id] = key
        self.counter += 1
        data = writer.authenticator_data(
            rp_id=request[2]["id"],
            flags=0x41 | self.verified(request.get(7, {})),
            counter=self.counter,
            rest=writer.credential(key, raw_id=raw_id),
        )
        statement = {"alg": -7, "sig": writer.sign(cases.MAKER_KEY, data + request[1]), "x5c": [cases.MAKER]}
        return self.answer({1: "packed", 2: data, 3: statement})

    def get_assertion(self, request: Any) -> bytes:
        found = [one["id"] for one in request[3] if one["id"] in self.held]
        if not found:
            return bytes([CtapError.ERR.NO_CREDENTIALS])
        self.counter += 1
        options = request.get(5, {})
        flags = int(options.get("up", True)) | self.verified(options)
        data = writer.authenticator_data(rp_id=request[1], flags=flags, counter=self.counter)
        sig = writer.sign(self.held[found[0]], data + request[2])
        return self.answer({1: {"type": "public-key", "id": found[0]}, 2: data, 3: sig})

    def verified(self, options: Any) -> int:
        return 4 if options.get("uv") and self.options.get("uv") else 0
