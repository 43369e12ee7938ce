"""The vault: the root key while the keep is unsealed, and all that only it can do. Nothing in here reads a request.

signs checkpoints, the time and answers; makes and opens models' keys; opens and wraps data keys; seals texts
"""

import base64
from collections.abc import Callable
from functools import lru_cache

from strongroom.directory.state import Directory, KeepKeys, Model, Version
from strongroom.keyring.details import open_detail, seal_detail
from strongroom.keyring.model_keys import create_model_key, open_model_key, seal_model_key
from strongroom.keyring.root import RootKey
from strongroom.sealing.keys import Binding, Identity, PublicKey, released_file_keys, wrap_to
from strongroom.sealing.registration import check_data_key
from strongroom.statements.envelope import Envelope, Signature, pae
from strongroom.statements.signatures import sign_ed25519
from strongroom.statements.statement import KEEP, Statement
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.digests import sha256
from strongroom.terms.errors import KeyringTampered
from strongroom.terms.ids import Random
from strongroom.tlog.checkpoints import Checkpoint, sign_checkpoint
from strongroom.tlog.cosignatures import cosign, with_signature

Fetch = Callable[[str, str], bytes | None]
"""Returns the private record of a kind and name, from beside the log."""


class Vault:
    """The root key and what it yields. `fetch` reads sealed records; whatever they hold is checked."""

    def __init__(self, root: RootKey, random: Random, fetch: Fetch) -> None:
        self._root, self._random, self._fetch = root, random, fetch
        self._log_key, self._answer_key, self._time_key = root.log_key(), root.answer_key(), root.time_key()
        self._model_key = lru_cache(maxsize=64)(self._open_model_key)

    def public_keys(self) -> KeepKeys:
        """Return the public halves, as the genesis names them."""
        return KeepKeys(
            log=self._log_key.public_key().public_bytes_raw(),
            answer=self._answer_key.public_key().public_bytes_raw(),
            time=self._time_key.public_key().public_bytes_raw(),
        )

    # --- signing -------------------------------------------------------------------------------

    def sign(self, origin: str, size: int, root: bytes) -> bytes:
        """Return the checkpoint of the log, signed. The journal makes sure that it is never inconsistent."""
        return sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), self._log_key)

    def with_time(self, note: bytes, origin: str, at: int) -> bytes:
        """Return a checkpoint with the keep's word on the time."""
        return with_signature(note, cosign(note, f"{origin}/time", self._time_key, at))

    def answer(self, directory: Directory, kind: str, body: Json, *, at: int, until: int) -> Envelope:
        """Return a statement of the keep's own."""
        payload = Statement(
            at=at,
            body=body,
            by=KEEP,
            deployment=directory.deployment,
            era=directory.era,
            id=f"statement-{self._random(16).hex()}",
            kind=kind,
            until=until,
        ).encode()
        signature = Signature(keyid=KEEP, sig=sign_ed25519(self._answer_key, pae(payload)))
        return Envelope(payload=payload, signatures=(signature,))

    # --- models and versions -------------------------------------------------------------------

    def make_model_key(self, deployment: str, model: str) -> tuple[PublicKey, bytes]:
        """Return a fresh public key for `model`, and its private half, sealed for the journal."""
        identity = create_model_key(self._random)
        sealed = seal_model_key(
            self._root, identity, deployment=deployment, model_id=model, generation=1, random=self._random
        )
        return identity.public_key(), sealed

    def check_registration(
        self, directory: Directory, model: Model, seal_id: str, wrapped_key: bytes, header: bytes
    ) -> None:
        """Refuse a version whose data key the keep could not release.

        Raises:
            WrongKey: it is not wrapped to the model's key for this seal, or does not open the manifest.
        """
        check_data_key(self._data_key(directory, model, seal_id, wrapped_key), seal_id, header)

    def release(
        self, directory: Directory, version: Version, recipient: PublicKey, info: bytes, files: tuple[str, ...] | None
    ) -> bytes:
        """Return the data key of `version`, or the keys of the named files only, wrapped to `recipient`."""
        model = directory.models[version.model]
        data_key = self._data_key(directory, model, version.seal_id, version.wrapped_key)
        if files is None:
            return wrap_to(recipient, canonical.encode({"data_key": _text(data_key)}), info)
        keys = released_file_keys(data_key, version.seal_id, files)
        named: Json = {path: _text(key) for path, key in keys.files.items()}
        return wrap_to(recipient, canonical.encode({"files": named, "manifest_key": _text(keys.manifest)}), info)

    def _data_key(self, directory: Directory, model: Model, seal_id: str, wrapped_key: bytes) -> bytes:
        binding = Binding(
            deployment=directory.deployment, model=model.model, generation=model.generation, seal_id=seal_id
        )
        identity = self._model_key(directory.deployment, model.model, model.generation, sha256(model.public_key))
        return identity.unwrap(wrapped_key, binding)

    def _open_model_key(self, deployment: str, model: str, generation: int, public_digest: str) -> Identity:
        if (sealed := self._fetch("model-key", f"{model}/{generation}")) is None:
            raise KeyringTampered(f"the key of model `{model}` is missing beside the log")
        return open_model_key(
            self._root,
            sealed,
            deployment=deployment,
            model_id=model,
            generation=generation,
            public_digest=public_digest,
        )

    # --- texts ---------------------------------------------------------------------------------

    def seal_text(self, text: str, salt: bytes) -> tuple[str, bytes]:
        """Return the digest of a text, and the text sealed for the journal."""
        sealed = seal_detail(self._root, text, salt=salt, random=self._random)
        return sealed.digest, sealed.blob

    def open_text(self, digest: str) -> tuple[str, bytes] | None:
        """Return a text and its salt, or nothing where it was erased or never there."""
        blob = self._fetch("detail", digest)
        return None if blob is None else open_detail(self._root, digest, blob)


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")
