"""Files that people pass around: cards, drafts, signatures, plans, receipts. Small, read whole, never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from strongroom.terms.errors import AccessDenied, BadRequest, NotFound, OutputExists, StoreUnavailable

LARGEST_BYTES = 4 << 20


def read_file(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        NotFound, AccessDenied, BadRequest: it cannot be read, or is larger than anything that is passed around.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"no file `{path}`", hint="check its name") from None
    except PermissionError as error:
        raise AccessDenied(f"`{path}` cannot be read: {error.strerror}", hint="read it as its owner") from error
    except (OSError, ValueError) as error:
        raise BadRequest(f"`{path}` cannot be read: {error}", hint="give a regular file") from error
    if len(data) > LARGEST_BYTES:
        raise BadRequest(f"`{path}` is larger than {LARGEST_BYTES} bytes", hint="this is not the file that is meant")
    return data


def read_text(path: Path) -> str:
    """Return the text in a file; errors as for `read_file`."""
    try:
        return read_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"`{path}` is not text", hint="write it as UTF-8") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a new file, for its owner alone.

    Raises:
        OutputExists: it is there. AccessDenied, BadRequest, StoreUnavailable: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise OutputExists(f"`{path}` exists", hint="choose another name, or move what is there away") from None
    except PermissionError as error:
        raise AccessDenied(f"`{path}` cannot be written: {error.strerror}", hint="choose another folder") from error
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError) as error:
        raise BadRequest(f"`{path}` cannot be a file: {error}", hint="choose another name") from error
    except OSError as error:
        raise StoreUnavailable(f"`{path}` cannot be written: {error.strerror}", hint="check the disk") from error
