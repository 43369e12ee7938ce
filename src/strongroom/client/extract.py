"""Extract: a version, or one file of it, opened onto disk. All of it appears at once, or nothing does.

ORDER: everything is written to a hidden folder on the destination's disk (see `partial`), and moved into place at the
end.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

from strongroom.client.memory import is_in_memory
from strongroom.client.partial import PartialFolder, mount_point, partial_folder
from strongroom.client.threads import Buffers, Progress, no_progress, run_jobs
from strongroom.client.version import SealedVersion
from strongroom.sealing import floe
from strongroom.terms.errors import AccessDenied, BadRequest, NoSpace, OutputExists, StoreUnavailable, UnsafePlace

MEMORY_LABEL = 3
"""From here on plaintext goes to no disk."""


def extract_version(
    version: SealedVersion,
    to: Path,
    *,
    path: str | None = None,
    progress: Progress = no_progress,
    on_start: Callable[[int], None] = no_progress,
) -> list[Path]:
    """Open `version`, or its one file `path`, into the folder `to`; return what was made.

    Folders get mode 0700, files 0600. Nothing is overwritten: for a whole version `to` is new or an empty folder, for
    one file there is nothing of its name.

    Raises:
        OutputExists, NoSpace, AccessDenied: nothing was made.
        UnsafePlace: it is of label 3 or above, and `to` is on a disk.
        ObjectMissing, ObjectSize, ObjectTampered, …: the store does not hold what was sealed; nothing was made.
    """
    chosen = list(version.files) if path is None else [version.file(path).path]
    size_bytes = sum(version.files[name].size_bytes for name in chosen)
    with _translated(size_bytes, to):
        to = Path(os.path.abspath(to))
        destination = to if path is None else to / Path(path).name
        # One file goes into a folder that may be another disk than the one around it.
        home = to if path is not None and to.is_dir() else to.parent
        _check_memory(version, home)
        _check_free(destination, folder_may_be_empty=path is None)
        _check_space(to, size_bytes)
        on_start(size_bytes)
        to.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(home) as partial:
            _Extraction(version, chosen, partial, progress).run()
            if path is None:
                partial.place(to.name)
                return [to / name for name in chosen]
            to.mkdir(mode=0o700, exist_ok=True)
            partial.place_file(path, destination)
            return [destination]


class _Extraction:
    """Writes the chosen files of a version below a folder, segments side by side."""

    def __init__(
        self, version: SealedVersion, chosen: Sequence[str], folder: PartialFolder, progress: Progress
    ) -> None:
        self._version = version
        self._chosen = chosen
        self._folder = folder
        self._progress = progress
        self._parameters = version.manifest.public.parameters
        self._descriptors: dict[str, int] = {}

    def run(self) -> None:
        """Write them all."""
        width = self._version.threads
        for first in range(0, len(self._chosen), width):
            group = self._chosen[first : first + width]
            try:
                for path in group:
                    self._descriptors[path] = self._folder.create(path)
                run_jobs(self._jobs(group), self._write, threads=width)
            finally:
                while self._descriptors:
                    os.close(self._descriptors.popitem()[1])

    def _jobs(self, group: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        """Yield path, first segment and their number, files side by side: a file system takes one writer a file."""
        most = max(1, self._version.store.read_size_bytes // self._parameters.segment_bytes)
        counts = [self._parameters.segments(self._version.files[path].size_bytes) for path in group]
        for firsts in zip_longest(*[range(0, count, most) for count in counts]):
            for path, count, first in zip(group, counts, firsts, strict=True):
                if first is not None:
                    yield path, first, min(most, count - first)

    def _write(self, job: tuple[str, int, int], buffers: Buffers) -> None:
        path, first, count = job
        number = self._version.numbers[path]
        # The first read takes in the header, so that no stored byte goes unchecked.
        for segment, sealed in self._version.fetch_segments(number, first, count, buffers, with_header=first == 0):
            plain = buffers.get("plain", len(sealed) - floe.SEGMENT_OVERHEAD_BYTES)
            self._version.decrypt_segment_into(number, segment, sealed, plain)
            _write_all(self._descriptors[path], plain, segment * self._parameters.plaintext_bytes)
            self._progress(len(plain))


def _write_all(descriptor: int, view: memoryview, offset: int) -> None:
    while len(view):
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count


def _check_memory(version: SealedVersion, home: Path) -> None:
    place = next(parent for parent in (home, *home.parents) if parent.is_dir())
    if version.label >= MEMORY_LABEL and not is_in_memory(place):
        raise UnsafePlace(
            f"version {version.name} has label {version.label}, and `{place}` is on a disk",
            hint="open it below `/dev/shm`, or give it to a program with `strongroom exec`",
        )


def _check_free(destination: Path, *, folder_may_be_empty: bool) -> None:
    if not os.path.lexists(destination):
        return
    if folder_may_be_empty and destination.is_mount():
        raise mount_point(destination)
    if folder_may_be_empty and destination.is_dir() and not destination.is_symlink() and not any(destination.iterdir()):
        if destination.samefile("."):
            raise OutputExists(f"`{destination}` is the working folder", hint="choose a new folder inside it")
        return
    raise OutputExists(f"`{destination}` exists{' and is not an empty folder' if folder_may_be_empty else ''}")


def _check_space(to: Path, size_bytes: int) -> None:
    place = next(parent for parent in (to, *to.parents) if parent.exists())
    status = os.statvfs(place)  # without blocks where nobody counts them
    if status.f_blocks and (free := status.f_bavail * status.f_frsize) < size_bytes:
        raise NoSpace(f"`{to}` needs {size_bytes} bytes, {free} are free")


@contextmanager
def _translated(size_bytes: int, to: Path) -> Iterator[None]:
    """Turn the file system's errors into ours: the one place for it in this file."""
    try:
        yield
    except FileExistsError as error:
        raise OutputExists(f"`{error.filename2 or error.filename}` exists") from error
    except PermissionError as error:
        raise AccessDenied(
            f"`{error.filename or to}` cannot be written: {error.strerror}",
            hint="choose a folder that you can write to",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"disk full: `{to}` needs {size_bytes} bytes") from error
        if error.errno in (errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise BadRequest(f"`{to}` cannot be a folder: {error.strerror}", hint="choose another `--to`") from error
        raise StoreUnavailable(
            f"`{to}` cannot be written: {error.strerror}", hint="check the disk that it is on, then try again"
        ) from error
