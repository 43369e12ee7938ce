"""Identity files: one line of text, mode 0600, read only where nobody else can."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from strongroom.sealing.key_texts import parse_identity, parse_public_key
from strongroom.sealing.keys import SEED_BYTES, Identity, PublicKey
from strongroom.terms.errors import AccessDenied, BadKey, BadRequest, NotFound, OutputExists, StoreUnavailable

_LONGEST_FILE_BYTES = 8192
_PUBLIC = "strongroom-public-"
_NO_SUCH_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR)
_SECRET = re.compile(r"STRONGROOM-IDENTITY-[0-9]+:")


def create_identity(path: Path, *, random: Callable[[int], bytes] = os.urandom) -> Identity:
    """Make a new identity, write it to `path`, durable and readable by its owner alone, and return it.

    Raises:
        OutputExists: something is there; it is left alone.
    """
    identity = Identity(random(SEED_BYTES))
    # ORDER: whole and synced under a name of its own first, so that a kill leaves no half identity under this one.
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(identity.encode() + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(partial, path)
        finally:
            partial.unlink()
        _sync_folder(path.parent)
    except FileExistsError:
        raise OutputExists(f"`{path}` exists", hint="choose another name: an identity is never overwritten") from None
    except PermissionError as error:
        raise AccessDenied(f"`{path}` cannot be written: {error.strerror}", hint="choose another folder") from error
    except OSError as error:
        if error.errno in _NO_SUCH_PLACE:
            raise BadRequest(f"`{path}` cannot be a file: {error.strerror}", hint="choose another `-o`") from error
        raise StoreUnavailable(f"`{path}` cannot be written: {error.strerror}", hint="check the disk") from error
    except ValueError as error:
        raise BadRequest(f"`{str(path)!a}` is no name of a file", hint="choose another `-o`") from error
    return identity


def read_identity(path: str | os.PathLike[str]) -> Identity:
    """Return the identity in the file at `path`.

    Raises:
        NotFound, AccessDenied: it cannot be read.
        BadKey: it holds something else, or others could have read it.
    """
    text, mode = _read_line(Path(path))
    if text.startswith(_PUBLIC):
        raise BadKey(f"`{path}` holds a public key", hint="give the identity that it belongs to")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadKey(f"`{path}` can be read by others (mode {stat.S_IMODE(mode):04o})", hint=f"run `chmod 600 {path}`")
    return parse_identity(text)


def read_public_key(text_or_path: str) -> PublicKey:
    """Return the public key that `text_or_path` is, or that the file of that name holds."""
    if text_or_path.startswith(_PUBLIC):
        return parse_public_key(text_or_path)
    return parse_public_key(_read_line(Path(text_or_path))[0])


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_line(path: Path) -> tuple[str, int]:
    # The message of a file that is not there would show it, in logs too.
    if _SECRET.search(str(path)):
        raise BadKey("an identity was given where the name of a file is due", hint="write it to a file of mode 0600")
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_LONGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"no key file `{path}`", hint="make one with `strongroom keygen`") from None
    except PermissionError as error:
        raise AccessDenied(f"`{path}` cannot be read: {error.strerror}", hint="read it as its owner") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise BadKey(
            f"`{str(path)!a}` cannot be read: {reason}", hint="give the file that `strongroom keygen` made"
        ) from error
    try:
        text = data.decode("ascii").removesuffix("\n")
    except UnicodeDecodeError:
        raise BadKey(f"`{path}` holds no key") from None
    if len(data) > _LONGEST_FILE_BYTES or not text or any(char <= " " for char in text):
        raise BadKey(f"`{path}` holds no key: one line of text is due")
    return text, mode
