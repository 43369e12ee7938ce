"""Arena: fresh memory of our own for many tensors at once, in pages as large as the system has them."""

from __future__ import annotations

import contextlib
import errno
import mmap

from strongroom.terms.outer_errors import NoMemory


def allocate(size_bytes: int) -> memoryview:
    """Return zeroed, writable, page-aligned memory, private to this process; it lives as long as any view of it.

    Raises:
        NoMemory: there is not so much memory.
    """
    try:
        memory = mmap.mmap(-1, max(1, size_bytes), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOMEM:
            raise
        raise NoMemory(f"no memory for {size_bytes} bytes", hint="read fewer tensors at a time") from error
    with contextlib.suppress(OSError):  # a kernel without huge pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)[:size_bytes]
